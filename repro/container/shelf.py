"""All containers of this user as folders: made whole, found by name, held by one at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from repro.container.processes import Process, process
from repro.container.state import Container, Holder, Run
from repro.errors import StorageError, UsageError
from repro.primitives.files import atomic_write, private_folder, remove_tree
from repro.primitives.frozen import frozen, replace
from repro.primitives.texts import printable

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_ENDING = 20.0  # seconds that the kernel may take to end a killed sandbox

Parsed = TypeVar("Parsed")


def check_name(name: str) -> str:
    """``name`` itself. Raises UsageError when no container may be called so."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{printable(name, 80)!r} is no name for a container",
            hint="use letters, digits, '.', '_' and '-', at most 63, a letter or digit first",
        )
    return name


@frozen
class Place:
    """One container's folder: its state and, below it, the writable layer."""

    folder: Path

    @property
    def upper(self) -> Path:
        """What it changed, as overlayfs keeps it."""
        return self.folder / "upper"

    @property
    def log(self) -> Path:
        """What its runs in the background wrote."""
        return self.folder / "log"

    @property
    def archive(self) -> Path:
        """Another name of the archive's file, where both lie on one disk."""
        return self.folder / "archive"

    @property
    def asked_to_stop(self) -> Path:
        """There while no further step may begin."""
        return self.folder / "stop"

    def container(self) -> Container:
        """How it was made. Raises StorageError."""
        found = self._read("state.json", Container.parse)
        if found is None:
            raise StorageError(
                f"the container {printable(self.folder.name)} has no state",
                hint=f"remove it: repro container rm --force {printable(self.folder.name)}",
                slug="container-state",
            )
        return found

    def run(self) -> Run | None:
        """Its last run. Raises StorageError."""
        return self._read("run.json", Run.parse)

    def holder(self, boot: str) -> Holder | None:
        """Who has its layer mounted now; None when nobody. Raises StorageError."""
        found = self._read("holder.json", Holder.parse)
        return found if found is not None and found.watcher.alive(boot) else None

    def write_run(self, run: Run) -> None:
        """For who holds it. Raises OSError."""
        self._write("run.json", run.to_json())

    def write_holder(self, holder: Holder) -> None:
        """For who holds it. Raises OSError."""
        self._write("holder.json", holder.to_json())

    def let_go(self) -> None:
        """Nobody has the layer mounted any more."""
        (self.folder / "holder.json").unlink(missing_ok=True)

    def last_init(self) -> Process | None:
        """The first process of the last sandbox over the layer, alive or not."""
        found = self._read("holder.json", Holder.parse)
        return found.init if found is not None else None

    def _read(self, name: str, parse: Callable[[object], Parsed]) -> Parsed | None:
        try:
            data = (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        try:
            return parse(json.loads(data))
        except ValueError:
            raise StorageError(
                f"{name} of the container {printable(self.folder.name)} is damaged",
                hint=f"remove it: repro container rm --force {printable(self.folder.name)}",
                slug="container-state",
            ) from None

    def _write(self, name: str, document: dict[str, Any]) -> None:
        with atomic_write(self.folder / name, mode=0o600) as stream:
            stream.write(json.dumps(document, indent=1, sort_keys=True).encode())


class Hold:
    """The right to mount one container's layer, from ``Shelf.hold``; gone with the process.

    A child made by fork shares it: it ends when both have let it go or ended.
    """

    def __init__(self, place: Place, fd: int) -> None:
        self._place = place
        self._fd = fd

    def begin(self, kind: str, boot: str) -> None:
        """This process is the one that watches. Raises OSError."""
        own = process(os.getpid(), boot)
        assert own is not None
        self._holder = Holder(kind=kind, watcher=own)
        self._place.write_holder(self._holder)

    def started(self, pid: int, boot: str) -> None:
        """The sandbox's first process is known. Raises OSError."""
        self._holder = replace(self._holder, init=process(pid, boot))
        self._place.write_holder(self._holder)

    def end(self) -> None:
        """Nothing is mounted any more, and others may."""
        self._place.let_go()
        self.release()

    def release(self) -> None:
        """This process has nothing to do with it any more; a child may."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Shelf:
    """The containers below ``root``, a folder of this user alone."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self, container: Container, archive: Path) -> Place:
        """A new container; ``archive`` gets another name in it, where it can.

        Raises UsageError when the name is taken, StorageError when the disk refuses.
        """
        place = self._root / check_name(container.name)
        taken = UsageError(
            f"there is a container {container.name} already",
            hint=f"choose another --name, or: repro container rm {container.name}",
            slug="container-exists",
        )
        try:
            private_folder(self._root)
            self.sweep()
            if place.exists():
                raise taken
            made = Place(folder=Path(tempfile.mkdtemp(prefix=".new-", dir=self._root)))
            try:
                for name in ("upper", "work"):
                    (made.folder / name).mkdir()
                with contextlib.suppress(OSError):
                    # The archive may be replaced or removed: what is linked stays.
                    os.link(archive, made.archive)
                made._write("state.json", container.to_json())
                os.rename(made.folder, place)
            except BaseException:
                remove_tree(made.folder)
                raise
        except FileExistsError:
            raise taken from None
        except OSError as error:
            if place.exists():
                raise taken from None
            raise StorageError(
                f"no container can be kept in {printable(str(self._root))}: {error.strerror}",
                hint="set REPRO_CACHE to a folder you can write",
            ) from None
        return Place(folder=place)

    def find(self, name: str) -> Place:
        """The container of this name. Raises UsageError when there is none."""
        place = Place(folder=self._root / check_name(name))
        if not place.folder.is_dir():
            known = ", ".join(each.folder.name for each in self.every()) or "none"
            raise UsageError(
                f"there is no container {name}",
                hint=f"there is: {known}; to make one: repro container create ARCHIVE --name NAME",
                slug="no-container",
            )
        return place

    def every(self) -> list[Place]:
        """All containers, by name."""
        if not self._root.is_dir():
            return []
        names = sorted(each.name for each in self._root.iterdir() if NAME.fullmatch(each.name))
        return [Place(folder=self._root / name) for name in names]

    def hold(self, place: Place, boot: str) -> Hold | None:
        """The right to mount the layer; None while somebody has it.

        Two mounts of one writable layer would damage it (Documentation/filesystems/
        overlayfs.rst): what a killed watcher left is waited for. Raises StorageError when
        that does not end.
        """
        fd = os.open(place.folder / "lock", _LOCK, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left = place.last_init()
            if left is not None and not left.wait(boot, _ENDING):
                raise StorageError(
                    f"processes of {place.folder.name} do not end (process {left.pid})",
                    hint="a disk or a network file system hangs: look at it, then try again",
                    slug="container-busy",
                )
            for trace in place.folder.glob("trusted-*"):
                remove_tree(trace)
            return Hold(place, fd)
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise

    def hold_soon(self, place: Place, boot: str, seconds: float) -> Hold | None:
        """``hold``, tried for ``seconds``."""
        deadline = time.monotonic() + seconds
        while (found := self.hold(place, boot)) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return found

    def remove(self, place: Place) -> None:
        """Remove a container that this process holds. Raises OSError."""
        gone = Path(tempfile.mkdtemp(prefix=".gone-", dir=self._root))
        os.rename(place.folder, gone / "it")
        remove_tree(gone)

    def sweep(self, age: float = 3600.0) -> None:
        """Remove what killed commands left half-made or half-removed."""
        for folder in [*self._root.glob(".new-*"), *self._root.glob(".gone-*")]:
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime > age:
                    remove_tree(folder)
