"""Python interpreters that no package manager of the system owns (pyenv, /usr/local, /opt)."""

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
from repro.primitives.pycache import valid_pyc

_LIBRARY = re.compile(r"^(.*)/lib/python(\d+\.\d+)(?:/|$)")
_PROGRAM = re.compile(r"^(.*)/(?:bin/python|lib/libpython)(\d+\.\d+|3)?(?:$|\.so)")
_NOT_PACKED = ("test", "tests", "idlelib", "turtledemo", "ensurepip", "site-packages",
               "__pycache__", "idle_test")  # fmt: skip


class Interpreter(PackageSource):
    """A prefix with ``lib/pythonX.Y/os.py`` that is neither ``/usr`` nor a venv."""

    name = "interpreter"
    rank = 40
    kind = LayerKind.RUNTIME

    def _usable(self) -> str | None:
        return None

    def _owner(self, path: str) -> PackageRef | None:
        match = _LIBRARY.match(path)
        if match and not re.search(r"/(?:site|dist)-packages/", path):
            return self._ref(match.group(1), match.group(2))
        match = _PROGRAM.match(path)
        if match:
            for version in self._versions(match.group(1)):
                if path in self._programs(match.group(1), version):
                    return self._ref(match.group(1), version)
        return None

    def _files(self, package: PackageRef) -> Iterator[PackageFile]:
        prefix, _, short = package.key.rpartition("|")
        for path in self._programs(prefix, short):
            yield PackageFile(path=path, member=path)
        for path in self._library(f"{prefix}/lib/python{short}"):
            yield PackageFile(path=path, member=path)
            if path.endswith(".py"):
                folder, _, leaf = path.rpartition("/")
                tag = "cpython-" + short.replace(".", "")
                cache = f"{folder}/__pycache__/{leaf[:-3]}.{tag}.pyc"
                if valid_pyc(self.host(cache), self.host(path)):
                    yield PackageFile(path=cache, member=cache)

    def _left_out(self, package: PackageRef) -> Iterator[LeftOut]:
        prefix = package.key.rpartition("|")[0]
        yield LeftOut(
            path=f"python {package.version} in {prefix}",
            reason="test suite, idle, ensurepip, headers and static library of the interpreter",
        )

    def _lock(self, package: PackageRef) -> LockedPackage:
        return LockedPackage(
            source=self.name,
            name=package.name,
            version=package.version,
            purl=PackageURL(type="generic", name="python", version=package.version).to_string(),
            grade=Grade.NAME_ONLY,
        )

    def _ref(self, prefix: str, short: str) -> PackageRef | None:
        if prefix in ("", "/usr") or not os.path.isfile(
            self.host(f"{prefix}/lib/python{short}/os.py")
        ):
            return None
        return PackageRef(
            source=self.name, key=f"{prefix}|{short}", name="python",
            version=self._full_version(prefix, short),
        )  # fmt: skip

    def _versions(self, prefix: str) -> list[str]:
        folders = sorted(Path(self.host(prefix), "lib").glob("python3.*/os.py"))
        return [folder.parent.name.removeprefix("python") for folder in folders]

    def _full_version(self, prefix: str, short: str) -> str:
        header = Path(self.host(f"{prefix}/include/python{short}/patchlevel.h"))
        try:
            match = re.search(r'#define PY_VERSION\s+"([^"]+)"', header.read_text("utf-8"))
        except OSError:
            return short
        return match.group(1) if match else short

    def _programs(self, prefix: str, short: str) -> Iterator[str]:
        names = [f"bin/python{short}", "bin/python3", "bin/python"]
        folder = Path(self.host(f"{prefix}/lib"))
        names += [f"lib/{path.name}" for path in sorted(folder.glob(f"libpython{short}*.so*"))]
        names += [f"lib/{path.name}" for path in sorted(folder.glob("libpython3.so"))]
        for name in names:
            path = self.host(f"{prefix}/{name}")
            # bin/python3 may belong to another version in the same prefix.
            leaf = os.path.basename(os.path.realpath(path))
            if os.path.lexists(path) and (leaf == f"python{short}" or "/lib" in f"/{name}"):
                yield f"{prefix}/{name}"

    def _library(self, top: str) -> Iterator[str]:
        for folder, folders, files in os.walk(self.host(top)):
            folders[:] = sorted(
                name
                for name in folders
                if name not in _NOT_PACKED and not name.startswith("config-")
            )
            shown = folder[len(self.root) :]
            linked = [name for name in folders if os.path.islink(f"{folder}/{name}")]
            for name in sorted((*files, *linked)):
                if not name.endswith(".a"):
                    yield f"{shown}/{name}"
