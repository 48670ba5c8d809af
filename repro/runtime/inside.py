"""What a running sandbox offers at a path of its own: a unix socket, a small file.

Everything inside is a stranger's: no link is followed, or a link to a socket of this machine
(the docker engine's, say) would be reached in the sandbox's name.
"""

from __future__ import annotations

import os
import socket
import stat

from repro.primitives.files import open_inside


def _open(init: int, path: str, flags: int) -> int:
    root = os.open(f"/proc/{init}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return open_inside(root, path.lstrip("/"), flags | os.O_NOFOLLOW)
    finally:
        os.close(root)


def connect_inside(init: int, path: str) -> socket.socket:
    """Connect to the unix socket at ``path`` of the sandbox whose first process is ``init``.

    Raises OSError when there is none, or it is anything but a socket.
    """
    fd = _open(init, path, os.O_PATH)
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise ConnectionRefusedError(f"{path} is no socket")
        found = socket.socket(socket.AF_UNIX)
        try:
            found.connect(f"/proc/self/fd/{fd}")
        except BaseException:
            found.close()
            raise
        return found
    finally:
        os.close(fd)


def read_inside(init: int, path: str, most: int) -> bytes:
    """The first ``most`` bytes of the plain file at ``path`` inside. Raises OSError."""
    fd = _open(init, path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{path} is no plain file")
        return os.read(fd, most)
    finally:
        os.close(fd)
