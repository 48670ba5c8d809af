"""The compare room (see docs)."""
