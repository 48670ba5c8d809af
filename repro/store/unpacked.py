"""Folders of unpacked layers: how large, how old, and out of the way while somebody uses them."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from repro.primitives.files import remove_tree


def time_of(*places: Path) -> float:
    """The modification time of the first that is there; 0 when none is."""
    for place in places:
        with contextlib.suppress(OSError):
            return place.lstat().st_mtime
    return 0.0


def lay_aside(place: Path, use: int) -> None:
    """Free the name of a layer that is to be unpacked anew. Raises OSError.

    ``use`` is the caller's descriptor with a shared lock on the layer. Whoever runs over the
    folder keeps its files under another name, which ``gc`` removes when nobody has a lock: half
    a layer would look like other results.
    """
    if not place.is_dir() or place.is_symlink():
        remove_tree(place)
        return
    import tempfile  # most verifications unpack nothing: docs/decisions/0005

    aside = Path(tempfile.mkdtemp(prefix=f".unpack-{place.name}-old-", dir=place.parent))
    os.rename(place, aside)  # over an empty folder: rename(2)
    try:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_tree(aside)
    except BlockingIOError:
        pass
    finally:
        fcntl.flock(use, fcntl.LOCK_SH)
