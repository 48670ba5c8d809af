"""Notebooks: order, hidden state, magics, and findings in the right cell and line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from repro.project.audit_notebook import audit_notebook
from repro.project.audit_paths import Here
from repro.project.audited import Audited
from repro.project.finding import RISK, STOPS

HERE = Here(root="/p", home="/home/ada", exists=lambda path: False)
COUNTED = object()


def book(*sources: str, counts: Any = COUNTED, language: str = "python", **extra: Any) -> bytes:
    numbers = range(1, len(sources) + 1) if counts is COUNTED else counts
    cells = [
        {"cell_type": "code", "source": source, "execution_count": count, "outputs": [], **extra}
        for source, count in zip(sources, numbers, strict=True)
    ]
    return json.dumps(
        {"cells": cells, "metadata": {"kernelspec": {"language": language}}, "nbformat": 4}
    ).encode()


def audit(*sources: str, counts: Any = COUNTED, language: str = "python", **extra: Any) -> Audited:
    return audit_notebook(
        book(*sources, counts=counts, language=language, **extra), "n.ipynb", HERE
    )


def codes(found: Audited) -> list[tuple[str, str, int | None]]:
    return [(f.code, f.level, f.cell) for f in found.findings]


def test_one_run_from_top_to_bottom_is_clean() -> None:
    assert not audit("x = 1", "", "# only words", "print(x)", counts=[1, None, None, 2]).findings


def test_order() -> None:
    found = audit("x = 1", "y = 2", "z = 3", counts=[1, 3, 2])
    assert codes(found) == [("notebook-order", RISK, 3)]


def test_never_run() -> None:
    assert codes(audit("x = 1", counts=[None])) == [("notebook-unrun", RISK, None)]
    assert codes(audit("x = 1", "y = 2", counts=[1, None])) == [("notebook-unrun", RISK, 2)]


def test_counts_with_gaps() -> None:
    found = audit("x = 1", "y = 2", counts=[1, 7])
    assert codes(found) == [("notebook-hidden", RISK, None)]
    assert "1 to 7" in found.findings[0].text


def test_saved_error() -> None:
    found = audit("x = 1", outputs=[{"output_type": "error", "ename": "KeyError"}])
    assert codes(found) == [("notebook-error", RISK, 1)]


@pytest.mark.parametrize(
    ("sources", "cell", "line"),
    [
        (["print(y)", "y = 1"], 1, 1),
        (["x = 1", "\n\nprint(gone)"], 2, 3),
        (["n += 1"], 1, 1),
        (["[q for _ in range(3)]"], 1, 1),
        (["def f(a=gone): ..."], 1, 1),
        (["class A(gone): ..."], 1, 1),
        (["x = x + 1"], 1, 1),
    ],
)
def test_hidden_state(sources: list[str], cell: int, line: int) -> None:
    found = audit(*sources).findings
    assert [(f.code, f.level, f.cell, f.line) for f in found] == [
        ("notebook-hidden", STOPS, cell, line)
    ]


@pytest.mark.parametrize(
    "source",
    [
        "display(1); get_ipython(); _; In[1]; print(__name__)",
        "def f(): return later\nlater = 1\nf()",
        "for i in range(3): pass\nprint(i)",
        "with open('x') as f: g = f\nprint(g)",
        "try:\n    once\nexcept NameError:\n    once = 1",
        "from math import *\nprint(pi)",
        "import os.path as p, sys\np; sys",
        "[a for b in [[1]] for a in b]; {k: v for k, v in {}.items()}; lambda z: z + w",
        "if (m := 3): print(m)",
        "class A:\n    b = 1\n    c = b\nA",
        "match 1:\n    case [a, *b]: print(a, b)\n    case {'k': v, **r}: print(v, r)\n    case _ as o: print(o)",
        "%run other.py\nprint(anything)",
        "files = !ls\nprint(files)",
        "x = %timeit -o 1\nprint(x)",
        "%%capture out\nprint(1)",
        "def f():\n    global g\n    g = 1\nf(); g",
        "async def f(): ...\nawait f()",
        "a, (b, *c) = 1, (2, 3)\na.x[b] = c",
        "?print\nprint?",
    ],
)
def test_no_hidden_state(source: str) -> None:
    assert not audit(source).findings, source


def test_places_in_cells() -> None:
    found = audit(
        "import requests\nimport numpy as np",
        "%matplotlib inline\n\nrequests.get('http://a.org')\nnp.random.rand()",
        "!pip install x\n%pip install y",
        "%%bash\ncd /\ncurl -O http://a.org/x",
        "def f(:",
    )
    assert [(f.code, f.cell, f.line) for f in found.findings] == [
        ("network", 3, 1), ("network", 3, 2), ("network", 4, 3), ("syntax", 5, 1), ("network", 2, 3),
    ]  # fmt: skip
    assert [(d.cell, d.line) for d in found.draws] == [(2, 4)]


def test_cells_in_other_languages() -> None:
    found = audit("%%julia\nx", "%%html\n<b>")
    assert not found.findings
    assert found.limits == ("n.ipynb cell 1: %%julia was not examined",)


def test_kernels() -> None:
    found = audit("x <- rnorm(3)", "download.file(u)", language="R")
    assert [(d.cell, d.line) for d in found.draws] == [(1, 1)]
    assert [(f.code, f.cell) for f in found.findings] == [("network", 2)]
    assert audit("x = 1", language="julia").limits


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b'{"cells": 3}', b"\xff", b"[" * 100_000, b'{"worksheets": []}'],
    ids=range(7),
)  # fmt: skip
def test_no_notebook_is_said(data: bytes) -> None:
    assert codes(audit_notebook(data, "n.ipynb", HERE)) == [("syntax", STOPS, None)]


def test_odd_cells_do_not_crash() -> None:
    data = json.dumps({
        "cells": [3, None, {"cell_type": "code"}, {"cell_type": "code", "source": 7, "outputs": 1},
                  {"cell_type": "code", "source": [1, "x"], "execution_count": True, "outputs": [2]}],
        "metadata": [],
    }).encode()  # fmt: skip
    assert audit_notebook(data, "n.ipynb", HERE).path == "n.ipynb"
