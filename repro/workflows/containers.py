"""``repro container``: made, listed, looked at and removed. Their runs: container_runs.py."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from repro.container.changes import Change, Lower, changes
from repro.container.processes import boot_id
from repro.container.shelf import Place, Shelf, check_name
from repro.container.state import Container
from repro.errors import StorageError, UsageError
from repro.model.limits import NO_LIMITS, Limits
from repro.model.recording import Recording
from repro.primitives.disks import file_system, holds_writable_layers
from repro.primitives.events import Observer, silent
from repro.primitives.files import disk_usage
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable
from repro.runtime.rootfs import make_trusted
from repro.store.archive import Archive, VersionInfo
from repro.store.cache import Cache
from repro.store.pins import Pins
from repro.workflows.opened import check_architecture
from repro.workflows.places import cache_root

_ENDING = 10.0  # seconds for a watcher to write the end down


@frozen
class CreateRequest:
    """What to make: ``limits``, ``network`` and ``engine`` hold for all that runs in it."""

    archive: Path
    tag: str | None
    name: str
    environ: Mapping[str, str]
    machine: str
    created: str
    limits: Limits = NO_LIMITS
    network: str = "none"
    engine: str | None = None


@frozen
class Opened:
    """A container with the version that it stands on."""

    place: Place
    container: Container
    archive: Archive
    version: VersionInfo
    recording: Recording


def shelf(environ: Mapping[str, str]) -> Shelf:
    """This user's containers."""
    return Shelf(cache_root(environ) / "containers")


def _check_disk(root: Path) -> None:
    """A layer that stays lies in the cache: raises StorageError where it could not be written."""
    kind = file_system(root)
    if not holds_writable_layers(kind):
        raise StorageError(
            f"{root} is on {kind}, which holds no writable layer of a container",
            hint="set REPRO_CACHE to a folder on a disk of this machine",
        )


def create(request: CreateRequest, observer: Observer = silent) -> Container:
    """A container with an empty writable layer; its image is unpacked, nothing runs.

    The layers are those of the cache, shared with every container and run of the archive,
    and stay there until the container is removed. Raises UsageError when the name is taken,
    RuntimeUnavailable for another processor's archive, ArchiveError, StorageError.
    """
    check_name(request.name)
    _check_disk(cache_root(request.environ))
    with Archive.open(request.archive) as archive:
        version = archive.version(request.tag)
        check_architecture(version, request.machine)
        archive.recording(version)
        cache = Cache(cache_root(request.environ))
        cache.layers(archive, version, observer)
        made = Container(
            name=request.name,
            archive=str(request.archive.resolve()),
            tag=version.tag,
            digest=version.config_digest,
            layers=tuple(layer.diff_id for layer in version.layers),
            created=request.created,
            limits=request.limits,
            network=request.network,
            engine=request.engine,
        )
        shelf(request.environ).create(made, request.archive)
        Pins(cache_root(request.environ)).keep(made.name, made.layers, Path(made.archive))
        cache.close()
    return made


@contextlib.contextmanager
def opened(place: Place) -> Iterator[Opened]:
    """The container's version, from the archive's file as it was when it was made.

    Where that file could not be linked it is looked for at its old place. Raises
    StorageError when neither holds the version any more.
    """
    container = place.container()
    with contextlib.ExitStack() as stack:
        for path in (place.archive, Path(container.archive)):
            try:
                archive = stack.enter_context(Archive.open(path))
            except UsageError:
                continue
            for version in archive.versions:
                if version.config_digest == container.digest:
                    recording = archive.recording(version)
                    yield Opened(
                        place=place,
                        container=container,
                        archive=archive,
                        version=version,
                        recording=recording,
                    )
                    return
        raise StorageError(
            f"{printable(container.archive)} does not hold the version of the container "
            f"{container.name} any more",
            hint=f"put the archive with the image {container.digest} there again",
            slug="container-archive",
        )


