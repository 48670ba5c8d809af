"""The house's rules, checked: floors, sizes, names (docs/house.md)."""

from __future__ import annotations

import ast
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "repro").rglob("*.py"))
ROOMS = {
    "project", "observe", "pin", "image", "store", "runtime", "compare", "report",
    "remote", "container",
}  # fmt: skip


def functions() -> Iterator[tuple[Path, str, int]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno is not None
                yield path, node.name, node.end_lineno - node.lineno + 1


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_functions_are_short() -> None:
    lengths = [length for _, _, length in functions()]
    long = [f"{path.name}:{name} {length}" for path, name, length in functions() if length > 80]
    assert not long
    assert statistics.median(lengths) <= 14
    assert sorted(lengths)[int(len(lengths) * 0.9)] <= 40


def test_files_are_short() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in SOURCES
        if (count := len(path.read_text().splitlines())) > 500
    }
    assert not long


def test_no_rooms_that_say_nothing() -> None:
    assert not [p for p in SOURCES if p.stem in ("utils", "util", "helpers", "helper", "misc")]


def test_packages_only_introduce_themselves() -> None:
    for path in SOURCES:
        if path.name == "__init__.py":
            tree = ast.parse(path.read_text())
            assert ast.get_docstring(tree), f"{path} has no docstring"
            assert not list(imports(path)), f"{path} imports something"


def test_rooms_never_import_each_other() -> None:
    for path in SOURCES:
        room = path.relative_to(ROOT / "repro").parts[0]
        if room not in ROOMS:
            continue
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "repro" and len(parts) > 1 and parts[1] in ROOMS:
                assert parts[1] == room, f"{path} opens the door of {parts[1]}"


def test_the_command_line_imports_no_click() -> None:
    # typer bundles click since 0.26; the two must never be mixed.
    for path in SOURCES:
        assert not [n for n in imports(path) if n == "click" or n.startswith("click.")]


def test_nothing_loads_what_it_compares() -> None:
    banned = {"pickle", "marshal", "shelve", "joblib", "torch", "dill"}
    for path in SOURCES:
        found = {name.split(".")[0] for name in imports(path)} & banned
        # Those read only what a process of their own that they forked has sent.
        own = path.parts[-2] == "observe" or path.name == "forked.py"
        # It only writes what it compiled itself.
        writer = path.name == "compiling.py" and "load" not in path.read_text().replace(
            "loaded", ""
        )
        assert not found or own or writer, f"{path} imports {found}"


def test_import_contracts() -> None:
    tool = Path(sys.executable).parent / "lint-imports"
    if not tool.exists():
        if os.environ.get("CI"):
            pytest.fail("import-linter is not installed")
        pytest.skip("import-linter is not installed")
    done = subprocess.run([tool], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_path_of_somebodys_machine() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    if not tracked or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    # The places of whoever runs this: an unusual one found in the sources came from here.
    own = [place for place in (ROOT, Path(sys.base_prefix)) if len(place.parts) > 2]
    usual = (Path("/usr/local"), Path("/opt/python"))
    words = [re.escape(os.fsencode(place)) for place in own if place not in usual]
    if not words:
        pytest.skip("nothing here has an unusual place")
    pattern = re.compile(rb"(?:" + rb"|".join(words) + rb")(?![A-Za-z0-9_-])")
    for name in filter(None, tracked.split("\0")):
        path = ROOT / name
        if path == Path(__file__).resolve() or not path.is_file():
            continue
        assert not pattern.search(path.read_bytes()), name


def test_a_test_file_has_a_name_of_its_own() -> None:
    # pytest imports them by their bare names.
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted({name for name in names if names.count(name) > 1}) == []
