"""Layers taken apart and made again from parts, bytecode among them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repro.errors import ArchiveError
from repro.image.build import BuiltLayer, build_layer
from repro.image.pieces import Piece, Pool
from repro.image.plan import plan_layers
from repro.image.rebuilding import Sources, rebuild, unpack_without_bytecode
from repro.image.thinning import Compiled, Elsewhere, ThinnedLayer, level_of, thin_layer
from repro.model.entry import FileEntry, LayerKind
from repro.model.thin import Part
from repro.primitives.canonical import CLAMP
from repro.primitives.digest import Digest
from repro.primitives.frames import decompressed
from repro.primitives.tarread import Limits
from tests.unit.store.archive_sample import file, symlink

LIB = random.Random(5).randbytes(50_000)
CODE = b"compiled code" * 300
PYC = b"\xa7\r\r\n" + bytes(4) + b"timesize" + CODE
FILES: list[FileEntry] = [
    file("/p/a.py", b"x = 1\n" * 100, LayerKind.PACKAGES),
    file("/p/__pycache__/a.cpython-311.pyc", PYC, LayerKind.PACKAGES),
    file("/p/lib.so", LIB, LayerKind.PACKAGES),
    file("/p/tiny", b"1", LayerKind.PACKAGES),
    symlink("/p/link", "lib.so", LayerKind.PACKAGES),
]


class Bench:
    def __init__(self, folder: Path, level: int = 3) -> None:
        self.folder = folder
        (plan,) = plan_layers(FILES)
        self.built: BuiltLayer = build_layer(plan, folder, clamp=CLAMP, level=level)
        self.pool = Pool(folder)
        self.pieces = {b: self.add(b) for b in (LIB, CODE)}
        from repro.store.filelist import read_file_list

        toc = (folder / self.built.toc.digest.hex).read_bytes()
        self.entries: list[Mapping[str, Any]] = read_file_list(toc, self.built.layer).entries

    def add(self, data: bytes) -> Piece:
        found = self.pool.add([data])
        assert found is not None
        return found

    def thin(self, entries: Any = None) -> ThinnedLayer:
        compiled = Compiled(source="/p/a.py", optimize=0, program=0, piece=self.pieces[CODE])
        elsewhere = Elsewhere(
            members={hashlib.sha256(LIB).hexdigest(): (0, "lib.so")},
            bytecode={"/p/__pycache__/a.cpython-311.pyc": compiled},
        )
        with self.built.path.open("rb") as stream:
            return thin_layer(
                stream, self.built.layer, entries or self.entries, elsewhere, self.folder
            )

    def sources(self, made: ThinnedLayer, find: Any) -> Sources:
        rest = self.folder / made.rest.digest.hex
        return Sources(
            parts=made.parts, rest=lambda: decompressed(rest.open("rb"), "zstd"), pool=self.pool,
            find=find, name=lambda part: f"package {part.member or part.source}",
            entries=self.entries,
        )  # fmt: skip

    def find(self, part: Part) -> Piece | None:
        return self.pieces[LIB] if part.artifact is not None else self.pieces[CODE]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_same_blob_again(bench: Bench) -> None:
    made = bench.thin()
    assert (made.taken, made.compiled) == (len(LIB), len(CODE))
    assert made.rest.size < 1000 < len(LIB)
    before = bench.built.path.read_bytes()
    bench.built.path.unlink()
    again = rebuild(bench.sources(made, bench.find), bench.built.layer, 3, bench.folder)
    assert again.digest == bench.built.layer.descriptor.digest and again.size == len(before)
    assert bench.built.path.read_bytes() == before


@pytest.mark.parametrize("level", [3, 10, 19])
def test_the_level_is_found(tmp_path: Path, level: int) -> None:
    found = Bench(tmp_path, level)
    with found.built.path.open("rb") as stream:
        known = level_of(stream)
    made = found.thin()
    assert known is not None
    again = rebuild(found.sources(made, found.find), found.built.layer, known, tmp_path)
    assert again.digest == found.built.layer.descriptor.digest


def test_an_unknown_level_is_none(tmp_path: Path) -> None:
    import io

    import zstandard

    text = "".join(f"{n * n} lines\n" for n in range(50_000)).encode()
    packed = zstandard.ZstdCompressor(level=6, write_checksum=True).compress(text)
    assert level_of(io.BytesIO(packed)) is None
    assert level_of(io.BytesIO(b"no zstd")) is None


def test_what_was_compiled_otherwise_stays(bench: Bench) -> None:
    bench.pieces[CODE] = bench.add(CODE[:-1] + b"x")
    made = bench.thin()
    assert (made.taken, made.compiled) == (len(LIB), 0)
    again = rebuild(bench.sources(made, bench.find), bench.built.layer, 3, bench.folder)
    assert again.digest == bench.built.layer.descriptor.digest


def test_a_file_list_that_lies(bench: Bench) -> None:
    entries = [dict(entry) for entry in bench.entries]
    for entry in entries:
        if entry["path"] == "p/lib.so":
            entry["offset"] += 1
    with pytest.raises(ArchiveError, match="file list says"):
        bench.thin(entries)
    with pytest.raises(ArchiveError, match="out of order"):
        bench.thin([*bench.entries, *bench.entries])
    bench.built = replace(
        bench.built, layer=replace(bench.built.layer, diff_id=Digest.of(b"other"))
    )
    with pytest.raises(ArchiveError, match="diff_id"):
        bench.thin()


def test_wrong_bytes_are_named_before_the_layer_is_done(bench: Bench) -> None:
    made = bench.thin()
    wrong = bench.add(LIB[::-1])
    for find, said in (
        (lambda p: wrong if p.artifact is not None else bench.pieces[CODE], "/p/lib.so.*lib.so"),
        (lambda p: bench.pieces[LIB] if p.artifact is not None else wrong, "a.cpython-311.pyc"),
        (lambda p: None, "does not have it"),
    ):
        with pytest.raises(ArchiveError, match=said) as caught:
            rebuild(bench.sources(made, find), bench.built.layer, 3, bench.folder)
        assert caught.value.slug == "thin-mismatch"
    assert not [path for path in bench.folder.iterdir() if path.name.startswith(".layer")]


def test_files_without_their_bytecode_for_the_compiler(bench: Bench, tmp_path: Path) -> None:
    made = bench.thin()
    target = tmp_path / "tree"
    target.mkdir()
    find = lambda part: bench.pieces[LIB] if part.artifact is not None else None  # noqa: E731
    unpack_without_bytecode(bench.sources(made, find), target, Limits())
    assert (target / "p/lib.so").read_bytes() == LIB
    cached = (target / "p/__pycache__/a.cpython-311.pyc").read_bytes()
    assert cached[16:] == bytes(len(CODE)) and len(cached) == len(PYC)


def test_a_pool_keeps_what_is_wanted(tmp_path: Path) -> None:
    with Pool(tmp_path) as pool:
        first = pool.add([b"one", b"two"])
        assert pool.add([b"refused"], lambda sha256: False) is None
        second = pool.add([memoryview(b"three")])
        assert first is not None and second is not None and second.offset == 6
        assert b"".join(pool.read(first)) == b"onetwo" and b"".join(pool.read(second)) == b"three"
        assert second.sha256 == hashlib.sha256(b"three").hexdigest()