def listing(environ: Mapping[str, str]) -> dict[str, Any]:
    """All containers with their states: the document ``repro.containers/1``."""
    boot = boot_id()
    return {
        "schema": "repro.containers/1",
        "containers": [_row(place, boot) for place in shelf(environ).every()],
    }


def _row(place: Place, boot: str) -> dict[str, Any]:
    row: dict[str, Any] = {"name": place.folder.name, "size": disk_usage(place.upper)}
    try:
        container, run = place.container(), place.run()
        row.update(
            archive=container.archive,
            tag=container.tag,
            digest=str(container.digest),
            created=container.created,
            limits=container.limits.to_json(),
            network=container.network,
            state=state_of(place, boot),
            run=None if run is None else run.to_json(),
        )
    except StorageError as error:
        row.update(state="damaged", error=error.message)
    return row


def state_of(place: Place, boot: str) -> str:
    """``created``, ``running``, ``exited``; ``killed`` when nobody wrote the run's end down."""
    holder, run = place.holder(boot), place.run()
    if holder is not None and holder.kind == "run":
        return "running"
    if run is None:
        return "created"
    return "exited" if run.ended is not None else "killed"


def diff(environ: Mapping[str, str], name: str, observer: Observer = silent) -> list[Change]:
    """What the container's layer changed against its image and the files repro adds to it.

    Of a running container it is a look at a moving thing. Raises UsageError, StorageError.
    """
    with opened(shelf(environ).find(name)) as found:
        cache = Cache(cache_root(environ))
        layers = cache.layers(found.archive, found.version, observer)
        return changes_of(found, layers)


def changes_of(found: Opened, layers: list[Path]) -> list[Change]:
    """The changes of an opened container over its unpacked layers."""
    home = found.recording.claims.environment.get("HOME", "/")
    with tempfile.TemporaryDirectory(prefix="repro-trusted-") as folder:
        trusted = Path(folder) / "root"
        make_trusted(trusted, home, b"")
        return changes(found.place.upper, Lower([*layers, trusted]))


def remove(environ: Mapping[str, str], name: str, *, force: bool) -> None:
    """Remove a container with its layer; ``force`` ends what runs in it first.

    Raises UsageError when it runs and ``force`` is false, StorageError when it does not end.
    """
    found, boot = shelf(environ), boot_id()
    place = found.find(name)
    hold = found.hold(place, boot)
    if hold is None and not force:
        raise UsageError(
            f"the container {name} is in use",
            hint=f"repro container stop {name}, or rm --force",
            slug="container-running",
        )
    if hold is None:
        kill(place, boot)
        hold = found.hold_soon(place, boot, _ENDING)
    if hold is None:
        raise StorageError(f"the container {name} does not end", slug="container-busy")
    try:
        found.remove(place)
        Pins(cache_root(environ)).release(name)
    except OSError as error:
        raise StorageError(f"{printable(str(place.folder))}: {error.strerror}") from None
    finally:
        hold.release()


def kill(place: Place, boot: str) -> None:
    """End everything in a container at once."""
    holder = place.holder(boot)
    if holder is None:
        return
    place.asked_to_stop.touch()
    if holder.init is not None:
        # The kernel ends every process of its namespace with it; the watcher writes it down.
        holder.init.send(signal.SIGKILL, boot)
    if not holder.watcher.wait(boot, _ENDING):
        holder.watcher.send(signal.SIGKILL, boot)
        holder.watcher.wait(boot, _ENDING)


def log_lines(path: Path, last: int | None, size: int) -> bytes:
    """The first ``size`` bytes of a log, or the last lines of them."""
    try:
        with path.open("rb") as stream:
            data = stream.read(size)
    except FileNotFoundError:
        return b""
    if last is None:
        return data
    lines = data.splitlines(keepends=True)
    return b"".join(lines[-last:] if last else [])


def size_of(path: Path) -> int:
    """Bytes of a file; 0 when it is not there."""
    with contextlib.suppress(FileNotFoundError):
        return os.stat(path).st_size
    return 0
