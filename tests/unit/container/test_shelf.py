"""Containers as folders: made whole or not at all, held by one, read strictly."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from repro.container.processes import Process, boot_id
from repro.container.shelf import Place, Shelf, check_name
from repro.container.state import Container, Holder, Run
from repro.errors import StorageError, UsageError
from repro.model.limits import Limits
from repro.primitives.digest import Digest

BOOT = boot_id()
MADE = Container(
    name="one", archive="/a.repro", tag="v1", digest=Digest("a" * 64),
    layers=(Digest("b" * 64), Digest("c" * 64)), created="2026-01-01T00:00:00Z",
    limits=Limits(memory=1 << 30, cpus=1.5), engine="bubblewrap",
)  # fmt: skip


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "containers")


@pytest.fixture
def place(shelf: Shelf, tmp_path: Path) -> Place:
    (tmp_path / "a.repro").write_bytes(b"archive")
    return shelf.create(MADE, tmp_path / "a.repro")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", ".x", "a" * 64, "a\n", "é", "a b"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)


def test_made_whole(shelf: Shelf, place: Place) -> None:
    assert place.container() == MADE
    assert place.archive.read_bytes() == b"archive"
    assert [each.folder.name for each in shelf.every()] == ["one"]
    assert place.folder.parent.stat().st_mode & 0o777 == 0o700
    assert place.folder.stat().st_mode & 0o777 == 0o700


def test_a_taken_name_changes_nothing(shelf: Shelf, place: Place, tmp_path: Path) -> None:
    (place.upper / "kept").write_text("x")
    with pytest.raises(UsageError, match="already"):
        shelf.create(replace(MADE, tag="v2"), tmp_path / "a.repro")
    assert place.container() == MADE and (place.upper / "kept").exists()
    assert sorted(os.listdir(place.folder.parent)) == ["one"]


def test_an_archive_that_cannot_be_linked_is_no_error(shelf: Shelf, tmp_path: Path) -> None:
    assert not shelf.create(MADE, tmp_path / "elsewhere").archive.exists()


def test_held_by_one(shelf: Shelf, place: Place) -> None:
    hold = shelf.hold(place, BOOT)
    assert hold is not None and shelf.hold(place, BOOT) is None
    hold.begin("run", BOOT)
    holder = place.holder(BOOT)
    assert holder is not None and holder.watcher.pid == os.getpid()
    hold.end()
    assert place.holder(BOOT) is None
    again = shelf.hold(place, BOOT)
    assert again is not None
    again.end()


def test_a_holder_of_another_boot_is_none(shelf: Shelf, place: Place) -> None:
    hold = shelf.hold(place, BOOT)
    assert hold is not None
    hold.begin("run", BOOT)
    hold.started(os.getpid(), BOOT)
    hold.release()
    assert place.holder("another") is None
    last = place.last_init()
    assert last is not None and last.pid == os.getpid()
    # Its process number may be anybody's after a restart: it is not waited for.
    again = shelf.hold(place, "another")
    assert again is not None
    again.end()


def test_what_a_killed_run_left_is_waited_for(
    shelf: Shelf, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repro.container.shelf._ENDING", 0.05)
    hold = shelf.hold(place, BOOT)
    assert hold is not None
    hold.begin("run", BOOT)
    hold.started(os.getpid(), BOOT)
    hold.release()
    with pytest.raises(StorageError, match="do not end"):
        shelf.hold(place, BOOT)
    place.let_go()
    assert shelf.hold(place, BOOT) is not None, "the lock was not left behind"


def test_traces_of_a_killed_run_are_swept(shelf: Shelf, place: Place) -> None:
    (place.folder / "trusted-x").mkdir()
    assert shelf.hold(place, BOOT) is not None
    assert not (place.folder / "trusted-x").exists()


def test_half_made_ones_are_no_containers(shelf: Shelf, place: Place) -> None:
    trace = place.folder.parent / ".new-x"
    trace.mkdir()
    assert len(shelf.every()) == 1
    shelf.sweep()
    assert trace.exists(), "somebody may be at it"
    shelf.sweep(age=-1)
    assert not trace.exists()


def test_removed(shelf: Shelf, place: Place) -> None:
    closed = place.upper / "closed"
    closed.mkdir()
    (closed / "x").write_text("")
    closed.chmod(0)
    shelf.remove(place)
    assert os.listdir(place.folder.parent) == []
    with pytest.raises(UsageError, match="no container"):
        shelf.find("one")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": "repro.container/2"}', "null"])
def test_a_damaged_state_is_said(place: Place, text: str) -> None:
    (place.folder / "state.json").write_text(text)
    with pytest.raises(StorageError) as caught:
        place.container()
    assert caught.value.hint


@pytest.mark.parametrize("field", ["name", "archive", "digest", "layers", "limits", "created"])
def test_a_field_of_another_type(place: Place, field: str) -> None:
    document = MADE.to_json() | {field: 7 if field != "layers" else [7]}
    (place.folder / "state.json").write_text(json.dumps(document))
    with pytest.raises(StorageError):
        place.container()


def test_runs_and_holders_come_back_as_written() -> None:
    run = Run(began="t", command=("a", "b"), step="s", ended="u", exit=3, reached="disk")
    assert Run.parse(run.to_json()) == run
    assert Run.parse(Run(began="t").to_json()) == Run(began="t")
    own = Process(pid=7, start=8, boot="b")
    holder = Holder(kind="exec", watcher=own, init=own)
    assert Holder.parse(holder.to_json()) == holder
