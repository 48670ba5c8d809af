"""This user's cache: layers unpacked once, under their diff_id, shared by all archives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol
from weakref import WeakKeyDictionary

from repro.errors import ArchiveError, StorageError
from repro.model.oci import COMPRESSION, Descriptor, Layer
from repro.primitives.aside import in_threads
from repro.primitives.digest import Digest
from repro.primitives.events import Event, EventKind, Observer, Tally, silent
from repro.primitives.files import atomic_write, disk_usage, private_folder, remove_tree
from repro.primitives.frozen import frozen
from repro.primitives.texts import human_size, printable
from repro.store.beside import Beside
from repro.store.pins import Pins
from repro.store.stamps import is_untouched, stamp_file, write_stamp
from repro.store.telling import Telling
from repro.store.unpacked import lay_aside, time_of

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


@frozen
class CachedLayer:
    """A layer in the cache: bytes on disk, and when it was last used (seconds since 1970).

    ``ready`` is false for what an earlier boot or an interrupted unpacking left: the next use
    unpacks it anew. ``in_use`` by any process.
    """

    diff_id: Digest
    size: int
    used: float
    ready: bool
    in_use: bool


class Checked(Enum):
    """What a check of a layer found."""

    GOOD = "good"
    DAMAGED = "damaged, removed"
    IN_USE = "damaged, in use: not removed"


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

    def __init__(self, root: Path, *, looks: bool = True) -> None:
        """Make the folder (0700) when it is missing.

        With ``looks`` false a layer that somebody changed is handed out all the same: who
        asks for that calls ``touched`` beside the run.

        Raises StorageError when it cannot be made, is no folder, or when another user
        owns it or can write in it.
        """
        self._layers = root / "layers"
        self._limit = root / "limit"
        self.beside = Beside(root)
        self._held = _Held()
        self._pins = Pins(root)
        self._given_up = threading.Event()
        self._looks = looks
        try:
            private_folder(root)
            _check_owner(root)
            self._layers.mkdir(mode=0o700, exist_ok=True)
            _check_owner(self._layers)
        except OSError as error:
            raise _refusal(root, error.strerror or "cannot be used") from None

    def give_up(self) -> None:
        """Make a check of layers that still goes on in another thread end with an error."""
        self._given_up.set()

    def touched(self, layers: Sequence[Path]) -> list[str]:
        """The diff_ids of those layers (as handed out) that somebody changed since.

        They are unpacked anew at the next use. Looks at every file, reads none.
        """
        found = [place for place in layers if not is_untouched(place)]
        for place in found:
            self._marker(place).unlink(missing_ok=True)
        return [f"sha256:{place.name}" for place in found]

    def close(self) -> None:
        """Let others clear the layers that were handed out."""
        self._held.close()

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *exception: object) -> None:
        """Let go of the layers and bring the cache down to its limit; never fails for that."""
        self.close()
        with contextlib.suppress(OSError):
            self.keep_limit()

    def layers(
        self,
        source: LayerSource,
        version: LayerList | Sequence[Layer],
        observer: Observer = silent,
    ) -> list[Path]:
        """The unpacked folders of all layers, lowest first.

        Every layer's blob is hashed whole, also when it is unpacked already; what is
        unpacked is checked against its diff_id as well, and one that was changed since is
        unpacked anew (store/stamps.py). Raises ArchiveError on damaged
        or hostile content, StorageError when the disk refuses.
        """
        layers = version if isinstance(version, Sequence) else version.layers
        self._check_space(layers)
        # The biggest first: the threads then end at about the same time.
        order = sorted(range(len(layers)), key=lambda number: -layers[number].uncompressed_size)
        told = Tally("unpack", sum(each.descriptor.size for each in layers), observer)
        calls = [partial(self.layer, source, layers[number], observer, told) for number in order]
        places = in_threads(calls, min(4, os.cpu_count() or 1))
        return [place for _, place in sorted(zip(order, places, strict=True))]

    def layer(
        self,
        source: LayerSource,
        layer: Layer,
        observer: Observer = silent,
        told: Tally | None = None,
    ) -> Path:
        """One layer's unpacked folder; see ``layers``. ``told`` hears of the bytes read."""
        place = self._layers / layer.diff_id.hex
        blobs = source if told is None else Telling(source, told)
        try:
            # Shared for as long as the layer may be in use; only gc wants it alone, and
            # never waits for it.
            use = os.open(self._lock_path(layer.diff_id), _LOCK, 0o600)
            self._held.add(use)
            fcntl.flock(use, fcntl.LOCK_SH)
            if self._usable(place):
                _hash(blobs, layer, self._given_up)
            else:
                self._make(blobs, layer, place, use, observer)
        except OSError as error:
            raise _refusal(self._layers.parent, error.strerror or "cannot be used") from None
        _IN_USE.setdefault(source, set()).add(self._held)
        return place

    def _make(
        self, source: LayerSource, layer: Layer, place: Path, use: int, observer: Observer
    ) -> None:
        """Unpack, one process at a time; a dead process's lock is gone with it."""
        lock = os.open(place.with_name(f"{place.name}.make"), _LOCK, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._usable(place):
                _hash(source, layer, self._given_up)
            else:
                self._unpack(source, layer, place, use, observer)
        finally:
            os.close(lock)

    def size(self) -> int:
        """Bytes on disk of all unpacked layers."""
        return sum(self._size(place) for place in self._layers.iterdir() if place.is_dir())

    def entries(self) -> list[CachedLayer]:
        """All layers, the last used first."""
        found = [
            CachedLayer(
                diff_id=Digest(place.name),
                size=self._size(place),
                used=time_of(self._marker(place), place),
                ready=self._state(place) == _boot() != "",
                in_use=self._in_use(Digest(place.name)),
            )
            for place in self._places()
        ]
        return sorted(found, key=lambda each: (-each.used, each.diff_id.hex))

    def check(self, diff_id: Digest) -> Checked | None:
        """Hash an unpacked layer again; a damaged one is removed, a good one is ready again.

        A layer that another program packed counts as damaged: its tar cannot be made again.
        None when it is gone meanwhile. Raises OSError when the cache cannot be written.
        """
        place = self._layers / diff_id.hex
        use = os.open(self._lock_path(diff_id), _LOCK, 0o600)
        make = os.open(place.with_name(f"{place.name}.make"), _LOCK, 0o600)
        try:
            # Nobody removes it, nobody makes it anew meanwhile; in the order of ``layer``.
            fcntl.flock(use, fcntl.LOCK_SH)
            fcntl.flock(make, fcntl.LOCK_EX)
            if not place.is_dir():
                return None
            if _is_good(place, diff_id):
                self._revive(place)
                return Checked.GOOD
        finally:
            os.close(make)
            os.close(use)
        self._remove(diff_id, place, self._marker(place))
        return Checked.IN_USE if place.exists() else Checked.DAMAGED

    def gc(self, keep: int = 0) -> int:
        """Remove what is half-made and, beyond ``keep`` bytes in all, layers and what lies beside
        them: first layers that an earlier boot left, then what was used longest ago.

        What any process uses or writes and what kept containers need stays. Returns the number
        of bytes set free.
        """
        freed, pinned = 0, self._pins.every()
        for place in self._layers.glob(".unpack-*"):
            freed += self._remove(Digest(place.name.split("-")[1]), place)
        layers, others = self.entries(), self.beside.items()
        left = sum(layer.size for layer in layers) + sum(item.size for item in others)
        found: list[tuple[bool, float, Callable[[], int]]] = [
            (layer.ready, layer.used, partial(self._forget, layer.diff_id))
            for layer in layers
            if layer.diff_id not in pinned
        ]
        found += [(True, item.used, partial(self.beside.remove, item)) for item in others]
        for _, _, remove in sorted(found, key=lambda each: each[:2]):
            if left <= keep:
                break
            gone = remove()
            freed, left = freed + gone, left - gone
        return freed

    def _forget(self, diff_id: Digest) -> int:
        place = self._layers / diff_id.hex
        return self._remove(diff_id, place, self._marker(place))

    def limit(self) -> int | None:
        """The size in bytes that ``keep_limit`` keeps; None without one."""
        with contextlib.suppress(OSError, ValueError):
            return max(0, int(self._limit.read_text()))
        return None

    def set_limit(self, size: int | None) -> None:
        """Keep this limit from now on (None: no limit). Raises StorageError."""
        try:
            if size is None:
                self._limit.unlink(missing_ok=True)
                return
            with atomic_write(self._limit, mode=0o600) as stream:
                stream.write(f"{size}\n".encode())
        except OSError as error:
            raise _refusal(self._limit.parent, error.strerror or "cannot be written") from None

    def keep_limit(self) -> int:
        """Bring the cache down to its limit, if it has one; the number of bytes set free."""
        size = self.limit()
        return 0 if size is None else self.gc(size)

    def clear(self) -> int:
        """Remove everything that is not in use; the number of bytes set free."""
        return self.gc(0)

    def _places(self) -> Iterator[Path]:
        for place in sorted(self._layers.iterdir()):
            if re.fullmatch("[0-9a-f]{64}", place.name) and not place.is_symlink():
                yield place

    def _marker(self, place: Path) -> Path:
        return place.with_name(f"{place.name}.ok")

    def _state(self, place: Path) -> str:
        with contextlib.suppress(OSError):
            return self._marker(place).read_text()
        return ""

    def _size(self, place: Path) -> int:
        """Bytes on disk; of a finished layer counted once and written down beside it."""
        note = place.with_name(f"{place.name}.size")
        with contextlib.suppress(OSError, ValueError):
            return int(note.read_text())
        size = disk_usage(place)
        if self._state(place):
            with contextlib.suppress(OSError), open(os.open(note, _MARK, 0o600), "w") as stream:
                stream.write(str(size))
        return size

    def _in_use(self, diff_id: Digest) -> bool:
        fd = os.open(self._lock_path(diff_id), _LOCK, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True
        finally:
            os.close(fd)

    def _revive(self, place: Path) -> None:
        """Its bytes were just read and are right: as good as unpacked in this boot."""
        marker = self._marker(place)
        if self._state(place) == _boot() and is_untouched(place):
            return
        write_stamp(place)
        used = time_of(marker, place)
        with open(os.open(marker, _MARK, 0o600), "w") as stream:
            stream.write(_boot())
        os.utime(marker, (used, used))

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
        if not (is_untouched(place) if self._looks else stamp_file(place).exists()):
            return False
        os.utime(marker)
        return True

    def _unpack(
        self, source: LayerSource, layer: Layer, place: Path, use: int, observer: Observer
    ) -> None:
        marker = place.with_name(f"{place.name}.ok")
        marker.unlink(missing_ok=True)
        place.with_name(f"{place.name}.size").unlink(missing_ok=True)
        stamp_file(place).unlink(missing_ok=True)
        lay_aside(place, use)
        compression = COMPRESSION.get(layer.descriptor.media_type)
        if compression is None:
            shown = printable(layer.descriptor.media_type, 80)
            raise ArchiveError(f"a layer has the media type '{shown}'", slug="archive-format")
        observer(Event(kind=EventKind.NOTE, phase="unpack", text=f"unpack {layer.kind}"))
        import tempfile  # most verifications unpack nothing: docs/decisions/0005

        temporary = Path(tempfile.mkdtemp(prefix=f".unpack-{place.name}-", dir=self._layers))
        try:
            _fill(source, layer, compression, temporary)
            os.chmod(temporary, 0o755)
            os.rename(temporary, place)
        except BaseException:
            remove_tree(temporary)
            raise
        # Nobody reads it meanwhile: the lock is ours alone.
        write_stamp(place)
        with open(os.open(marker, _MARK, 0o600), "w") as stream:
            stream.write(_boot())

    def _remove(self, diff_id: Digest, place: Path, marker: Path | None = None) -> int:
        fd = os.open(self._lock_path(diff_id), _LOCK, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            freed = self._size(place)
            if marker is not None:
                marker.unlink(missing_ok=True)
                place.with_name(f"{place.name}.size").unlink(missing_ok=True)
                stamp_file(place).unlink(missing_ok=True)
            remove_tree(place)
            return freed - disk_usage(place)
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


def _is_good(place: Path, diff_id: Digest) -> bool:
    from repro.primitives.tarfolder import folder_digest

    try:
        return folder_digest(place) == diff_id
    except OSError:  # what cannot be read is damaged
        return False


def _fill(source: LayerSource, layer: Layer, compression: str, folder: Path) -> None:
    from repro.primitives.tarread import Limits
    from repro.primitives.untar import untar

    try:
        with source.open_blob(layer.descriptor) as stream:
            limits = Limits(plain=layer.uncompressed_size)
            untar(stream, compression, folder, layer.diff_id, limits)
            while stream.read(_READ):  # what follows the compressed data is hashed too
                pass
    except ArchiveError as error:
        # Damage shows first as nonsense inside: say that it is damage.
        _hash(source, layer)
        raise ArchiveError(
            f"{layer.kind} layer {layer.diff_id.short}: {error.message}",
            details=error.details,
            slug=error.slug,
        ) from None


def _hash(source: LayerSource, layer: Layer, given_up: threading.Event | None = None) -> None:
    piece = bytearray(_READ)
    with source.open_blob(layer.descriptor) as stream:
        while stream.readinto(piece):  # type: ignore[attr-defined]
            if given_up is not None and given_up.is_set():
                raise StorageError("the check of the layers was given up")


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
