"""Archives on disk and this user's cache of unpacked layers.

Lives here: the archive's writer and reader, blobs, the cache. May import: repro.model,
repro.primitives, repro.errors. Never: runs anything, or trusts a byte it has not hashed.
"""
