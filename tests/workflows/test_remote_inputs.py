"""Remote inputs in a project: there for the run, gone afterwards, whatever happens in between."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_server import WebServer, serve

from repro.errors import ProjectError, RemoteError
from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.model.observation import Closure
from repro.model.remote_input import RemoteInput, RemoteSource
from repro.primitives.digest import Digest
from repro.primitives.events import Event, EventKind
from repro.workflows.remote_inputs import as_data, placed

DATA = b"a,b\n1,2\n" * 500_000


@pytest.fixture
def server() -> Iterator[WebServer]:
    with serve() as running:
        running.files["/d"] = DATA
        yield running


class Lab:
    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.root.mkdir()
        self.environ = {"REPRO_CACHE": str(folder / "cache")}
        self.events: list[Event] = []

    def place(self, *inputs: RemoteInput):  # type: ignore[no-untyped-def]
        return placed(inputs, str(self.root), self.environ, self.events.append)

    def names(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*"))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def want(url: str, path: str = "data/in/d.csv", data: bytes = DATA) -> RemoteInput:
    return RemoteInput(url=url, digest=Digest.of(data), path=path)


def test_there_for_the_run_and_gone_afterwards(server: WebServer, lab: Lab) -> None:
    with lab.place(want(server.url("/d"))) as remote:
        assert lab.names() == ["data", "data/in", "data/in/d.csv"]
        assert (lab.root / "data/in/d.csv").read_bytes() == DATA
        assert (lab.root / "data/in/d.csv").stat().st_mode & 0o777 == 0o644
        assert [source.to_json() for source in remote.sources] == [
            {"path": "data/in/d.csv", "url": server.url("/d"), "sha256": Digest.of(DATA).hex,
             "size": len(DATA), "placed": True}
        ]  # fmt: skip
    assert lab.names() == []
    shown = [event for event in lab.events if event.kind is EventKind.PROGRESS]
    assert shown[-1].done == shown[-1].total == len(DATA)
    assert "from 127.0.0.1 · sha256 as declared" in lab.events[-1].text


def test_kept_when_asked(server: WebServer, lab: Lab) -> None:
    with lab.place(want(server.url("/d"))) as remote:
        remote.keep()
    assert lab.names() == ["data", "data/in", "data/in/d.csv"]


def test_gone_after_a_failure_too(server: WebServer, lab: Lab) -> None:
    with pytest.raises(KeyboardInterrupt), lab.place(want(server.url("/d"))):
        raise KeyboardInterrupt
    assert lab.names() == []


def test_what_the_author_has_stays(server: WebServer, lab: Lab) -> None:
    (lab.root / "data").mkdir()
    (lab.root / "data/own.txt").write_text("mine")
    (lab.root / "here.csv").write_bytes(DATA)
    inputs = (want(server.url("/d")), want("http://127.0.0.1:1/never", path="here.csv"))
    with lab.place(*inputs) as remote:
        assert [source.placed for source in remote.sources] == [True, False]
    assert lab.names() == ["data", "data/own.txt", "here.csv"]
    assert "already there" in lab.events[-1].text


def test_a_file_that_was_changed_meanwhile_stays(server: WebServer, lab: Lab) -> None:
    with lab.place(want(server.url("/d"))):
        (lab.root / "data/in/d.csv").write_text("the author's own now")
    assert "data/in/d.csv" in lab.names()


def test_another_file_in_its_place(server: WebServer, lab: Lab) -> None:
    (lab.root / "d.csv").write_text("mine")
    with pytest.raises(ProjectError, match="lies in the project") as caught:
        lab.place(want(server.url("/d"), path="d.csv")).__enter__()
    assert caught.value.slug == "remote-digest" and caught.value.exit_code == 3
    assert (lab.root / "d.csv").read_text() == "mine" and server.asked == []


def test_the_first_is_gone_when_the_second_fails(server: WebServer, lab: Lab) -> None:
    inputs = (want(server.url("/d")), want(server.url("/gone"), path="x/y", data=b"else"))
    with pytest.raises(RemoteError, match="404"):
        lab.place(*inputs).__enter__()
    assert lab.names() == []


def test_a_wrong_digest_leaves_nothing(server: WebServer, lab: Lab) -> None:
    with pytest.raises(ProjectError, match="is not the file"):
        lab.place(want(server.url("/d"), data=b"else")).__enter__()
    assert lab.names() == []


def test_a_folder_or_a_link_in_the_way(server: WebServer, lab: Lab, tmp_path: Path) -> None:
    (lab.root / "d.csv").mkdir()
    (lab.root / "out").symlink_to(tmp_path)
    (lab.root / "file").write_text("")
    for path in ("d.csv", "out/x", "file/x"):
        with pytest.raises(ProjectError) as caught:
            lab.place(want(server.url("/d"), path=path)).__enter__()
        assert caught.value.slug == "remote-path"
    assert not (tmp_path / "x").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_project(server: WebServer, lab: Lab) -> None:
    lab.root.chmod(0o555)
    try:
        with pytest.raises(ProjectError, match="cannot be placed"):
            lab.place(want(server.url("/d"))).__enter__()
    finally:
        lab.root.chmod(0o755)


def test_small_ones_go_into_the_data_layer() -> None:
    entries = tuple(
        FileEntry(path=path, type=EntryType.FILE, kind=LayerKind.CODE, origin="project")
        for path in ("/p/d.csv", "/p/main.py")
    )
    closure = Closure(files=entries, packages=(), left_out=())
    source = RemoteSource(url="http://a.org", digest=Digest.of(b""), path="d.csv", size=0)
    kinds = [entry.kind for entry in as_data(closure, "/p", [source]).files]
    assert kinds == [LayerKind.DATA, LayerKind.CODE]
    assert as_data(closure, "/p", []) is closure
