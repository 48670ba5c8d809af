"""The image and its thin writable layer as one overlay, for engines that are given a folder."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence

from repro.errors import RuntimeUnavailable

_PAGE = mmap.PAGESIZE  # mount(2) takes its options as one page, the ending NUL included


def overlay_options(lower: Sequence[str], upper: str, work: str) -> bytes:
    """Options of overlayfs (kernel documentation, filesystems/overlayfs.rst); lowest first.

    Links are resolved. Raises RuntimeUnavailable when a folder is missing or the list is
    longer than mount(2) takes.
    """
    folders = [os.path.realpath(folder) for folder in (*lower, upper, work)]
    for folder in folders:
        if not os.path.isdir(folder):
            raise RuntimeUnavailable(
                "the sandbox could not be set up: a folder of the image is missing",
                hint="try again; `repro cache check` looks after the cache",
                details=[folder],
            )
    *below, top, scratch = map(_escaped, folders)
    options = b"lowerdir=%s,upperdir=%s,workdir=%s,userxattr" % (
        b":".join(reversed(below)), top, scratch,
    )  # fmt: skip
    if len(options) + 1 > _PAGE:
        raise RuntimeUnavailable(
            f"{len(below) - 1} layers below so long a path do not fit into one mount "
            f"({len(options) + 1} bytes of {_PAGE})",
            hint="set REPRO_CACHE to a folder with a short path",
        )
    return options


def _escaped(folder: str) -> bytes:
    data = os.fsencode(folder)
    for char in (b"\\", b",", b":"):
        data = data.replace(char, b"\\" + char)
    return data
