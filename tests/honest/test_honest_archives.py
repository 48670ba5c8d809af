"""Honest but unusual: what a real archive may hold is read, checked and taken out again.

Each case changes the layers of a real archive (digests, sizes and file lists made right) and
goes through inspect, the checks of verify up to the rerun, extract, and the cache's own
check where repro packed the layer.
"""

from __future__ import annotations

import gzip
import io
import struct
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

sys.path.insert(0, str(Path(__file__).parent.parent / "unit" / "store"))

from archive_sample import ROOT, entries, file, make_archive, symlink

import repro.workflows.verify as verifying
from repro.model.entry import LayerKind
from repro.model.oci import LAYER_GZIP, LAYER_PLAIN
from repro.primitives.digest import Digest
from repro.primitives.files import is_whiteout, walk
from repro.primitives.frames import FrameWriter
from repro.primitives.tarformat import END, GNU_NAME, HARDLINK
from repro.store.archive import Archive
from repro.store.cache import Cache
from tests.hostile.parts import Change, Parts, both, layer
from tests.hostile.tarbits import FILE, folder, link, member, patched, pax
from tests.hostile.test_hostile_archives import Untouchable, commands

HERE = ROOT[1:].encode() + b"/"


def project(*members: bytes, **how: object) -> Change:
    return layer(b"".join(members) + END, **how)  # type: ignore[arg-type]


