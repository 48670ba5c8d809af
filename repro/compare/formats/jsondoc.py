"""JSON, GeoJSON and JSON lines as trees: white space and the order of keys are free."""

from __future__ import annotations

import codecs
import contextlib
from typing import Any, BinaryIO

from repro.compare.base import UNBOUNDED, Beyond, Comparator, Malformed, Task, parse_both
from repro.compare.findings import Findings
from repro.compare.jsonstream import Document
from repro.compare.jsonwalk import Side, compare_documents
from repro.compare.linestream import Lines, skip_same
from repro.compare.plain import compare_endings
from repro.compare.strictjson import parse_json
from repro.compare.tree import compare_trees
from repro.model.ports import OutputFile
from repro.model.verdict import Comparison

LARGE = 16 << 20
"""Larger documents are gone through piece by piece, in bounded memory."""
_WRITTEN = "white space, the order of keys or how numbers and text are written"
_MAX_DIFFERENCES = 1_000_000
_SECONDS, _BYTES_A_SECOND = 300.0, 1 << 19


class JsonComparator(Comparator):
    """One JSON document."""

    name = "json/1"
    rank = 31
    suffixes = (".json", ".geojson", ".jsonld", ".topojson")
    kinds = ("json",)
    max_bytes = UNBOUNDED

    def _compare_files(self, old: OutputFile, new: OutputFile, task: Task) -> Comparison:
        if max(old.size, new.size) <= LARGE:
            try:
                return super()._compare_files(old, new, task)
            except Beyond:  # many values: gone through one after the other instead
                pass
        return self._streamed(old, new, task)

    def _streamed(self, old: OutputFile, new: OutputFile, task: Task) -> Comparison:
        findings = self._findings(task)
        with contextlib.closing(old.open()) as left, contextlib.closing(new.open()) as right:
            seconds = _SECONDS + max(old.size, new.size) / _BYTES_A_SECOND
            one = Side("recorded", _document(left, seconds))
            two = Side("rerun's", _document(right, seconds))
            try:
                compare_documents(one, two, findings)
            except Beyond as error:
                findings.undecided(str(error))
        findings.otherwise(_WRITTEN)
        return findings.result("a large tree")

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(parse_json, old, new)
        findings = self._findings(task)
        compare_trees(left, right, findings)
        findings.otherwise(_WRITTEN)
        return findings.result(f"{findings.tally.n} numbers" if findings.tally.n else "a tree")


class JsonLinesComparator(Comparator):
    """One JSON document per line."""

    name = "jsonl/1"
    rank = 32
    suffixes = (".jsonl", ".ndjson")
    kinds = ("jsonl",)
    max_bytes = UNBOUNDED

    def _compare_files(self, old: OutputFile, new: OutputFile, task: Task) -> Comparison:
        if max(old.size, new.size) <= LARGE:
            try:
                return super()._compare_files(old, new, task)
            except Beyond:
                pass
        findings = self._findings(task)
        with contextlib.closing(old.open()) as left, contextlib.closing(new.open()) as right:
            try:
                count = _lines(Lines(left, "recorded"), Lines(right, "rerun's"), findings)
            except Beyond as error:
                count = 0
                findings.undecided(str(error))
        findings.otherwise(_WRITTEN)
        return findings.result(f"{count} documents")

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(_documents, old, new)
        findings = self._findings(task)
        compare_trees(left, right, findings)
        compare_endings(old, new, findings)
        findings.otherwise(_WRITTEN)
        return findings.result(f"{len(left)} documents")


def _document(stream: BinaryIO, seconds: float) -> Document:
    mark = stream.read(2)
    stream.seek(0)
    wide = mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return Document(stream, "utf-16" if wide else "utf-8-sig", seconds)


def _lines(old: Lines, new: Lines, findings: Findings) -> int:
    """Compare line by line, without the empty ones; the number of the recorded documents."""
    number = 0
    while True:
        if number:
            number += skip_same(old, new, quotes=False)
        one, two = _next(old), _next(new)
        if not (one and two):
            break
        if one != two:
            pair = [_parsed(side, line) for side, line in ((old, one), (new, two))]
            compare_trees(pair[0], pair[1], findings, f"$[{number}]")
        else:
            _parsed(old, one)
        number += 1
        if findings.count > _MAX_DIFFERENCES:
            findings.note("what comes after a million differences was not looked at")
            return number
    return _ends(old, new, (one, two), number, findings)


def _ends(
    old: Lines, new: Lines, last: tuple[bytes, bytes], number: int, findings: Findings
) -> int:
    counts = []
    for side, line in zip((old, new), last, strict=True):
        more = 0
        while line:
            _parsed(side, line)
            more += 1
            line = _next(side)
        counts.append(number + more)
    if counts[0] != counts[1]:
        findings.differ("$", "another number of items", *map(str, counts))
    if old.last.endswith(b"\n") != new.last.endswith(b"\n"):
        findings.differ("the last line", "one side does not end its last line (cut off?)")
    return counts[0]


def _next(side: Lines) -> bytes:
    """The next line that is not empty; empty at the end."""
    line = side.take()
    while line and not line.strip():
        line = side.take()
    return line


def _parsed(side: Lines, line: bytes) -> Any:
    try:
        return parse_json(line)
    except Malformed as error:
        raise side.malformed(str(error)) from None


def _documents(data: bytes) -> list[Any]:
    return [parse_json(line) for line in data.split(b"\n") if line.strip()]
