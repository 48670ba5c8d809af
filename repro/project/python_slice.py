"""Which lines of a Python file may flow into a result that it names; a guess, read not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from repro.project.python_names import Names

_ROUNDS = 50
_COMPOUND = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def lines_into(tree: ast.Module, result: str) -> frozenset[int] | None:
    """The lines from which values may come into the file named ``result``.

    None when no text in the source ends with that name. It follows names through
    assignments, loops and functions of this file, whatever their order: too many lines
    rather than too few.
    """
    names = Names(tree)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    writing = {
        statement
        for node in ast.walk(tree)
        if isinstance(node, ast.expr) and _names_file(names.text(node), result)
        for statement in [_statement(node, parents)]
        if statement is not None
    }
    if not writing:
        return None
    own = _own_names(tree)
    found: set[ast.stmt] = set()
    for each in writing:
        found.update(inner for inner in ast.walk(each) if isinstance(inner, ast.stmt))
    for _ in range(_ROUNDS):
        tracked = _used(found, own)
        more = {each for each in statements if each not in found and _feeds(each, tracked)}
        more |= {parent for each in found | more for parent in _around(each, parents)} - found
        more |= {
            inner
            for each in more
            if isinstance(each, _SCOPES)
            for inner in ast.walk(each)
            if isinstance(inner, ast.stmt)
        } - found
        if not more:
            break
        found |= more
    return frozenset(line for each in found for line in _lines(each))


def _names_file(text: str | None, result: str) -> bool:
    return text is not None and (text == result or text.endswith(f"/{result}"))


def _statement(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> ast.stmt | None:
    while not isinstance(node, ast.stmt):
        if node not in parents:
            return None
        node = parents[node]
    return node


def _own_names(tree: ast.Module) -> set[str]:
    """Names that the file itself gives to something, imports excepted."""
    found = {
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    return found | {node.name for node in ast.walk(tree) if isinstance(node, _SCOPES)} | {
        node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)
    }  # fmt: skip


def _parts(statement: ast.stmt) -> Iterator[ast.AST]:
    """The nodes of a statement without the statements inside it."""
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        yield node
        pending += [n for n in ast.iter_child_nodes(node) if not isinstance(n, ast.stmt)]


def _used(statements: set[ast.stmt], own: set[str]) -> set[str]:
    return {
        node.id
        for statement in statements
        for node in _parts(statement)
        if isinstance(node, ast.Name) and node.id in own
    }


def _feeds(statement: ast.stmt, tracked: set[str]) -> bool:
    """Whether a statement gives one of the names something, or may change what it stands for."""
    if isinstance(statement, _SCOPES):
        return statement.name in tracked
    if isinstance(statement, ast.Expr):
        return any(
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name) and node.func.value.id in tracked
            for node in _parts(statement)
        )  # fmt: skip
    return any(
        isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in tracked
        for node in _parts(statement)
    )


def _around(statement: ast.stmt, parents: dict[ast.AST, ast.AST]) -> Iterator[ast.stmt]:
    """Loops and conditions around a statement: whether and how often it runs."""
    node: ast.AST = statement
    while node in parents:
        node = parents[node]
        if isinstance(node, _COMPOUND):
            yield node


def _lines(statement: ast.stmt) -> Iterator[int]:
    if not isinstance(statement, (*_COMPOUND, *_SCOPES)):
        yield from range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
        return
    for node in _parts(statement):
        if isinstance(node, ast.expr):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)
