"""What names in a Python file stand for: imported modules and constant texts."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_DEEPEST = 20


class Names:
    """The imports and the constant texts of one parsed file (any scope).

    A name that is assigned two different texts stands for none.
    """

    def __init__(self, tree: ast.AST) -> None:
        self._modules: dict[str, str] = {}
        self._texts: dict[str, ast.expr | None] = {}
        self.imported: set[str] = set()
        """Dotted names of all that is imported; relative ones begin with a dot."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self._import(node)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node)
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assign(target, node.value)
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                self._assign(node.target, node.value)

    def dotted(self, node: ast.expr) -> str:
        """``numpy.random.normal`` for ``np.random.normal``; "" for what is no plain name.

        Parts that are not names (a call, an index) become ``()``.
        """
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            parts.append(self._modules.get(node.id, node.id))
        elif parts:
            parts.append("()")
        return ".".join(reversed(parts))

    def text(self, node: ast.expr | None, depth: int = 0) -> str | None:
        """The text an expression gives, with ``{}`` for parts known only at run time."""
        if node is None or depth > _DEEPEST:
            return None
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Name):
            return self.text(self._texts.get(node.id), depth + 1)
        if isinstance(node, ast.JoinedStr):
            return "".join(self.text(part, depth + 1) or "{}" for part in node.values)
        if isinstance(node, ast.FormattedValue):
            return self.text(node.value, depth + 1)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Div, ast.Mod)):
            return self._joined(node, depth)
        if isinstance(node, ast.Call):
            return self._called(node, depth)
        return None

    def _joined(self, node: ast.BinOp, depth: int) -> str | None:
        left = self.text(node.left, depth + 1)
        if left is None or isinstance(node.op, ast.Mod):
            return left
        right = self.text(node.right, depth + 1) or "{}"
        return f"{left}/{right}" if isinstance(node.op, ast.Div) else left + right

    def _called(self, node: ast.Call, depth: int) -> str | None:
        """Path("a"), str(x), "…".format(…), os.path.join("a", "b"), expanduser("~/a")."""
        name = self.dotted(node.func)
        if name.endswith(".format") and isinstance(node.func, ast.Attribute):
            return self.text(node.func.value, depth + 1)
        if name.rpartition(".")[2] in ("Path", "PurePath", "str", "expanduser") and node.args:
            return self.text(node.args[0], depth + 1)
        if name in ("os.path.join", "posixpath.join") and node.args:
            parts = [self.text(part, depth + 1) for part in node.args]
            return None if parts[0] is None else "/".join(part or "{}" for part in parts)
        if name == "pathlib.Path.home":
            return "~"
        return None

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.imported.add(alias.name)
            if alias.asname:
                self._modules[alias.asname] = alias.name

    def _import_from(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        self.imported.add(module)
        for alias in node.names:
            whole = f"{module}{'' if module.endswith('.') else '.'}{alias.name}"
            self.imported.add(whole)
            self._modules[alias.asname or alias.name] = whole

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if not isinstance(target, ast.Name):
            return
        known = self._texts.get(target.id, value)
        same = known is not None and ast.dump(known) == ast.dump(value)
        self._texts[target.id] = value if same else None


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Every call in the tree, in the order of the source."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    yield from sorted(found, key=lambda node: (node.lineno, node.col_offset))


def keyword(node: ast.Call, name: str) -> ast.expr | None:
    """The value of a keyword argument."""
    return next((each.value for each in node.keywords if each.arg == name), None)


def is_constant(node: ast.expr | None, value: object) -> bool:
    """Whether an expression is this literal."""
    return isinstance(node, ast.Constant) and node.value is value
