"""ZIP and what is built on it (npz, docx, odt, whl): member by member, order and times free."""

from __future__ import annotations

from repro.compare.base import Comparator, Task, parse_both
from repro.compare.choose import compare_part
from repro.compare.unzip import MAGIC, unzip
from repro.model.verdict import Comparison


class ZipComparator(Comparator):
    """Every member is judged as a file of its own name; same names are demanded."""

    name = "zip/1"
    rank = 46
    suffixes = (".zip", ".npz", ".docx", ".pptx", ".odt", ".odp", ".whl", ".epub", ".kmz", ".keras")
    magic = MAGIC
    kinds = ("zip",)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(unzip, old, new)
        findings = self._findings(task)
        for name in sorted(left.keys() | right.keys()):
            if name not in left or name not in right:
                findings.differ(name, "only in one of the two", *_sizes(name, left, right))
            elif left[name] != right[name]:
                findings.merge(name, compare_part(name, left[name], right[name], task))
        findings.otherwise("the order, times and attributes of members, or their compression")
        nouns = "member" if len(left) == 1 else "members"
        return findings.result(f"{len(left)} {nouns}")


def _sizes(name: str, left: dict[str, bytes], right: dict[str, bytes]) -> tuple[str, str]:
    sides = [f"{len(side[name])} bytes" if name in side else "missing" for side in (left, right)]
    return sides[0], sides[1]
