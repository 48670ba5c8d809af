"""gzip, bzip2, xz and zstd: the header's name and time removed, then what is inside."""

from __future__ import annotations

from repro.compare.base import Comparator, Malformed, Task, parse_both
from repro.compare.choose import compare_part
from repro.compare.inflate import gunzip, unbzip, unxz, unzstd
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison

_KINDS = (
    (b"\x1f\x8b", gunzip), (b"BZh", unbzip), (b"\xfd7zXZ\0", unxz), (b"\x28\xb5\x2f\xfd", unzstd),
)  # fmt: skip
_WHOLE = {".svgz": ".svg", ".tgz": ".tar", ".tbz2": ".tar", ".txz": ".tar", ".tzst": ".tar"}


class CompressedComparator(Comparator):
    """One compressed file; its content is judged as a file without the last suffix."""

    name = "compressed/1"
    rank = 45
    suffixes = (".gz", ".bz2", ".xz", ".zst", *_WHOLE)
    magic = tuple(magic for magic, _ in _KINDS)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(_unpack, old, new)
        findings = self._findings(task)
        part = compare_part(_inner(task.path), left, right, task)
        if part.outcome is Outcome.IDENTICAL:
            findings.drop("the header of the compressed file, or how hard it is compressed")
            return findings.result(f"same {len(left)} bytes inside")
        findings.merge("inside", part)
        return findings.result(part.summary)


def _inner(path: str) -> str:
    """The content's name: ``table.csv.gz`` holds ``table.csv``."""
    stem, dot, ending = path.rpartition(".")
    suffix = f".{ending.lower()}"
    if not dot or suffix not in CompressedComparator.suffixes:
        return "content"
    return stem + _WHOLE.get(suffix, "")


def _unpack(data: bytes) -> bytes:
    for magic, unpack in _KINDS:
        if data.startswith(magic):
            return unpack(data)
    raise Malformed("it is not compressed")
