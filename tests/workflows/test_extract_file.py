"""One file out of an archive, and out of a registry without the rest."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_registry import State, running

from repro.errors import ArchiveError, UsageError
from repro.model.entry import LayerKind
from repro.remote.reference import Reference
from repro.workflows.extract_file import ExtractedFile, extract_file
from repro.workflows.push import push
from tests.unit.store.archive_sample import ROOT, entries, file, make_archive, symlink

BIG = random.Random(3).randbytes(11 << 20)
SMALL = b"needle\n" * 100


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("file")
    files = [
        *entries(),
        file("/usr/lib/a.so", BIG, LayerKind.SYSTEM),
        file("/usr/lib/b.txt", SMALL, LayerKind.SYSTEM),
        symlink("/usr/lib/c.txt", "b.txt", LayerKind.SYSTEM),
    ]
    make_archive(folder / "a.repro", folder / "work", files=files)
    return folder / "a.repro"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"REPRO_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path)}


def take(
    source: str, name: str, environ: dict[str, str], *, insecure: bool = False
) -> tuple[bytes, ExtractedFile]:
    out = io.BytesIO()
    found = extract_file(source, name, out, environ, insecure=insecure)
    return out.getvalue(), found


def test_files_links_and_results(made: Path, environ: dict[str, str], tmp_path: Path) -> None:
    assert take(str(made), "/usr/lib/b.txt", environ)[0] == SMALL
    assert take(f"{made}:latest", "/usr/lib/a.so", environ)[0] == BIG
    data, found = take(str(made), "/usr/lib/../lib/c.txt", environ)
    assert data == SMALL and found.path == "/usr/lib/b.txt" and found.layer == "system"
    assert take(str(made), "analysis.py", environ)[0] == b"print(1)\n"
    assert take(str(made), f"{ROOT}/data/table.csv", environ)[0].startswith(b"a,b\n")
    data, found = take(str(made), "figure.png", environ)
    assert data == bytes(range(256)) * 40 and found.layer == "results"
    place = tmp_path / "out" / "b.txt"
    place.parent.mkdir()
    extract_file(str(made), "/usr/lib/b.txt", place, environ)
    assert place.read_bytes() == SMALL and os.listdir(place.parent) == ["b.txt"]
    assert not (tmp_path / "cache").exists()  # nothing was unpacked


@pytest.mark.parametrize(
    ("name", "said"),
    [("nothing.txt", "no file"), ("/usr/lib", "is a folder"), ("results/latest", "link")],
)
def test_what_is_no_file(made: Path, environ: dict[str, str], name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        take(str(made), name, environ)


def test_a_damaged_layer_gives_no_byte(made: Path, environ: dict[str, str], tmp_path: Path) -> None:
    data = bytearray(made.read_bytes())
    at = bytes(data).index(BIG[6 << 20 : (6 << 20) + 64])  # random bytes are stored as they are
    data[at] ^= 1
    bad = tmp_path / "bad.repro"
    bad.write_bytes(data)
    place = tmp_path / "out"
    with pytest.raises(ArchiveError):
        extract_file(str(bad), "/usr/lib/a.so", place, environ)
    assert not place.exists()
    assert take(str(bad), "/usr/lib/b.txt", environ)[0] == SMALL  # in another frame


@pytest.fixture
def state() -> Iterator[State]:
    with running() as found:
        yield found


def test_from_a_registry_only_the_frames(made: Path, environ: dict[str, str], state: State) -> None:
    name = f"oci://127.0.0.1:{state.port}/lab/paper:v1"
    push(made, None, Reference.parse(name), environ, insecure=True)
    data, found = take(name, "/usr/lib/b.txt", environ, insecure=True)
    assert data == SMALL and "ranges" in found.how
    assert not (Path(environ["REPRO_CACHE"]) / "pulled").exists()
    data, found = take(name, "figure.png", environ, insecure=True)  # in no layer: pulled
    assert data == bytes(range(256)) * 40


def test_from_a_registry_without_ranges(made: Path, environ: dict[str, str], state: State) -> None:
    name = f"oci://127.0.0.1:{state.port}/lab/paper:v1"
    push(made, None, Reference.parse(name), environ, insecure=True)
    state.ranges = False
    data, found = take(name, "/usr/lib/b.txt", environ, insecure=True)
    assert data == SMALL and found.how == "the pulled blob"


def test_the_command_line(made: Path, environ: dict[str, str], tmp_path: Path) -> None:
    def repro(*words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "repro", "extract", str(made), *words],
            env={**os.environ, **environ}, cwd=tmp_path, capture_output=True, check=False,
        )  # fmt: skip

    done = repro("--file", "/usr/lib/b.txt")
    assert done.stdout == SMALL and b"sha256" in done.stderr
    assert repro("--file", "/usr/lib/b.txt", "-o", "x", "-q").returncode == 0
    assert (tmp_path / "x").read_bytes() == SMALL
    assert repro().returncode == 2 and repro("--file", "/x", "--json").returncode == 2
