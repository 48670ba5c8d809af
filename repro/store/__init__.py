"""The store room (see docs)."""
