"""A control group for one run, where this user may make one (cgroups(7); kernel documentation,
admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1)."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from repro.model.limits import Limits

_PERIOD = 100_000  # microseconds over which processor time is shared out
_CLOSING = 2.0
_COUNTER = iter(range(1 << 62))


class _File(NamedTuple):
    """A setting: the file below the group's folder, and what is written into it."""

    name: str
    value: str


class Cgroup:
    """One or more folders of the control group file systems; ``enforces`` maps each limit
    that holds to the mechanism's name. ``close`` removes them."""

    def __init__(self, folders: Mapping[str, Path], enforces: Mapping[str, str]) -> None:
        self._folders = dict(folders)
        self.enforces = dict(enforces)

    def add(self, pid: int) -> None:
        """Put a process into the group; its later children are in it as well. Raises OSError."""
        for folder in set(self._folders.values()):
            (folder / "cgroup.procs").write_text(f"{pid}\n")

    def reached(self) -> str | None:
        """``memory`` or ``pids`` when the kernel refused or killed because of that limit."""
        if "memory" in self.enforces:
            folder = self._folders["memory"]
            # v2 and v1 name the same counter in different files.
            for name in ("memory.events", "memory.oom_control"):
                if _counter(folder / name, "oom_kill"):
                    return "memory"
        if "pids" in self.enforces and _counter(self._folders["pids"] / "pids.events", "max"):
            return "pids"
        return None

    def peak_memory(self) -> int | None:
        """The most memory that the group held at once, in bytes; None where not counted."""
        folder = self._folders.get("memory")
        if folder is None:
            return None
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            with contextlib.suppress(OSError, ValueError):
                return int((folder / name).read_text())
        return None

    def close(self) -> None:
        """Remove the group; a process that is still ending is waited for, two seconds at most."""
        deadline = time.monotonic() + _CLOSING
        for folder in set(self._folders.values()):
            while True:
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        break
                    time.sleep(0.01)


def follow(pid: int, other: int) -> frozenset[str]:
    """Put ``pid`` into the groups of ``other``; which limits (memory, pids, cpu) hold it now.

    Only groups other than our own are entered, and none that refuses.
    """
    theirs, own = _groups_of(str(other)), _groups_of("self")
    held: set[str] = set()
    for root, controllers in _mounts():
        names = controllers if controllers is not None else frozenset({""})
        for name in names & {"", "memory", "pids", "cpu"}:
            path = theirs.get(name)
            if path is None or path == own.get(name):
                continue
            folder = root / path.lstrip("/")
            with contextlib.suppress(OSError):
                (folder / "cgroup.procs").write_text(f"{pid}\n")
                listed = [name] if name else ["memory", "pids", "cpu"]
                held.update(each for each in listed if name or (folder / f"{each}.max").exists())
    return frozenset(held)


class Followed:
    """The control groups of another's making, such as a container's: what they count is taken
    at each ``look``, since they are gone with the last process.

    ``peak`` is the most memory in bytes, None where it is not counted; ``pids_refused``
    whether a process more was refused.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self.peak: int | None = None
        self.pids_refused = False
        self._folders = list(folders)

    def processes(self) -> set[int]:
        """Who is in them now."""
        found: set[int] = set()
        for folder in self._folders:
            with contextlib.suppress(OSError, ValueError):
                found.update(map(int, (folder / "cgroup.procs").read_text().split()))
        return found

    def look(self) -> None:
        """Take the counters."""
        for folder in self._folders:
            for name in ("memory.peak", "memory.max_usage_in_bytes"):
                with contextlib.suppress(OSError, ValueError):
                    self.peak = max(self.peak or 0, int((folder / name).read_text()))
            self.pids_refused = self.pids_refused or _counter(folder / "pids.events", "max") > 0


def groups_around(pid: int) -> list[Path]:
    """The folders of a process's groups, other than those that are our own."""
    theirs, own = _groups_of(str(pid)), _groups_of("self")
    found = []
    for root, controllers in _mounts():
        for name in controllers if controllers is not None else ("",):
            path = theirs.get(name)
            if path is not None and path != own.get(name):
                found.append(root / path.lstrip("/"))
    return found


def groups_of_container(name: str) -> list[Path]:
    """The folders of a docker container's groups by its full id, where dockerd makes them: by
    itself (driver cgroupfs) or by systemd. Empty before they are made, or elsewhere."""
    places = (f"docker/{name}", f"system.slice/docker-{name}.scope")
    found = [root / place for root, _ in _mounts() for place in places]
    return [folder for folder in found if folder.is_dir()]


