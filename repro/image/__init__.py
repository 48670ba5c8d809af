"""Files become layers, layers become folders.

Lives here: the plan (file to layer), the layer builder, the unpacker.
May import: repro.model, repro.primitives, repro.errors.
Never: reads an archive file, or knows where blobs are kept for long.
"""
