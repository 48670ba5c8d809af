"""TOML as a tree: comments, white space, the order of keys and the way of writing are free."""

from __future__ import annotations

import sys
from typing import Any

from repro.compare.base import Beyond, Comparator, Malformed, Task, parse_both
from repro.compare.plain import compare_endings, decode
from repro.compare.tree import compare_trees
from repro.model.verdict import Comparison
from repro.primitives.canonical import nesting

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

_MAX_DEPTH = 100


class TomlComparator(Comparator):
    """One TOML 1.0 document; integers, texts, dates and times are exact."""

    name = "toml/1"
    rank = 34
    suffixes = (".toml",)
    kinds = ("toml",)
    max_bytes = 4 << 20

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(_document, old, new)
        findings = self._findings(task)
        compare_trees(left, right, findings)
        compare_endings(old, new, findings)
        findings.otherwise("comments, white space, the order of keys or how values are written")
        return findings.result(f"{findings.tally.n} numbers" if findings.tally.n else "a tree")


def _document(data: bytes) -> dict[str, Any]:
    text = decode(data)
    deepest = max((line.count(".") for line in text.splitlines()), default=0)
    if deepest > 10_000 or nesting(text, _MAX_DEPTH) > _MAX_DEPTH:
        raise Beyond(f"nested more than {_MAX_DEPTH} deep")
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Malformed(str(error)[:200]) from None
    return document
