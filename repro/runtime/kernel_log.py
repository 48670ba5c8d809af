"""What the kernel says in its log from now on, where this user may read it (dmesg(1)).

Documentation/ABI/testing/dev-kmsg: one record a read; EPIPE when records were overwritten.
"""

from __future__ import annotations

import errno
import os

_RECORD = 8192


class KernelLog:
    """The log from the moment this is made; use as a context manager."""

    def __init__(self, path: str = "/dev/kmsg") -> None:
        self._fd: int | None = None
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:
            self.close()

    def __enter__(self) -> KernelLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing more is read; harmless when it is closed already."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def says(self, *words: str) -> bool:
        """Whether one new record holds all of ``words``; each record is looked at once.

        False as well where the log cannot be read.
        """
        wanted = [word.encode() for word in words]
        while self._fd is not None:
            try:
                record = os.read(self._fd, _RECORD)
            except OSError as error:
                if error.errno == errno.EPIPE:
                    continue
                return False
            if not record:
                return False
            if all(word in record for word in wanted):
                return True
        return False
