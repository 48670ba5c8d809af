"""Formats this version will not open: pickles never, others for want of a reader."""

from __future__ import annotations

from repro.compare.base import Comparator, Task
from repro.model.verdict import Comparison

_ADVICE = {
    "pickle": "a pickle runs code when it is loaded, so it never is; write npz, csv or json",
}
_MAGIC = (
    (b"\x80\x02", "pickle"), (b"\x80\x03", "pickle"), (b"\x80\x04", "pickle"),
    (b"\x80\x05", "pickle"),
)  # fmt: skip
_SUFFIXES = (((".pkl", ".pickle", ".joblib", ".pt", ".pth"), "pickle"),)


class OpaqueComparator(Comparator):
    """Bytes only, and UNDECIDED when they differ: they may or may not mean the same."""

    name = "opaque/1"
    rank = 15

    def accepts(self, path: str, head: bytes) -> bool:
        """A format known to be closed to us, by its first bytes or its name."""
        return _format(path, head) is not None

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        findings = self._findings(task)
        kind = _by_magic(old[:16]) or _by_magic(new[:16])
        findings.undecided(_ADVICE[kind] if kind else _GENERAL)
        return findings.result(f"bytes differ ({len(old)} and {len(new)})")


_GENERAL = (
    "this version has no reader for the format; write csv, json, npz or PNG to have it judged"
)


def _by_magic(head: bytes) -> str | None:
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def _format(path: str, head: bytes) -> str | None:
    lower = path.lower()
    by_name = next((name for ends, name in _SUFFIXES if lower.endswith(ends)), None)
    return _by_magic(head) or by_name
