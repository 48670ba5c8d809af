"""The sandbox of these tests is our own process: what is looked at is which paths are refused."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.runtime.inside import connect_inside, read_inside


@pytest.fixture
def sock(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield path


def test_a_socket_is_reached(sock: Path) -> None:
    connect_inside(os.getpid(), str(sock)).close()


def test_a_link_is_not_followed(sock: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(sock)
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "text").write_text("secret")
    (tmp_path / "text-link").symlink_to("text")
    for path in ("link", "folder/sock"):
        with pytest.raises(OSError):
            connect_inside(os.getpid(), f"{tmp_path}/{path}")
    with pytest.raises(OSError):
        read_inside(os.getpid(), f"{tmp_path}/text-link", 10)
    assert read_inside(os.getpid(), f"{tmp_path}/text", 3) == b"sec"


def test_what_is_no_socket_or_no_file_is_refused(sock: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("x")
    os.mkfifo(tmp_path / "fifo")
    for path in ("text", "fifo", "none", "."):
        with pytest.raises(OSError):
            connect_inside(os.getpid(), f"{tmp_path}/{path}")
    for path in ("sock", "fifo", "none", "."):
        with pytest.raises(OSError):
            read_inside(os.getpid(), f"{tmp_path}/{path}", 10)
