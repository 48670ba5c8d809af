"""NIfTI images: header fields and voxels under the tolerance."""

from __future__ import annotations

from repro.compare.base import Comparator, Task, parse_both
from repro.compare.contents import compare_contents
from repro.compare.nifti import is_nifti, read_nifti
from repro.model.verdict import Comparison


class NiftiComparator(Comparator):
    """NIfTI-1 and 2 in one file (.nii); extensions are compared by their bytes."""

    name = "nifti/1"
    rank = 17
    suffixes = (".nii",)
    kinds = ("nifti",)
    max_bytes = 256 << 20

    def accepts(self, path: str, head: bytes) -> bool:
        """By name, or by the magic inside the header."""
        return super().accepts(path, head) or is_nifti(head)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(read_nifti, old, new)
        findings = self._findings(task)
        compare_contents(left, right, findings)
        findings.otherwise("unused bytes of the header")
        return findings.result(str(left["voxels"]))
