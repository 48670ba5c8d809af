"""Which names a piece of Python needs from outside, and which it gives, at its top level."""

from __future__ import annotations

import ast

from repro.primitives.frozen import frozen


@frozen
class Defined:
    """``needs`` are names read when the piece runs before anything in it binds them (name,
    first line), ``gives`` the names it binds at its top level; ``star``: it imports ``*``."""

    needs: tuple[tuple[str, int], ...]
    gives: frozenset[str]
    star: bool


def defined_in(tree: ast.Module) -> Defined:
    """Read one cell. Bodies of functions are not followed: they run later, if at all."""
    visitor = _Visitor()
    for statement in tree.body:
        visitor.visit(statement)
    return Defined(
        needs=tuple(visitor.needs.items()), gives=frozenset(visitor.bound), star=visitor.star
    )


class _Visitor(ast.NodeVisitor):
    """Follows the order in which Python evaluates, statement by statement."""

    def __init__(self) -> None:
        self.bound: set[str] = set()
        self.needs: dict[str, int] = {}
        self.star = False
        self._local: list[set[str]] = []

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._need(node.id, node.lineno)
        else:
            self._bind(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._need(node.target.id, node.lineno)
        self.visit(node.value)
        self.visit(node.target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
            self.visit(node.target)

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        self.visit(node.target)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *(k.value for k in node.keywords)):
            self.visit(part)
        self._local.append(set())
        for statement in node.body:
            self.visit(statement)
        self._local.pop()
        self._bind(node.name)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node.generators, [node.elt])

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehension(node.generators, [node.elt])

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node.generators, [node.elt])

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node.generators, [node.key, node.value])

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        # PEP 572: bound outside a comprehension.
        self.bound.add(node.target.id)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._bind(alias.asname or alias.name.partition(".")[0])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                self.star = True
            else:
                self._bind(alias.asname or alias.name)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._bind(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        if node.name:
            self._bind(node.name)
        self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name:
            self._bind(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self._bind(node.rest)
        self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        """`try: name / except NameError:` asks whether a name exists: no need of it."""
        handled = any(_handles_names(handler) for handler in node.handlers)
        before = dict(self.needs)
        for statement in node.body:
            self.visit(statement)
        if handled:
            self.needs = before
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(part)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (
            *node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)
        ):  # fmt: skip
            self.visit(part)
        for inner in ast.walk(node):
            # A function may give names to the whole piece.
            if isinstance(inner, ast.Global):
                self.bound.update(inner.names)
        self._bind(node.name)

    def _comprehension(self, generators: list[ast.comprehension], parts: list[ast.expr]) -> None:
        self._local.append(set())
        for generator in generators:
            self.visit(generator.iter)
            self.visit(generator.target)
            for condition in generator.ifs:
                self.visit(condition)
        for part in parts:
            self.visit(part)
        self._local.pop()

    def _need(self, name: str, line: int) -> None:
        if self.star:
            # `from x import *` above it: any name may exist.
            return
        if name not in self.bound and not any(name in scope for scope in self._local):
            self.needs.setdefault(name, line)

    def _bind(self, name: str) -> None:
        if self._local:
            self._local[-1].add(name)
        else:
            self.bound.add(name)


def _handles_names(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = {each.id for each in ast.walk(handler.type) if isinstance(each, ast.Name)}
    return bool(names & {"NameError", "Exception", "BaseException"})
