"""The runtime room (see docs)."""
