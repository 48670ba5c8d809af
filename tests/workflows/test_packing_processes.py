"""Layers packed by several processes: the same bytes, progress, errors and nothing left."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from repro.errors import ProjectError, StorageError
from repro.image.build import BuiltLayer
from repro.image.plan import PlannedLayer
from repro.image.reuse import Reuse
from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.primitives.canonical import CLAMP
from repro.primitives.events import Event, EventKind
from repro.workflows import layering
from repro.workflows.layering import Settings, pack_layers


@pytest.fixture
def plan(tmp_path: Path) -> list[PlannedLayer]:
    """Layers of several sizes, one of them cut by content, all older than what is not trusted."""
    folder = tmp_path / "files"
    folder.mkdir()
    noise = random.Random(1)
    kinds = (LayerKind.BASE, LayerKind.RUNTIME, LayerKind.PACKAGES, LayerKind.DATA, LayerKind.CODE)
    layers = []
    for number, kind in enumerate(kinds):
        entries = []
        for name, size in (("a.bin", 4_000_000 + 1_000_000 * number), ("b.pyc", 20_000), ("c", 0)):
            place = folder / f"{number}-{name}"
            place.write_bytes(bytes(8) + noise.randbytes(size // 2) + b"row 12\n" * (size // 14))
            os.utime(place, (1_600_000_000, 1_600_000_000))
            entries.append(
                FileEntry(
                    path=f"/{number}/{name}", type=EntryType.FILE, kind=kind, origin="project",
                    source=str(place), size=place.stat().st_size,
                )
            )  # fmt: skip
        layers.append(PlannedLayer(kind=kind, name=f"layer {number}", entries=tuple(entries)))
    return layers


def pack(
    plan: Sequence[PlannedLayer], folder: Path, kept: Path | None = None
) -> tuple[list[BuiltLayer], list[Event]]:
    folder.mkdir()
    seen: list[Event] = []
    reuse = Reuse(kept, "1") if kept is not None else None
    settings = Settings(clamp=CLAMP, level=3, reuse=reuse)
    return pack_layers(plan, folder, settings, seen.append), seen


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with two processors, whatever else runs in the process of the tests."""
    monkeypatch.setattr(layering, "alone", lambda: True)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})


def test_processes_change_no_byte(
    plan: list[PlannedLayer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: None
) -> None:
    many, _ = pack(plan, tmp_path / "many")
    monkeypatch.setattr(layering, "alone", lambda: False)
    one, _ = pack(plan, tmp_path / "one")
    assert [(b.layer, b.toc) for b in many] == [(b.layer, b.toc) for b in one]
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "many").iterdir())
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()


def test_progress_ends_at_all_and_the_second_time_finds_all(
    plan: list[PlannedLayer], tmp_path: Path, processes: None
) -> None:
    time.sleep(2.1)  # files of this moment are not trusted to show a change
    size = sum(entry.size for planned in plan for entry in planned.entries)
    for name in ("first", "second"):
        _, seen = pack(plan, tmp_path / name, tmp_path / "kept")
        moving = [event for event in seen if event.kind is EventKind.PROGRESS]
        last = moving[-1]
        assert (last.done, last.total, last.files, last.all_files) == (size, size, 15, 15)
        done = [event.done for event in moving]
        assert done == sorted(done, key=lambda count: count or 0)
        assert ("5 unchanged" in seen[-1].text) == (name == "second")


def test_a_file_that_changed_is_named_and_nothing_half_made_is_kept(
    plan: list[PlannedLayer], tmp_path: Path, processes: None
) -> None:
    gone = plan[3].entries[0].source
    assert gone is not None
    os.truncate(gone, 1000)
    with pytest.raises(ProjectError, match="3-a.bin changed while it was packed") as caught:
        pack(plan, tmp_path / "staging", tmp_path / "kept")
    assert caught.value.slug == "changed" and caught.value.hint
    assert not Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    kept = tmp_path / "kept"
    notes = [path for path in kept.iterdir() if path.suffix == ".json"] if kept.exists() else []
    assert len(notes) < len(plan)


def test_a_disk_that_refuses_is_told_as_such(
    plan: list[PlannedLayer], tmp_path: Path, processes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: object, path: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(StorageError, match="a layer cannot be written .*No space left"):
        pack(plan, tmp_path / "staging")


def test_a_killed_process_is_told_as_such(
    plan: list[PlannedLayer], tmp_path: Path, processes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = os.getpid()

    def killed(*words: object, **more: object) -> BuiltLayer:
        assert os.getpid() != own
        os.kill(os.getpid(), 9)
        raise AssertionError

    monkeypatch.setattr(layering, "build_layer", killed)
    with pytest.raises(StorageError, match="packing stopped"):
        pack(plan, tmp_path / "staging")
