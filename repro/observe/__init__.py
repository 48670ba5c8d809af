"""The observe room (see docs)."""
