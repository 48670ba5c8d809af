"""Search bytes for credentials, as they are about to be packed.

What is found is a place and a kind. The credential itself is never kept, nor shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from repro.model.secret_names import named_secret
from repro.primitives.frozen import frozen
from repro.project.notebook_texts import Passage, passages
from repro.project.places import HEAD, chunks, decoded, encoding_of, places
from repro.project.secret_assignments import Named, find_bare, find_quoted
from repro.project.secret_forms import find_forms

BINARY_LIMIT = 4 << 20
"""A binary file over this many bytes is not searched (and counted)."""

MANY = 20
"""So many places of one file are told."""

_NOTEBOOK_LIMIT = 64 << 20
_ESCAPES = ((b"\\n", b"  "), (b"\\r", b"  "), (b"\\t", b"  "), (b'\\"', b'""'), (b"\\'", b"''"))
_SETTINGS = re.compile(
    r"(?:.*\.(?:ya?ml|ini|cfg|conf|config|cnf|properties|toml|env|sh|bash|zsh|fish|ksh|csh|txt|md"
    r"|rst|org|log|out|err|tf|tfvars|service|desktop|plist|bat|cmd|ps1|rc|yml\.j2)"
    r"|\.R(?:environ|profile)|Dockerfile.*|[Mm]akefile|[^.]+|\.[a-z]+(?:rc)?)(?:\.(?:bak|old|orig|save)|~)?\Z"
)
_KINDS = {
    Named.PASSWORD: "password",
    Named.SECRET: "secret value",
    Named.TOKEN: "token",
    Named.KEY: "key",
}


@frozen
class SecretFound:
    """Where a credential stands: ``line`` counts from 1, 0 where there are none."""

    path: str
    line: int
    kind: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind}" if self.line else f"{self.path}: {self.kind}"


@frozen
class Searched:
    """One file's result: at most ``MANY`` places. ``skipped``: too big a binary, not read."""

    found: tuple[SecretFound, ...]
    size: int
    skipped: bool = False


def search(path: str, stream: BinaryIO, size: int, *, foreign: bool = False) -> Searched:
    """Search one file; ``path`` is what findings call it.

    Text is searched whole, as a stream, in the memory of a few chunks (a notebook: in that
    of its cells). A binary file up to ``BINARY_LIMIT`` is searched for credentials of a known
    form, a bigger one not. The same for ``foreign`` files (an environment's, which the author
    did not write), but binary ones, which are not searched at all.
    """
    head = stream.read(HEAD)
    encoding = encoding_of(head)
    if encoding is None and b"\0" in head:
        if foreign or size > BINARY_LIMIT:
            return Searched(found=(), size=size, skipped=size > BINARY_LIMIT)
        seen = _search(chunks(head, stream), _strict)
    elif path.endswith(".ipynb") and size <= _NOTEBOOK_LIMIT and not foreign:
        return _notebook(path, head + stream.read())
    else:
        how = _strict if foreign else (_loose if _SETTINGS.match(_leaf(path)) else _code)
        seen = _search(decoded(chunks(head, stream), encoding), how)
    return Searched(found=_told(path, seen), size=size)


def search_text(path: str, text: str, *, certain: bool = False) -> tuple[SecretFound, ...]:
    """Search one recorded value (a variable as ``NAME=value``, a command line).

    ``certain``: for credentials of a known form only.
    """
    data = text.encode("utf-8", "surrogateescape")
    found = _told(path, _search(iter([data]), _strict if certain else _loose))
    return tuple(SecretFound(path=path, line=0, kind=each.kind) for each in found)


def search_name(path: str) -> tuple[SecretFound, ...]:
    """A file whose name alone says that it is a credential."""
    if named_secret(_leaf(path)):
        return (SecretFound(path=path, line=0, kind="a name that files with secrets have"),)
    return ()


class _How:
    """What to look for in a kind of text."""

    def __init__(self, *, names: bool, code: bool) -> None:
        self.names = names
        self.code = code

    def find(self, text: bytes) -> Iterator[tuple[int, str]]:
        """Positions with kinds, in no order."""
        lower = text.lower()
        yield from find_forms(text, lower)
        if self.names:
            for position, promise in find_quoted(text, lower):
                yield position, _KINDS[promise]
            for position, promise in find_bare(text, lower, code=self.code):
                yield position, _KINDS[promise]


_strict = _How(names=False, code=True)
_code = _How(names=True, code=True)
_loose = _How(names=True, code=False)


def _search(pieces: Iterator[bytes], how: _How) -> Iterator[tuple[int, str]]:
    return places(pieces, lambda text: how.find(_plain(text)))


def _plain(text: bytes) -> bytes:
    """Escapes of a string literal as what they mean, in the same length."""
    if b"\\" in text:
        for escape, meaning in _ESCAPES:
            text = text.replace(escape, meaning)
    return text


def _told(path: str, seen: Iterator[tuple[int, str]]) -> tuple[SecretFound, ...]:
    """One finding for each line and kind; a token's own form says more than its name."""
    by_line: dict[int, list[str]] = {}
    for line, kind in seen:
        kinds = by_line.setdefault(line, [])
        if kind not in kinds:
            kinds.append(kind)
        if len(by_line) > MANY:
            break
    found = []
    for line, kinds in sorted(by_line.items())[:MANY]:
        certain = [kind for kind in kinds if kind not in _KINDS.values()]
        found += [SecretFound(path=path, line=line, kind=kind) for kind in certain or kinds]
    return tuple(found)


def _notebook(path: str, data: bytes) -> Searched:
    """A notebook's cells, outputs and metadata; all of it as text when it is no notebook."""
    found = passages(data)
    if found is None:
        return Searched(found=_told(path, _search(iter([data]), _code)), size=len(data))
    seen: list[tuple[int, str]] = []
    for passage in found:
        seen += _in_passage(passage, data)
        if len(seen) > MANY * 2:
            break
    return Searched(found=_told(path, iter(sorted(seen))), size=len(data))


def _in_passage(passage: Passage, data: bytes) -> Iterator[tuple[int, str]]:
    """Line numbers are those of the notebook's file."""
    for line, kind in _search(iter([passage.text]), _code if passage.code else _loose):
        yield passage.line_in_file(line, data), kind


def _leaf(path: str) -> str:
    return path.rpartition("/")[2]
