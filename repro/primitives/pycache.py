"""Python's cached bytecode: which source a file belongs to, and whether it is still valid."""

from __future__ import annotations

import os
import re
import struct

_CACHED = re.compile(r"^(.*)/__pycache__/([^/]+?)\.[a-z]+-\d+(?:\.opt-\d)?\.pyc$")


def source_of(path: str) -> str | None:
    """The ``.py`` that a cached ``.pyc`` stands for (PEP 3147), None for any other path."""
    match = _CACHED.match(path)
    return f"{match.group(1)}/{match.group(2)}.py" if match else None


def valid_pyc(cache: str, source: str) -> bool:
    """Whether a cached ``.pyc`` belongs to the source file as it is (PEP 552).

    A stale one would become valid by the clamped time of an archive, so it must stay out.
    """
    try:
        with open(cache, "rb") as stream:
            head = stream.read(16)
        status = os.stat(source)
    except OSError:
        return False
    if len(head) < 16:
        return False
    flags, mtime, size = struct.unpack("<4xIII", head)
    if flags:
        return flags in (1, 3)  # checked or not, by a hash; the interpreter refuses others
    return bool(mtime == int(status.st_mtime) & 0xFFFFFFFF and size == status.st_size & 0xFFFFFFFF)
