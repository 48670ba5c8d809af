"""Where this user's cache lies, and short-lived folders inside it."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from repro.errors import StorageError
from repro.primitives.disks import file_system, holds_writable_layers
from repro.primitives.files import fresh_folder, private_folder, remove_tree

if TYPE_CHECKING:
    from repro.runtime.proof import Proofs


def cache_root(environ: Mapping[str, str]) -> Path:
    """``REPRO_CACHE``, else ``$XDG_CACHE_HOME/repro``, else ``~/.cache/repro``."""
    if environ.get("REPRO_CACHE"):
        return Path(environ["REPRO_CACHE"])
    if environ.get("XDG_CACHE_HOME"):
        return Path(environ["XDG_CACHE_HOME"]) / "repro"
    home = environ.get("HOME")
    if not home:
        raise StorageError("neither HOME nor REPRO_CACHE is set", hint="export REPRO_CACHE=FOLDER")
    return Path(home) / ".cache" / "repro"


def runs_root(environ: Mapping[str, str]) -> Path:
    """Where the writable layers of runs lie while they run.

    In the cache, unless that is on a disk that cannot hold them (NFS, FUSE): then in a folder
    of this user's in TMPDIR, /var/tmp or /tmp, whichever can. Raises StorageError when that
    folder is not ours alone.
    """
    own = cache_root(environ) / "runs"
    if holds_writable_layers(file_system(own)):
        return own
    for top in filter(None, (environ.get("TMPDIR"), "/var/tmp", "/tmp")):
        if os.path.isdir(top) and holds_writable_layers(file_system(Path(top))):
            return _own_folder(Path(top) / f"repro-runs-{os.geteuid()}")
    return own


def _own_folder(folder: Path) -> Path:
    """Made if missing. Others may write beside it: it must be ours, and no link."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise StorageError(
            f"{folder} is not a folder of yours alone",
            hint="remove it, or set TMPDIR to a folder of your own",
        )
    return folder


def proofs(environ: Mapping[str, str]) -> Proofs:
    """Which engines this user has seen working."""
    from repro.runtime.proof import Proofs

    return Proofs(cache_root(environ) / "engines")


@contextlib.contextmanager
def scratch(root: Path, purpose: str, *, keep: bool = False) -> Iterator[Path]:
    """A private folder below the cache that is gone afterwards, whatever happens.

    Raises StorageError when it cannot be made.
    """
    try:
        private_folder(root)
        sweep(root)
        folder = fresh_folder(root, f"{purpose}-{os.getpid()}-")
    except OSError as error:
        raise StorageError(
            f"no scratch folder in {root}: {error.strerror}",
            hint="set REPRO_CACHE to a folder you can write",
        ) from None
    try:
        yield folder
    finally:
        if not keep:
            remove_tree(folder)


def sweep(root: Path) -> None:
    """Remove what processes that were killed left below ``root``."""
    for folder in root.iterdir():
        match = re.fullmatch(r"[a-z-]+-(\d+)-[a-z0-9_]+", folder.name)
        if match and folder.is_dir() and not Path(f"/proc/{match.group(1)}").exists():
            remove_tree(folder)
