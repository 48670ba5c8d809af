"""This user's cache: layers unpacked once, under their diff_id, shared by all archives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol
from weakref import WeakKeyDictionary

from repro.errors import ArchiveError, StorageError
from repro.model.oci import COMPRESSION, Descriptor, Layer
from repro.primitives.digest import Digest
from repro.primitives.events import Event, EventKind, Observer, silent
from repro.primitives.tarread import Limits
from repro.primitives.texts import human_size, printable
from repro.primitives.untar import untar

_MARGIN = 64 << 20
_READ = 1 << 20
_MARK = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_HINT = "set REPRO_CACHE to a folder that only you can write"


class LayerSource(Protocol):
    """Where compressed layers come from: an open archive, or blobs in a folder."""

    def open_blob(self, descriptor: Descriptor) -> BinaryIO:
        """A stream that raises ArchiveError at its end on a wrong digest."""
        ...


class LayerList(Protocol):
    """Anything with layers, lowest first: a version of an archive."""

    @property
    def layers(self) -> tuple[Layer, ...]: ...  # noqa: D102


class _Held:
    """Descriptors of shared locks, closed with this object."""

    def __init__(self) -> None:
        self._fds: list[int] = []

    def add(self, fd: int) -> None:
        self._fds.append(fd)

    def close(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    def __del__(self) -> None:
        self.close()


# A caller keeps the archive open while it uses the layers, but not always the cache.
_IN_USE: WeakKeyDictionary[LayerSource, set[_Held]] = WeakKeyDictionary()


class Cache:
    """Unpacked layers below ``root/layers/<diff_id>``.

    A layer is unpacked into a folder beside its place and renamed when it is complete;
    others wait for it. Locks keep ``gc`` away from layers that were handed out, until
    ``close``, or until this object and the source they came from are gone.
    """

    def __init__(self, root: Path) -> None:
        """Make the folder (0700) when it is missing.

        Raises StorageError when it cannot be made, is no folder, or when another user
        owns it or can write in it.
        """
        self._layers = root / "layers"
        self._held = _Held()
        try:
            for folder in reversed([root, *root.parents]):
                if not folder.exists():
                    folder.mkdir(mode=0o700, exist_ok=True)
            _check_owner(root)
            self._layers.mkdir(mode=0o700, exist_ok=True)
            _check_owner(self._layers)
        except OSError as error:
            raise _refusal(root, error.strerror or "cannot be used") from None

    def close(self) -> None:
        """Let others clear the layers that were handed out."""
        self._held.close()

    def layers(
        self,
        source: LayerSource,
        version: LayerList | Sequence[Layer],
        observer: Observer = silent,
    ) -> list[Path]:
        """The unpacked folders of all layers, lowest first.

        Every layer's blob is hashed whole, also when it is unpacked already; what is
        unpacked is checked against its diff_id as well. Raises ArchiveError on damaged
        or hostile content, StorageError when the disk refuses.
        """
        layers = version if isinstance(version, Sequence) else version.layers
        self._check_space(layers)
        with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
            running = [pool.submit(self.layer, source, layer, observer) for layer in layers]
            try:
                return [each.result() for each in running]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def layer(self, source: LayerSource, layer: Layer, observer: Observer = silent) -> Path:
        """One layer's unpacked folder; see ``layers``."""
        place = self._layers / layer.diff_id.hex
        try:
            # Shared for as long as the layer may be in use; only gc wants it alone, and
            # never waits for it.
            use = os.open(self._lock_path(layer.diff_id), _LOCK, 0o600)
            self._held.add(use)
            fcntl.flock(use, fcntl.LOCK_SH)
            if self._usable(place):
                _hash(source, layer)
            else:
                self._make(source, layer, place, observer)
        except OSError as error:
            raise _refusal(self._layers.parent, error.strerror or "cannot be used") from None
        _IN_USE.setdefault(source, set()).add(self._held)
        return place

    def _make(self, source: LayerSource, layer: Layer, place: Path, observer: Observer) -> None:
        """Unpack, one process at a time; a dead process's lock is gone with it."""
        lock = os.open(place.with_name(f"{place.name}.make"), _LOCK, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._usable(place):
                _hash(source, layer)
            else:
                self._unpack(source, layer, place, observer)
        finally:
            os.close(lock)

    def size(self) -> int:
        """Bytes on disk of all unpacked layers."""
        return sum(_disk_usage(place) for place in self._layers.iterdir() if place.is_dir())

    def gc(self, keep: int = 0) -> int:
        """Remove what is half-made and, beyond ``keep`` bytes, layers used longest ago.

        Layers in use by any process stay. Returns the number of bytes set free.
        """
        freed = 0
        for place in self._layers.glob(".unpack-*"):
            freed += self._remove(Digest(place.name.split("-")[1]), place)
        markers = sorted(self._layers.glob("*.ok"), key=lambda path: path.stat().st_mtime)
        left = self.size()
        for marker in markers:
            if left <= keep:
                break
            gone = self._remove(Digest(marker.stem), marker.with_suffix(""), marker)
            freed, left = freed + gone, left - gone
        return freed

    def clear(self) -> int:
        """Remove every layer that is not in use; the number of bytes set free."""
        return self.gc(0)

    def _lock_path(self, diff_id: Digest) -> Path:
        return self._layers / f"{diff_id.hex}.lock"

    def _usable(self, place: Path) -> bool:
        """Whether a complete layer is there.

        Unpacking does not wait for the disk. In the same boot all is at least in the
        page cache; what an earlier boot left may be half-written and is unpacked again.
        """
        marker = place.with_name(f"{place.name}.ok")
        try:
            state = marker.read_text()
        except FileNotFoundError:
            return False
        if not state or state != _boot() or not place.is_dir() or place.is_symlink():
            return False
        os.utime(marker)
        return True

    def _unpack(self, source: LayerSource, layer: Layer, place: Path, observer: Observer) -> None:
        marker = place.with_name(f"{place.name}.ok")
        marker.unlink(missing_ok=True)
        remove_tree(place)
        compression = COMPRESSION.get(layer.descriptor.media_type)
        if compression is None:
            shown = printable(layer.descriptor.media_type, 80)
            raise ArchiveError(f"a layer has the media type '{shown}'", slug="archive-format")
        text = f"unpack {layer.kind}"
        observer(Event(kind=EventKind.NOTE, phase="unpack", text=text))
        temporary = Path(tempfile.mkdtemp(prefix=f".unpack-{place.name}-", dir=self._layers))
        try:
            _fill(source, layer, compression, temporary)
            os.chmod(temporary, 0o755)
            os.rename(temporary, place)
        except BaseException:
            remove_tree(temporary)
            raise
        # Nobody reads it meanwhile: the lock is ours alone.
        with open(os.open(marker, _MARK, 0o600), "w") as stream:
            stream.write(_boot())

    def _remove(self, diff_id: Digest, place: Path, marker: Path | None = None) -> int:
        fd = os.open(self._lock_path(diff_id), _LOCK, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            freed = _disk_usage(place)
            if marker is not None:
                marker.unlink(missing_ok=True)
            remove_tree(place)
            return freed
        except BlockingIOError:
            return 0
        finally:
            os.close(fd)

    def _check_space(self, layers: Sequence[Layer]) -> None:
        missing = [
            layer.uncompressed_size
            for layer in layers
            if not (self._layers / f"{layer.diff_id.hex}.ok").exists()
        ]
        disk = os.statvfs(self._layers)
        free = disk.f_bavail * disk.f_frsize
        if missing and sum(missing) + _MARGIN > free:
            raise StorageError(
                f"unpacking needs {human_size(sum(missing))}, "
                f"{printable(str(self._layers), 80)} has {human_size(free)} free",
                hint="free some space, or set REPRO_CACHE to a folder on another disk",
            )


def remove_tree(folder: Path) -> None:
    """Remove a tree of ours; harmless when it is not there. Raises OSError."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _disk_usage(folder: Path) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
    return total


def _fill(source: LayerSource, layer: Layer, compression: str, folder: Path) -> None:
    try:
        with source.open_blob(layer.descriptor) as stream:
            untar(stream, compression, folder, layer.diff_id, Limits())
            while stream.read(_READ):  # what follows the compressed data is hashed too
                pass
    except ArchiveError as error:
        # Damage shows first as nonsense inside: say that it is damage.
        _hash(source, layer)
        raise ArchiveError(
            f"{layer.kind} layer: {error.message}", details=error.details, slug=error.slug
        ) from None


def _hash(source: LayerSource, layer: Layer) -> None:
    piece = bytearray(_READ)
    with source.open_blob(layer.descriptor) as stream:
        while stream.readinto(piece):  # type: ignore[attr-defined]
            pass


def _check_owner(folder: Path) -> None:
    status = os.stat(folder)
    link = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise _refusal(folder, "is no folder")
    if {status.st_uid, link.st_uid} != {os.geteuid()}:
        raise _refusal(folder, "belongs to another user")
    if status.st_mode & 0o022:
        raise _refusal(folder, "can be written by other users")


def _refusal(folder: Path, why: str) -> StorageError:
    return StorageError(f"the cache folder {printable(str(folder), 100)}: {why}", hint=_HINT)


def _boot() -> str:
    """The kernel's id of this boot (proc(5)); empty where it cannot be read."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""
