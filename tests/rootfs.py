"""A small root file system made from this machine's own programs, for sandbox tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = ("sh", "cat", "ls", "id", "sleep", "rm", "mkdir", "ln", "true", "kill", "env", "dd")
_LEFT_OUT = ("test", "idlelib", "site-packages", "ensurepip", "tkinter", "lib2to3", "turtledemo",
             "__pycache__")  # fmt: skip


def _libraries(path: str) -> list[str]:
    done = subprocess.run(["ldd", path], capture_output=True, text=True)
    return [word for word in done.stdout.split() if word.startswith("/")]


def _copy(root: Path, path: str) -> None:
    target = root / path.lstrip("/")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(path), target)
        target.chmod(0o755)


def small_root(root: Path) -> Path:
    """dash and some coreutils; the project folder /project is empty."""
    for name in PROGRAMS:
        path = shutil.which(name, path="/usr/bin:/bin")
        assert path is not None, name
        for each in (path, *_libraries(os.path.realpath(path))):
            _copy(root, each)
    (root / "bin").symlink_to("usr/bin")
    for folder in ("project", "home/a"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    return root


def python_root(root: Path) -> tuple[Path, str]:
    """small_root with this Python's standard library; the interpreter's path inside."""
    small_root(root)
    program = os.path.realpath(sys.executable)
    library = Path(os.__file__).parent
    target = root / str(library).lstrip("/")

    def skip(folder: str, names: list[str]) -> list[str]:
        return [n for n in names if n in _LEFT_OUT or n.startswith("config-") or n.endswith(".a")]

    shutil.copytree(library, target, ignore=skip, symlinks=True)
    for locale in Path("/usr/lib/locale").glob("C.*"):
        shutil.copytree(locale, root / str(locale).lstrip("/"), dirs_exist_ok=True)
    needed = [program, *_libraries(program)]
    for module in target.glob("lib-dynload/*.so"):
        needed += _libraries(str(library / "lib-dynload" / module.name))
    for path in dict.fromkeys(needed):
        _copy(root, path)
    return root, program
