"""The shared libraries that a program names, for runs whose reads were not observed."""

from __future__ import annotations

import glob
import os
import struct
from collections.abc import Iterator, Sequence

_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRTAB, _RPATH, _RUNPATH = 1, 5, 15, 29
_LIMIT = 64_000_000
_DEFAULT = ("/lib", "/usr/lib", "/lib64", "/usr/lib64")


class Libraries:
    """Finds libraries as the loader does: run paths, its configured folders, its own (ld.so(8)).

    ``configured`` are the folders of /etc/ld.so.conf. LD_LIBRARY_PATH, run paths inherited
    from the program and libraries opened by name at run time are not followed.
    """

    def __init__(self, configured: Sequence[str]) -> None:
        several = sorted(glob.glob("/usr/lib/*-linux-gnu*"))
        self._folders = (*configured, *several, *_DEFAULT)

    def needed(self, path: str) -> Iterator[str]:
        """Where the libraries lie that this ELF file names; nothing for other files."""
        head, names, folders = _read(path)
        for name in names:
            places = [name] if "/" in name else [f"{f}/{name}" for f in (*folders, *self._folders)]
            for place in places:
                if _same_machine(place, head):
                    yield place
                    break


def configured_folders() -> frozenset[str]:
    """Folders that /etc/ld.so.conf.d adds to the loader's own."""
    found: set[str] = set()
    folder = "/etc/ld.so.conf.d"
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        try:
            with open(f"{folder}/{name}", encoding="utf-8", errors="replace") as stream:
                found.update(os.path.realpath(line.strip()) for line in stream if line[:1] == "/")
        except OSError:
            continue
    return frozenset(found)


class _Elf:
    """The dynamic section of a little-endian ELF file (elf(5))."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._wide = data[4] == 2
        self._segments = list(self._program_headers())
        self._tags = list(self._dynamic())
        self._strings = next((value for tag, value in self._tags if tag == _STRTAB), None)

    def names(self, wanted: int) -> list[str]:
        """The strings of one kind of entry."""
        if self._strings is None:
            return []
        start = self._offset(self._strings)
        found = []
        for tag, value in self._tags:
            if tag == wanted:
                end = self._data.index(b"\0", start + value)
                found.append(os.fsdecode(self._data[start + value : end]))
        return found

    def run_path(self, origin: str) -> Iterator[str]:
        """Folders of DT_RUNPATH, or of DT_RPATH without one."""
        for text in self.names(_RUNPATH) or self.names(_RPATH):
            for folder in text.split(":"):
                real = folder.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
                if real.startswith("/"):
                    yield os.path.normpath(real)

    def _program_headers(self) -> Iterator[tuple[int, int, int, int]]:
        """Type, file offset, address and size in the file of each segment."""
        if self._wide:
            (start,) = struct.unpack_from("<Q", self._data, 32)
            size, count = struct.unpack_from("<HH", self._data, 54)
        else:
            (start,) = struct.unpack_from("<I", self._data, 28)
            size, count = struct.unpack_from("<HH", self._data, 42)
        for at in range(start, start + size * count, size):
            if self._wide:
                kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", self._data, at)
            else:
                kind, offset, address, _, length = struct.unpack_from("<IIIII", self._data, at)
            yield kind, offset, address, length

    def _dynamic(self) -> Iterator[tuple[int, int]]:
        form, step = ("<qQ", 16) if self._wide else ("<iI", 8)
        for kind, offset, _, length in self._segments:
            if kind == _DYNAMIC:
                for at in range(offset, offset + length, step):
                    tag, value = struct.unpack_from(form, self._data, at)
                    if tag == 0:
                        return
                    yield tag, value

    def _offset(self, address: int) -> int:
        for kind, offset, start, length in self._segments:
            if kind == _LOAD and start <= address < start + length:
                return int(offset + address - start)
        raise ValueError("an address outside of the file")


def _read(path: str) -> tuple[bytes, list[str], list[str]]:
    """The first bytes of an ELF file, the libraries it names, its run path; else nothing."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(20)
            if head[:4] == b"\x7fELF" and head[5:6] == b"\x01":
                elf = _Elf(head + stream.read(_LIMIT))
                return head, elf.names(_NEEDED), list(elf.run_path(os.path.dirname(path)))
    except (OSError, ValueError, IndexError, OverflowError, struct.error):
        pass  # no program of this kind, or a damaged one: the loader could not start it either
    return b"", [], []


def _same_machine(path: str, head: bytes) -> bool:
    """Whether it is an ELF file of the same word size and machine."""
    try:
        with open(path, "rb") as stream:
            found = stream.read(20)
    except OSError:
        return False
    return found[:5] == head[:5] and found[18:20] == head[18:20]
