"""The cache of downloaded files: right digests only, noticed when changed, shared by processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_server import WebServer, serve

from repro.errors import ProjectError, RemoteError, StorageError
from repro.model.remote_input import DEFAULT_MOST, RemoteInput
from repro.primitives.digest import Digest
from repro.store.downloads import Downloads

DATA = b"a,b\n1,2\n" * 1000


@pytest.fixture
def server() -> Iterator[WebServer]:
    with serve() as running:
        running.files["/d"] = DATA
        yield running


def wanted(url: str, data: bytes = DATA, most: int = DEFAULT_MOST) -> RemoteInput:
    return RemoteInput(url=url, digest=Digest.of(data), path="d.csv", most=most)


def bring(cache: Path, want: RemoteInput, target: Path) -> bool:
    downloads = Downloads(cache, sleep=lambda seconds: None)
    return downloads.bring(want, target, lambda there, total: None)


def test_once_from_the_server_then_from_the_cache(server: WebServer, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert not bring(cache, wanted(server.url("/d")), tmp_path / "1")
    assert bring(cache, wanted(server.url("/elsewhere")), tmp_path / "2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes() == DATA
    assert len(server.asked) == 1
    assert [path.name for path in cache.iterdir()] == [Digest.of(DATA).hex]
    assert cache.stat().st_mode & 0o077 == 0


def test_a_changed_cache_is_noticed(server: WebServer, tmp_path: Path) -> None:
    bring(tmp_path / "cache", wanted(server.url("/d")), tmp_path / "1")
    (tmp_path / "cache" / Digest.of(DATA).hex).write_bytes(b"other")
    assert not bring(tmp_path / "cache", wanted(server.url("/d")), tmp_path / "2")
    assert (tmp_path / "2").read_bytes() == DATA
    assert len(server.asked) == 2


def test_another_digest(server: WebServer, tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as caught:
        bring(tmp_path / "cache", wanted(server.url("/d"), b"else"), tmp_path / "1")
    assert caught.value.exit_code == 3 and caught.value.slug == "remote-digest"
    assert Digest.of(b"else").hex in caught.value.details[0]
    assert Digest.of(DATA).hex in caught.value.details[1]
    assert not list((tmp_path / "cache").iterdir()) and not (tmp_path / "1").exists()


def test_a_broken_download_goes_on_in_the_next_attempt(server: WebServer, tmp_path: Path) -> None:
    part = tmp_path / "cache" / f"{Digest.of(DATA).hex}.part"
    part.parent.mkdir()
    part.write_bytes(DATA[:3000])
    assert not bring(tmp_path / "cache", wanted(server.url("/d")), tmp_path / "1")
    assert server.asked == [("/d", "bytes=3000-")]


def test_a_part_of_another_file_is_begun_again(server: WebServer, tmp_path: Path) -> None:
    part = tmp_path / "cache" / f"{Digest.of(DATA).hex}.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * 3000)
    bring(tmp_path / "cache", wanted(server.url("/d")), tmp_path / "1")
    assert (tmp_path / "1").read_bytes() == DATA
    assert [asked for _, asked in server.asked] == ["bytes=3000-", None]


def test_nothing_is_left_of_a_refusal(server: WebServer, tmp_path: Path) -> None:
    with pytest.raises(RemoteError):
        bring(tmp_path / "cache", wanted(server.url("/gone")), tmp_path / "1")
    assert not list((tmp_path / "cache").iterdir()) and not (tmp_path / "1").exists()


def test_two_at_once_ask_once(server: WebServer, tmp_path: Path) -> None:
    said: list[bool] = []

    def one(number: int) -> None:
        said.append(bring(tmp_path / "cache", wanted(server.url("/d")), tmp_path / str(number)))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == [False] + [True] * 5
    assert len(server.asked) == 1


def test_files_of_this_machine(tmp_path: Path) -> None:
    source = tmp_path / "a b"
    source.write_bytes(DATA)
    url = f"file://{tmp_path}/a%20b"
    assert not bring(tmp_path / "cache", wanted(url), tmp_path / "1")
    assert (tmp_path / "1").read_bytes() == DATA
    for want, slug in (
        (wanted(url, b"else"), "remote-digest"), (wanted(url, most=10), "remote-size"),
        (wanted(f"file://{tmp_path}/gone"), "remote-file"), (wanted(f"file://{tmp_path}"), "remote-file"),
    ):  # fmt: skip
        with pytest.raises(ProjectError) as caught:
            bring(tmp_path / "cache", want, tmp_path / "2")
        assert caught.value.slug == slug and not (tmp_path / "2").exists()


def test_a_cache_that_is_no_folder(server: WebServer, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(StorageError, match="cannot be used"):
        bring(tmp_path / "cache", wanted(server.url("/d")), tmp_path / "1")


def test_a_link_in_the_place_of_the_part_is_not_followed(server: WebServer, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "cache" / f"{Digest.of(DATA).hex}.part").symlink_to(victim)
    with pytest.raises(StorageError):
        bring(tmp_path / "cache", wanted(server.url("/d")), tmp_path / "1")
    assert victim.read_text() == "mine"
