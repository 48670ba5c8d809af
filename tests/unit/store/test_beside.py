"""What lies beside the layers counts against the limit, and goes when nobody uses it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_sample import make_archive

from repro.model.remote_input import RemoteInput
from repro.primitives.digest import Digest
from repro.store.archive import Archive
from repro.store.beside import KINDS, Beside
from repro.store.cache import Cache
from repro.store.downloads import Downloads
from repro.store.pins import Pins

MB = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def lay(path: Path, used: int, size: int = MB) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(b"x" * size)
    os.utime(path, (used, used))
    return path


def packed(root: Path, name: str, used: int) -> tuple[Path, Path]:
    """A note and its blob, as ``image/reuse.py`` keeps them."""
    blob = lay(root / "packed" / Digest.of(name.encode()).hex, 1)
    note = root / "packed" / f"{name}.json"
    note.write_text(json.dumps({"descriptor": {"digest": f"sha256:{blob.name}"}}))
    os.utime(note, (used, used))
    return note, blob


def filled(root: Path) -> list[Path]:
    """One of each kind, that used longest ago first."""
    note, blob = packed(root, "a", 10)
    return [
        blob,
        lay(root / "pulled" / "b.repro", 20),
        lay(root / "remote" / Digest.of(b"c").hex, 30),
        lay(root / "fattened" / "d.repro", 40),
        lay(root / "pulls" / f"{Digest.of(b'e').hex}.part", 50),
    ]


def test_every_kind_is_counted_and_goes_by_its_last_use(root: Path) -> None:
    files = filled(root)
    cache = Cache(root)
    assert {item.kind for item in cache.beside.items()} == set(KINDS)
    whole = sum(item.size for item in cache.beside.items())
    assert 5 * MB <= whole < 6 * MB
    for number, file in enumerate(files):
        assert file.exists()
        freed = cache.gc(whole - 1)
        assert freed >= MB and not file.exists(), file
        assert all(later.exists() for later in files[number + 1 :])
        whole -= freed
    assert cache.beside.items() == [] and not list((root / "packed").iterdir())


def test_layers_and_the_others_share_one_limit(root: Path, tmp_path: Path) -> None:
    make_archive(tmp_path / "paper.repro", tmp_path / "work")
    with Archive.open(tmp_path / "paper.repro") as opened, Cache(root) as cache:
        cache.layers(opened, opened.version(None))
    del opened, cache
    old, new = lay(root / "pulled" / "old.repro", 5), lay(root / "pulled" / "new.repro", 1 << 33)
    layers = Cache(root).size()
    Cache(root).set_limit(new.stat().st_blocks * 512 + layers)
    Cache(root).keep_limit()
    assert not old.exists() and new.exists() and Cache(root).size() == layers
    Cache(root).set_limit(new.stat().st_blocks * 512)
    Cache(root).keep_limit()
    assert new.exists() and Cache(root).size() == 0


HOLD = """
import sys
from pathlib import Path
from repro.store.beside import hold
hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(root: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lay(root / "pulled" / "b.repro", 1))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_an_archive_that_a_process_uses_stays(root: Path, holder: subprocess.Popen[str]) -> None:
    assert Cache(root).gc(0) == 0 and (root / "pulled" / "b.repro").exists()
    holder.kill()
    holder.wait()
    assert Cache(root).gc(0) >= MB and not (root / "pulled" / "b.repro").exists()


def test_what_a_kept_container_needs_stays(root: Path) -> None:
    file = lay(root / "pulled" / "b.repro", 1)
    layer = Digest.of(b"layer")
    Pins(root).keep("trial", [layer], file)
    assert Pins(root).every() == {layer} and Pins(root).archives() == {str(file)}
    assert Cache(root).gc(0) == 0 and file.exists()
    Pins(root).release("trial")
    assert Cache(root).gc(0) >= MB and not file.exists()


def test_what_is_being_fetched_stays(root: Path) -> None:
    part = lay(root / "remote" / f"{Digest.of(b'c').hex}.part", 1)
    arrival = lay(root / "pulls" / f"{Digest.of(b'e').hex}.part", 1)
    held = [os.open(part, os.O_RDWR), os.open(arrival.parent, os.O_RDONLY)]
    for fd in held:
        fcntl.flock(fd, fcntl.LOCK_EX)
    assert Cache(root).gc(0) == 0 and part.exists() and arrival.exists()
    for fd in held:
        os.close(fd)
    assert Cache(root).gc(0) >= 2 * MB and not part.exists() and not arrival.exists()


def test_what_a_snapshot_packs_just_now_stays(root: Path) -> None:
    """A blob that no note names yet."""
    fresh = lay(root / "packed" / Digest.of(b"fresh").hex, 1)
    assert Beside(root).items() == [] and Cache(root).gc(0) == 0 and fresh.exists()


def test_two_notes_of_one_blob(root: Path) -> None:
    first, blob = packed(root, "a", 10)
    second = first.with_name("b.json")
    second.write_text(first.read_text())
    os.utime(second, (20, 20))
    cache = Cache(root)
    cache.gc(sum(item.size for item in cache.beside.items()) - 1)
    assert not first.exists() and second.exists() and blob.exists()


def test_a_file_that_is_taken_again_counts_as_used(root: Path, tmp_path: Path) -> None:
    source = lay(tmp_path / "c", 1, 10)
    kept = root / "remote" / Digest.of_path(source).hex
    wanted = RemoteInput(
        url="http://127.0.0.1:9/c", digest=Digest.of_path(source), path="c", most=MB
    )
    kept.parent.mkdir(parents=True)
    kept.write_bytes(source.read_bytes())
    os.utime(kept, (1, 1))
    assert Downloads(root / "remote").bring(wanted, tmp_path / "out", lambda _: None)
    assert kept.stat().st_mtime > 1000


def test_links_and_strangers_files_are_left_alone(root: Path, tmp_path: Path) -> None:
    outside = lay(tmp_path / "outside" / "x.repro", 1)
    Cache(root)
    (root / "pulled").symlink_to(outside.parent)
    lay(root / "remote" / "notes.txt", 1)
    assert Cache(root).gc(0) == 0 and outside.exists() and (root / "remote/notes.txt").exists()
