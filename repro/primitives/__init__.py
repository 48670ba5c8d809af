"""Domain-free building blocks.

Lives here: digests, canonical JSON, files, tar, processes, events, plug-ins.
May import: the standard library, zstandard, repro.errors.
Never: knows what an archive, a project or a verdict is.
"""
