"""Downloads from a real server on this machine: cut, resumed, refused, too large."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from http_server import WebServer, serve

from repro import __version__
from repro.errors import ProjectError, RemoteError, StorageError
from repro.primitives import fetch
from repro.primitives.fetch import download, host_of

DATA = bytes(range(256)) * 8192  # 2 MiB


@pytest.fixture
def server() -> Iterator[WebServer]:
    with serve() as running:
        running.files["/d"] = DATA
        yield running


class Lab:
    def __init__(self, folder: Path) -> None:
        self.part = folder / "part"
        self.pauses: list[float] = []
        self.seen: list[tuple[int, int | None]] = []

    def get(self, url: str, most: int = 10**9) -> bytes:
        download(
            url, self.part, most=most, sleep=self.pauses.append,
            progress=lambda there, total: self.seen.append((there, total)),
        )  # fmt: skip
        return self.part.read_bytes()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_whole(server: WebServer, lab: Lab) -> None:
    assert lab.get(server.url("/d")) == DATA
    assert server.asked == [("/d", None)]
    assert server.agents == {f"repro/{__version__}"}
    assert lab.seen[-1] == (len(DATA), len(DATA))
    assert not lab.pauses


def test_an_empty_file(server: WebServer, lab: Lab) -> None:
    server.files["/e"] = b""
    assert lab.get(server.url("/e")) == b""
    assert lab.part.exists()


def test_a_redirect(server: WebServer, lab: Lab) -> None:
    server.redirects["/r"] = "/d"
    assert lab.get(server.url("/r")) == DATA


def test_a_cut_connection_goes_on_where_it_stopped(server: WebServer, lab: Lab) -> None:
    server.cut, server.cuts = 700_000, 2
    assert lab.get(server.url("/d")) == DATA
    ranges = [asked for _, asked in server.asked]
    assert ranges[0] is None and len(ranges) == 3
    starts = [int(str(asked)[6:-1]) for asked in ranges[1:]]
    assert 0 < starts[0] <= 700_000 < starts[1] <= 1_400_000
    assert len(lab.pauses) == 2


def test_a_server_without_ranges_begins_again(server: WebServer, lab: Lab) -> None:
    server.ranges, server.cut, server.cuts = False, 700_000, 1
    assert lab.get(server.url("/d")) == DATA


def test_what_an_earlier_attempt_left_is_kept(server: WebServer, lab: Lab) -> None:
    lab.part.write_bytes(DATA[:1000])
    assert lab.get(server.url("/d")) == DATA
    assert server.asked == [("/d", "bytes=1000-")]


def test_all_is_there_already(server: WebServer, lab: Lab) -> None:
    lab.part.write_bytes(DATA)
    assert lab.get(server.url("/d")) == DATA
    assert len(server.asked) == 1


def test_more_is_there_than_the_file_has(server: WebServer, lab: Lab) -> None:
    lab.part.write_bytes(DATA + b"more")
    assert lab.get(server.url("/d")) == DATA


def test_failures_in_a_row_end_it_and_keep_what_arrived(server: WebServer, lab: Lab) -> None:
    server.cut, server.cuts = 0, 1000
    lab.part.write_bytes(DATA[:5])
    with pytest.raises(RemoteError, match=r"ended after 5 of|connection broke") as caught:
        lab.get(server.url("/d"))
    assert caught.value.exit_code == 7
    assert lab.part.read_bytes() == DATA[:5]
    assert lab.pauses == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_refused_at_once(server: WebServer, lab: Lab, status: int) -> None:
    server.status = status
    with pytest.raises(RemoteError, match=f"answers {status}"):
        lab.get(server.url("/d"))
    assert len(server.asked) == 1 and not lab.part.exists()


@pytest.mark.parametrize("status", [429, 503])
def test_busy_is_asked_again(server: WebServer, lab: Lab, status: int) -> None:
    server.status = status

    def sleep(seconds: float) -> None:
        lab.pauses.append(seconds)
        server.status = None

    download(server.url("/d"), lab.part, most=10**9, progress=lambda a, b: None, sleep=sleep)
    assert lab.part.read_bytes() == DATA
    assert lab.pauses == [1.0]


def odd_server(status: int, headers: dict[str, str], body: bytes = b"") -> HTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def test_retry_after_is_honoured_up_to_a_minute(lab: Lab) -> None:
    server = odd_server(503, {"Retry-After": "7000", "Content-Length": "0"})
    try:
        with pytest.raises(RemoteError, match="503"):
            lab.get(f"http://127.0.0.1:{server.server_address[1]}/")
    finally:
        server.shutdown()
        server.server_close()
    assert lab.pauses == [60.0] * 3


def test_another_range_than_asked_is_not_joined(lab: Lab) -> None:
    headers = {"Content-Range": "bytes 0-4/9", "Content-Length": "5"}
    server = odd_server(206, headers, b"wrong")
    lab.part.write_bytes(b"1234")
    try:
        with pytest.raises(RemoteError):
            download(
                f"http://127.0.0.1:{server.server_address[1]}/", lab.part, most=100,
                progress=lambda a, b: None, sleep=lambda s: lab.part.write_bytes(b"1234") and None,
            )  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
    assert not lab.part.exists()


def test_nobody_listens(lab: Lab) -> None:
    with serve() as server:
        url = server.url("/d")
    with pytest.raises(RemoteError, match="refused") as caught:
        lab.get(url)
    assert caught.value.temporary and "0x" not in caught.value.message
    assert len(lab.pauses) == 3


def test_no_address(lab: Lab) -> None:
    with pytest.raises(RemoteError):
        lab.get("http://host.invalid/x")


@pytest.mark.parametrize("sized", [True, False])
def test_too_large(server: WebServer, lab: Lab, sized: bool) -> None:
    server.sized = sized
    with pytest.raises(ProjectError, match=r"2\.1 MB or more|1\.0 MB or more") as caught:
        lab.get(server.url("/d"), most=1_000_000)
    assert caught.value.slug == "remote-size" and "max_size" in str(caught.value.hint)
    assert not lab.part.exists() or lab.part.stat().st_size <= 1_000_000


def test_no_room_on_the_disk(server: WebServer, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(StorageError, match="more than is free"):
        lab.get(server.url("/d"))


def test_hosts_for_people() -> None:
    assert host_of("https://a.org:8/b") == "a.org"
    assert host_of("file:///b") == "file"
