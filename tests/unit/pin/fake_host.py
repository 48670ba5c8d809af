"""A small system in a folder: dpkg, a venv, an R library, an interpreter of its own."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

STATUS = """\
Package: {name}
Status: {state}
Maintainer: Somebody <somebody@example.org>
Architecture: {arch}
Version: {version}
Depends: {needs}
Provides: {provides}
Description: {name}
 Its long text: not a field.
"""


class FakeHost:
    """Writes files below ``folder`` by the absolute path they have in the system."""

    def __init__(self, folder: Path) -> None:
        self.root = os.path.realpath(folder)
        self._stanzas: list[str] = []

    def path(self, path: str) -> Path:
        return Path(self.root + path)

    def write(self, path: str, data: str | bytes = "x", mode: int = 0o644) -> str:
        found = self.path(path)
        found.parent.mkdir(parents=True, exist_ok=True)
        found.write_bytes(data if isinstance(data, bytes) else os.fsencode(data))
        found.chmod(mode)
        return path

    def link(self, path: str, target: str) -> str:
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).symlink_to(target)
        return path

    def merged_usr(self) -> None:
        for name in ("bin", "lib", "lib64", "sbin"):
            self.path(f"/usr/{name}").mkdir(parents=True, exist_ok=True)
            self.link(f"/{name}", f"usr/{name}")

    def deb(
        self, name: str, files: Sequence[str], *, version: str = "1.0-1", arch: str = "amd64",
        state: str = "install ok installed", listed_as: str | None = None, needs: str = "libc6",
        provides: str = "",
    ) -> None:  # fmt: skip
        """A package whose list names these paths (and their folders), as dpkg writes it."""
        folders = {"/."}
        for path in files:
            parts = path.split("/")[1:-1]
            folders |= {"/" + "/".join(parts[: n + 1]) for n in range(len(parts))}
            if not os.path.lexists(self.root + path):
                self.write(path, f"{name} {path}")
        lines = [*sorted(folders), *files]
        self.write(
            f"/var/lib/dpkg/info/{listed_as or name}.list", "".join(f"{line}\n" for line in lines)
        )
        self._stanzas.append(
            STATUS.format(
                name=name, version=version, arch=arch, state=state, needs=needs, provides=provides
            )
        )
        self.write("/var/lib/dpkg/status", "\n".join(self._stanzas))

    def dist(
        self, site: str, name: str, version: str = "1.0", *, files: Sequence[str] = (),
        requires: Sequence[str] = (), record: bool = True, extra: Mapping[str, str] | None = None,
    ) -> str:  # fmt: skip
        """A distribution; ``files`` are as RECORD spells them. Gives the dist-info's path."""
        info = f"{name}-{version}.dist-info"
        needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        self.write(f"{site}/{info}/METADATA", f"{head}\nRequires-Dist: only-prose\n")
        rows = [f"{info}/METADATA,,", f"{info}/RECORD,,"]
        for leaf, text in (extra or {}).items():
            self.write(f"{site}/{info}/{leaf}", text)
            rows.append(f"{info}/{leaf},,")
        for path in files:
            place = os.path.normpath(f"{site}/{path}")
            if not os.path.lexists(self.root + place):
                self.write(place, f"# {name} {path}\n")
            quoted = f'"{path}"' if "," in path else path
            digest = hashlib.sha256(self.path(place).read_bytes()).hexdigest()
            rows.append(f"{quoted},sha256={digest},1")
        if record:
            self.write(f"{site}/{info}/RECORD", "".join(f"{row}\n" for row in rows))
        return f"{site}/{info}"

    def pyc(self, source: str, short: str = "3.11", *, stale: bool = False) -> str:
        """The cached bytecode of a source file, valid by its time and size unless ``stale``."""
        status = self.path(source).stat()
        time = int(status.st_mtime) - (100 if stale else 0)
        folder, _, leaf = source.rpartition("/")
        tag = short.replace(".", "")
        head = b"\xa7\r\r\n" + struct.pack("<III", 0, time & 0xFFFFFFFF, status.st_size)
        return self.write(f"{folder}/__pycache__/{leaf[:-3]}.cpython-{tag}.pyc", head + b"code")

    def r_package(self, library: str, name: str, version: str = "1.0", needs: str = "") -> str:
        """An installed R package."""
        text = f"Package: {name}\nVersion: {version}\nImports: {needs}\nBuilt: R 4.2.2; ; ; unix\n"
        self.write(f"{library}/{name}/DESCRIPTION", text)
        for leaf in ("NAMESPACE", f"R/{name}.rdb", "Meta/package.rds", "doc/guide.pdf",
                     "help/AnIndex", "extdata/doc/kept.csv"):  # fmt: skip
            self.write(f"{library}/{name}/{leaf}")
        return f"{library}/{name}"

    def interpreter(self, prefix: str, *full: str) -> None:
        """Python trees of these versions in one prefix; bin/python3 belongs to the last."""
        for version in full:
            short = ".".join(version.split(".")[:2])
            lib = f"{prefix}/lib/python{short}"
            self.write(f"{prefix}/bin/python{short}", b"\x7fELF", 0o755)
            for leaf in ("os.py", "json/__init__.py", "test/test_os.py", "idlelib/idle.py",
                         "ensurepip/__init__.py", "lib-dynload/math.so",
                         f"config-{short}/libpython.a", "site-packages/README.txt"):  # fmt: skip
                self.write(f"{lib}/{leaf}", f"# {leaf}")
            self.write(f"{prefix}/lib/libpython{short}.so.1.0", b"\x7fELF")
            self.write(
                f"{prefix}/include/python{short}/patchlevel.h",
                f'#define PY_MAJOR_VERSION 3\n#define PY_VERSION      "{version}"\n',
            )
            (self.path(f"{prefix}/bin/python3")).unlink(missing_ok=True)
            self.link(f"{prefix}/bin/python3", f"python{short}")

    def conda(
        self, prefix: str, name: str, version: str = "1.0", *, files: Sequence[str] = (),
        depends: Sequence[str] = (), **fields: object,
    ) -> str:  # fmt: skip
        """A package of a conda environment with its record. Gives the record's path."""
        for leaf in files:
            if not os.path.lexists(f"{self.root}{prefix}/{leaf}"):
                self.write(f"{prefix}/{leaf}", f"{name} {leaf}")
        fn = f"{name}-{version}-h1_0.conda"
        record = {
            "name": name, "version": version, "build": "h1_0", "build_number": 0,
            "channel": "https://conda.example.org/conda-forge/linux-64", "subdir": "linux-64",
            "fn": fn, "url": f"https://conda.example.org/conda-forge/linux-64/{fn}",
            "md5": "d" * 32, "sha256": "c" * 64, "files": list(files), "depends": list(depends),
            "paths_data": {"paths": [], "paths_version": 1}, "license": "MIT", **fields,
        }  # fmt: skip
        return self.write(f"{prefix}/conda-meta/{fn[:-6]}.json", json.dumps(record))

    def node(self, folder: str, name: str, version: str = "1.0.0", **fields: object) -> str:
        """A package in a node_modules folder. Gives its folder."""
        text = json.dumps({"name": name, "version": version, "main": "index.js", **fields})
        self.write(f"{folder}/package.json", text)
        for leaf in ("index.js", "lib/part.js", "test/test.js"):
            self.write(f"{folder}/{leaf}", f"// {name} {leaf}")
        return folder

    def node_lock(
        self, top: str, leaf: str = "node_modules/.package-lock.json", **packages: object
    ) -> str:
        """npm's list of what is installed, by folder."""
        document = {"name": "paper", "lockfileVersion": 3, "packages": packages}
        return self.write(f"{top}/{leaf}", json.dumps(document))
