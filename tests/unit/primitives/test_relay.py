from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.primitives.relay import Relay, own_loopback


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Path]:
    """A unix socket whose server sends back all that it got, once the other has finished."""
    path = tmp_path / "sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        while True:
            try:
                talk, _ = server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), talk, talk.makefile("rb") as stream:
                talk.sendall(b"got " + stream.read())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield path
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def to(path: Path) -> socket.socket:
    talk = socket.socket(socket.AF_UNIX)
    talk.connect(str(path))
    return talk


def asked(relay: Relay, data: bytes) -> bytes:
    with socket.create_connection((relay.address, relay.port), timeout=10) as talk:
        talk.sendall(data)
        talk.shutdown(socket.SHUT_WR)
        with talk.makefile("rb") as stream:
            return stream.read()


def test_bytes_go_both_ways_and_the_end_is_told(echo: Path) -> None:
    with Relay(lambda: to(echo), own_loopback()) as relay:
        for size in (1, 10_000_000):
            assert asked(relay, b"x" * size) == b"got " + b"x" * size


def test_nothing_there_closes_the_connection(tmp_path: Path) -> None:
    with Relay(lambda: to(tmp_path / "none"), own_loopback()) as relay:
        assert asked(relay, b"") == b""


def test_the_end_closes_the_port_and_every_connection(echo: Path) -> None:
    with Relay(lambda: to(echo), own_loopback()) as relay:
        talk = socket.create_connection((relay.address, relay.port), timeout=10)
        talk.sendall(b"x")
    with talk:
        with contextlib.suppress(ConnectionResetError):
            assert talk.recv(10) in (b"", b"got x")
    with pytest.raises(OSError):
        socket.create_connection((relay.address, relay.port), timeout=2)


def test_a_taken_port_is_an_error(echo: Path) -> None:
    with Relay(lambda: to(echo), "127.0.0.1") as relay, pytest.raises(OSError):
        Relay(lambda: to(echo), "127.0.0.1", relay.port)


@pytest.mark.parametrize("address", ["0.0.0.0", "", "192.0.2.1", "localhost", "1270.0.0.1"])
def test_only_this_machine_is_served(address: str) -> None:
    with pytest.raises((ValueError, OSError)):
        Relay(socket.socket, address)


def test_an_address_of_its_own() -> None:
    listed = {own_loopback() for _ in range(20)}
    assert len(listed) > 15
    assert all(ipaddress.ip_address(each).is_loopback for each in listed)
