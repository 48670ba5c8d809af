"""The project room (see docs)."""
