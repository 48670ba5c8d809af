"""Tags given, versions dropped: what stays keeps its digests, and one writes after the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from repro.errors import ArchiveError, StorageError, UsageError
from repro.primitives.canonical import CLAMP
from repro.primitives.events import Event
from repro.store.archive import Archive
from repro.store.blobs import Blobs
from repro.store.turn import turn
from repro.store.writer import write_archive
from repro.workflows.log import log
from repro.workflows.prune import Pruned, prune
from repro.workflows.rewriting import carried
from repro.workflows.tag import tag
from tests.unit.workflows.versions_sample import versions

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "paper.repro"
    versions(path, tmp_path / "work", 4)
    return path


def digests(path: Path) -> dict[str, list[str]]:
    """Tag to the digests of manifest, config and artifacts; every blob is checked."""
    with Archive.open(path) as opened:
        opened.verify()
        return {
            each.tag: [
                str(each.manifest_digest),
                str(each.config_digest),
                *(str(artifact.descriptor.digest) for artifact in each.artifacts),
            ]
            for each in opened.versions
        }


def drop(path: Path, *tags: str, keep: int | None = None, dry: bool = False) -> Pruned:
    return prune(path, tags, keep, clamp=CLAMP, dry=dry)


def give(path: Path, old: str | None, new: str, move: bool = False) -> tuple[str, ...]:
    return tag(path, old, new, move=move, clamp=CLAMP).tags


def test_another_name_is_the_same_version(archive: Path) -> None:
    before = digests(archive)
    assert give(archive, "v2", "submitted") == ("submitted", "v2")
    after = digests(archive)
    assert {name: after[name] for name in before} == before
    assert after["submitted"] == before["v2"]
    found = {each["tag"]: each for each in log(archive, None)["versions"]}
    assert found["v2"]["tags"] == ["submitted", "v2"] and len(found) == 4
    with Archive.open(archive) as opened:
        assert opened.version(None).tag == "v4", "the default stays"
        assert opened.recording(opened.version("submitted")).circumstances["message"] == "number 2"


def test_a_name_of_the_default_and_a_name_instead(archive: Path) -> None:
    before = digests(archive)
    give(archive, None, "final")
    with Archive.open(archive) as opened:
        assert opened.version(None).tag == "v4"
    give(archive, "v1", "first", move=True)
    after = digests(archive)
    assert list(after) == ["first", "v2", "v3", "final", "v4"]
    assert after["first"] == before["v1"]


@pytest.mark.parametrize(("old", "new"), [("v9", "x"), ("v1", "v2"), ("v1", "v1"), ("v1", "a b")])
def test_names_that_cannot_be(archive: Path, old: str, new: str) -> None:
    before = archive.read_bytes()
    with pytest.raises(UsageError):
        give(archive, old, new)
    assert archive.read_bytes() == before


def test_dropped_versions_take_along_what_only_they_needed(archive: Path) -> None:
    before, size = digests(archive), archive.stat().st_size
    said = drop(archive, "v1", "v3", dry=True)
    assert archive.stat().st_size == size and said.dry
    done = drop(archive, "v1", "v3")
    assert done.dropped == ("v1", "v3") and done.kept == ("v2", "v4")
    assert done.freed == size - archive.stat().st_size >= said.freed > 0
    after = digests(archive)
    assert after == {name: before[name] for name in ("v2", "v4")}


def test_the_newest_stay_and_the_default_one(archive: Path) -> None:
    give(archive, "v1", "old")
    assert drop(archive, keep=2, dry=True).dropped == ("old", "v1", "v2")
    # A pulled or rolled-back version is the default though it is old.
    with Archive.open(archive) as opened:
        entries = [*opened.versions[2:], *opened.versions[:2]]
        blobs = Blobs(others=[opened])
        write_archive(
            archive, name="paper", versions=carried(entries), blobs=blobs, readme="", clamp=CLAMP
        )
    done = drop(archive, keep=2)
    assert done.dropped == ("v2",) and done.default == "v1"
    assert set(done.kept) == {"old", "v1", "v3", "v4"}


def test_dropping_a_name_of_a_version_that_stays(archive: Path) -> None:
    give(archive, "v2", "submitted")
    before = digests(archive)
    done = drop(archive, "v2")
    assert done.only_names == ("v2",)
    assert digests(archive)["submitted"] == before["v2"]


def test_the_default_may_go_and_the_readme_follows(archive: Path) -> None:
    done = drop(archive, "v4")
    assert done.default == "v3"
    with Archive.open(archive) as opened:
        assert str(opened.version("v3").config_digest) in opened.readme


@pytest.mark.parametrize(
    ("tags", "keep"), [((), None), (("v1",), 1), ((), 0), (("v1", "v2", "v3", "v4"), None),
                       (("v9",), None)],
)  # fmt: skip
def test_what_cannot_be_dropped(archive: Path, tags: tuple[str, ...], keep: int | None) -> None:
    before = archive.read_bytes()
    with pytest.raises(UsageError):
        drop(archive, *tags, keep=keep)
    assert archive.read_bytes() == before


def test_a_manifest_that_would_change_is_refused(archive: Path) -> None:
    with Archive.open(archive) as opened:
        version = opened.versions[0]
        other = replace(version, manifest=replace(version.manifest, annotations={"x": "y"}))
        odd = replace(other, descriptor=replace(version.descriptor, digest=other.config_digest))
        with pytest.raises(ArchiveError, match="v1 has a manifest"):
            carried([odd])


def test_one_waits_and_says_so(archive: Path) -> None:
    said: list[Event] = []
    entered = threading.Event()

    def work() -> None:
        with turn(archive, said.append):
            entered.set()

    with turn(archive):
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        deadline = time.monotonic() + 10
        while not said and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "waiting" in said[0].text and "paper.repro" in said[0].text
        assert not entered.is_set()
    thread.join(10)
    assert entered.is_set() and len(said) == 1
    assert not [name for name in os.listdir(archive.parent) if name.endswith(".lock")]


def test_through_a_link_it_is_the_same_file(archive: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.repro"
    link.symlink_to("paper.repro")
    give(link, "v1", "first")
    assert link.is_symlink() and "first" in digests(archive)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be locked"), turn(tmp_path / "none" / "x.repro"):
        pass


_ADD = """
import sys
from pathlib import Path
from tests.unit.workflows.versions_sample import script
from tests.unit.store.archive_sample import build_version
from repro.primitives.canonical import CLAMP
from repro.store.blobs import Blobs
from repro.workflows.rewriting import add_version
path, work, tag, stop = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
work.mkdir()
seen = []
def observer(event):
    seen.append(event)
    if len(seen) == stop:
        print("in the middle", flush=True)
        sys.stdin.readline()
