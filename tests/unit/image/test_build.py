from __future__ import annotations

import importlib.util
import json
import os
import py_compile
import random
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import zstandard

from repro.errors import ProjectError
from repro.image.build import BuiltLayer, build_layer, build_results_layer
from repro.image.plan import PlannedLayer
from repro.image.unpack import unpack_layer
from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.model.oci import RESULTS
from repro.primitives.canonical import CLAMP, dump
from repro.primitives.digest import Digest
from repro.primitives.frames import FRAME, decompressed
from repro.primitives.tarread import Limits


def entry(path: str, source: Path | None = None, **more: object) -> FileEntry:
    size = source.stat().st_size if source else 0
    values = {"type": EntryType.FILE, "origin": "test", "size": size, **more}
    return FileEntry(
        path=path, kind=LayerKind.CODE, source=str(source) if source else None, **values
    )  # type: ignore[arg-type]


def plan(*entries: FileEntry) -> PlannedLayer:
    return PlannedLayer(kind=LayerKind.CODE, name="code", entries=entries)


def build(tmp_path: Path, *entries: FileEntry, clamp: int = CLAMP) -> BuiltLayer:
    blobs = tmp_path / "blobs"
    blobs.mkdir(exist_ok=True)
    return build_layer(plan(*entries), blobs, clamp=clamp)


def plain(built: BuiltLayer) -> bytes:
    with built.path.open("rb") as stream:
        return b"".join(decompressed(stream, "zstd"))


def unpack(built: BuiltLayer, dest: Path) -> Path:
    dest.mkdir()
    with built.path.open("rb") as stream:
        layer = built.layer
        unpack_layer(stream, layer.descriptor.media_type, dest, layer.diff_id, limits=Limits())
    return dest


def toc(built: BuiltLayer) -> dict:
    data = (built.path.parent / built.toc.digest.hex).read_bytes()
    assert Digest.of(data) == built.toc.digest and len(data) == built.toc.size
    return json.loads(zstandard.ZstdDecompressor().decompress(data))


def test_digests_sizes_and_parents(tmp_path: Path) -> None:
    source = tmp_path / "tool"
    source.write_bytes(b"#!/bin/sh\n")
    built = build(tmp_path, entry("/a/b/tool", source, mode=0o755), entry("/a/x", content=b"hi"))
    data = plain(built)
    assert Digest.of(data) == built.layer.diff_id
    assert len(data) == built.layer.uncompressed_size
    assert Digest.of(built.path.read_bytes()) == built.layer.descriptor.digest
    assert built.path.stat().st_size == built.layer.descriptor.size
    assert built.path.name == built.layer.descriptor.digest.hex
    with built.path.open("rb") as stream:
        members = list(tarfile.open(fileobj=zstandard.open(stream), mode="r|"))
    assert [(m.name, oct(m.mode), m.size) for m in members] == [
        ("a", "0o755", 0),
        ("a/b", "0o755", 0),
        ("a/b/tool", "0o755", 10),
        ("a/x", "0o644", 2),
    ]
    for member in members:
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
        assert member.mtime == CLAMP


def test_the_file_list_says_where_the_bytes_are(tmp_path: Path) -> None:
    content = random.Random(1).randbytes(FRAME + 5000)
    built = build(tmp_path, entry("/big", content=content), entry("/small", content=b"abc"))
    listed, data = toc(built), plain(built)
    assert listed["diff_id"] == str(built.layer.diff_id)
    assert len(listed["frames"]) == 2 and sum(listed["frames"]) == built.layer.descriptor.size
    for item, expected in zip(listed["entries"], (content, b"abc"), strict=True):
        assert data[item["offset"] : item["offset"] + item["size"]] == expected
        assert item["sha256"] == Digest.of(expected).hex
    # One frame alone gives its own part of the tar.
    packed = built.path.read_bytes()[listed["frames"][0] :]
    assert zstandard.ZstdDecompressor().decompress(packed) == data[FRAME:]


def test_the_file_list_is_canonical_json(tmp_path: Path) -> None:
    """It is put together from pieces: one byte form all the same."""
    for entries in (
        (),
        (entry("/é", content=b"x"), entry("/" + os.fsdecode(b"\xff"), content=b"")),
    ):
        built = build(tmp_path, *entries)
        data = (built.path.parent / built.toc.digest.hex).read_bytes()
        raw = zstandard.ZstdDecompressor().decompress(data)
        assert raw == dump(json.loads(raw))
        assert list(json.loads(raw)) == ["diff_id", "entries", "frame", "frames", "schema"]


def test_the_same_bytes_whatever_the_host_says(tmp_path: Path) -> None:
    found = set()
    for number, (umask, mtime) in enumerate([(0o022, 1), (0o077, 2_000_000_000)]):
        before = os.umask(umask)
        try:
            source = tmp_path / f"source{number}"
            source.write_bytes(b"data")
        finally:
            os.umask(before)
        os.utime(source, (mtime, mtime))
        entries = [entry("/x/data", source), entry("/y", content=b"1")]
        if number:
            entries.reverse()
        found.add(build(tmp_path, *entries).layer.diff_id)
    assert len(found) == 1


