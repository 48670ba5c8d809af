from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.errors import RemoteError
from repro.pin.download import Fetcher, Unreachable
from repro.pin.pip_settings import PipSettings
from repro.pin.simple_index import index_files
from tests.package_files import JSON, Index, serving, sha256


@pytest.fixture
def index() -> Iterator[Index]:
    with serving(Index()) as found:
        yield found


def ask(index: Index, name: str = "num", **more: tuple[str, ...]) -> list[tuple[str, str | None]]:
    settings = PipSettings(indexes=(index.url, *more.get("extra", ())), links=more.get("links", ()))
    found, failed = index_files(settings, Fetcher(settings), name)
    if failed is not None:
        raise failed
    return [(file.filename, file.sha256) for file in found]


@pytest.mark.parametrize("html", [False, True])
def test_both_forms(index: Index, html: bool) -> None:
    index.html = html
    index.add("num-1.0-py3-none-any.whl", b"data")
    assert ask(index, "Num") == [("num-1.0-py3-none-any.whl", sha256(b"data"))]
    assert index.requests == ["/simple/num/"]
    assert ask(index, "none") == []


@pytest.mark.parametrize("html", [False, True])
def test_a_file_is_fetched_and_its_hash_checked(index: Index, html: bool) -> None:
    index.html = html
    index.add("num-1.0-py3-none-any.whl", b"data")
    settings = PipSettings(indexes=(index.url,))
    fetcher = Fetcher(settings)
    (found,) = index_files(settings, fetcher, "num")[0]
    with fetcher.file(found.url, found.sha256, 100) as stream:
        assert stream.read() == b"data"
    with pytest.raises(RemoteError, match="does not have the hash"):
        fetcher.file(found.url, "0" * 64, 100)
    with pytest.raises(RemoteError, match="over"):
        fetcher.file(found.url, found.sha256, 3)
    with pytest.raises(RemoteError, match="no sha256"):
        fetcher.file(found.url, None, 100)


def test_a_page_from_elsewhere_chooses_no_file_of_this_machine(index: Index) -> None:
    item = {"filename": "num-1.0-py3-none-any.whl", "url": "file:///etc/passwd", "hashes": {}}
    page = json.dumps({"files": [item, {"filename": 1}, 7, {"url": "x"}]}).encode()
    index.answer = lambda path: (200, JSON, page)  # type: ignore[method-assign]
    assert ask(index) == []
    html = b'<a href="file:///etc/passwd">x</a><a href="/etc/passwd">num-1</a><a>y</a>'
    index.answer = lambda path: (200, "text/html", html)  # type: ignore[method-assign]
    assert [name for name, _ in ask(index)] == ["passwd"]  # of that host, not of this machine


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"\xff"])
def test_an_answer_that_is_no_json(index: Index, body: bytes) -> None:
    index.answer = lambda path: (200, JSON, body)  # type: ignore[method-assign]
    with pytest.raises(RemoteError, match="no JSON"):
        ask(index)


def test_a_service_that_cannot_now(index: Index) -> None:
    index.status = 503
    with pytest.raises(Unreachable, match="503"):
        ask(index)


def test_a_dead_host_is_asked_once(index: Index) -> None:
    settings = PipSettings(indexes=("http://127.0.0.1:9/simple",), timeout=1.0)
    fetcher = Fetcher(settings)
    for words in ("does not answer", "did not answer"):
        found, failed = index_files(settings, fetcher, "num")
        assert found == [] and isinstance(failed, Unreachable) and words in failed.message


def test_local_places(index: Index, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links/num-2.0-py3-none-any.whl").write_bytes(b"2")
    (tmp_path / "links/other-2.0-py3-none-any.whl").write_bytes(b"2")
    page = tmp_path / "simple/num/index.html"
    page.parent.mkdir(parents=True)
    page.write_text('<a href="../../links/num-2.0-py3-none-any.whl">x</a>')
    settings = PipSettings(
        indexes=(index.url, (tmp_path / "simple").as_uri()), links=(str(tmp_path / "links"),)
    )
    fetcher = Fetcher(settings)
    found, _ = index_files(settings, fetcher, "num")
    assert [file.filename for file in found] == ["num-2.0-py3-none-any.whl"] * 2
    for file in found:
        with fetcher.file(file.url, file.sha256, 10) as stream:
            assert stream.read() == b"2"


def test_what_is_cut_off_is_no_file(index: Index) -> None:
    index.add("num-1.0-py3-none-any.whl", b"data")
    with pytest.raises(RemoteError):
        Fetcher(PipSettings(indexes=())).file(
            index.url.replace("/simple", "/files/none.whl"), "0" * 64, 10
        )
