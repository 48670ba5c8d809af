"""HDF5 (NetCDF-4, MATLAB 7.3, Keras weights) through the optional h5py in a sealed child."""

from __future__ import annotations

import contextlib

from repro.compare.base import MAX_BYTES, UNBOUNDED, Comparator, Malformed, Task, parse_both
from repro.compare.child import reader
from repro.compare.contents import Content, compare_contents, summary
from repro.compare.findings import Findings
from repro.compare.metadata import without_written
from repro.compare.parts import compare_parts
from repro.model.ports import OutputFile
from repro.model.verdict import Comparison

_MAGIC = b"\x89HDF\r\n\x1a\n"
_MATLAB = b"MATLAB 7.3"
_HEAD = 1 << 13


class Hdf5Comparator(Comparator):
    """Groups, datasets and attributes. Links to other files are never followed.

    Chunks, filters and the place of values in the file carry no result.
    """

    name = "hdf5/1"
    rank = 10
    suffixes = (".h5", ".hdf5", ".he5", ".nc4")
    magic = (_MAGIC, _MATLAB)
    kinds = ("hdf5",)
    max_bytes = UNBOUNDED

    def _compare_files(self, old: OutputFile, new: OutputFile, task: Task) -> Comparison:
        if max(old.size, new.size) <= MAX_BYTES:
            return super()._compare_files(old, new, task)
        heads = [_head(side) for side in (old, new)]
        findings = self._findings(task)
        count = compare_parts("hdf5", (old, new), findings, without_written)
        _drop_packing(heads[0], heads[1], findings)
        return findings.result(f"{count} parts")

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(_content, old, new)
        findings = self._findings(task)
        one, two = without_written(left, right, findings)
        compare_contents(one, two, findings)
        _drop_packing(old[:_HEAD], new[:_HEAD], findings)
        return findings.result(summary(one))


def _drop_packing(old: bytes, new: bytes, findings: Findings) -> None:
    if old.startswith(_MATLAB) and old[:512] != new[:512]:
        findings.drop("the header's text: which program wrote it, and when")
    findings.otherwise("chunks, filters, times and where values lie in the file")


def _head(side: OutputFile) -> bytes:
    with contextlib.closing(side.open()) as stream:
        return stream.read(_HEAD)


def _content(data: bytes) -> Content:
    if not any(data[start : start + 8] == _MAGIC for start in (0, 512, 1024, 2048, 4096)):
        raise Malformed("it is no HDF5 file")
    return reader("hdf5")(data)
