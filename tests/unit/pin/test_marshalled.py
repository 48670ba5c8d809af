"""Compiled modules compared as bytes: what is no difference, what is one, what is refused."""

from __future__ import annotations

import marshal
import sys

import pytest

from repro.pin.marshalled import Unreadable, meaning

PYTHON = (sys.version_info[0], sys.version_info[1])
SOURCE = '''
"""Text with é and \\U0001f600."""
import os, sys
NUMBERS = (0, -1, 2**31 - 1, -2**31, 2**40, -2**100, 1.5, -0.0, 2j, True, None, ..., b"x\\xff")
NAMES = {"alpha", "beta", "gamma", "delta"}
def f(a, /, b=1, *c, d="alpha", **e):
    if a in {"alpha", "beta", "gamma", "delta", "epsilon"}:
        return lambda x: (x, "alpha", "a text that is long " * 20, b)
    try:
        yield from c
    except* ValueError if False else ValueError:
        pass
class C:
    """doc"""
    x: int = 5
    def g(self):
        return __class__, "\\udc80"
'''.replace("except* ValueError if False else ValueError", "except ValueError")


def code(text: str, path: str = "/a/b.py", **options: int) -> bytes:
    return marshal.dumps(compile(text, path, "exec", dont_inherit=True, **options))


def test_two_compilations_of_one_source_mean_the_same() -> None:
    found = meaning(code(SOURCE), PYTHON)
    assert found == meaning(code(SOURCE, "/another/place.py"), PYTHON)
    made = compile(SOURCE, "/a/b.py", "exec", dont_inherit=True)
    # Texts written once or each time, flagged in several ways (marshal.dump, "version").
    forms = {marshal.dumps(made, version) for version in (2, 3, 4)}
    assert len(forms) == 3
    assert {meaning(data, PYTHON) for data in forms} == {found}


def test_the_order_inside_a_frozenset_is_none() -> None:
    text = "def f(a):\n    return a in {'alpha', 'beta', 'gamma', 'delta', 'epsilon'}\n"
    data = code(text)
    one, other = data.index(b"alpha"), data.index(b"gamma")
    swapped = bytearray(data)
    swapped[one : one + 5], swapped[other : other + 5] = b"gamma", b"alpha"
    assert bytes(swapped) != data
    assert meaning(bytes(swapped), PYTHON) == meaning(data, PYTHON)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return __class__", "return not __class__"),
        ("-1, 2**31", "-2, 2**31"),
        ("1.5", "1.25"),
        ("-0.0", "0.0"),
        ("2**40", "2**41"),
        ("-2**100", "2**100"),
        ('b"x', 'b"y'),
        ('b"x\\xff"', '"x"'),
        ("True", "1"),
        ("alpha", "alphb"),
        ("def g", "def h"),
        ("x: int", "y: int"),
        ("import os, sys", "import os, syt"),
        ("import os, sys", "\nimport os, sys"),
    ],
)
def test_any_other_code_means_something_else(old: str, new: str) -> None:
    assert old in SOURCE
    assert meaning(code(SOURCE.replace(old, new)), PYTHON) != meaning(code(SOURCE), PYTHON)


def test_optimised_code_means_something_else() -> None:
    text = SOURCE + "\nassert NAMES\n"
    found = {meaning(code(text, optimize=level), PYTHON) for level in (0, 1, 2)}
    assert len(found) == 3


def test_changed_and_cut_bytes_never_mean_the_same_nor_crash() -> None:
    data = code(SOURCE)
    found = meaning(data, PYTHON)
    path = data.index(b"/a/b.py")
    for place in range(0, len(data), 3):
        for changed in (data[:place], data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]):
            try:
                other = meaning(changed, PYTHON)
            except Unreadable:
                continue
            inside = path <= place < path + len("/a/b.py")
            # A text that is stored once or referred to, interned or not, is the same text.
            assert (
                other != found or inside or data[place : place + 1] in b"uaAzZt\xda\xfa\xe1\xc1\xf5"
            ), place


@pytest.mark.parametrize(
    "data",
    [
        b"", b"c", b"i\0\0\0\0", b"N", code("x = 1") + b"N", b"(" * 300,
        b"r\0\0\0\0", b"\xa9\x01r\0\0\0\0", b"l\xff\xff\xff\x7f", b"s\xff\xff\xff\xff",
        b"?\0", b"(\xff\xff\xff\x7f",
    ],
)  # fmt: skip
def test_what_is_no_module_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        meaning(data, PYTHON)


def test_an_unknown_python_is_not_guessed() -> None:
    with pytest.raises(Unreadable):
        meaning(code("x = 1"), (3, 99))
