"""What must be in the image so that the recorded run repeats elsewhere.

From accesses to real paths, from paths to owning packages, from packages to whole
packages with what they may load lazily; then the project's own files (observe.md, 6, 7).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Sequence

from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.model.observation import Access, Closure, LeftOut, Observation, PackageRef
from repro.model.ports import PackageIndex
from repro.model.secret_names import looks_secret
from repro.observe.closure_editable import Editables
from repro.observe.closure_environment import Environments, environment_folders, files_below
from repro.observe.closure_full import environments_in_use
from repro.observe.closure_keepers import Keepers
from repro.observe.closure_libraries import Libraries, configured_folders
from repro.observe.closure_names import package_group, package_origin
from repro.observe.closure_order import ordered
from repro.observe.closure_outside import (
    data_folders,
    folders_in,
    outside_warnings,
    plain_files,
    unkept_warnings,
    written_warnings,
)
from repro.observe.ledger import interpreters
from repro.observe.paths import Resolver
from repro.observe.project_files import UNREAD_LIMIT, UNSEEN_TESTS, ProjectFiles
from repro.observe.system_files import OURS, merged_links, system_files
from repro.primitives.pycache import source_of, valid_pyc
from repro.primitives.texts import human_size, printable

LARGE_DATA = 16_000_000
_DEFAULT_LIBRARIES = re.compile(r"(?:/usr)?/lib(?:32|64|x32)?(?:/[^/]+-linux-gnu[^/]*)?")
_KERNEL = ("/proc/", "/sys/", "/dev/")
_SYSTEM = ("/etc/", "/usr/", "/lib/", "/opt/", "/var/lib/", "/bin/", "/sbin/")
_LD_CACHE = "/etc/ld.so.cache"


def close(
    observation: Observation,
    *,
    root: str,
    home: str,
    indexes: Sequence[PackageIndex],
    outputs: Collection[str],
    exclude: Sequence[str] = (),
    include: Sequence[str] = (),
    folders: Sequence[str] = (),
    allowed: Sequence[str] = (),
    full: bool = False,
    matches: Callable[[str, Sequence[str]], bool] = lambda path, patterns: False,
) -> Closure:
    """The closure of an observed run.

    ``root`` is the project (in its state before the run), ``outputs`` its recorded results
    (relative). ``folders`` (absolute) are made, empty. ``allowed`` are patterns of files that
    come along though their names look secret; ``full`` takes environments in use whole.
    ``matches`` says whether a relative path matches any of some patterns.
    """

    def secret(path: str) -> bool:
        inside = path[len(root) + 1 :] if path.startswith(root + "/") else path
        return looks_secret(path, os.path.realpath(home)) and not matches(inside, allowed)

    builder = _Builder(observation, root, home, indexes, secret)
    builder.system(folders)
    builder.accesses()
    if observation.tracer == "none":
        builder.without_observation()
    builder.elsewhere()
    if full:
        builder.environments()
    builder.packages()
    if full or observation.tracer == "none":
        builder.libraries()
    files = ProjectFiles(
        root=root, outputs=frozenset(outputs), exclude=exclude, include=include,
        matches=matches, secret=secret,
    )  # fmt: skip
    builder.editables(files)
    builder.project(files)
    return builder.finish()


class _Builder:
    def __init__(
        self, observation: Observation, root: str, home: str, indexes: Sequence[PackageIndex],
        looks_secret: Callable[[str], bool] = lambda path: False,
    ) -> None:  # fmt: skip
        self._looks_secret = looks_secret
        self._observation = observation
        self._root = root
        self._called_home = home
        self._home = os.path.realpath(home)
        self._indexes = [index for index in indexes if index.usable() is None]
        self._entries: dict[str, FileEntry] = {}
        self._packages: dict[tuple[str, str], PackageRef] = {}
        self._left_out: list[LeftOut] = []
        self._warnings: dict[str, None] = {}
        self._listed: set[str] = set()
        self._needed: set[str] = set()
        self._secret: set[str] = set()
        self._listed_outside: set[str] = set()
        self._widened: set[tuple[str, str]] = set()
        self._resolver = Resolver(self._link)
        self._by_name = {index.name: index for index in self._indexes}
        self._keepers = Keepers(self._indexes)
        self._environments = Environments()
        self._outside: dict[str, None] = {}
        self._editables = Editables((), (), root, home)

    def system(self, folders: Sequence[str]) -> None:
        """What every image has, and further empty folders."""
        for folder in folders:
            self._folder(folder, LayerKind.CODE, "repro")
        for entry in (*system_files(self._called_home), *merged_links()):
            self._entries[entry.path] = entry
        for index in self._indexes:
            for package in index.always():
                self._add_package(package)
        self._folder(self._root, LayerKind.CODE, "project")
        if self._resolver.real(self._called_home) == self._home and os.path.isdir(self._home):
            self._folder(self._home, LayerKind.CODE, "home")

    def elsewhere(self) -> None:
        """Name what the run wrote outside the project: it is neither kept nor compared."""
        written = [a.path for a in self._observation.accesses if a.written]
        places = [self._resolver.place(path) or path for path in written]
        changed = self._observation.outside
        unkept = unkept_warnings(self._observation, self._root)
        for warning in (*written_warnings(places, changed, self._root), *unkept):
            self._warnings[warning] = None

    def accesses(self) -> None:
        """Every path that was read before it was written, or listed, with its owner."""
        for access in self._observation.accesses:
            if access.listed:
                self._take_listed(access)
            elif access.read_first:
                self._take_read(access)
        self._fill_listed()

    def without_observation(self) -> None:
        """No tracer: the environment of each command, whole."""
        started = [process.exe for process in self._observation.processes]
        behind = [each for path in started for each in interpreters(path, str)]
        for program in dict.fromkeys((*started, *behind)):
            real = self._resolver.real(program)
            if real is None:
                continue
            self._take_path(real)
            for index in self._indexes:
                for package in index.environment(real):
                    self._add_package(package)
            for folder in environment_folders(program, real, self._home):
                self._take_environment(folder)
        self._warnings[
            "reads were not observed: the environments of the steps' own commands are packed, "
            "files outside packages and what those commands start may be missing"
        ] = None

    def environments(self) -> None:
        """Every package beside one that the run read from."""
        for folder in environments_in_use(list(self._needed), list(self._packages)):
            self._take_environment(folder)

    def libraries(self) -> None:
        """Code that did not run: the libraries that the packed programs name, until there are no more."""
        finder = Libraries(sorted(configured_folders()))
        seen: set[str] = set()
        while pending := [path for path in self._binaries() if path not in seen]:
            for path in pending:
                seen.add(path)
                for library in finder.needed(path):
                    real = self._resolver.real(library)
                    if real is not None and real not in self._entries:
                        self._take_path(real)
            self.packages()

    def packages(self) -> None:
        """Whole packages, and those they may load lazily."""
        new: set[tuple[str, str]] = set()
        while pending := [key for key in self._packages if key not in self._widened]:
            for key in pending:
                self._widened.add(key)
                new.add(key)
                index = self._by_name[key[0]]
                for needed in index.requires(self._packages[key]):
                    self._add_package(self._keepers.of(needed))
        for key in sorted(new):
            self._package_files(self._packages[key])

    def editables(self, files: ProjectFiles) -> None:
        """The source folders of development installs that the run read from."""
        folders = [
            (package.name, folder)
            for (source, _), package in sorted(self._packages.items())
            if (folder := self._by_name[source].editable(package)) is not None
        ]
        self._editables = Editables(folders, self._needed, self._root, self._home)
        for found in self._editables.sources(self._needed, self._listed_outside, files):
            if isinstance(found, LeftOut):
                self._left_out.append(found)
            elif found not in self._entries:
                self._file(found, LayerKind.CODE, "unowned")
        for sentence in self._editables.sentences():
            self._warnings[sentence] = None

    def project(self, files: ProjectFiles) -> None:
        """The project's own files: inputs always, the rest when it is small."""
        needed = {path for path in self._needed if path.startswith(self._root + "/")}
        for found in files.choose(needed, self._listed):
            if isinstance(found, LeftOut):
                self._left_out.append(found)
                if found.path == self._root:
                    self._warnings[f"{found.reason}: {UNSEEN_TESTS}"] = None
            elif found not in self._entries:
                self._file(found, self._kind_of_file(found), "project")

    def finish(self) -> Closure:
        if _LD_CACHE in self._entries and not self._needs_ld_cache():
            del self._entries[_LD_CACHE]
        outside = [path for path in self._outside if not self._editables.holds(path)]
        for warning in outside_warnings(outside, self._home):
            self._warnings[warning] = None
        entries = [self._editables.relabelled(e, LARGE_DATA) for e in self._entries.values()]
        packages = sorted(self._packages.values(), key=lambda p: (p.source, p.name, p.key))
        return Closure(
            files=tuple(ordered(entries)),
            packages=tuple(packages),
            left_out=tuple(self._left_out),
            warnings=tuple(self._warnings),
        )

    def _take_read(self, access: Access) -> None:
        real = self._resolver.real(access.path)
        if real is None and os.path.realpath(access.path) in self._observation.outside:
            real = os.path.realpath(access.path)  # it was removed by the run
        if real is None:
            if not self._take_seeded(access.path) and not access.written:
                self._left_out.append(LeftOut(path=access.path, reason="it vanished after the run"))
                self._warnings[f"{printable(access.path)} was read and then vanished"] = None
            return
        if os.path.isdir(real):
            return
        self._take_path(real, self._linking(access.path, real))

    def _linking(self, path: str, real: str) -> PackageRef | None:
        """The package whose link leads to a file elsewhere (uv, conda: out of their cache)."""
        place = self._resolver.place(path)
        return self._owner(place) if place is not None and place != real else None

    def _take_seeded(self, path: str) -> bool:
        """A file that only the run's own layer holds, placed there before the run; whether."""
        if not path.startswith(self._root + "/"):
            return False
        source = os.path.join(self._observation.upper, path[len(self._root) + 1 :])
        if os.path.isfile(source) and path not in self._entries:
            status = os.stat(source)
            self._entries[path] = FileEntry(
                path=path, type=EntryType.FILE, kind=LayerKind.CODE, origin="repro",
                source=source, size=status.st_size,
            )  # fmt: skip
        return os.path.isfile(source)

    def _take_path(self, real: str, linking: PackageRef | None = None) -> None:
        if real in OURS or real.startswith(_KERNEL):
            return
        source = source_of(real)
        package = self._owner(source or real) or linking
        # Some package managers keep the packages themselves in the cache folder.
        if package is None and self._is_cache(real):
            self._left_out.append(LeftOut(path=real, reason="a cache of this machine"))
            return
        if self._looks_secret(real):
            self._secret.add(real)
            self._left_out.append(LeftOut(path=real, reason="it looks like a secret"))
            self._warnings[f"{printable(real)} was read and looks like a secret: left out"] = None
            return
        self._needed.add(real)
        if source is not None and os.path.isfile(source):
            behind = self._resolver.real(source)
            if behind is not None:
                self._take_path(behind, package)
            if not valid_pyc(real, source) or self._is_own(real):
                return
        if package is not None:
            self._add_package(package)
            self._file(
                real,
                self._kind_of_package(package),
                package_origin(package),
                package_group(package),
            )
            return
        self._file(real, self._kind_of_file(real), self._origin_of(real))

    def _take_listed(self, access: Access) -> None:
        real = self._resolver.real(access.path)
        if real is None or real == "/" or real.startswith(("/proc", "/sys", "/dev")):
            return
        if real == self._root or real.startswith(self._root + "/"):
            self._listed.add(real)
        kind = self._kind_of_file(real)
        package = self._owner(real) if kind is LayerKind.DATA else None
        if package is not None:
            kind = self._kind_of_package(package)
        elif kind is LayerKind.DATA:
            self._listed_outside.add(real)
        self._folder(real, kind, self._origin_of(real))

    def _fill_listed(self) -> None:
        """The other files of data folders that were listed: their names matter, too."""
        data = data_folders(self._outside, self._home, self._root)
        for folder in sorted(self._listed_outside & data, key=os.fsencode):
            for below in folders_in(folder):
                self._folder(below, LayerKind.DATA, "unowned")
            found = [path for path in plain_files(folder) if not self._looks_secret(path)]
            found = [path for path in found if path not in self._entries]
            size = sum(_size(path) for path in found)
            if size > UNREAD_LIMIT:
                reason = f"{len(found)} files ({human_size(size)}) beside those that the run read"
                self._left_out.append(LeftOut(path=folder, reason=reason))
                continue
            for path in found:
                self._file(path, LayerKind.DATA, self._origin_of(path))

    def _owner(self, real: str) -> PackageRef | None:
        for index in self._indexes:
            found = index.owner(real)
            if found is not None:
                return found
        return None

    def _add_package(self, package: PackageRef) -> None:
        self._packages.setdefault((package.source, package.key), package)

    def _package_files(self, package: PackageRef) -> None:
        index = self._by_name[package.source]
        kind, origin = index.kind_of(package), package_origin(package)
        group = package_group(package)
        for file in self._keepers.files(package):
            if file.path in OURS or file.path in self._secret:
                continue
            if kind is LayerKind.BASE or file.path not in self._entries:
                self._file(file.path, kind, origin, group)
            entry = self._entries.get(file.path)
            if kind is LayerKind.PACKAGES and entry is not None and entry.target is not None:
                real = self._resolver.real(file.path)
                if real is not None and real not in self._entries and self._owner(real) is None:
                    self._file(real, kind, origin, group)
        self._left_out += index.left_out(package)
        stanza = index.status_stanza(package)
        if stanza is not None:
            path = f"/var/lib/dpkg/status.d/{package.name}"
            if path in self._entries:  # the same package for another architecture
                path = f"/var/lib/dpkg/status.d/{package.key}"
            self._entries[path] = FileEntry(
                path=path, type=EntryType.FILE, kind=kind,
                origin="repro", content=stanza, size=len(stanza),
            )  # fmt: skip

    def _file(self, path: str, kind: LayerKind, origin: str, group: str | None = None) -> None:
        """Add what lies at ``path`` (its folder is real); name what cannot be packed.

        A file outside the project that the run changed: as it was before.
        """
        source = self._observation.outside.get(path, path)
        try:
            status = os.lstat(source)
        except OSError:
            return
        if stat.S_ISLNK(status.st_mode):
            self._entries[path] = FileEntry(
                path=path, type=EntryType.SYMLINK, kind=kind, origin=origin,
                target=os.readlink(path), group=group,
            )  # fmt: skip
        elif stat.S_ISDIR(status.st_mode):
            self._folder(path, kind, origin)
        elif not stat.S_ISREG(status.st_mode):
            self._left_out.append(LeftOut(path=path, reason="neither a file, a folder nor a link"))
        elif not os.access(source, os.R_OK):
            self._left_out.append(LeftOut(path=path, reason="it cannot be read"))
            self._warnings[f"{printable(path)} cannot be read: left out"] = None
        else:
            self._entries[path] = FileEntry(
                path=path, type=EntryType.FILE, kind=kind, origin=origin, source=source,
                mode=0o755 if status.st_mode & 0o100 else 0o644, size=status.st_size,
                group=group,
                link_key=(status.st_dev, status.st_ino) if status.st_nlink > 1 else None,
            )  # fmt: skip

    def _folder(self, path: str, kind: LayerKind, origin: str) -> None:
        self._entries.setdefault(
            path, FileEntry(path=path, type=EntryType.FOLDER, kind=kind, origin=origin, mode=0o755)
        )

    def _link(self, path: str, target: str) -> None:
        """A symlink on the way to something that was read."""
        if path in self._entries or path in OURS or path.startswith(_KERNEL):
            return
        package = self._owner(path)
        if package is not None:
            kind, origin = self._kind_of_package(package), package_origin(package)
        else:
            kind, origin = self._kind_of_file(path), self._origin_of(path)
        self._entries[path] = FileEntry(
            path=path, type=EntryType.SYMLINK, kind=kind, origin=origin, target=target
        )

    def _kind_of_package(self, package: PackageRef) -> LayerKind:
        """The layer of something that this run read of a package.

        Never the base: that holds what its packages hold, whatever a run reads, so that it
        is the same for every project.
        """
        kind = self._by_name[package.source].kind_of(package)
        return LayerKind.SYSTEM if kind is LayerKind.BASE else kind

    def _is_own(self, path: str) -> bool:
        """Whether the project's author wrote it: in the project, in no environment there."""
        return path.startswith(self._root + "/") and not self._environments.hold(path)

    def _is_cache(self, path: str) -> bool:
        if self._is_own(path):
            return False
        if path.startswith(f"{self._home}/.cache/"):
            self._warnings[
                f"files in {printable(self._home)}/.cache were read; caches are left out"
            ] = None
            return True
        return path.startswith("/var/cache/")

    def _kind_of_file(self, path: str) -> LayerKind:
        """The layer of a file that no package owns."""
        if self._environments.hold(path):
            return LayerKind.PACKAGES
        if path.startswith(self._root + "/") or path == self._root:
            return LayerKind.DATA if _size(path) > LARGE_DATA else LayerKind.CODE
        if path.startswith(_SYSTEM):
            return LayerKind.SYSTEM
        return LayerKind.DATA

    def _origin_of(self, path: str) -> str:
        if self._environments.hold(path):
            return "unowned"
        if path.startswith(self._root + "/") or path == self._root:
            return "project"
        if not path.startswith(_SYSTEM) and not os.path.isdir(path):
            self._outside[path] = None
        return "unowned"

    def _needs_ld_cache(self) -> bool:
        """Whether a library was read that the loader finds only by its cache (ld.so(8))."""
        configured = configured_folders()
        return any(
            ".so" in path.rpartition("/")[2]
            and not _DEFAULT_LIBRARIES.fullmatch(path.rpartition("/")[0])
            and path.rpartition("/")[0] in configured
            for path in self._needed
        )

    def _take_environment(self, folder: str) -> None:
        """The packages that hold this folder's files, and the files of none."""
        real = self._resolver.real(folder)
        if real is None:
            return
        if not os.path.isdir(real):
            self._take_path(real)
        for path in files_below(real):
            package = self._owner(path)
            if package is not None:
                self._add_package(package)
            else:
                self._take_path(path)

    def _binaries(self) -> list[str]:
        """Packed files that may be programs or libraries."""
        return [
            entry.source
            for entry in self._entries.values()
            if entry.source is not None
            and (entry.mode == 0o755 or ".so" in entry.path.rpartition("/")[2])
        ]


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0
