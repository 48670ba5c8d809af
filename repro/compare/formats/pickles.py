"""Pickles and joblib's files by their opcodes; they are never loaded."""

from __future__ import annotations

from repro.compare.base import Beyond, Comparator, Task, parse_both
from repro.compare.contents import Content, compare_contents, summary
from repro.compare.inflate import gunzip, inflate_zlib, unbzip, unxz
from repro.compare.joblib_parts import joblib_array, take_array
from repro.compare.pickle_leaves import pickle_leaves
from repro.compare.pickled import read_pickles
from repro.model.verdict import Comparison

_PACKINGS = (
    (b"\x1f\x8b", gunzip), (b"BZh", unbzip), (b"\xfd7zXZ\0", unxz), (b"\x78", inflate_zlib),
)  # fmt: skip
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


class PickleComparator(Comparator):
    """What a pickle would build: numbers, texts, arrays, and calls by name and arguments.

    Protocol, framing, numbering of the memo and the order of sets and of keys are free.
    """

    name = "pickle/1"
    rank = 15
    suffixes = (".pkl", ".pickle", ".joblib")
    magic = tuple(b"\x80" + bytes([protocol]) for protocol in (2, 3, 4, 5))
    kinds = ("pickle",)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(_content, old, new)
        findings = self._findings(task)
        compare_contents(left, right, findings)
        findings.otherwise("the protocol, the numbering of the memo or the order of keys and sets")
        return findings.result(f"{summary(left)}, not loaded")


def _content(data: bytes) -> Content:
    for magic, unpack in _PACKINGS:
        if data.startswith(magic):
            data = unpack(data)
            break
    if data.startswith(_LEGACY):
        raise Beyond("PyTorch's form before 1.6 is not read; save it again with a newer PyTorch")
    return pickle_leaves(read_pickles(data, take_array), joblib_array)
