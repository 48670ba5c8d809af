"""Who the author is, as files give it away: user name, host name, home path, full name, mail."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

from repro.primitives.frozen import frozen
from repro.project.places import HEAD, chunks, decoded, encoding_of, places

USER, HOST, HOME, NAME, MAIL = "user name", "host name", "home path", "full name", "mail address"
PROJECT = "project path"

_NOBODY = frozenset(
    """root user admin administrator guest test nobody ubuntu debian fedora centos docker vagrant
    jovyan rstudio runner codespace repro www-data ec2-user default analyst student me home work
    data science python conda jenkins gitpod pi linux
    """.split()
)
"""User names that tell nobody from another."""

_NO_HOST = frozenset(
    """localhost localdomain debian ubuntu fedora centos linux laptop desktop server pc vm host
    computer workstation docker container runner buildkitsandbox repro cluster node login
    """.split()
)
_NO_HOME = re.compile(
    r"/|/root|/nonexistent|/tmp|/var/tmp|/var/lib/[^/]+|/github/home|/workspace"
    r"|/home/(?:repro|user|ubuntu|jovyan|rstudio|runner|docker|vagrant)"
)
_CONTAINER = re.compile(r"[0-9a-f]{12}|[0-9a-f]{64}")


@frozen
class Person:
    """The author as this machine knows them; an empty text where it does not.

    ``homes`` are the home folder as HOME spells it and where it really lies. ``name`` and
    ``mails`` are those of the account and of git.
    """

    user: str = ""
    host: str = ""
    homes: tuple[str, ...] = ()
    name: str = ""
    mails: tuple[str, ...] = ()

    @property
    def tells_user(self) -> bool:
        """Whether the user name tells this person from another."""
        return len(self.user) >= 3 and self.user.lower() not in _NOBODY

    def telling(self, *, whole: bool) -> Identity:
        """What of it tells this person from another; ``whole``: also full name and mail."""
        found: list[tuple[str, str]] = [(HOME, home) for home in self.homes if tells_home(home)]
        if self.tells_user:
            found.append((USER, self.user))
        short = self.host.partition(".")[0]
        if len(short) >= 3 and short.lower() not in _NO_HOST and not _CONTAINER.fullmatch(short):
            found.append((HOST, short))
        if whole:
            if " " in self.name.strip() and len(self.name) >= 5:
                found.append((NAME, self.name.strip()))
            found += [(MAIL, mail) for mail in self.mails if "@" in mail]
        return Identity(words=tuple(dict.fromkeys(found)))


@frozen
class Identity:
    """Texts that tell who somebody is, each with what it is."""

    words: tuple[tuple[str, str], ...]

    def with_word(self, kind: str, word: str) -> Identity:
        """One word more."""
        return Identity(words=(*self.words, (kind, word)))

    def only(self, *kinds: str) -> Identity:
        """The words of these kinds alone."""
        return Identity(words=tuple(each for each in self.words if each[0] in kinds))

    def find(self, text: bytes) -> Iterator[tuple[int, str]]:
        """Where one of them stands as a word of its own, and what it is; letter case aside."""
        return ((start, kind) for start, _, kind in self._spans(text))

    def _spans(self, text: bytes) -> Iterator[tuple[int, int, str]]:
        """Longer words first: what lies inside another is told once."""
        lower = bytearray(text.lower())
        for kind, word in sorted(self.words, key=lambda each: -len(each[1])):
            wanted = word.lower().encode("utf-8", "surrogateescape")
            end = 0
            while (start := lower.find(wanted, end)) >= 0:
                end = start + len(wanted)
                free = kind in (HOME, PROJECT) or not lower[max(0, start - 1) : start].isalnum()
                if free and not lower[end : end + 1].isalnum():
                    lower[start:end] = bytes(end - start)
                    yield start, end, kind

    def in_text(self, text: str) -> tuple[str, ...]:
        """The kinds that a text holds."""
        seen = self.find(text.encode("utf-8", "surrogateescape"))
        return tuple(dict.fromkeys(kind for _, kind in seen))

    def in_stream(self, stream: BinaryIO, most: int = 20) -> tuple[tuple[int, str], ...]:
        """Lines and kinds, at most ``most``; any file, whatever it is."""
        head = stream.read(HEAD)
        pieces = decoded(chunks(head, stream), encoding_of(head))
        found: dict[tuple[int, str], None] = {}
        for place in places(pieces, self.find):
            found[place] = None
            if len(found) >= most:
                break
        return tuple(found)

    def removed(self, text: str) -> str:
        """The text with each of the words replaced by what it is: for documents alone."""
        data = text.encode("utf-8", "surrogateescape")
        for start, end, kind in sorted(self._spans(data), reverse=True):
            data = data[:start] + b"(" + kind.encode() + b")" + data[end:]
        return data.decode("utf-8", "surrogateescape")


def tells_home(home: str) -> bool:
    """Whether a home folder's path names a person."""
    return home.startswith("/") and _NO_HOME.fullmatch(home.rstrip("/") or "/") is None


def texts_with(
    identity: Identity, values: Iterable[tuple[str, str]]
) -> Mapping[str, tuple[str, ...]]:
    """Which of some named texts hold one of the words, and what."""
    return {name: kinds for name, text in values if (kinds := identity.in_text(text))}
