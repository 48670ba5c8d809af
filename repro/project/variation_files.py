"""All the places in a project's sources that may explain why a result varies."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from repro.model.stability import Spot
from repro.primitives.frozen import frozen, replace
from repro.primitives.texts import printable
from repro.project.audit_notebook import joined_cells, place_of
from repro.project.audit_paths import Here
from repro.project.audit_project import audit_file, loose_draws
from repro.project.audit_python import parse_python
from repro.project.chunks import chunk_text
from repro.project.notebook_cells import read_notebook
from repro.project.python_slice import lines_into
from repro.project.variation_python import variations
from repro.project.variation_text import r_variations, shell_variations
from repro.project.word_slice import R_ASSIGNS, SHELL_ASSIGNS, by_words

_MOST = 4 << 20
_SHELLS = (".sh", ".bash", ".zsh", ".smk", ".mk")


@frozen
class Source:
    """A source of the project: the spots in it, and which lines may flow into a result.

    ``flows`` gives None where the source does not name the result.
    """

    path: str
    spots: tuple[Spot, ...]
    flows: Callable[[str], frozenset[tuple[int | None, int]] | None]
    """By the file name of a result: (cell, line) of every line that may flow into it."""
    exact: bool = True
    """Whether the flow was followed in the parsed source, not guessed from its words."""


def read_sources(files: Sequence[str], here: Here) -> list[Source]:
    """The sources among ``files`` (relative to the project); those in other languages are left."""
    audits = [audited for path in files for audited in audit_file(path, here)]
    draws: dict[str, list[Spot]] = {}
    for audited, draw in loose_draws(audits):
        draws.setdefault(audited.path, []).append(
            Spot(
                axis="random", path=audited.path, line=draw.line, cell=draw.cell, mend=draw.mend,
                text=f"{printable(draw.call, 60)} without a seed",
            )
        )  # fmt: skip
    found = []
    for path in dict.fromkeys(audited.path for audited in audits):
        source = _source(path, here)
        if source is not None:
            spots = (*draws.get(path, ()), *source.spots)
            found.append(replace(source, spots=tuple(dict.fromkeys(spots))))
    return found


def command_source(argv: Sequence[str], name: str) -> Source | None:
    """The text of a command that is no file: ``sh -c TEXT`` or ``python -c TEXT``."""
    if len(argv) < 3 or argv[-2] != "-c":
        return None
    program, label = PurePosixPath(argv[0]).name, f"the command of step {name}"
    if program in ("sh", "bash", "dash", "zsh"):
        spots = tuple(shell_variations(argv[-1], label))
        flows = by_words(argv[-1], SHELL_ASSIGNS)
        return Source(path=label, spots=spots, flows=flows, exact=False)
    if program.startswith("python"):
        tree = parse_python(argv[-1], label)
        return _python(tree, label, _in_file) if isinstance(tree, ast.Module) else None
    return None


def _source(path: str, here: Here) -> Source | None:
    try:
        with open(os.path.join(here.root, path), "rb") as stream:
            data = stream.read(_MOST + 1)
    except OSError:
        return None  # the audit's limits name it
    if len(data) > _MOST:
        return None
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == ".ipynb":
        return _notebook(data, path)
    if suffix in (".py", ".pyw"):
        tree = parse_python(data, path)
        return _python(tree, path, _in_file) if isinstance(tree, ast.Module) else None
    text = data.decode("utf-8", "replace")
    if suffix in (".r", ".rmd", ".qmd"):
        code = text if suffix == ".r" else chunk_text(text, "r")
        spots, flows = tuple(r_variations(code, path)), by_words(code, R_ASSIGNS)
    else:
        spots, flows = tuple(shell_variations(text, path)), by_words(text, SHELL_ASSIGNS)
    return Source(path=path, spots=spots, flows=flows, exact=False)


def _in_file(line: int) -> tuple[int | None, int]:
    return None, line


def _python(tree: ast.Module, path: str, placed: Callable[[int], tuple[int | None, int]]) -> Source:
    def flows(result: str) -> frozenset[tuple[int | None, int]] | None:
        lines = lines_into(tree, result)
        return None if lines is None else frozenset(placed(line) for line in lines)

    return Source(path=path, spots=tuple(_placed(variations(tree, path), placed)), flows=flows)


def _placed(
    spots: Iterable[Spot], placed: Callable[[int], tuple[int | None, int]]
) -> Iterator[Spot]:
    for spot in spots:
        cell, line = placed(spot.line)
        yield Spot(
            axis=spot.axis, path=spot.path, line=line, cell=cell, text=spot.text, mend=spot.mend
        )  # fmt: skip


def _notebook(data: bytes, path: str) -> Source | None:
    try:
        notebook = read_notebook(data)
    except ValueError:
        return None
    if notebook.language == "r":
        spots = [
            Spot(axis=s.axis, path=path, line=s.line, cell=c.number, text=s.text, mend=s.mend)
            for c in notebook.cells
            for s in r_variations(c.source, path)
        ]
        return Source(path=path, spots=tuple(spots), flows=lambda result: None, exact=False)
    if notebook.language != "python":
        return None
    tree, places = joined_cells(notebook, path)
    return _python(tree, path, lambda line: place_of(line, places))
