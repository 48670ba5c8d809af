"""The image room (see docs)."""
