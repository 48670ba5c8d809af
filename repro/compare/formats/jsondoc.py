"""JSON, GeoJSON and JSON lines as trees: white space and the order of keys are free."""

from __future__ import annotations

from typing import Any

from repro.compare.base import Comparator, Task, parse_both
from repro.compare.plain import compare_endings
from repro.compare.strictjson import parse_json
from repro.compare.tree import compare_trees
from repro.model.verdict import Comparison


class JsonComparator(Comparator):
    """One JSON document."""

    name = "json/1"
    rank = 31
    suffixes = (".json", ".geojson", ".jsonld", ".topojson")
    kinds = ("json",)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(parse_json, old, new)
        findings = self._findings(task)
        compare_trees(left, right, findings)
        findings.otherwise("white space, the order of keys or how numbers and text are written")
        return findings.result(f"{findings.tally.n} numbers" if findings.tally.n else "a tree")


class JsonLinesComparator(Comparator):
    """One JSON document per line."""

    name = "jsonl/1"
    rank = 32
    suffixes = (".jsonl", ".ndjson")
    kinds = ("jsonl",)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(_documents, old, new)
        findings = self._findings(task)
        compare_trees(left, right, findings)
        compare_endings(old, new, findings)
        findings.otherwise("white space, the order of keys or how numbers and text are written")
        return findings.result(f"{len(left)} documents")


def _documents(data: bytes) -> list[Any]:
    return [parse_json(line) for line in data.split(b"\n") if line.strip()]
