"""What the package lists said is kept, and read anew as soon as anything of it changes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from repro.pin import deblists
from repro.pin.deblists import LISTS, package_lists
from repro.pin.listed import PackageLists
from repro.pin.listed_notes import ListedNotes
from tests.unit.pin.fake_host import FakeHost
from tests.unit.pin.test_deblists import HASH, STANZA, STEM, TOOL, listed, release

OTHER = ("other", "1", "all")


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path / "host")
    listed(made)
    release(made)
    return made


@pytest.fixture
def notes(tmp_path: Path) -> ListedNotes:
    return ListedNotes(tmp_path / "notes")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every list that is read, in order."""
    found: list[Path] = []
    real = deblists._read

    def read(path: Path) -> bytes:
        found.append(path)
        return real(path)

    monkeypatch.setattr(deblists, "_read", read)
    return found


def test_the_second_time_no_list_is_read(
    host: FakeHost, notes: ListedNotes, reads: list[Path]
) -> None:
    first = package_lists(host.root, {TOOL, OTHER}, notes)
    assert len(reads) == 1 and first.archives[TOOL].url
    assert package_lists(host.root, {TOOL, OTHER}, notes) == first
    assert len(reads) == 1


@pytest.mark.parametrize("change", ["list", "same size and time", "release", "source", "packages"])
def test_any_change_is_seen(
    host: FakeHost, notes: ListedNotes, reads: list[Path], change: str
) -> None:
    package_lists(host.root, {TOOL}, notes)
    wanted = {TOOL}
    place = host.path(f"{LISTS}/{STEM}main_binary-amd64_Packages")
    if change == "list":
        listed(host, STANZA.replace(HASH, "b2" * 32).encode() + b"\n")
    elif change == "same size and time":
        before = place.stat()
        place.write_text(STANZA.replace(HASH, "b2" * 32))
        os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "release":
        release(host, date="Sun, 12 Jul 2026 20:16:37 UTC")
    elif change == "source":
        host.write("/etc/apt/sources.list", "deb http://b.example.org/debian stable main\n")
    else:
        wanted = {TOOL, OTHER}
    assert package_lists(host.root, wanted, notes) == package_lists(host.root, wanted)
    assert len(reads) == 3


@pytest.mark.parametrize("damage", ["cut", "rubbish", "other hash", "another shape", "[]"])
def test_a_damaged_note_is_made_anew(
    host: FakeHost, notes: ListedNotes, reads: list[Path], tmp_path: Path, damage: str
) -> None:
    expected = package_lists(host.root, {TOOL}, notes)
    note = tmp_path / "notes/apt-lists.json"
    text = note.read_text()
    if damage == "cut":
        note.write_text(text[: len(text) // 2])
    elif damage == "rubbish":
        note.write_bytes(b"\xff\x00")
    elif damage == "other hash":
        note.write_text(text.replace(HASH.lower(), "0" * 64))
    elif damage == "another shape":
        note.write_text(json.dumps({**json.loads(text), "lists": {"archives": [1]}}))
    else:
        note.write_text("[]")
    assert package_lists(host.root, {TOOL}, notes) == expected
    assert len(reads) == 2
    assert package_lists(host.root, {TOOL}, notes) == expected
    assert len(reads) == 2


def test_a_list_that_could_not_be_read_is_tried_again(host: FakeHost, notes: ListedNotes) -> None:
    listed(host, b"nonsense", ".gz")
    assert package_lists(host.root, {TOOL}, notes).unread
    assert notes.find("") is None
    host.path(f"{LISTS}/{STEM}main_binary-amd64_Packages.gz").unlink()
    assert not package_lists(host.root, {TOOL}, notes).unread


def test_a_folder_that_refuses_is_no_error(host: FakeHost, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = package_lists(host.root, {TOOL}, ListedNotes(tmp_path / "file/below"))
    assert isinstance(found, PackageLists) and TOOL in found.archives