def python_tar(form: int) -> bytes:
    """What Python's tarfile writes: owners, names, times with fractions, long names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name in ("short", "n" * (90 if form == tarfile.USTAR_FORMAT else 180), "ä"):
            found = tarfile.TarInfo(HERE.decode() + name)
            found.size, found.uid, found.gid = 4, 1000, 1000
            found.uname, found.gname, found.mtime = "ada", "users", 1_600_000_000
            if form == tarfile.PAX_FORMAT:
                found.mtime = 1_600_000_000.25  # type: ignore[assignment]
            tar.addfile(found, io.BytesIO(b"data"))
    return buffer.getvalue()


def frames(data: bytes) -> bytes:
    """One frame for each hundred bytes, a skippable one between."""
    skip = struct.pack("<II", 0x184D2A53, 5) + b"hello"
    pieces = [zstandard.compress(data[at : at + 100]) for at in range(0, len(data), 100)]
    return skip.join(pieces) + skip


def members(data: bytes) -> bytes:
    return b"".join(gzip.compress(data[at : at + 300]) for at in range(0, len(data), 300))


def our_frames(data: bytes) -> bytes:
    out = io.BytesIO()
    with FrameWriter(out) as writer:
        writer.write(data)
        writer.finish()
    return out.getvalue()


def plain(data: bytes) -> bytes:
    return data


F = member(HERE + b"f", b"data")
DEEP = HERE + b"/".join([b"d"] * 240)
ZEROS = b"".join((member(HERE + b"zeros", bytes(8 << 20)),)) + END
HONEST: dict[str, tuple[Change, dict[str, bytes]]] = {
    # compression
    "plain": (project(F, pack=plain, media=LAYER_PLAIN), {"f": b"data"}),
    "gzip": (project(F, pack=gzip.compress, media=LAYER_GZIP), {"f": b"data"}),
    "gzip in many members": (project(F, pack=members, media=LAYER_GZIP), {"f": b"data"}),
    "zstd in one frame": (project(F), {"f": b"data"}),
    "zstd in many frames, some to skip": (project(F, pack=frames), {"f": b"data"}),
    "zstd without sizes": (
        project(F, pack=lambda d: zstandard.ZstdCompressor(write_content_size=False).compress(d)),
        {"f": b"data"},
    ),
    "zstd of level 19 with a long window": (
        project(F, pack=lambda d: zstandard.ZstdCompressor(
            compression_params=zstandard.ZstdCompressionParameters.from_level(19, window_log=27),
        ).compress(d)),
        {"f": b"data"},
    ),
    "three kinds in one image": (
        both(layer(member(b"usr/lib/python/pkg.py", b"y") + END, gzip.compress, LAYER_GZIP, number=1),
             layer(member(b"opt/x", b"y") + END, plain, LAYER_PLAIN, number=0), project(F)),
        {"f": b"data"},
    ),
    "megabytes of zeros": (layer(ZEROS, our_frames), {"zeros": bytes(8 << 20)}),
    # layers
    "an empty layer": (both(layer(END, number=0), project(F)), {"f": b"data"}),
    "an empty layer of many blocks": (layer(bytes(10240), number=0), {}),
    "the same layer twice": (
        both(layer(F + END, number=2), layer(F + END, number=3)), {"f": b"data"},
    ),
    # names and trees
    "a deep tree": (project(member(DEEP[: -len(b"/d")] + b"/f", b"deep")), {}),
    "a long name": (
        project(member(b"././@LongLink", HERE + b"n" * 255 + b"\0", GNU_NAME), FILE),
        {"n" * 255: b"data"},
    ),
    "a long path": (
        project(pax((b"path", HERE + b"/".join([b"x" * 200] * 15))), FILE),
        {"/".join(["x" * 200] * 15): b"data"},
    ),
    "names that are not UTF-8": (
        project(member(HERE + b"\xff\xfe", b"1"), member(HERE + b"a\nb\x1b", b"2")),
        {"\udcff\udcfe": b"1", "a\nb\x1b": b"2"},
    ),
    "names of one letter in two cases": (
        project(member(HERE + b"A", b"1"), member(HERE + b"a", b"2")), {"A": b"1", "a": b"2"},
    ),
    "names with dots": (
        project(member(HERE + b"...", b"1"), member(HERE + b".wh", b"2"), member(HERE + b"..a", b"3")),
        {"...": b"1", ".wh": b"2", "..a": b"3"},
    ),
    "a name with blanks and signs": (
        project(member(HERE + b" -rf $HOME;`x`", b"1")), {" -rf $HOME;`x`": b"1"},
    ),
    "thousands of files": (
        project(*(member(HERE + b"many/%04d" % n, b"%d" % n) for n in range(3000))),
        {"many/2999": b"2999"},
    ),
    # links
    "hard links across folders": (
        project(member(HERE + b"a/f", b"x"), link(HERE + b"b/c/g", HERE + b"a/f", HARDLINK),
                link(HERE + b"h", b"./" + HERE + b"b/c/g", HARDLINK)),
        {"a/f": b"x", "b/c/g": b"x", "h": b"x"},
    ),
    "links to nowhere and in a ring": (
        project(link(HERE + b"a", b"b"), link(HERE + b"b", b"a"), link(HERE + b"c", b"none"), F),
        {"f": b"data"},
    ),
    "an absolute link in the system": (
        both(layer(link(b"usr/bin/x", b"/etc/alternatives/x") + END, number=0), project(F)),
        {"f": b"data"},
    ),
    # whiteouts
    "a whiteout": (
        both(layer(member(HERE + b"gone", b"1") + F + END, number=2),
             project(member(HERE + b".wh.gone"))),
        {"f": b"data"},
    ),
    "a whiteout of what is not there": (project(member(HERE + b".wh.none"), F), {"f": b"data"}),
    "an opaque folder": (
        both(layer(member(HERE + b"d/old", b"1") + END, number=2),
             project(folder(HERE + b"d/"), member(HERE + b"d/.wh..wh..opq"), member(HERE + b"d/new", b"2"))),
        {"d/new": b"2"},
    ),
    "an opaque mark behind its members": (
        project(member(HERE + b"d/new", b"2"), member(HERE + b"d/.wh..wh..opq")), {"d/new": b"2"},
    ),
    "a folder over a link": (
        both(layer(link(HERE + b"d", b"e") + END, number=2), project(member(HERE + b"d/f", b"2"))),
        {"d/f": b"2"},
    ),
    # formats
    "ustar": (layer(python_tar(tarfile.USTAR_FORMAT)), {"short": b"data", "n" * 90: b"data"}),
    "gnu": (layer(python_tar(tarfile.GNU_FORMAT)), {"n" * 180: b"data", "ä": b"data"}),
    "pax with owners and fractions": (
        layer(python_tar(tarfile.PAX_FORMAT)), {"n" * 180: b"data", "ä": b"data"},
    ),
    "a root entry and parents late": (
        project(folder(b"./"), member(b"./" + HERE + b"p/f", b"1"), folder(HERE + b"p/")),
        {"p/f": b"1"},
    ),
    "old kinds and magics": (
        project(patched(F, 257, b"ustar  \0"), patched(member(HERE + b"g", b"x"), 156, b"\0")),
        {"f": b"data", "g": b"x"},
    ),
    "a record padding of ten kilobytes": (layer(F + bytes(20 * 512)), {"f": b"data"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("honest")
    make_archive(top / "a.repro", top / "work")
    return top / "a.repro"


def check(path: Path, tmp_path: Path, expected: dict[str, bytes], monkeypatch: object) -> None:
    sandbox = Untouchable()
    monkeypatch.setattr(verifying, "choose", lambda *_: sandbox)  # type: ignore[attr-defined]
    run = commands(path, tmp_path)
    assert run["i"]()
    with pytest.raises(RuntimeError, match="the rerun began"):
        run["v"]()
    assert len(sandbox.ran) == 1
    run["x"](), run["r"]()
    for name, data in expected.items():
        assert (tmp_path / "project" / name).read_bytes() == data
    names = {name for name, _ in walk(str(tmp_path / "project"))}
    assert not names & {"gone", "d/old"}


@pytest.mark.parametrize("name", HONEST)
def test_honest_archives(
    name: str, real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, expected = HONEST[name]
    parts = Parts(real)
    change(parts)
    parts.write(tmp_path / "a.repro")
    check(tmp_path / "a.repro", tmp_path, expected, monkeypatch)


def test_ninety_layers(real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.hostile.parts import blob

    parts = Parts(real)
    count = 90

    def more(document: dict[str, object]) -> None:
        first = document["layers"][0]  # type: ignore[index]
        document["layers"] = [first] * (count - 3) + document["layers"][1:]  # type: ignore[index]

    parts.edit(parts.image, more)
    parts.edit(
        parts.config,
        lambda d: d["rootfs"].update(
            diff_ids=d["rootfs"]["diff_ids"][:1] * (count - 3) + d["rootfs"]["diff_ids"][1:]
        ),
    )
    listed = [blob(each) for each in parts.json(parts.image)["layers"]]
    parts.edit("manifest.json", lambda d: d[0].update(Layers=listed))
    parts.write(tmp_path / "a.repro")
    check(tmp_path / "a.repro", tmp_path, {"analysis.py": b"print(1)\n"}, monkeypatch)


def test_what_repro_packs_is_whole_by_its_own_check(tmp_path: Path) -> None:
    files = [*entries(), file(f"{ROOT}/x\udcff", b"1", LayerKind.CODE),
             symlink(f"{ROOT}/l", "nowhere"), file("/opt/" + "d/" * 100 + "f", b"2", LayerKind.BASE)]  # fmt: skip
    make_archive(tmp_path / "a.repro", tmp_path / "work", files=files)
    cache = Cache(tmp_path / "cache")
    with Archive.open(tmp_path / "a.repro") as archive:
        places = cache.layers(archive, archive.version(None))
    cache.close()
    found = [cache.check(Digest(place.name)) for place in places]
    assert {each.value for each in found if each} == {"good"} and None not in found
    assert not any(is_whiteout(status) for place in places for _, status in walk(str(place)))


def test_there_are_thirty() -> None:
    cases: list[Callable[..., None] | str] = [*HONEST, test_ninety_layers]
    assert len(cases) >= 30
    assert len({change for change, _ in HONEST.values()}) == len(HONEST)
