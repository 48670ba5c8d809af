"""The report room (see docs)."""
