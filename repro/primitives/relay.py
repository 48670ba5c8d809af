"""Connections to a port of this machine handed on to somewhere else, byte by byte."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Callable

_PIECE = 1 << 16
_MOST = 200  # connections at once; a browser keeps some ten


def own_loopback() -> str:
    """An address of 127.0.0.0/8 that nothing else uses, most likely.

    Cookies know no ports (RFC 6265, 8.5): at 127.0.0.1 a browser would send a stranger's server
    those of every other service of this machine.
    """
    return ".".join(["127", *(str(1 + secrets.randbelow(254)) for _ in range(3))])


class Relay:
    """Listens on a loopback address; each connection goes on to what ``connect`` returns.

    ``connect`` may raise OSError: that connection is then closed. Use as a context manager:
    at its end the port is closed, and every connection with it.
    """

    def __init__(self, connect: Callable[[], socket.socket], address: str, port: int = 0) -> None:
        """``port`` 0 takes a free one. Raises OSError when the address or port cannot be had."""
        if not address.startswith("127."):
            raise ValueError("a relay listens on a loopback address only")
        self._connect = connect
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._server = socket.create_server((address, port), backlog=64)
        self.address, self.port = self._server.getsockname()[:2]
        self._thread = threading.Thread(target=self._accept, name="relay", daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            listed = [self._server, *self._open]
        for each in listed:
            _end(each)
        self._thread.join(5)
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        try:
            far = self._connect()
        except OSError:
            near.close()
            return
        pair = {near, far}
        with self._lock:
            welcome = not self._closed and len(self._open) < 2 * _MOST
            if welcome:
                self._open |= pair
        try:
            if welcome:
                back = threading.Thread(target=_copy, args=(far, near), daemon=True)
                back.start()
                _copy(near, far)
                back.join()
        finally:
            with self._lock:
                self._open -= pair
            near.close()
            far.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Until the source says that it has no more; then the target is told so."""
    try:
        while piece := source.recv(_PIECE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One side is gone: so is the connection.
        _end(source)
        _end(target)


def _end(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
