"""Every path with its layers: links resolved as a kernel does, lists of strangers refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from archive_sample import ROOT, entries, file, folder, make_archive, symlink

from repro.errors import ArchiveError
from repro.model.entry import FileEntry, LayerKind
from repro.primitives.digest import Digest
from repro.store.archive import Archive
from repro.store.contents import Contents, Place


def contents(tmp_path: Path, files: list[FileEntry] | None = None) -> Contents:
    path = tmp_path / "c.repro"
    make_archive(path, tmp_path / "work", files=files)
    with Archive.open(path) as archive:
        return Contents(archive, archive.version(None))


def test_a_file_with_its_layer_size_and_hash(tmp_path: Path) -> None:
    (place,) = contents(tmp_path).at(f"{ROOT}/analysis.py")
    assert (place.number, place.layer.kind, place.type) == (4, "code", "file")
    assert (place.origin, place.size) == ("project", 9)
    assert place.digest == Digest.of(b"print(1)\n")


def test_links_are_followed_through_folders(tmp_path: Path) -> None:
    base = LayerKind.BASE
    found = contents(
        tmp_path,
        [symlink("/lib", "usr/lib", base), symlink("/usr/lib/a.so", "../lib/real/a.so.1", base),
         file("/usr/lib/real/a.so.1", b"elf", base), symlink("/up", "../../..", base)],
    )  # fmt: skip
    real, links = found.real("/lib/a.so")
    assert real == "/usr/lib/real/a.so.1"
    assert [link.path for link in links] == ["/lib", "/usr/lib/a.so"]
    assert found.real("/up/lib/../lib/a.so")[0] == "/usr/lib/real/a.so.1"
    assert found.real("/lib/none/at/all")[0] == "/usr/lib/none/at/all"
    assert found.real("/")[0] == "/"


def test_a_ring_of_links_is_refused(tmp_path: Path) -> None:
    found = contents(tmp_path, [symlink("/a", "b"), symlink("/b", "a")])
    with pytest.raises(ArchiveError, match="ring"):
        found.real("/a/file")


def test_hard_links_share_their_bytes(tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.write_bytes(b"shared")
    linked: dict[str, Any] = {"source": str(host), "link_key": (1, 2)}
    one = FileEntry(path="/b/one", type=file("/x", b"").type, kind=LayerKind.CODE,
                    origin="project", size=6, **linked)  # fmt: skip
    two = FileEntry(path="/b/two", type=one.type, kind=LayerKind.CODE, origin="project",
                    size=6, **linked)  # fmt: skip
    found = contents(tmp_path, [one, two])
    (second,) = found.at("/b/two")
    assert second.type == "hardlink" and second.digest is None
    assert found.bytes_of(second).digest == Digest.of(b"shared")
    assert found.bytes_of(second).path == "/b/one"


def test_what_is_below_a_folder(tmp_path: Path) -> None:
    found = contents(tmp_path, [*entries(), folder(f"{ROOT}-2")])
    below = {place.path for place in found.below(ROOT)}
    assert below == {f"{ROOT}/{n}" for n in ("analysis.py", "data", "data/table.csv", "results")}


BAD: list[tuple[Any, str]] = [
    ({"path": "../x", "size": 1, "sha256": "0" * 64}, "not normal"),
    ({"path": "/etc/x", "folder": True}, "not normal"),
    ({"path": "a//b", "folder": True}, "not normal"),
    ({"path": 3}, "path is not text"),
    ({"path": "a", "size": -1, "sha256": "0" * 64}, "whole number"),
    ({"path": "a", "size": 1, "sha256": "zz"}, "sha256 digest"),
    ({"path": "a", "size": 1}, "sha256 is not text"),
    ({"path": "a", "symlink": None}, "link is not text"),
    ({"path": "a", "folder": True, "origin": []}, "origin is not text"),
    (["a"], "not an object"),
]


@pytest.mark.parametrize(("entry", "message"), BAD, ids=[message for _, message in BAD])
def test_lists_of_strangers_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: Any, message: str
) -> None:
    monkeypatch.setattr(Archive, "file_list", lambda *_: [entry])
    with pytest.raises(ArchiveError, match=message):
        contents(tmp_path)


def test_a_hard_link_to_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Archive, "file_list", lambda *_: [{"path": "a", "hardlink": "b"}])
    found = contents(tmp_path)
    place: Place = found.at("/a")[0]
    with pytest.raises(ArchiveError, match="leads to nothing"):
        found.bytes_of(place)
