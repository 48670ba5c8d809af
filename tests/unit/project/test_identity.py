"""Who the author is: found as words, in any file; and paths mapped wherever they stand."""

from __future__ import annotations

import io

import pytest

from repro.project.identity import Identity, Person, tells_home
from repro.project.path_map import PathMap, path_map

ANN = Person(
    user="annsmith", host="fern.botany.example.edu", homes=("/home/annsmith",), name="Ann Smith",
    mails=("ann@example.edu",),
)  # fmt: skip


def kinds(text: str, *, whole: bool = False) -> list[tuple[int, str]]:
    return sorted(ANN.telling(whole=whole).in_stream(io.BytesIO(text.encode())))


def test_words() -> None:
    assert kinds("x\n# by AnnSmith\n") == [(2, "user name")]
    assert kinds("open('/home/annsmith/data.csv')") == [(1, "home path")]
    assert kinds("on Fern today") == [(1, "host name")]
    assert kinds("annsmith_data annsmith@x") == [(1, "user name")]
    for honest in (
        "fernery",
        "infern",
        "joannsmith",
        "annsmithson",
        "/home/annsmithson/x",
        "Ann Smith",
        "",
    ):
        assert kinds(honest) == [], honest


def test_full_name_and_mail_only_when_asked() -> None:
    assert kinds("Ann Smith <ann@example.edu>", whole=True) == [
        (1, "full name"),
        (1, "mail address"),
    ]


def test_what_tells_nobody() -> None:
    for user, host in (
        ("root", "localhost"),
        ("jovyan", "3f2a9c81d0be"),
        ("ubuntu", "debian"),
        ("", ""),
    ):
        person = Person(user=user, host=host, homes=("/root", "/nonexistent", "/"), name=user)
        assert person.telling(whole=True).words == ()
    assert tells_home("/home/ann") and tells_home("/Users/ann") and not tells_home("/home/repro/")


def test_streams() -> None:
    ann = ANN.telling(whole=False)
    far = b"line\n" * 600_000 + b"annsmith\n" + b"line\n" * 300_000
    assert ann.in_stream(io.BytesIO(far)) == ((600_001, "user name"),)
    assert ann.in_stream(io.BytesIO(b"\0\1/home/annsmith\0")) == ((1, "home path"),)
    assert ann.in_stream(io.BytesIO("a\nannsmith".encode("utf-16"))) == ((2, "user name"),)
    assert len(ann.in_stream(io.BytesIO(b"annsmith\n" * 9999))) == 20


def test_removed_from_documents() -> None:
    ann = ANN.telling(whole=True)
    text = "/tmp/annsmith-x on fern by Ann Smith, ANNSMITH"
    assert ann.removed(text) == "/tmp/(user name)-x on (host name) by (full name), (user name)"
    assert ann.in_text(ann.removed(text)) == ()
    assert Identity(words=()).removed(text) == text


PAPER = path_map(
    root="/home/annsmith/papers/ants", homes=("/home/annsmith",), name="ants",
    caches=("/tmp/repro-cache-1", "/tmp/repro-cache-2"), user="annsmith",
    texts=["/scratch/annsmith/big.nc", "/scratch/annsmithson/x", "/home/annsmith/x"],
)  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/home/annsmith/papers/ants/a.py", "/home/repro/ants/a.py"),
        ("/home/annsmith/papers/ants2/a.py", "/home/repro/papers/ants2/a.py"),
        ("/home/annsmith", "/home/repro"),
        ("/home/annsmith/bin:/usr/bin:/home/annsmith/.local/bin", "/home/repro/bin:/usr/bin:/home/repro/.local/bin"),
        ("-I/home/annsmith/include", "-I/home/repro/include"),
        ("file:///home/annsmith/x", "file:///home/repro/x"),
        ("/home/annsmithson/x", "/home/annsmithson/x"),
        ("/home/annsmith.old/x", "/home/annsmith.old/x"),
        ("in /home/annsmith.", "in /home/repro."),
        ("/scratch/annsmith/big.nc", "/scratch/repro/big.nc"),
        ("/scratch/annsmithson/x", "/scratch/annsmithson/x"),
        ("/tmp/repro-cache-1/ipython", "/tmp/repro-cache-2/ipython"),
        ("/usr/lib/x", "/usr/lib/x"),
    ],
)  # fmt: skip
def test_paths(old: str, new: str) -> None:
    assert PAPER.text(old) == new
    assert PAPER.data(b"\xff" + old.encode()) == b"\xff" + new.encode()


def test_nothing_moves_in_a_program() -> None:
    data = b"\x7fELF\0/home/annsmith/lib\0next\0/home/annsmith/papers/ants/x\0"
    made = PAPER.same_length(data)
    assert len(made) == len(data)
    assert b"\0/home/repro" + b"/" * 4 + b"lib\0next\0" in made
    assert b"\0/home/repro/ants" + b"/" * 11 + b"x\0" in made


def test_a_home_too_short_for_the_new_one_has_an_alias() -> None:
    short = PathMap(pairs=(("/u/ann", "/home/repro"),))
    assert short.aliases == (("/r0", "/home/repro"),)
    assert short.same_length(b"\0/u/ann/lib\0") == b"\0/r0////lib\0"
    with pytest.raises(ValueError, match="room"):
        PathMap(pairs=(("/u", "/home/repro"),)).same_length(b"/u/x")
