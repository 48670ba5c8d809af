"""YAML as a tree: safe loader only, no aliases, no key twice."""

from __future__ import annotations

from typing import Any

import yaml

from repro.compare.base import Beyond, Comparator, Malformed, Task, parse_both
from repro.compare.plain import compare_endings, decode
from repro.compare.tree import compare_trees
from repro.model.verdict import Comparison


class YamlComparator(Comparator):
    """YAML documents; comments and style are free."""

    name = "yaml/1"
    rank = 33
    suffixes = (".yaml", ".yml")
    kinds = ("yaml",)
    max_bytes = 1 << 20

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(_documents, old, new)
        findings = self._findings(task)
        compare_trees(left, right, findings)
        compare_endings(old, new, findings)
        findings.otherwise("comments, white space, style or the order of keys")
        return findings.result(f"{findings.tally.n} numbers" if findings.tally.n else "a tree")


class _Loader(yaml.SafeLoader):
    """SafeLoader without aliases (a small file can unfold without end) and double keys."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise Beyond("it uses aliases")
        self.depth += 1
        if self.depth > 100:
            raise Beyond("nested more than 100 deep")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep=deep)
        if len(found) != len(node.value):
            raise Malformed("a key appears twice in one mapping")
        return found


def _documents(data: bytes) -> Any:
    text = decode(data)
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:
        raise Malformed(f"not YAML: {str(error)[:120]}") from None
    try:
        documents = []
        while loader.check_data():  # type: ignore[no-untyped-call]
            documents.append(loader.get_data())
        return documents[0] if len(documents) == 1 else documents
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise Malformed(f"{line}{getattr(error, 'problem', None) or 'not YAML'}") from None
    except ValueError as error:
        raise Malformed(str(error)) from None
    finally:
        loader.dispose()
