"""The files inside a wheel or a Debian package, one after another; nothing is unpacked to disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from repro.pin.deb import read_deb
from repro.pin.wheel import Wheel

Take = Callable[[str, int, "Iterator[bytes] | Iterator[memoryview]"], None]
"""Given a member's name, size and bytes; what it does not read is passed over."""


def each_member(kind: str, stream: BinaryIO, take: Take) -> None:
    """Give every file of a ``wheel`` or ``deb`` to ``take``, in the order of the artifact.

    Names are those inside: a wheel's member, a package's absolute path. Raises WheelError,
    DebError on anything damaged or out of the ordinary.
    """
    if kind == "wheel":
        with Wheel(stream) as wheel:
            for name, size in wheel.members.items():
                take(name, size, wheel.pieces(name))
        return

    def of_deb(path: str, size: int, pieces: Iterator[memoryview]) -> str:
        take(path, size, pieces)
        return ""

    read_deb(stream, of_deb)
