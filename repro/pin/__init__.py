"""The pin room (see docs)."""
