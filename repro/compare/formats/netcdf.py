"""NetCDF classic: dimensions, attributes and variables; when it was written is removed."""

from __future__ import annotations

from repro.compare.base import Comparator, Task, parse_both
from repro.compare.contents import compare_contents, summary
from repro.compare.metadata import without_written
from repro.compare.netcdf3 import MAGIC, read_netcdf3
from repro.model.verdict import Comparison


class NetcdfComparator(Comparator):
    """CDF-1, CDF-2 and CDF-5; NetCDF-4 is HDF5."""

    name = "netcdf3/1"
    rank = 11
    magic = MAGIC
    kinds = ("netcdf3",)
    max_bytes = 256 << 20

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(read_netcdf3, old, new)
        findings = self._findings(task)
        one, two = without_written(left, right, findings)
        compare_contents(one, two, findings)
        findings.otherwise("where values lie in the file, or what fills it up")
        return findings.result(summary(one))