blobs = Blobs(work)
version = build_version(work, blobs, tag=tag, files=script(work.name.encode())).version
print("ready", flush=True)
sys.stdin.readline()
print(add_version(path, version, name="paper", blobs=blobs, readme="", clamp=CLAMP,
                  replace_all=False, observer=observer))
"""


def adding(path: Path, work: Path, name: str, stop: int = -1) -> subprocess.Popen[str]:
    """A process that adds a version when it is given a line, and stops after so many blobs."""
    process = subprocess.Popen(
        [sys.executable, "-c", _ADD, str(path), str(work), name, str(stop)], cwd=ROOT, text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_many_processes_at_once_lose_no_version(archive: Path, tmp_path: Path) -> None:
    before = digests(archive)
    # Two of them want the same tag.
    names = ["a", "b", "same", "same"]
    running = [adding(archive, tmp_path / f"w{number}", name) for number, name in enumerate(names)]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    written = {process.communicate(timeout=60)[0].strip() for process in running}
    assert written == {"a", "b", "same", "same-2"}
    after = digests(archive)
    assert set(after) == set(before) | written
    assert {name: after[name] for name in before} == before
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".paper")]


@pytest.mark.parametrize("blob", [1, 8, 20])
def test_killed_while_adding_the_old_file_stays_whole(
    archive: Path, tmp_path: Path, blob: int
) -> None:
    before = archive.read_bytes()
    process = adding(archive, tmp_path / "w1", "v5", stop=blob)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "in the middle\n"
    (half,) = tmp_path.glob(".paper.repro.*.tmp")
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    assert archive.read_bytes() == before
    assert half.exists(), "it was killed before it could clear up"
    # The next one is not kept out by the dead one's lock, and clears up after it.
    process = adding(archive, tmp_path / "w2", "v5")
    assert process.communicate("\n", timeout=60)[0].strip() == "v5"
    assert list(digests(archive)) == ["v1", "v2", "v3", "v4", "v5"]
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".paper")]
