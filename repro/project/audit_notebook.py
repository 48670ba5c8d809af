"""A notebook: what its code shows, and whether its saved state is one run from top to bottom."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from repro.primitives.frozen import frozen
from repro.primitives.texts import printable
from repro.project.audit_paths import Here
from repro.project.audit_python import audit_tree, parse_python
from repro.project.audit_r import audit_r
from repro.project.audit_shell import audit_shell, network_in_shell
from repro.project.audited import Audited, Draw
from repro.project.finding import RISK, STOPS, Finding
from repro.project.notebook_cells import Cell, Notebook, read_notebook
from repro.project.python_defined import Defined, defined_in

_AGAIN = "restart the kernel, run all cells, and save"
_KNOWN = frozenset(dir(builtins)) | {
    "__name__", "__file__", "__doc__", "__builtins__", "display", "get_ipython", "exit", "quit",
    "In", "Out", "_", "__", "___", "_i", "_ii", "_iii", "_ih", "_oh", "_dh", "__vsc_ipynb_file__",
}  # fmt: skip
_ANYTHING = frozenset({"run", "pylab", "load_ext", "store", "load", "sql", "Rpull", "reload_ext"})
"""Magics after which any name may exist."""


@frozen
class _Parsed:
    cell: Cell
    tree: ast.Module


def audit_notebook(data: bytes, path: str, here: Here) -> Audited:
    """What a notebook shows. A file that is none is a finding."""
    try:
        notebook = read_notebook(data)
    except ValueError as error:
        return Audited(path=path, language="", findings=(Finding(
            code="syntax", level=STOPS, path=path,
            text=f"is no notebook that can be read: {printable(str(error), 100)}",
            mend="repair it, or leave it out with `inputs.exclude` in repro.yml",
        ),))  # fmt: skip
    state = tuple(_state(notebook, path))
    if notebook.language == "python":
        return _python(notebook, path, here, state)
    if notebook.language == "r":
        return _r(notebook, path, here, state)
    limit = f"{printable(path)}: code in {printable(notebook.language, 30)} was not examined"
    return Audited(path=path, language="", findings=state, limits=(limit,))


def _state(notebook: Notebook, path: str) -> Iterator[Finding]:
    """Execution counts and saved errors."""
    cells = [cell for cell in notebook.cells if cell.is_code]
    ran = [cell for cell in cells if cell.count is not None]

    def found(code: str, text: str, cell: Cell | None = None) -> Finding:
        return Finding(
            code=code, level=RISK, text=text, mend=_AGAIN, path=path,
            cell=None if cell is None else cell.number,
        )  # fmt: skip

    for cell in cells:
        if cell.error is not None:
            yield found("notebook-error", f"was saved with {printable(cell.error, 60)}", cell)
    if cells and not ran:
        yield found("notebook-unrun", "was saved without having been run")
        return
    for cell in cells:
        if cell.count is None:
            yield found("notebook-unrun", "was not run when the notebook was saved", cell)
    counts = [cell.count for cell in ran if cell.count is not None]
    for before, cell in zip(ran, ran[1:], strict=False):
        if (cell.count or 0) <= (before.count or 0):
            text = f"ran as [{cell.count}], before cell {before.number} above it [{before.count}]"
            yield found("notebook-order", text, cell)
            return
    if counts and counts != list(range(1, len(counts) + 1)):
        text = (
            f"its {len(counts)} cells carry the counts {counts[0]} to {counts[-1]}: some ran more "
            "than once, or were removed; the saved results may stand on what they left behind"
        )
        yield found("notebook-hidden", text)


def _python(notebook: Notebook, path: str, here: Here, state: tuple[Finding, ...]) -> Audited:
    findings: list[Finding] = list(state)
    limits: list[str] = []
    parsed: list[_Parsed] = []
    for cell in notebook.cells:
        if cell.python is None:
            findings += _other_language(cell, path, here, limits)
            continue
        for number, line in cell.shell:
            finding = network_in_shell(line, path, number)
            if finding is not None:
                findings.append(_in_cell(finding, cell.number, number))
        tree = parse_python(cell.python, path)
        if isinstance(tree, Finding):
            findings.append(_in_cell(tree, cell.number, tree.line))
        else:
            parsed.append(_Parsed(cell=cell, tree=tree))
    # Before the trees are joined: that moves their line numbers.
    findings += _undefined(notebook, parsed, path)
    whole, places = _joined(parsed)
    audited = audit_tree(whole, path, here)
    findings += [_placed(finding, places) for finding in audited.findings]
    return Audited(
        path=path,
        language="python",
        findings=tuple(findings),
        draws=tuple(_placed_draw(draw, places) for draw in audited.draws),
        seeds=audited.seeds,
        uses=audited.uses,
        packages=audited.packages,
        limits=tuple(limits),
    )


def joined_cells(notebook: Notebook, path: str) -> tuple[ast.Module, list[tuple[int, int]]]:
    """The Python cells that can be read as one module; ``place_of`` takes its lines back."""
    parsed = []
    for cell in notebook.cells:
        tree = parse_python(cell.python, path) if cell.python is not None else None
        if isinstance(tree, ast.Module):
            parsed.append(_Parsed(cell=cell, tree=tree))
    return _joined(parsed)


def _joined(parsed: list[_Parsed]) -> tuple[ast.Module, list[tuple[int, int]]]:
    """All cells as one module, and (first line, cell number) of each."""
    body: list[ast.stmt] = []
    places: list[tuple[int, int]] = []
    offset = 0
    for each in parsed:
        places.append((offset, each.cell.number))
        for statement in each.tree.body:
            body.append(ast.increment_lineno(statement, offset))
        offset += each.cell.source.count("\n") + 1
    return ast.Module(body=body, type_ignores=[]), places


def place_of(line: int, places: list[tuple[int, int]]) -> tuple[int, int]:
    """The cell number and the line in it, of a line of the joined module."""
    offset, number = next(pair for pair in reversed(places) if pair[0] < line)
    return number, line - offset


def _placed(finding: Finding, places: list[tuple[int, int]]) -> Finding:
    if finding.line is None:
        return finding
    number, line = place_of(finding.line, places)
    return _in_cell(finding, number, line)


def _placed_draw(draw: Draw, places: list[tuple[int, int]]) -> Draw:
    number, line = place_of(draw.line, places)
    return Draw(
        generator=draw.generator, call=draw.call, line=line, mend=draw.mend, cell=number
    )  # fmt: skip


def _in_cell(finding: Finding, cell: int, line: int | None) -> Finding:
    return Finding(
        code=finding.code, level=finding.level, text=finding.text, mend=finding.mend,
        path=finding.path, line=line, cell=cell, url=finding.url,
    )  # fmt: skip


def _other_language(cell: Cell, path: str, here: Here, limits: list[str]) -> Iterator[Finding]:
    if cell.language in ("html", "markdown", "latex", "svg", "javascript", "js", "writefile"):
        return
    if cell.language == "bash":
        body = "\n" + cell.source.partition("\n")[2]
        for finding in audit_shell(body, path, here).findings:
            yield _in_cell(finding, cell.number, finding.line)
        return
    language = printable(cell.language, 30)
    limits.append(f"{printable(path)} cell {cell.number}: %%{language} was not examined")


def _undefined(notebook: Notebook, parsed: list[_Parsed], path: str) -> Iterator[Finding]:
    """Names that a cell needs and no cell above it gives: state of a session that is gone."""
    known: set[str] = set(_KNOWN)
    every = [defined_in(each.tree) for each in parsed]
    later = _first_cells(parsed, every)
    magics = {cell.number: cell.magics for cell in notebook.cells}
    for each, found in zip(parsed, every, strict=True):
        if any(number <= each.cell.number and used & _ANYTHING for number, used in magics.items()):
            return
        for name, line in found.needs:
            if name in known or name.startswith("_i"):
                continue
            known.add(name)
            where = later.get(name)
            said = f"which cell {where} below defines" if where else "which no cell defines"
            yield Finding(
                code="notebook-hidden", level=STOPS, path=path, cell=each.cell.number, line=line,
                text=f"uses {printable(name, 60)}, {said}: it came from a session that is gone",
                mend=f"define {printable(name, 60)} in a cell above, then {_AGAIN}",
            )  # fmt: skip
        if found.star:
            # `from x import *`: from here on any name may exist.
            return
        known |= found.gives


def _first_cells(parsed: list[_Parsed], every: list[Defined]) -> dict[str, int]:
    first: dict[str, int] = {}
    for each, found in zip(parsed, every, strict=True):
        for name in found.gives:
            first.setdefault(name, each.cell.number)
    return first


def _r(notebook: Notebook, path: str, here: Here, state: tuple[Finding, ...]) -> Audited:
    findings: list[Finding] = list(state)
    draws: list[Draw] = []
    parts = []
    for cell in notebook.cells:
        audited = audit_r(cell.source, path, here)
        parts.append(audited)
        findings += [_in_cell(finding, cell.number, finding.line) for finding in audited.findings]
        draws += [
            Draw(generator=d.generator, call=d.call, line=d.line, mend=d.mend, cell=cell.number)
            for d in audited.draws
        ]
    return Audited(
        path=path,
        language="r",
        findings=tuple(findings),
        draws=tuple(draws),
        seeds=frozenset().union(*(part.seeds for part in parts)),
        uses=frozenset().union(*(part.uses for part in parts)),
        packages=frozenset().union(*(part.packages for part in parts)),
    )
