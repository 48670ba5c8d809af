"""The cli room (see docs)."""
