"""What a compiled Python module says, without making an object of it (marshal format 4).

``marshal.loads`` may crash on what a stranger wrote. This reads the bytes as bytes, into one
digest that two compilations of one source share: which texts are stored once and referred to,
how they are flagged, the order inside a frozenset and the file's own path are no difference.
"""

from __future__ import annotations

import hashlib
import struct

_FLAG_REF = 0x80
_DEEPEST = 200
_MOST = 4_000_000
_PLAIN = {b"0": b"null", b"N": b"None", b"T": b"True", b"F": b"False", b"S": b"stop",
          b".": b"..."}  # fmt: skip
_FIXED = {b"g": (b"float", 8), b"y": (b"complex", 16)}
_MANY = {b")": b"tuple", b"(": b"tuple", b"[": b"list", b"<": b"set", b">": b"frozenset",
         b":": b"slice"}  # fmt: skip
# Fields of a code object as marshal writes them; "i" is four bytes, "o" an object, "p" the path.
_CODE = {
    (3, 8): "iiiiii" "oooooo" "p" "o" "i" "o",
    (3, 11): "iiiii" "ooooo" "p" "oo" "i" "oo",
}  # fmt: skip


class Unreadable(ValueError):
    """Not a module's code as CPython writes it."""


def meaning(data: bytes, python: tuple[int, int]) -> bytes:
    """The digest of a marshalled code object of this CPython version. Raises Unreadable."""
    reader = _Reader(data, _fields(python))
    try:
        kind, digest = reader.value(0)
    except (struct.error, IndexError) as error:
        raise Unreadable(f"it ends early: {error}") from None
    if kind != b"code":
        raise Unreadable("it holds no code")
    if reader.at != len(data):
        raise Unreadable("something follows the code")
    if len(reader.paths) != 1:
        raise Unreadable("its functions name several files")
    return digest


def _fields(python: tuple[int, int]) -> str:
    known = [version for version in _CODE if version <= python]
    if not known or python > (3, 14):
        raise Unreadable(f"the form of Python {python[0]}.{python[1]} is not known")
    return _CODE[max(known)]


_Value = tuple[bytes, bytes]


class _Reader:
    def __init__(self, data: bytes, fields: str) -> None:
        self._data = data
        self._fields = fields
        self._refs: list[_Value | None] = []
        self._left = _MOST
        self.paths: set[bytes] = set()
        self.at = 0

    def value(self, depth: int) -> _Value:
        """The kind and the digest of the next object."""
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            raise Unreadable("it is too deep or too long")
        byte: int = self._take(1)[0]
        kind = bytes([byte & ~_FLAG_REF])
        if kind == b"r":
            return self._referred()
        place = None
        if byte & _FLAG_REF:
            place = len(self._refs)
            self._refs.append(None)
        found = self._object(kind, depth)
        if place is not None:
            self._refs[place] = found
        return found

    def _referred(self) -> _Value:
        (number,) = struct.unpack("<I", self._take(4))
        found: _Value | None = self._refs[number]
        if found is None:
            raise Unreadable("something holds itself")
        return found

    def _object(self, kind: bytes, depth: int) -> _Value:
        if kind in _PLAIN:
            return _plain(b"constant", _PLAIN[kind])
        if kind in _FIXED:
            name, size = _FIXED[kind]
            return _plain(name, self._take(size))
        if kind in b"ilsuta":
            return self._number_or_text(kind)
        if kind in b"AzZ":
            return self._text(self._take(self._size() if kind == b"A" else self._take(1)[0]), kind)
        if kind == b"c":
            return self._code(depth)
        if kind in _MANY:
            count = 3 if kind == b":" else self._take(1)[0] if kind == b")" else self._size()
            return self._many(_MANY[kind], count, depth)
        raise Unreadable(f"an object of kind {kind!r}")

    def _number_or_text(self, kind: bytes) -> _Value:
        if kind == b"i":
            return _plain(b"int", str(self._int()).encode())
        if kind == b"l":
            return _plain(b"int", self._long())
        data = self._take(self._size())
        return _plain(b"bytes", data) if kind == b"s" else self._text(data, kind)

    def _text(self, data: bytes, kind: bytes) -> _Value:
        """ASCII kinds hold Latin-1 bytes below 128; ``u`` and ``t`` UTF-8 with lone surrogates."""
        if kind in (b"a", b"A", b"z", b"Z") and not data.isascii():
            raise Unreadable("an ASCII text that is none")
        return _plain(b"str", data)

    def _many(self, kind: bytes, count: int, depth: int) -> _Value:
        items = [self.value(depth + 1) for _ in range(count)]
        parts = [name + b"\0" + digest for name, digest in items]
        if kind in (b"set", b"frozenset"):
            parts.sort()
        return _plain(kind, b"".join(_framed(part) for part in parts))

    def _code(self, depth: int) -> _Value:
        parts = []
        for field in self._fields:
            if field == "i":
                parts.append(self._take(4))
            else:
                kind, digest = self.value(depth + 1)
                if field == "p":
                    if kind != b"str":
                        raise Unreadable("a path that is no text")
                    self.paths.add(digest)
                else:
                    parts.append(kind + b"\0" + digest)
        return _plain(b"code", b"".join(_framed(part) for part in parts))

    def _long(self) -> bytes:
        """Digits of 15 bits, as the decimal text that the four-byte kind has as well."""
        count = self._int()
        if abs(count) > 1 << 16:
            raise Unreadable("a number of more than a million bits")
        digits = struct.unpack(f"<{abs(count)}H", self._take(2 * abs(count)))
        if any(digit >> 15 for digit in digits):
            raise Unreadable("a digit that is none")
        number = 0
        for digit in reversed(digits):
            number = number << 15 | digit
        number = -number if count < 0 else number
        return b"%d" % number if abs(number) < 1 << 31 else b"0x%x" % number

    def _int(self) -> int:
        found: int = struct.unpack("<i", self._take(4))[0]
        return found

    def _size(self) -> int:
        found = self._int()
        if found < 0:
            raise Unreadable("a negative length")
        return found

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self.at:
            raise Unreadable("it ends early")
        found = self._data[self.at : self.at + count]
        self.at += count
        return found


def _plain(kind: bytes, data: bytes) -> _Value:
    return kind, hashlib.blake2b(data, digest_size=32, person=kind[:16]).digest()


def _framed(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part
