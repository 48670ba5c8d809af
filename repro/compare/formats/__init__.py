"""One comparator per file; `choose` finds them by rank, no list has to be kept.

May import: errors, primitives, model and the compare room.
Never: decides for a path it does not accept, or trusts a length a file claims.
"""
