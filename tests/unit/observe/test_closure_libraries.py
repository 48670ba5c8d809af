"""What programs of this machine name, judged by the loader itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repro.observe.closure_libraries import Libraries, configured_folders
from repro.primitives.files import walk


def finder() -> Libraries:
    return Libraries(sorted(configured_folders()))


def closure(path: str) -> set[str]:
    """Every library behind a program, by real path."""
    libraries, found, pending = finder(), set(), [path]
    while pending:
        for each in libraries.needed(pending.pop()):
            real = os.path.realpath(each)
            if real not in found:
                found.add(real)
                pending.append(real)
    return found


def by_loader(path: str) -> set[str]:
    if shutil.which("ldd") is None:
        pytest.skip("ldd is not installed")
    done = subprocess.run(["ldd", path], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"ldd: {done.stdout or done.stderr}")
    return {os.path.realpath(word) for word in done.stdout.split() if word.startswith("/")}


@pytest.mark.parametrize("program", [sys.executable, "/bin/sh", "/bin/ls", "/usr/bin/tar"])
def test_the_same_libraries_as_the_loader_finds(program: str) -> None:
    if not os.path.exists(program):
        pytest.skip(f"{program} is not here")
    real = os.path.realpath(program)
    assert closure(real) == by_loader(real)


def test_extension_modules_of_this_interpreter() -> None:
    import _json

    path = getattr(_json, "__file__", None)
    if path is None:
        pytest.skip("this interpreter has its modules built in")
    folder = Path(path).parent
    modules = sorted(str(folder / name) for name, _ in walk(str(folder)) if name.endswith(".so"))
    for module in modules[:20]:
        assert closure(module) == by_loader(module) - {module}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 200, b"\x7fELF\x01\x01" + b"\0" * 60,
        b"#!/bin/sh\n", b"\x7fELF\x02\x02" + b"\0" * 100,
    ],
)  # fmt: skip
def test_other_files_name_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    assert list(finder().needed(str(tmp_path / "x"))) == []


def test_damaged_programs_never_end_in_a_traceback(tmp_path: Path) -> None:
    data = bytearray(Path(os.path.realpath("/bin/ls")).read_bytes())
    for at in range(0, 4096, 16):
        bent = bytearray(data)
        bent[at : at + 8] = b"\xff" * 8
        (tmp_path / "x").write_bytes(bent)
        list(finder().needed(str(tmp_path / "x")))


def test_a_missing_file_names_nothing(tmp_path: Path) -> None:
    assert list(finder().needed(str(tmp_path / "x"))) == []
