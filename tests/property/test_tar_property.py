"""Whatever the names, sizes and order: what goes into a layer comes out of it."""

from __future__ import annotations

import io
import os
import random
import subprocess
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from repro.errors import ArchiveError
from repro.image.build import BuiltLayer, build_layer
from repro.image.plan import plan_layers
from repro.image.unpack import unpack_layer
from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.model.oci import LAYER_PLAIN
from repro.primitives.digest import Digest
from repro.primitives.files import walk
from repro.primitives.frames import decompressed
from repro.primitives.tarread import Limits

SEGMENT = (
    st.binary(min_size=1, max_size=255)
    .map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"\n"))
    .filter(lambda raw: raw not in (b".", b"..") and not raw.startswith(b".wh."))
)
PATH = st.lists(SEGMENT, min_size=1, max_size=6).map(lambda parts: b"/" + b"/".join(parts))
BODY = st.one_of(
    st.binary(max_size=2000),
    st.sampled_from([0, 1, 511, 512, 513, 4096, 70_000]).map(
        lambda n: random.Random(n).randbytes(n)
    ),
)
TARGET = st.binary(min_size=1, max_size=300).map(lambda raw: raw.replace(b"\0", b"x"))
TREE = st.dictionaries(PATH, st.one_of(BODY, TARGET.map(lambda t: ("link", t)), st.none()),
                       max_size=12)  # fmt: skip


def entries(tree: dict[bytes, object]) -> list[FileEntry]:
    """The tree without what lies below a file or a link."""
    found = []
    for raw, value in tree.items():
        above = [raw[:i] for i in range(1, len(raw)) if raw[i : i + 1] == b"/"]
        if any(tree.get(parent) is not None for parent in above):
            continue
        more: dict[str, object] = {"type": EntryType.FOLDER}
        if isinstance(value, bytes):
            more = {"type": EntryType.FILE, "content": value, "size": len(value)}
        elif isinstance(value, tuple):
            more = {"type": EntryType.SYMLINK, "target": os.fsdecode(value[1])}
        path = os.fsdecode(raw)
        found.append(FileEntry(path=path, kind=LayerKind.CODE, origin="t", **more))  # type: ignore[arg-type]
    return found


def built(files: list[FileEntry], folder: Path) -> BuiltLayer | None:
    planned = plan_layers(files)
    return build_layer(planned[0], folder, clamp=1) if planned else None


@settings(max_examples=60, deadline=None)
@given(tree=TREE)
def test_round_trip(tree: dict[bytes, object]) -> None:
    files = entries(tree)
    with tempfile.TemporaryDirectory() as name:
        layer = built(files, Path(name))
        if layer is None:
            return
        dest = Path(name) / "out"
        dest.mkdir()
        with layer.path.open("rb") as stream:
            unpack_layer(
                stream,
                layer.layer.descriptor.media_type,
                dest,
                layer.layer.diff_id,
                limits=Limits(),
            )
        for entry in files:
            path = f"{dest}{entry.path}"
            if entry.type is EntryType.SYMLINK:
                assert os.readlink(path) == entry.target
            elif entry.type is EntryType.FOLDER:
                assert os.path.isdir(path) and not os.path.islink(path)
            else:
                with open(path, "rb") as stream:
                    assert stream.read() == entry.content
        made = {"/" + path for path, _ in walk(str(dest))}
        parents = {p for e in files for p in _parents(e.path)}
        assert made == {entry.path for entry in files} | parents


def _parents(path: str) -> set[str]:
    parts = path.split("/")
    return {"/".join(parts[:depth]) for depth in range(2, len(parts))}


@settings(max_examples=40, deadline=None)
@given(tree=TREE, seed=st.integers(0, 1000))
def test_the_order_of_entries_does_not_matter(tree: dict[bytes, object], seed: int) -> None:
    files = entries(tree)
    shuffled = list(files)
    random.Random(seed).shuffle(shuffled)
    with tempfile.TemporaryDirectory() as name:
        one, two = built(files, Path(name)), built(shuffled, Path(name))
        assert (one is None and two is None) or (
            one is not None and two is not None and one.layer == two.layer
        )


@settings(max_examples=15, deadline=None)
@given(tree=TREE)
def test_gnu_tar_agrees(tree: dict[bytes, object]) -> None:
    files = entries(tree)
    with tempfile.TemporaryDirectory() as name:
        layer = built(files, Path(name))
        if layer is None:
            return
        with layer.path.open("rb") as stream:
            plain = b"".join(decompressed(stream, "zstd"))
        dest = Path(name) / "tar"
        dest.mkdir()
        done = subprocess.run(["tar", "-x", "-C", dest], input=plain, capture_output=True)
        assert done.returncode == 0, done.stderr
        expected = {e.path for e in files} | {p for e in files for p in _parents(e.path)}
        assert {"/" + path for path, _ in walk(str(dest))} == expected


@settings(max_examples=150, deadline=None)
@given(raw=st.binary(max_size=3000), changes=st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6))  # fmt: skip
def test_garbage_is_refused_or_unpacked_but_never_a_traceback(
    raw: bytes, changes: list[tuple[int, int]]
) -> None:
    files = [
        FileEntry(path="/a/b", type=EntryType.FILE, kind=LayerKind.CODE, origin="t",
                  content=raw, size=len(raw)),
        FileEntry(path="/l", type=EntryType.SYMLINK, kind=LayerKind.CODE, origin="t", target="a"),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        layer = built(files, Path(name))
        assert layer is not None
        with layer.path.open("rb") as stream:
            data = bytearray(b"".join(decompressed(stream, "zstd")))
        for position, value in changes:
            data[position % len(data)] = value
        dest = Path(name) / "x" / "y"
        dest.mkdir(parents=True)
        try:
            unpack_layer(
                io.BytesIO(data), LAYER_PLAIN, dest, Digest.of(bytes(data)), limits=Limits()
            )
        except ArchiveError as error:
            assert len(error.message) <= 200 and "\n" not in error.message
        assert os.listdir(Path(name) / "x") == ["y"]