def unified_group(pid: int) -> Path | None:
    """The folder of a process's group of version 2; None where there is none."""
    path = _groups_of(str(pid)).get("")
    for root, controllers in _mounts():
        if controllers is None and path is not None:
            return root / path.lstrip("/")
    return None


def make_cgroup(limits: Limits) -> Cgroup | None:
    """A group that enforces as much of ``limits`` as this user may; None when nothing."""
    wanted = _wanted(limits)
    if not wanted:
        return None
    name = f"repro-{os.getpid()}-{next(_COUNTER)}"
    mounts = list(_mounts())
    own = _own_groups()
    for root, controllers in mounts:
        if controllers is None:
            found = _make_unified(root, own.get("", "/"), name, wanted)
            if found is not None:
                return found
    return _make_separate(mounts, own, name, wanted)


def _wanted(limits: Limits) -> dict[str, tuple[tuple[_File, ...], tuple[_File, ...]]]:
    """Per limit its controller's settings, of version 2 and of version 1."""
    found: dict[str, tuple[tuple[_File, ...], tuple[_File, ...]]] = {}
    if limits.memory is not None:
        size = str(limits.memory)
        found["memory"] = (
            (_File("memory.max", size), _File("memory.swap.max", "0")),
            (_File("memory.limit_in_bytes", size), _File("memory.memsw.limit_in_bytes", size)),
        )
    if limits.pids is not None:
        both = (_File("pids.max", str(limits.pids)),)
        found["pids"] = (both, both)
    if limits.cpus is not None:
        quota = max(1000, int(limits.cpus * _PERIOD))
        found["cpu"] = (
            (_File("cpu.max", f"{quota} {_PERIOD}"),),
            (_File("cpu.cfs_period_us", str(_PERIOD)), _File("cpu.cfs_quota_us", str(quota))),
        )
    return found


def _make_unified(
    root: Path, own: str, name: str, wanted: Mapping[str, tuple[tuple[_File, ...], object]]
) -> Cgroup | None:
    """Below our own group or its parent: where controllers are handed down to us."""
    at = root / own.lstrip("/")
    for parent in (at, at.parent):
        if parent != root and root not in parent.parents:
            continue
        folder = parent / name
        try:
            folder.mkdir()
        except OSError:
            continue
        held = [
            limit for limit, (files, _) in wanted.items() if _write(folder, files)
        ]  # fmt: skip
        if held:
            return Cgroup({limit: folder for limit in held}, dict.fromkeys(held, "cgroup v2"))
        with contextlib.suppress(OSError):
            folder.rmdir()
    return None


def _make_separate(
    mounts: list[tuple[Path, frozenset[str] | None]],
    own: Mapping[str, str],
    name: str,
    wanted: Mapping[str, tuple[object, tuple[_File, ...]]],
) -> Cgroup | None:
    folders: dict[str, Path] = {}
    for limit, (_, files) in wanted.items():
        for root, controllers in mounts:
            if controllers is None or limit not in controllers:
                continue
            folder = root / own.get(limit, "/").lstrip("/") / name
            made = folder.is_dir()
            try:
                folder.mkdir(exist_ok=True)
            except OSError:
                continue
            if _write(folder, files):
                folders[limit] = folder
            elif not made:
                with contextlib.suppress(OSError):
                    folder.rmdir()
    return Cgroup(folders, dict.fromkeys(folders, "cgroup v1")) if folders else None


def _write(folder: Path, files: object) -> bool:
    """Whether the first setting holds; the others where the kernel has them (swap)."""
    assert isinstance(files, tuple)
    for number, each in enumerate(files):
        if not (folder / each.name).exists():
            if number == 0:
                return False
            continue
        try:
            (folder / each.name).write_text(each.value)
        except OSError:
            if number == 0 or not each.name.startswith("memory."):
                return False
    return True


def _mounts() -> Iterator[tuple[Path, frozenset[str] | None]]:
    """Mounted control group file systems: None for version 2, else the controllers (proc(5))."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) < 5 or len(rest) < 3:
            continue
        if rest[0] == "cgroup2":
            yield Path(fields[4]), None
        elif rest[0] == "cgroup":
            yield Path(fields[4]), frozenset(rest[2].split(","))


def _own_groups() -> dict[str, str]:
    """Our own group per controller; ``""`` is version 2's."""
    return _groups_of("self")


def _groups_of(process: str) -> dict[str, str]:
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                found[controller] = path
    return found


def _counter(path: Path, name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0
