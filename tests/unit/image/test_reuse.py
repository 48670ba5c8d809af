from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from repro.image.build import build_layer
from repro.image.plan import PlannedLayer
from repro.image.reuse import Reuse
from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.primitives.canonical import CLAMP


def entry(path_: Path, **more: object) -> FileEntry:
    settings: dict[str, object] = {
        "path": f"/d/{path_.name}", "type": EntryType.FILE, "kind": LayerKind.DATA,
        "origin": "project", "source": str(path_), "size": path_.stat().st_size, **more,
    }  # fmt: skip
    return FileEntry(**settings)  # type: ignore[arg-type]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = []
    for name in ("a", "b"):
        made.append(tmp_path / name)
        made[-1].write_text(name * 1000)
        os.utime(made[-1], (1_600_000_000, 1_600_000_000))
    return made


def planned(files: list[Path], **more: object) -> PlannedLayer:
    entries = tuple(entry(path, **more) for path in files)
    return PlannedLayer(kind=LayerKind.DATA, name="data", entries=entries)


def key_of(reuse: Reuse, plan: PlannedLayer, clamp: int = CLAMP, level: int = 3) -> str | None:
    state = reuse.state(plan, clamp=clamp, level=level)
    return state.key if state is not None else None


def made(tmp_path: Path, files: list[Path]) -> tuple[Reuse, str, Path]:
    reuse, work = Reuse(tmp_path / "kept", "1.0"), tmp_path / "work"
    work.mkdir()
    plan = planned(files)
    state = reuse.state(plan, clamp=CLAMP, level=3)
    assert state is not None
    reuse.keep(state, build_layer(plan, work, clamp=CLAMP), time.time() + 60)
    return reuse, state.key, work


def test_the_same_files_give_the_same_layer_without_reading(
    tmp_path: Path, files: list[Path]
) -> None:
    reuse, key, work = made(tmp_path, files)
    again = tmp_path / "again"
    again.mkdir()
    found = reuse.find(key_of(reuse, planned(files), CLAMP, 3) or "", again)
    fresh = build_layer(planned(files), tmp_path, clamp=CLAMP)
    assert found is not None
    assert (found.layer, found.toc) == (fresh.layer, fresh.toc)
    for digest in (found.layer.descriptor.digest, found.toc.digest):
        assert (again / digest.hex).read_bytes() == (work / digest.hex).read_bytes()


@pytest.mark.parametrize("change", ["content", "same size and mtime", "replaced", "gone"])
def test_a_changed_file_has_another_key(tmp_path: Path, files: list[Path], change: str) -> None:
    reuse, key, _ = made(tmp_path, files)
    plan = planned(files)
    time.sleep(0.02)
    if change == "content":
        files[0].write_text("other")
    elif change == "same size and mtime":
        files[0].write_text("z" * 1000)
        os.utime(files[0], (1_600_000_000, 1_600_000_000))
    elif change == "replaced":
        (tmp_path / "new").write_text("y" * 1000)
        os.utime(tmp_path / "new", (1_600_000_000, 1_600_000_000))
        os.replace(tmp_path / "new", files[0])
    else:
        files[0].unlink()
    assert key_of(reuse, plan, CLAMP, 3) != key


@pytest.mark.parametrize(
    "more", [{"origin": "deb:x"}, {"mode": 0o755}, {"path": "/d/other"}, {"link_key": (1, 2)}]
)
def test_what_goes_into_the_layer_is_in_the_key(
    tmp_path: Path, files: list[Path], more: dict[str, object]
) -> None:
    reuse = Reuse(tmp_path, "1.0")
    one, other = planned(files[:1]), planned(files[:1], **more)
    assert key_of(reuse, one, CLAMP, 3) != key_of(reuse, other, CLAMP, 3)
    assert key_of(reuse, one, CLAMP, 3) != key_of(reuse, one, CLAMP + 1, 3)
    assert key_of(reuse, one, CLAMP, 3) != key_of(reuse, one, CLAMP, 10)
    assert key_of(reuse, one, CLAMP, 3) != key_of(Reuse(tmp_path, "2.0"), one, CLAMP, 3)


def test_content_of_our_own_counts(tmp_path: Path) -> None:
    reuse = Reuse(tmp_path, "1.0")

    def plan(data: bytes) -> PlannedLayer:
        one = FileEntry(
            path="/x", type=EntryType.FILE, kind=LayerKind.CODE, origin="repro", content=data
        )
        return PlannedLayer(kind=LayerKind.CODE, name="code", entries=(one,))

    assert key_of(reuse, plan(b"a"), CLAMP, 3) != key_of(reuse, plan(b"b"), CLAMP, 3)


def test_a_file_of_this_moment_is_not_trusted(tmp_path: Path, files: list[Path]) -> None:
    reuse, work = Reuse(tmp_path / "kept", "1.0"), tmp_path / "work"
    work.mkdir()
    files[0].write_text("new")
    plan = planned(files)
    state = reuse.state(plan, clamp=CLAMP, level=3)
    assert state is not None
    reuse.keep(state, build_layer(plan, work, clamp=CLAMP), time.time())
    assert reuse.find(state.key, work) is None


@pytest.mark.parametrize("damage", ["note", "blob", "list", "replaced", "rubbish"])
def test_damage_in_the_cache_means_packing_anew(
    tmp_path: Path, files: list[Path], damage: str
) -> None:
    reuse, key, _ = made(tmp_path, files)
    kept = tmp_path / "kept"
    blobs = sorted(
        (p for p in kept.iterdir() if p.suffix != ".json"), key=lambda p: p.stat().st_size
    )
    if damage == "note":
        (kept / f"{key}.json").write_text("{")
    elif damage == "rubbish":
        (kept / f"{key}.json").write_text('{"descriptor": 3}')
    elif damage == "replaced":
        data = blobs[-1].read_bytes()
        blobs[-1].unlink()
        blobs[-1].write_bytes(data[:-1] + b"?")
    else:
        blobs[-1 if damage == "blob" else 0].unlink()
    into = tmp_path / "into"
    into.mkdir()
    assert reuse.find(key, into) is None


def test_what_was_used_longest_ago_goes_first(tmp_path: Path, files: list[Path]) -> None:
    reuse, key, work = made(tmp_path, files)
    other = planned(files[:1])
    state = reuse.state(other, clamp=CLAMP, level=3)
    assert state is not None
    second = state.key
    reuse.keep(state, build_layer(other, work, clamp=CLAMP), time.time() + 60)
    os.utime(tmp_path / f"kept/{key}.json", (1, 1))
    size = sum(p.stat().st_size for p in (tmp_path / "kept").iterdir() if p.suffix != ".json")
    assert reuse.prune(size - 1) > 0
    into = tmp_path / "into"
    into.mkdir()
    assert reuse.find(key, into) is None
    assert reuse.find(second, into) is not None
    assert reuse.prune(0) > 0 and list((tmp_path / "kept").iterdir()) == []
