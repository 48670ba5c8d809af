"""A list of packages in the form that a package manager installs from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from repro.model.lock import LockedPackage
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable


@frozen
class LockList:
    """One file to write: ``exact`` of ``total`` packages by address and hash; ``how`` to use it."""

    name: str
    text: str
    exact: int
    total: int
    how: str


def header(lines: Iterable[str]) -> str:
    """Comment lines; text of strangers cannot leave its line."""
    return "".join(f"# {printable(line, 400)}\n" for line in lines)


def numbered(stem: str, ending: str, number: int, count: int) -> str:
    """``conda.txt``, or ``conda.1.txt`` where there are several of a kind."""
    return f"{stem}{ending}" if count == 1 else f"{stem}.{number}{ending}"


def grouped(packages: Iterable[LockedPackage], fact: str) -> list[list[LockedPackage]]:
    """Packages by the place that a fact names, in the order of those places."""
    found: dict[str, list[LockedPackage]] = {}
    for package in packages:
        found.setdefault(package.facts.get(fact, ""), []).append(package)
    return [found[place] for place in sorted(found)]


def word(text: str, pattern: str) -> str | None:
    """``text`` when it is what a list may hold, else None: archives come from strangers."""
    return text if re.fullmatch(pattern, text) else None


def json_text(document: object) -> str:
    """JSON as package managers write it: two spaces, a line end."""
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"
