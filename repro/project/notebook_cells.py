"""The code cells of a notebook file, with what IPython adds to Python taken apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from repro.primitives.frozen import frozen

_ASSIGNED = re.compile(r"(\s*[\w.,\s\[\]'\"]+?=\s*)([!%].*)$")
_TRANSPARENT = ("time", "timeit", "capture", "prun", "python", "python3")


@frozen
class Cell:
    """A code cell: ``number`` counts all cells from 1; ``count`` is its execution count.

    ``python`` has the lines of ``source`` with magics and shell lines made harmless, or is
    None when the cell is in another ``language`` (``%%bash``). ``shell`` are the shell
    lines in it (line number, text). ``magics`` are the names of the magics it uses.
    """

    number: int
    source: str
    count: int | None
    error: str | None
    python: str | None
    language: str
    shell: tuple[tuple[int, str], ...]
    magics: frozenset[str]

    @property
    def is_code(self) -> bool:
        """Whether anything in it would run: neither empty nor comments alone."""
        return any(
            line.strip() and not line.strip().startswith("#") for line in self.source.splitlines()
        )


@frozen
class Notebook:
    """``language`` is the kernel's, lower case."""

    language: str
    cells: tuple[Cell, ...]


def read_notebook(data: bytes) -> Notebook:
    """The code cells of notebook JSON (nbformat 4). Raises ValueError when it is none."""
    try:
        document = json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        raise ValueError("no notebook of nbformat 4 (it has no list of cells)")
    metadata = _table(document.get("metadata"))
    language = _table(metadata.get("language_info")).get("name") or _table(
        metadata.get("kernelspec")
    ).get("language", "python")
    name = str(language).lower()
    return Notebook(
        language=name,
        cells=tuple(
            _cell(number, cell, name)
            for number, cell in enumerate(document["cells"], 1)
            if isinstance(cell, dict) and cell.get("cell_type") == "code"
        ),
    )


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _cell(number: int, cell: dict[str, Any], kernel: str) -> Cell:
    source = cell.get("source", "")
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    listed = cell.get("outputs")
    outputs = [o for o in listed if isinstance(o, dict)] if isinstance(listed, list) else []
    errors = [str(o.get("ename", "error")) for o in outputs if o.get("output_type") == "error"]
    count = cell.get("execution_count")
    python, language, shell, magics = _taken_apart(text) if kernel == "python" else (
        None, kernel, [], set()
    )  # fmt: skip
    return Cell(
        number=number,
        source=text,
        count=count if isinstance(count, int) and not isinstance(count, bool) else None,
        error=errors[0] if errors else None,
        python=python,
        language=language,
        shell=tuple(shell),
        magics=frozenset(magics),
    )


def _taken_apart(text: str) -> tuple[str | None, str, list[tuple[int, str]], set[str]]:
    lines = text.split("\n")
    magics: set[str] = set()
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    head = lines[first] if lines else ""
    if head.startswith("%%"):
        words = head[2:].split()
        name = words[0] if words else ""
        magics.add(name)
        if name not in _TRANSPARENT:
            language = {"sh": "bash", "!": "bash", "R": "r"}.get(name, name)
            return None, language, [], magics
        taken = words[-1] if name == "capture" and len(words) > 1 else ""
        lines[first] = f"{taken} = None" if taken.isidentifier() else ""
    shell: list[tuple[int, str]] = []
    return "\n".join(_plain(lines, shell, magics)), "python", shell, magics


def _plain(lines: list[str], shell: list[tuple[int, str]], magics: set[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        stripped = line.lstrip()
        indent = line[: len(line) - len(stripped)]
        assigned = _ASSIGNED.match(line)
        if stripped.startswith(("!", "%")):
            yield indent + _special(stripped, number, shell, magics)
        elif assigned is not None and not _in_quotes(assigned.group(1)):
            _special(assigned.group(2), number, shell, magics)
            yield f"{assigned.group(1)}None"
        elif re.fullmatch(r"\??\??[\w.]+\?{1,2}\s*|\?{1,2}[\w.]+\s*", stripped):
            yield indent + "pass"
        else:
            yield line


def _special(text: str, number: int, shell: list[tuple[int, str]], magics: set[str]) -> str:
    """Python in the place of a line magic or a shell line."""
    if text.startswith("!"):
        shell.append((number, text.lstrip("!")))
        return "pass"
    words = text.lstrip("%").split(None, 1)
    name = words[0] if words else ""
    magics.add(name)
    if name in ("pip", "conda", "mamba", "uv", "sx", "system"):
        shell.append((number, " ".join(words[1:]) if name in ("sx", "system") else text[1:]))
    if name in ("time", "timeit") and len(words) > 1 and not words[1].startswith("-"):
        return words[1]
    return "pass"


def _in_quotes(text: str) -> bool:
    return text.count("'") % 2 == 1 or text.count('"') % 2 == 1
