"""repro: one hashed archive of an analysis, rerun sealed, judged against its recorded results.

Lives here: the version, nothing else. May import: nothing.
Never: re-exports names of its rooms.
"""

__version__ = "0.1.0"
