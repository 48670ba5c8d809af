"""Files taken out of a hostile archive: nothing is made, changed or removed outside the folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "unit" / "store"))

from archive_sample import ROOT, make_archive

from repro.errors import UsageError
from repro.primitives.files import walk
from repro.primitives.tarformat import END
from repro.workflows.extract import Extracted, extract
from repro.workflows.outfolder import OutFolder
from tests.hostile.parts import Parts, both, layer
from tests.hostile.tarbits import folder, link, member

HERE = ROOT[1:].encode() + b"/"


def tar(*members: bytes) -> bytes:
    return b"".join(members) + END


def taken(path: Path, tars: list[bytes], into: Path, force: bool = False) -> Extracted:
    """An archive whose upper layers (packages, code, data) are these, extracted."""
    make_archive(path.with_suffix(".honest"), path.parent / "work")
    parts = Parts(path.with_suffix(".honest"))
    both(*(layer(each, number=number) for number, each in enumerate(tars, 1)))(parts)
    parts.write(path)
    environ = {"REPRO_CACHE": str(path.parent / "cache")}
    return extract(path, None, into, results=False, force=force, environ=environ)


def around(folder: Path) -> list[tuple[str, int, int]]:
    return [
        (path, status.st_mode, status.st_size)
        for path, status in walk(str(folder))
        if path.split("/")[0] in ("outside", "precious")
    ]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("untouched")
    (tmp_path / "precious").write_text("untouched")
    return tmp_path


UP = HERE + b"deep/er"
ESCAPES = {
    "a link to the top, then links from there": [
        tar(link(UP, b"..")),
        tar(link(UP + b"/x", b"../..")),
        tar(link(HERE + b"x/precious", b"y"), member(HERE + b"x/outside/evil", b"x")),
    ],
    "a folder through a link": [
        tar(link(HERE + b"a/b", b"..")),
        tar(link(HERE + b"a/b/out", b"../outside")),
        tar(folder(HERE + b"out/evil/")),
    ],
    "a file through a link": [
        tar(link(HERE + b"l", b"../outside")),
        tar(member(HERE + b"l/file", b"evil")),
        tar(member(HERE + b"l/evil", b"evil")),
    ],
    "a link that leads out through another": [
        tar(link(HERE + b"d/l", b"..")),
        tar(link(HERE + b"e", b"d/l/../precious")),
        tar(member(HERE + b"e", b"evil")),
    ],
    "a whiteout through a link": [
        tar(link(HERE + b"d/l", b"..")),
        tar(link(HERE + b"d/l/x", b"../..")),
        tar(member(HERE + b"x/.wh.precious")),
    ],
    "an absolute link": [
        tar(link(HERE + b"l", b"/")),
        tar(member(HERE + b"l/tmp/repro-evil", b"x")),
        tar(folder(HERE + b"l/tmp/repro-evil-folder/")),
    ],
}


@pytest.mark.parametrize("name", ESCAPES)
def test_layers_that_lead_out_together(name: str, place: Path) -> None:
    before = around(place)
    into = place / "deep" / "into"
    taken(place / "bad.repro", ESCAPES[name], into)
    assert around(place) == before
    assert not os.path.lexists("/tmp/repro-evil")
    assert not os.path.lexists("/tmp/repro-evil-folder")
    assert sorted(os.listdir(place / "deep")) == ["into"]
    for path, _ in walk(str(into)):
        if os.path.islink(into / path):
            assert (os.path.realpath(into / path) + "/").startswith(str(into) + "/")


def test_an_upper_layer_has_its_say(tmp_path: Path) -> None:
    done = taken(
        tmp_path / "a.repro",
        [
            tar(link(HERE + b"l", b"t"), member(HERE + b"t", b"1"), member(HERE + b"d/x", b"22"),
                member(HERE + b"o/below", b"333"), member(HERE + b"gone", b"4444")),
            tar(member(HERE + b"l/file", b"5"), member(HERE + b"d", b"6"),
                member(HERE + b"o/.wh..wh..opq"), member(HERE + b"o/new", b"7")),
            tar(member(HERE + b".wh.gone")),
        ],
        tmp_path / "into",
    )  # fmt: skip
    found = {path: (tmp_path / "into" / path).read_text() for path, s in walk(str(tmp_path / "into"))
             if s.st_mode & 0o100000}  # fmt: skip
    assert found == {"t": "1", "l/file": "5", "d": "6", "o/new": "7"}
    assert (done.files, done.size) == (4, 4)


def test_what_lay_there_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "data").symlink_to("../outside")
    with pytest.raises(UsageError, match="data: a link"):
        taken(
            tmp_path / "a.repro",
            [tar(member(HERE + b"data/x", b"1")), tar(), tar()],
            tmp_path / "into",
            force=True,
        )
    assert os.listdir(tmp_path / "outside") == []


@pytest.mark.parametrize("text", ["..", "../x", "a/../../x", "/etc", "a/../b", "../../x/y", "./.."])
def test_links_that_may_lead_out_are_not_made(text: str, tmp_path: Path) -> None:
    with OutFolder(tmp_path) as out:
        assert not out.link("l", text)
        assert out.link("d/e/l", "../../x")
        assert out.link("d/l", ".././x")
    assert sorted(path for path, _ in walk(str(tmp_path))) == ["d", "d/e", "d/e/l", "d/l"]
