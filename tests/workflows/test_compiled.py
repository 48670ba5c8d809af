"""Compiled files of an archive against their sources, by whole archives."""

from __future__ import annotations

import importlib.util
import marshal
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.workflows import compiled
from repro.workflows.provenance import Provenance
from tests.package_files import Index, serving, zipped
from tests.workflows.test_provenance import NAME, SITE, WHEEL, Lab, installed, pin

TAG = f"cpython-{sys.version_info[0]}{sys.version_info[1]}"
SOURCE = WHEEL["num/__init__.py"]
CACHE = f"{SITE}/num/__pycache__/__init__.{TAG}.pyc"
OLD = f"{SITE}/num/__pycache__/__init__.cpython-311.pyc"
RELEASE = ".".join(map(str, sys.version_info[:3]))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with serving(Index()) as index:
        index.add(NAME, zipped(WHEEL))
        yield Lab(tmp_path, index)


def pyc(source: bytes, of: bytes = SOURCE, *, version: int = 4, flags: int = 0) -> bytes:
    """The compiled form of ``source``, its header saying that it is that of ``of``."""
    made = compile(source, f"{SITE}/num/__init__.py", "exec", dont_inherit=True)
    head = importlib.util.MAGIC_NUMBER + struct.pack("<III", flags, 0, len(of))
    return head + marshal.dumps(made, version)


def check(lab: Lab, data: bytes, *, cache: str = CACHE, release: str = RELEASE) -> Provenance:
    files = installed()
    del files[OLD]
    files[cache] = data
    record = f"{SITE}/num-1.0.dist-info/RECORD"
    files[record] = files[record].replace(OLD.encode(), cache.encode())
    python = pin("python3.11", f"{release}-6", source="apt")
    lab.make(files, packages=(pin(), python))
    return lab.check(offline=True)


@pytest.mark.parametrize("version", [2, 4])
def test_what_the_source_gives_is_proven(lab: Lab, version: int) -> None:
    found = check(lab, pyc(SOURCE, version=version))
    assert (found.compiled.proven, found.compiled.total) == (1, 1)
    assert found.to_json()["compiled_proven"] == 1 and not found.compiled.differs


@pytest.mark.parametrize("flags", [0, 1, 3])
def test_other_code_behind_an_honest_header_differs(lab: Lab, flags: int) -> None:
    evil = b"import os; os.system('true'); x = 1\n"
    found = check(lab, pyc(evil, flags=flags))
    assert [note.path for note in found.compiled.differs] == [CACHE] and found.differs
    assert found.to_json()["compiled_differs"][0]["why"].startswith(f"not what Python {RELEASE}")


def test_bytes_that_are_no_code_differ(lab: Lab) -> None:
    found = check(lab, pyc(SOURCE)[:16] + b"\xe3 nothing of the kind")
    assert [note.why for note in found.compiled.differs] == [compiled.UNREADABLE]


def test_of_another_release_a_difference_proves_nothing(lab: Lab) -> None:
    found = check(lab, pyc(b"x = 2\n"), release="3.1.99")
    assert not found.compiled.differs and found.compiled.proven == 0
    assert any("archive's Python is 3.1.99" in text for text in found.limits)


def test_what_python_passes_over_or_cannot_read_is_counted(lab: Lab) -> None:
    found = check(lab, pyc(SOURCE, of=b"another size"))
    assert found.compiled.unproven == {compiled.STALE: 1}
    assert any(compiled.STALE in text for text in found.limits)
    other = check(lab, pyc(SOURCE), cache=CACHE.replace(TAG, "cpython-399"))
    assert other.compiled.unproven == {"Python 3.99 is not on this machine": 1}


def test_a_source_that_breaks_the_compiler_costs_no_other(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_BATCH_FILES", 3)
    files = installed()
    del files[OLD]
    deep = b"-" * 3_000_000 + b"1\n"
    for name, source in (("a", b"a = 1\n"), ("b", deep), ("c", b"def\n"), ("d", b"d = 1\n")):
        files[f"{SITE}/num/{name}.py"] = source
        files[f"{SITE}/num/__pycache__/{name}.{TAG}.pyc"] = (
            importlib.util.MAGIC_NUMBER + struct.pack("<III", 0, 0, len(source))
            + (pyc(source)[16:] if name in "ad" else b"N")
        )  # fmt: skip
    lab.make(files, packages=(pin(), pin("python3.11", f"{RELEASE}-6", source="apt")))
    found = lab.check(offline=True)
    assert found.compiled.unproven[compiled.FAILED] == 2
    # "a" and "d" have another path inside than theirs: that is no difference.
    assert found.compiled.proven == 2


def test_a_source_is_compiled_by_a_child_that_can_open_nothing(tmp_path: Path) -> None:
    target = tmp_path / "made"
    sources = (
        f"open({str(target)!r}, 'w')\n".encode(),
        # Its codec would have to be loaded from a file.
        b"# -*- coding: koi8-r -*-\nx = 1\n",
    )
    job = compiled._Job(path="/x.pyc", source="/x.py", optimize=0)
    magic, release, codes = compiled._compile(sys.executable, [(job, text) for text in sources])
    assert magic == importlib.util.MAGIC_NUMBER and release == RELEASE
    assert codes[0] and codes[1:] == [b""] and not target.exists()
    named = b"x = '\\N{DEGREE SIGN}'\n"
    assert compiled._compile(sys.executable, [(job, named)])[2] != [b""]
