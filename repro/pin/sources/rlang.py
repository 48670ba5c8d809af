"""R packages in libraries that no package manager of the system owns (Writing R Extensions, 1.1)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from packageurl import PackageURL

from repro.model.entry import LayerKind
from repro.model.lock import Grade, LockedPackage
from repro.model.observation import LeftOut, PackageRef
from repro.model.ports import PackageFile
from repro.pin.base import PackageSource

_NOT_PACKED = ("doc", "html", "demo", "tests")
_HOSTS = {"github": "github.com", "gitlab": "gitlab.com"}
_FACTS = (
    "Repository", "Built", "Packaged", "RemoteType", "RemoteHost", "RemoteUsername", "RemoteRepo",
    "RemoteRef", "RemoteSha", "RemoteSubdir", "RemotePkgRef", "RemoteRepos",
)  # fmt: skip


class Rlang(PackageSource):
    """A folder with an installed package's DESCRIPTION (it has a ``Built`` field)."""

    name = "r"
    rank = 30
    kind = LayerKind.PACKAGES

    def __init__(self, root: str = "/") -> None:
        super().__init__(root)
        self._known: dict[str, dict[str, str] | None] = {}
        self._libraries: dict[str, None] = {}

    def _usable(self) -> str | None:
        return None

    def _owner(self, path: str) -> PackageRef | None:
        folder = path
        while folder := folder.rpartition("/")[0]:
            fields = self._description(folder)
            if fields is not None:
                self._libraries[folder.rpartition("/")[0]] = None
                return self._ref(folder, fields)
        return None

    def _files(self, package: PackageRef) -> Iterator[PackageFile]:
        for folder, folders, files in os.walk(self.host(package.key)):
            if folder == self.host(package.key):
                folders[:] = [name for name in folders if name not in _NOT_PACKED]
            folders.sort()
            linked = [name for name in folders if os.path.islink(f"{folder}/{name}")]
            for name in sorted((*files, *linked)):
                path = f"{folder[len(self.root) :]}/{name}"
                yield PackageFile(path=path, member=path)

    def _left_out(self, package: PackageRef) -> Iterator[LeftOut]:
        present = [n for n in _NOT_PACKED if os.path.isdir(self.host(f"{package.key}/{n}"))]
        if present:
            yield LeftOut(path=f"cran:{package.name}", reason=f"its {', '.join(present)}")

    def _requires(self, package: PackageRef) -> Iterator[PackageRef]:
        fields = self._description(package.key) or {}
        text = f"{fields.get('Depends', '')},{fields.get('Imports', '')}"
        libraries = dict.fromkeys((package.key.rpartition("/")[0], *self._libraries))
        for name in re.findall(r"([A-Za-z][A-Za-z0-9.]*)\s*(?:\([^)]*\))?\s*(?:,|$)", text):
            for library in libraries:
                found = self._description(f"{library}/{name}")
                if found is not None:
                    yield self._ref(f"{library}/{name}", found)
                    break

    def _lock(self, package: PackageRef) -> LockedPackage:
        """CRAN keeps no hash in a library; what came from a repository of code has its commit."""
        fields = self._description(package.key) or {}
        facts = {
            name.lower(): fields[name]
            for name in _FACTS
            if fields.get(name) and not re.search("//[^/]*@", fields[name])
        }
        url, digest = _commit(fields)
        grade = Grade.HASH_ONLY if digest else Grade.NAME_ONLY
        return LockedPackage(
            source=self.name,
            name=package.name,
            version=package.version,
            purl=PackageURL(type="cran", name=package.name, version=package.version).to_string(),
            grade=Grade.URL_AND_HASH if url else grade,
            url=url,
            hash=digest,
            facts={"library": package.key.rpartition("/")[0], **facts},
        )

    def installed(self, folder: str) -> Iterator[LockedPackage]:
        """The pin of the package in a library's folder; none when there is none."""
        fields = self._description(folder)
        if fields is not None:
            yield self.lock(self._ref(folder, fields))

    def _ref(self, folder: str, fields: dict[str, str]) -> PackageRef:
        return PackageRef(
            source=self.name, key=folder, name=fields["Package"], version=fields["Version"]
        )

    def _description(self, folder: str) -> dict[str, str] | None:
        if folder not in self._known:
            self._known[folder] = self._read(folder)
        return self._known[folder]

    def _read(self, folder: str) -> dict[str, str] | None:
        path = Path(self.host(folder)) / "DESCRIPTION"
        if not path.is_file():
            return None
        fields: dict[str, str] = {}
        key = ""
        for line in path.read_text("utf-8", "replace").splitlines():
            if line[:1] in (" ", "\t") and key:
                fields[key] += " " + line.strip()
            elif ":" in line:
                key, _, value = line.partition(":")
                fields[key] = value.strip()
        return fields if {"Package", "Version", "Built"} <= fields.keys() else None


def _commit(fields: dict[str, str]) -> tuple[str | None, str | None]:
    """Address and commit of a package that remotes, pak or renv took from a git repository."""
    commit = fields.get("RemoteSha", "")
    kind = fields.get("RemoteType", "").lower()
    if not re.fullmatch("[0-9a-f]{40}", commit) or kind not in (*_HOSTS, "git", "git2r", "xgit"):
        return None, None
    if kind in _HOSTS:
        owner, repository = fields.get("RemoteUsername", ""), fields.get("RemoteRepo", "")
        host = (
            re.sub(r"^api\.|/api/v\d+$|^https?://", "", fields.get("RemoteHost", ""))
            or _HOSTS[kind]
        )
        url = f"https://{host}/{owner}/{repository}" if owner and repository else ""
    else:
        url = fields.get("RemoteUrl", "")
    public = re.fullmatch(r"https?://[^/@\s]+/[^@\s]+", url)
    return (f"git+{url}@{commit}" if public else None), f"git-sha1:{commit}"
