"""Development installs (PEP 660, ``pip install -e``): the source folders that packages stand for.

Of such a package an environment holds a path or an import hook only; its modules, and
whatever lies beside them, are in the author's own folder.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.model.folders import MARKS, is_environment
from repro.model.observation import LeftOut
from repro.observe.project_files import ProjectFiles
from repro.primitives.texts import printable

_LOADER = "_editable_loader.py"
_IMPORTABLE = ("**/*.py", "**/*.so")


class Editables:
    """The source folders outside the project that a run read from, by package name.

    ``folders`` are pairs of a package's name and its folder; ``needed`` what the run read
    (absolute, without links). What lies in the project, or holds the home folder, is none.
    """

    def __init__(
        self, folders: Iterable[tuple[str, str]], needed: Collection[str], project: str, home: str
    ) -> None:
        self._project = project
        self.roots: dict[str, str] = {}
        self._rebuilt = sorted(path for path in needed if path.endswith(_LOADER))
        for name, folder in folders:
            root = os.path.realpath(folder)
            inside = f"{root}/".startswith(f"{project}/")
            if inside or f"{home}/".startswith(f"{root.rstrip('/')}/"):
                continue
            if any(_below(path, root) and not _below(path, project) for path in needed):
                self.roots.setdefault(root, name)

    def holds(self, path: str) -> bool:
        """Whether the path lies in such a folder."""
        return self._root(path) is not None

    def sources(
        self, needed: Collection[str], listed: Collection[str], project: ProjectFiles
    ) -> Iterator[str | LeftOut]:
        """The files of every folder, chosen as the project's own are, with its exclusions."""
        for root, name in sorted(self.roots.items()):

            def matches(path: str, patterns: Sequence[str], root: str = root) -> bool:
                # The project itself may lie inside: it is packed by its own rules.
                return f"{root}/{path}" == project.root or project.matches(path, patterns)

            yield from replace(
                project, root=root, outputs=frozenset(), include=_IMPORTABLE, matches=matches,
                whose=f"files of the editable {name}",
            ).choose(needed, listed)  # fmt: skip

    def relabelled(self, entry: FileEntry, large: int) -> FileEntry:
        """An entry that no package owns, as its editable package's code (over ``large``: data).

        An environment inside the folder stays what it is.
        """
        root = self._root(entry.path) if entry.origin == "unowned" else None
        if root is None or _environment_between(root, entry.path):
            return entry
        big = entry.type is EntryType.FILE and entry.size > large
        kind = LayerKind.DATA if big else LayerKind.CODE
        return replace(entry, kind=kind, origin=f"editable:{self.roots[root]}")

    def sentences(self) -> Iterator[str]:
        """What the author is told of it."""
        for root, name in sorted(self.roots.items()):
            yield f"{name} is installed editable: its source in {printable(root)} is packed as code"
        for path in self._rebuilt:
            name = path.rpartition("/")[2].removesuffix(_LOADER)[1:]
            yield (
                f"{name} is built anew whenever it is imported (an editable install by "
                "meson-python): a rerun has other file times and may lack the compiler; install "
                "it without -e"
            )

    def _root(self, path: str) -> str | None:
        """The innermost folder that the path is or lies in."""
        found = [root for root in self.roots if path == root or _below(path, root)]
        return max(found, key=len, default=None)


def _environment_between(root: str, path: str) -> bool:
    folder = path.rpartition("/")[0]
    while _below(folder, root):
        marks = [name for name in MARKS if os.path.exists(f"{folder}/{name}")]
        if is_environment(folder, marks):
            return True
        folder = folder.rpartition("/")[0]
    return False


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")