def test_links(tmp_path: Path) -> None:
    source = tmp_path / "data"
    source.write_bytes(b"d" * 1000)
    built = build(
        tmp_path,
        entry("/b", source, link_key=(1, 2)),
        entry("/a", source, link_key=(1, 2)),
        entry("/s", type=EntryType.SYMLINK, target="/no/where/" + "x" * 200),
    )
    assert [item.get("hardlink") for item in toc(built)["entries"]] == [None, "a", None]
    tree = unpack(built, tmp_path / "out")
    assert (tree / "a").stat().st_ino == (tree / "b").stat().st_ino
    assert os.readlink(tree / "s") == "/no/where/" + "x" * 200


def test_odd_names_come_back(tmp_path: Path) -> None:
    names = ["new\nline", "sp ace", os.fsdecode(b"\xff\xfe"), "x" * 255, "é" * 100, " "]
    deep = "/".join(["d" * 90] * 5)
    entries = [entry(f"/{deep}/{name}", content=os.fsencode(name)) for name in names]
    tree = unpack(build(tmp_path, *entries), tmp_path / "out")
    for name in names:
        with open(os.path.join(tree, deep, name), "rb") as stream:
            assert stream.read() == os.fsencode(name)
    assert len(os.listdir(tree / deep)) == len(names)


def test_times_and_modes_after_unpacking(tmp_path: Path) -> None:
    built = build(
        tmp_path, entry("/d/f", content=b"x", mode=0o755), entry("/e", type=EntryType.FOLDER)
    )
    tree = unpack(built, tmp_path / "out")
    for path in (tree, tree / "d", tree / "d" / "f", tree / "e"):
        assert path.stat().st_mtime == CLAMP
    assert (tree / "d" / "f").stat().st_mode & 0o7777 == 0o755
    assert (tree / "e").stat().st_mode & 0o7777 == 0o755


def test_a_packed_pyc_is_valid_beside_its_clamped_source(tmp_path: Path) -> None:
    source = tmp_path / "mod.py"
    source.write_text("VALUE = 42\n")
    os.utime(source, (1_700_000_000, 1_700_000_000))
    cached = Path(importlib.util.cache_from_source(str(source)))
    py_compile.compile(
        str(source), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP, doraise=True
    )
    name = f"/p/__pycache__/{cached.name}"
    built = build(tmp_path, entry("/p/mod.py", source), entry(name, cached))
    tree = unpack(built, tmp_path / "out") / "p"
    head = (tree / "__pycache__" / cached.name).read_bytes()[:16]
    assert struct.unpack("<4I", head)[1:] == (0, CLAMP, source.stat().st_size)
    done = subprocess.run(
        [sys.executable, "-v", "-c", "import mod; print(mod.VALUE)"],
        cwd=tree,
        env={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "42\n"
    assert f"{cached.name} matches" in done.stderr


def test_other_pycs_are_left_alone(tmp_path: Path) -> None:
    hashed = b"\xa7\r\r\n" + struct.pack("<I", 1) + b"12345678rest"
    built = build(
        tmp_path, entry("/h.pyc", content=hashed), entry("/short.pyc", content=b"\0" * 12)
    )
    tree = unpack(built, tmp_path / "out")
    assert (tree / "h.pyc").read_bytes() == hashed
    assert (tree / "short.pyc").read_bytes() == b"\0" * 12


def test_a_file_that_changed_ends_it_with_its_name(tmp_path: Path) -> None:
    source = tmp_path / "moving"
    source.write_bytes(b"12345")
    before = entry("/moving", source)
    source.write_bytes(b"123456")
    with pytest.raises(ProjectError, match="moving changed while it was packed"):
        build(tmp_path, before)
    source.unlink()
    with pytest.raises(ProjectError, match="moving cannot be read: No such file"):
        build(tmp_path, before)
    source.symlink_to("/etc/passwd")
    with pytest.raises(ProjectError, match="moving cannot be read"):
        build(tmp_path, before)
    os.unlink(source)
    os.mkfifo(source)
    with pytest.raises(ProjectError, match="moving changed"):
        build(tmp_path, before)
    assert not list((tmp_path / "blobs").iterdir())


def test_zeros_are_no_bomb_to_our_own_reader(tmp_path: Path) -> None:
    """A preallocated or sparse data file is honest: it must be read back at any size."""
    built = build(tmp_path, entry("/zeros", content=bytes(64 << 20)))
    limits = Limits(floor=1 << 20)
    layer = built.layer
    assert layer.uncompressed_size < limits.ratio * layer.descriptor.size
    assert layer.descriptor.size < 100_000
    assert len(plain(built)) == layer.uncompressed_size


def test_an_empty_layer(tmp_path: Path) -> None:
    built = build(tmp_path)
    assert plain(built) == bytes(1024)
    assert list(unpack(built, tmp_path / "out").iterdir()) == []


class Output:
    link = False
    size = 5
    digest = Digest.of(b"12345")

    def open(self):
        return open(self.path, "rb")

    def __init__(self, path: Path) -> None:
        self.path = path


def test_results_that_change_are_named(tmp_path: Path) -> None:
    source = tmp_path / "r"
    source.write_bytes(b"12345")
    built = build_results_layer({"out/r": Output(source)}, tmp_path, clamp=CLAMP)
    assert built.layer.descriptor.media_type == RESULTS
    for content in (b"1234", b"123456"):
        source.write_bytes(content)
        with pytest.raises(ProjectError, match="out/r changed"):
            build_results_layer({"out/r": Output(source)}, tmp_path, clamp=CLAMP)
    source.unlink()
    with pytest.raises(ProjectError, match="out/r cannot be read"):
        build_results_layer({"out/r": Output(source)}, tmp_path, clamp=CLAMP)
