"""What was unpacked gives the digest of its layer again, and nothing else does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.image.build import build_layer
from repro.image.plan import PlannedLayer, plan_layers
from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.primitives.canonical import CLAMP
from repro.primitives.digest import Digest
from repro.primitives.tarfolder import folder_digest
from repro.primitives.tarread import Limits
from repro.primitives.untar import untar
from tests.unit.store.archive_sample import file, folder, symlink

HARD = [
    file("/a/b", b"x"), file("/a.b", b"sorted before a/b"), file("/a-b", b""),
    file("/bin/tool", b"#!/bin/sh\n", mode=0o755), file("/read-only", b"r", mode=0o444),
    file("/" + "d" * 90 + "/" + "n" * 200, b"a pax header"), folder("/empty/inner"),
    file(os.fsdecode(b"/caf\xe9\n.txt"), b"bytes"), symlink("/to", "t" * 150),
    symlink("/dangling", "nowhere"), file("/big", bytes(range(256)) * 9000),
]  # fmt: skip


def linked(tmp_path: Path) -> list[FileEntry]:
    source = tmp_path / "source"
    source.write_bytes(b"shared")
    return [
        FileEntry(path=path, type=EntryType.FILE, kind=LayerKind.CODE, origin="project",
                  source=str(source), size=6, link_key=(1, 2))
        for path in ("/z/first", "/b/second", "/z/third")
    ]  # fmt: skip


@pytest.fixture
def unpacked(tmp_path: Path) -> tuple[Path, Digest]:
    (planned,) = plan_layers([*HARD, *linked(tmp_path)])
    assert isinstance(planned, PlannedLayer)
    built = build_layer(planned, tmp_path, clamp=CLAMP)
    place = tmp_path / "unpacked"
    place.mkdir()
    with built.path.open("rb") as stream:
        untar(stream, "zstd", place, built.layer.diff_id, Limits())
    return place, built.layer.diff_id


def test_the_digest_is_met_again(unpacked: tuple[Path, Digest]) -> None:
    place, diff_id = unpacked
    assert (place / "b/second").stat().st_nlink == 3
    assert folder_digest(place) == diff_id


def flip(place: Path) -> None:
    target = place / "big"
    status = target.stat()
    with target.open("r+b") as stream:
        stream.seek(1_500_000)
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 1]))
    os.utime(target, (status.st_mtime, status.st_mtime))


def relink(place: Path) -> None:
    (place / "to").unlink()
    (place / "to").symlink_to("t" * 149)
    os.utime(place / "to", (CLAMP, CLAMP), follow_symlinks=False)


def unshare(place: Path) -> None:
    data = (place / "z/third").read_bytes()
    (place / "z/third").unlink()
    (place / "z/third").write_bytes(data)
    for path in (place / "z/third", place / "z"):
        os.utime(path, (CLAMP, CLAMP))


@pytest.mark.parametrize(
    "harm",
    [
        flip,
        relink,
        unshare,
        lambda place: (place / "a/b").unlink(),
        lambda place: (place / "more").write_text(""),
        lambda place: (place / "empty/inner").rmdir(),
        lambda place: (place / "bin/tool").chmod(0o644),
        lambda place: os.utime(place / "a.b", (CLAMP + 1, CLAMP + 1)),
        lambda place: os.truncate(place / "a/b", 0),
        lambda place: os.mkfifo(place / "pipe"),
    ],
)
def test_anything_else_gives_another(
    unpacked: tuple[Path, Digest], harm: Callable[[Path], object]
) -> None:
    place, diff_id = unpacked
    harm(place)
    assert folder_digest(place) != diff_id
