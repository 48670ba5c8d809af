"""The workflows room (see docs)."""
