"""What a PDF's page or form draws: operators with their numbers and texts (ISO 32000-1, 7.8.2)."""

from __future__ import annotations

import re

from repro.compare.findings import Findings

_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)")
_TOKEN = re.compile(
    rb"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?=[\s()<>\[\]{}/%]|$))"
    rb"|(?P<string>\((?:[^()\\]|\\.|\([^()\\]*\))*\)|<[0-9A-Fa-f\s]*>)"
    rb"|(?P<name>/[^\s()<>\[\]{}/%]*)"
    rb"|(?P<operator>[A-Za-z'\"][A-Za-z0-9*'\"]*)"
    rb"|(?P<other><<|>>|[\[\]]|%[^\r\n]*)",
    re.S,
)
_SPACE = re.compile(rb"[\0\t\n\f\r ]*")
_MAX_TOKENS = 2_000_000
_LONGEST_NUMBER = 40
_OPERANDS = frozenset((b"true", b"false", b"null"))
_NOT_DRAWN = re.compile(
    rb"/Length[123]\b|/Subtype\s*/(?!Form\b)|/Type\s*/(?!XObject\b|Pattern\b)|/FunctionType\b"
)
# In the order of ISO 32000-1, table 51: what paints text, and what builds and paints paths.
_TEXT = frozenset((b"Tj", b"TJ", b"'", b'"'))
_GUESS = "a drawing's content differs: perhaps other data, labels, colours or scales"
_PLACES = frozenset(("m", "l", "c", "v", "y", "re", "cm", "Td", "TD", "Tm", "TJ"))
Token = tuple[str, bytes]


def tokens(data: bytes) -> list[Token] | None:
    """The words of a drawing; None where it is none, or holds an image between its words."""
    found: list[Token] = []
    at = _SPACE.match(data).end()  # type: ignore[union-attr]
    while at < len(data):
        match = _TOKEN.match(data, at)
        if match is None or len(found) >= _MAX_TOKENS:
            return None
        kind, word = str(match.lastgroup), match.group()
        if kind == "operator" and word == b"ID":
            return None
        if kind == "number" and len(word) > _LONGEST_NUMBER:
            return None
        found.append((kind, word))
        at = _SPACE.match(data, match.end()).end()  # type: ignore[union-attr]
    return found


def compare_drawings(head: bytes, old: bytes, new: bytes, place: str, findings: Findings) -> bool:
    """Compare two streams as drawings; false, and nothing told, where they are none.

    Operators, names, texts, colours and widths are exact and in their order; the numbers of
    places have the tolerance. ``head`` is the stream's dictionary.
    """
    if _NOT_DRAWN.search(head):
        return False
    left, right = tokens(old), tokens(new)
    if left is None or right is None or not any(kind == "operator" for kind, _ in left):
        return False
    if [kind for kind, _ in left] != [kind for kind, _ in right] or _operators(left) != _operators(
        right
    ):
        _other_drawing(left, right, place, findings)
        findings.explain(_GUESS, once=True)
        return True
    before = findings.count
    step = 0
    last = _first_operators(left)
    for number, ((kind, one), (_, two)) in enumerate(zip(left, right, strict=True)):
        if kind == "number":
            where = f"{place}, step {step + 1} ({last[number]})"
            _number(where, last[number], one, two, findings)
        elif one != two:
            text = "the text differs" if kind == "string" else "what is drawn differs"
            where = f"{place}, step {step + 1} ({last[number]})"
            findings.differ(where, text, _shown(one), _shown(two))
        step += kind == "operator" and one not in _OPERANDS
    if findings.count > before:
        findings.explain(_GUESS, once=True)
    else:
        findings.drop("how numbers or spaces of a drawing are written")
    return True


def _operators(words: list[Token]) -> list[bytes]:
    return [word for kind, word in words if kind == "operator"]


def _first_operators(words: list[Token]) -> list[str]:
    """Of every word the operator that it belongs to, which comes behind it."""
    found: list[str] = []
    operator = ""
    for kind, word in reversed(words):
        if kind == "operator" and word not in _OPERANDS:
            operator = word.decode()
        found.append(operator)
    return found[::-1]


def _number(where: str, operator: str, one: bytes, two: bytes, findings: Findings) -> None:
    if one == two:
        findings.tally.equal(1)
        return
    old, new = float(one), float(two)
    if operator in _PLACES or old == new:
        findings.number(where, old, new, (one.decode(), two.decode()))
    else:
        # Colours, widths, sizes: what a tolerance for places must not cover.
        findings.differ(where, "what is drawn differs", _shown(one), _shown(two))


def _other_drawing(old: list[Token], new: list[Token], place: str, findings: Findings) -> None:
    step = 0
    for (_, one), (_, two) in zip(old, new, strict=False):
        if one != two and not (_NUMBER.fullmatch(one) and _NUMBER.fullmatch(two)):
            break
        step += 1
    counts = [sum(kind == "operator" for kind, _ in side) for side in (old, new)]
    texts = [sum(word in _TEXT for _, word in side) for side in (old, new)]
    what = "other texts are drawn" if texts[0] != texts[1] else "another drawing"
    parts = (b" ".join(word for _, word in side[step : step + 12]) for side in (old, new))
    findings.differ(
        f"{place}, word {step + 1}",
        f"{what} ({counts[0]} and {counts[1]} operators)",
        *map(_shown, parts),
    )


def _shown(word: bytes) -> str:
    return word[:300].decode("latin-1")
