"""A Python file, read but never run: random draws, network, machine-bound paths."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterator

from repro.primitives.texts import printable
from repro.project.audit_paths import Here, path_finding
from repro.project.audit_python_network import network_finding
from repro.project.audit_python_random import draws_of, seeds_of
from repro.project.audited import Audited, Draw
from repro.project.finding import RISK, STOPS, Finding
from repro.project.python_names import Names, calls, keyword

_READERS = re.compile(
    r"(?:read_\w+|scan_\w+|open|open_\w+|load\w*|loadtxt|genfromtxt|fromfile|imread|listdir|scandir"
    r"|chdir|parse|read)"
)
_OPENERS = re.compile(
    r"(?:Path|PurePath|glob|iglob|walk|save\w*|savefig|savetxt|to_\w+|makedirs|mkdir|exists|isfile"
    r"|isdir|copy\w*|move|insert|append|join|dump|write_\w+|expanduser)"
)
_UNPATHY = re.compile(r"sys\.path\.\w+|os\.path\.join|(?:.*\.)?(?:append|join|insert)")


def parse_python(source: str | bytes, path: str) -> ast.Module | Finding:
    """The parsed file, or the finding that it is no Python (of this version)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as error:
        line, problem = error.lineno, error.msg
    except (ValueError, RecursionError, MemoryError) as error:
        line, problem = None, str(error) or "too deeply nested"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return Finding(
        code="syntax", level=STOPS, path=path, line=line or None,
        text=f"Python {version} cannot read it ({printable(str(problem), 100)}): "
        "nothing in it was examined",
        mend="repair it, or leave it out with `inputs.exclude` in repro.yml",
    )  # fmt: skip


def audit_python(source: str | bytes, path: str, here: Here) -> Audited:
    """What a Python file shows. A syntax error is a finding."""
    tree = parse_python(source, path)
    if isinstance(tree, Finding):
        return Audited(path=path, language="python", findings=(tree,))
    return audit_tree(tree, path, here)


def audit_tree(tree: ast.Module, path: str, here: Here) -> Audited:
    """What a parsed Python file shows."""
    names = Names(tree)
    findings: list[Finding] = []
    draws: list[Draw] = []
    seeds: set[str] = set()
    for node in calls(tree):
        name = names.dotted(node.func)
        seeds.update(seeds_of(node, name))
        draws += draws_of(node, name, names)
        finding = network_finding(node, name, names, path)
        if finding is not None:
            findings.append(finding)
    findings += _paths(tree, names, path, here)
    return Audited(
        path=path,
        language="python",
        findings=tuple(findings),
        draws=tuple(draws),
        seeds=frozenset(seeds),
        uses=frozenset(name.rpartition(".")[2] for name in names.imported),
        packages=frozenset(
            name.partition(".")[0] for name in names.imported if not name.startswith(".")
        ),
    )


def _paths(tree: ast.Module, names: Names, path: str, here: Here) -> Iterator[Finding]:
    """Machine-bound paths, each text once with its first line."""
    roles = _roles(tree, names)
    seen: set[str] = set()
    docs = _documentation(tree)
    for node in sorted(
        (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)),
        key=lambda n: (n.lineno, n.col_offset),
    ):
        text = str(node.value)
        if id(node) in docs or text in seen:
            continue
        reads, opens = roles.get(text, (False, False))
        finding = path_finding(
            text, here, reads=reads, opens=opens, path=path, line=node.lineno
        )  # fmt: skip
        if finding is not None:
            seen.add(text)
            yield finding
    for call in calls(tree):
        if names.dotted(call.func) in ("pathlib.Path.home", "Path.home"):
            yield Finding(
                code="home-path", level=RISK, text="Path.home() is another folder for everybody",
                mend="write paths relative to the project", path=path, line=call.lineno,
            )  # fmt: skip


def _roles(tree: ast.Module, names: Names) -> dict[str, tuple[bool, bool]]:
    """For each text that a call gets: whether it is read there, and whether it is a path."""
    roles: dict[str, tuple[bool, bool]] = {}
    for node in calls(tree):
        last = names.dotted(node.func).rpartition(".")[2]
        reads = _READERS.fullmatch(last) is not None and not _writes(node, names)
        if not reads and not _OPENERS.fullmatch(last):
            continue
        opens = reads or not _UNPATHY.fullmatch(last)
        for argument in (*node.args[:2], *(each.value for each in node.keywords)):
            text = names.text(argument)
            if text is not None:
                before = roles.get(text, (False, False))
                roles[text] = (before[0] or reads, before[1] or opens)
    return roles


def _writes(node: ast.Call, names: Names) -> bool:
    """Whether ``open`` is given a mode that makes the file."""
    mode = keyword(node, "mode") or (node.args[1] if len(node.args) > 1 else None)
    text = names.text(mode)
    return text is not None and re.fullmatch(r"[rwaxbt+U]{1,4}", text) is not None and (
        any(letter in text for letter in "wax")
    )  # fmt: skip


def _documentation(tree: ast.Module) -> set[int]:
    """The texts that are statements by themselves: doc strings."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
