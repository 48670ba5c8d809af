"""R's .rds and .RData by our own reader: vectors, lists, attributes, data frames; nothing is run."""

from __future__ import annotations

from repro.compare.base import Comparator, Task, parse_both
from repro.compare.contents import Content, compare_contents, summary
from repro.compare.inflate import gunzip, unbzip, unxz, unzstd
from repro.compare.rleaves import SOURCES, leaves
from repro.compare.rserial import Node, read_serialized
from repro.model.verdict import Comparison

_MAX_PLAIN = 192 << 20
_PACKINGS = (
    (b"\x1f\x8b", gunzip), (b"BZh", unbzip), (b"\xfd7zXZ\0", unxz), (b"\x28\xb5\x2f\xfd", unzstd),
)  # fmt: skip
_WORKSPACES = (b"RDX2\n", b"RDX3\n", b"RDA2\n", b"RDA3\n")
_SOURCES = "references of functions to their source files (srcref)"


class RDataComparator(Comparator):
    """One saved value or workspace. Integers, logicals and texts are exact; NA is not NaN.

    The version of R that wrote it, byte code and references to source files are removed.
    """

    name = "rdata/1"
    rank = 13
    suffixes = (".rds", ".rda", ".rdata")
    magic = (b"RDX2\n", b"RDX3\n", b"X\n\0\0\0\2", b"X\n\0\0\0\3")
    kinds = ("rds", "rdata")

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(_content, old, new)
        findings = self._findings(task)
        one, two = _kept(left), _kept(right)
        compare_contents(one, two, findings)
        if {p: left[p] for p in left.keys() - one} != {p: right[p] for p in right.keys() - two}:
            findings.drop(_SOURCES)
        findings.otherwise(
            f"the version of R, the compression, how vectors are packed or {_SOURCES}"
        )
        return findings.result(summary(one))


def _kept(content: Content) -> Content:
    return {p: leaf for p, leaf in content.items() if not any(f"@{name}" in p for name in SOURCES)}


def _content(data: bytes) -> Content:
    for magic, unpack in _PACKINGS:
        if data.startswith(magic):
            data = unpack(data, _MAX_PLAIN)
            break
    if data.startswith(_WORKSPACES):
        return leaves(_workspace(read_serialized(data, 5)))
    return leaves(read_serialized(data))


def _workspace(root: Node) -> Node:
    """save() writes a chain of named values: as a list, whose places are the names."""
    return Node("workspace", items=root.items)
