"""Layers that were packed before from the same unchanged files: taken, not packed again.

What tells that a file is unchanged is what git's index looks at: size, inode, mtime and
ctime, in nanoseconds. A file that was changed in the last moments before it was packed is
not trusted to show it (a "racily clean" file), so its layer is not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from repro.errors import ArchiveError
from repro.image.build import BuiltLayer
from repro.image.plan import PlannedLayer
from repro.model.entry import FileEntry
from repro.model.oci import Descriptor, Layer
from repro.primitives.canonical import dump
from repro.primitives.digest import Digest
from repro.primitives.files import private_folder
from repro.primitives.frozen import frozen

FORMAT = 3
"""Raised when the same files give other bytes: another tar, another compression."""
MOST = 20_000_000_000
"""Bytes of kept layers; those used longest ago go first."""
_SETTLED = 2.0


@frozen
class State:
    """``key`` names exactly these files in this state; ``changed`` is the last change of one
    (nanoseconds since the epoch)."""

    key: str
    changed: int


class Reuse:
    """Packed layers of this user below ``folder``: blobs, and a note for each set of files.

    ``zstd`` names the compressor, whose versions may give other bytes.
    """

    def __init__(self, folder: Path, zstd: str) -> None:
        self._folder = folder
        self._zstd = zstd

    def state(self, planned: PlannedLayer, *, clamp: int, level: int) -> State | None:
        """What tells these files in this state from any others; None when one is gone."""
        running = hashlib.sha256(
            dump([FORMAT, self._zstd, planned.kind.value, planned.name, clamp, level])
        )
        changed = 0
        for entry in planned.entries:
            try:
                facts, when = _facts(entry)
            except OSError:
                return None
            # repr: a tenth of the time of JSON, and nobody else reads it.
            running.update(repr(facts).encode("utf-8", "surrogateescape"))
            changed = max(changed, when)
        return State(key=running.hexdigest(), changed=changed)

    def find(self, key: str, into: Path) -> BuiltLayer | None:
        """The layer of ``key``, its blobs linked into the folder ``into``; None without one."""
        note = self._folder / f"{key}.json"
        try:
            document = json.loads(note.read_bytes())
            built = _parse(document, into)
            blobs = [built.layer.descriptor.digest, built.toc.digest]
            for digest, state in zip(blobs, document["states"], strict=True):
                if _state(self._folder / digest.hex) != state:
                    return None
            for digest in blobs:
                _link(self._folder / digest.hex, into / digest.hex)
            os.utime(note)
        except (OSError, ValueError, KeyError, TypeError, ArchiveError):
            return None
        return built

    def keep(self, state: State, built: BuiltLayer, now: float) -> None:
        """Keep a layer that was packed in this state; a disk that refuses is no error.

        ``now`` is the time (seconds since the epoch) when packing began. ``prune`` is the
        caller's.
        """
        if state.changed > (now - _SETTLED) * 1e9:
            return
        with contextlib.suppress(OSError):
            private_folder(self._folder)
            states = []
            for digest in (built.layer.descriptor.digest, built.toc.digest):
                _link(built.path.parent / digest.hex, self._folder / digest.hex)
                os.chmod(self._folder / digest.hex, 0o600)  # whatever the umask was
                states.append(_state(self._folder / digest.hex))
            document = {**_json(built), "states": states}
            fd, name = tempfile.mkstemp(dir=self._folder, prefix=".note-")
            with os.fdopen(fd, "wb") as stream:
                stream.write(dump(document))
            os.replace(name, self._folder / f"{state.key}.json")

    def prune(self, most: int) -> int:
        """Remove layers used longest ago until ``most`` bytes are left; the bytes set free."""
        notes = sorted(self._folder.glob("*.json"), key=_used, reverse=True)
        kept: set[str] = set()
        total = 0
        for note in notes:
            names, size = self._of(note)
            total += size
            if total > most or not names:
                note.unlink(missing_ok=True)
            else:
                kept.update(names)
        freed = 0
        for blob in self._folder.iterdir():
            if blob.suffix != ".json" and blob.name not in kept:
                freed += blob.stat().st_size
                blob.unlink(missing_ok=True)
        return freed

    def _of(self, note: Path) -> tuple[list[str], int]:
        try:
            built = _parse(json.loads(note.read_bytes()), self._folder)
        except (OSError, ValueError, KeyError, TypeError, ArchiveError):
            return [], 0
        descriptors = (built.layer.descriptor, built.toc)
        return [each.digest.hex for each in descriptors], sum(each.size for each in descriptors)


def _used(note: Path) -> float:
    with contextlib.suppress(OSError):
        return note.stat().st_mtime
    return 0.0


def _facts(entry: FileEntry) -> tuple[tuple[object, ...], int]:
    """What a layer hangs on, and when that changed (nanoseconds since the epoch)."""
    content: tuple[object, ...] = ()
    changed = 0
    if entry.content is not None:
        content = (hashlib.sha256(entry.content).hexdigest(),)
    elif entry.source is not None:
        status = os.stat(entry.source)
        changed = max(status.st_mtime_ns, status.st_ctime_ns)
        content = (
            entry.source, status.st_dev, status.st_ino, status.st_size,
            status.st_mtime_ns, status.st_ctime_ns,
        )  # fmt: skip
    facts = (
        entry.path, entry.type.value, entry.origin, entry.target, entry.mode, entry.size,
        entry.link_key, *content,
    )  # fmt: skip
    return facts, changed


def _state(path: Path) -> list[int]:
    status = os.stat(path)
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def _link(source: Path, target: Path) -> None:
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        beside.write_bytes(source.read_bytes())
        os.replace(beside, target)


def _json(built: BuiltLayer) -> dict[str, Any]:
    layer = built.layer
    return {
        "descriptor": layer.descriptor.to_json(),
        "diff_id": str(layer.diff_id),
        "uncompressed_size": layer.uncompressed_size,
        "kind": layer.kind,
        "toc": built.toc.to_json(),
    }


def _parse(document: Any, folder: Path) -> BuiltLayer:
    layer = Layer(
        descriptor=Descriptor.parse(document["descriptor"], "a kept layer"),
        diff_id=Digest.parse(document["diff_id"]),
        uncompressed_size=int(document["uncompressed_size"]),
        kind=str(document["kind"]),
    )
    return BuiltLayer(
        layer=layer,
        path=folder / layer.descriptor.digest.hex,
        toc=Descriptor.parse(document["toc"], "a kept file list"),
    )
