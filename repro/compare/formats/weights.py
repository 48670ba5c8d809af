"""Weights of models: PyTorch's .pt (a zip of a pickle and storages) and safetensors."""

from __future__ import annotations

from repro.compare.base import Comparator, Task, parse_both
from repro.compare.contents import compare_contents, summary
from repro.compare.tensors import is_written, read_safetensors, read_torch
from repro.compare.unzip import MAGIC
from repro.model.verdict import Comparison


class TorchComparator(Comparator):
    """Tensors as arrays by their place in what was saved; the pickle is never loaded."""

    name = "torch/1"
    rank = 8
    suffixes = (".pt", ".pth", ".ckpt")
    kinds = ("torch",)

    def accepts(self, path: str, head: bytes) -> bool:
        """By name, where the file is a zip; older ones are pickles."""
        return super().accepts(path, head) and head.startswith(MAGIC)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(read_torch, old, new)
        findings = self._findings(task)
        for place in {**left, **right}:
            if is_written(place) and left.get(place) != right.get(place):
                findings.drop(f"{place}: of the program that wrote it")
        one, two = ({p: v for p, v in side.items() if not is_written(p)} for side in (left, right))
        compare_contents(one, two, findings)
        findings.otherwise("the name of the folder inside, the order of members or of storages")
        return findings.result(f"{summary(one)}, not loaded")


class SafetensorsComparator(Comparator):
    """Tensors by name; their order in the file is free."""

    name = "safetensors/1"
    rank = 9
    suffixes = (".safetensors",)
    kinds = ("safetensors",)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(read_safetensors, old, new)
        findings = self._findings(task)
        compare_contents(left, right, findings)
        findings.otherwise("the order of tensors, or white space in the header")
        return findings.result(summary(left))
