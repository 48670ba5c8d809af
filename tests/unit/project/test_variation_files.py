"""Sources of several languages as one list of places."""

from __future__ import annotations

import json
from pathlib import Path

from repro.project.audit_paths import Here
from repro.project.variation_files import command_source, read_sources


def here(root: Path) -> Here:
    return Here(root=str(root), home="/home/nobody", exists=lambda path: False)


def test_scripts_notebooks_and_seeds(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "import random\nx = random.random()\nopen('a.txt', 'w').write(str(x))\n"
    )
    (tmp_path / "seeded.py").write_text("import random\nrandom.seed(1)\nx = random.random()\n")
    (tmp_path / "b.R").write_text("x <- rnorm(3)\nwrite(Sys.time(), 'b.txt')\n")
    (tmp_path / "bad.py").write_text("def (:\n")
    cells = [
        {"cell_type": "markdown", "source": "# A"},
        {"cell_type": "code", "source": "import time", "outputs": []},
        {"cell_type": "code", "source": "%time\nx = time.time()\n", "outputs": []},
    ]
    (tmp_path / "c.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}))
    found = read_sources(
        ["a.py", "b.R", "bad.py", "c.ipynb", "data.csv", "seeded.py"], here(tmp_path)
    )
    spots = {(s.path, s.cell, s.line, s.axis) for source in found for s in source.spots}
    assert ("a.py", None, 2, "random") in spots
    assert ("b.R", None, 1, "random") in spots
    assert ("b.R", None, 2, "clock") in spots
    assert ("c.ipynb", 3, 2, "clock") in spots
    assert not [spot for spot in spots if spot[0] == "seeded.py"]
    flows = {source.path: source.flows for source in found}
    assert flows["a.py"]("a.txt") == {(None, 2), (None, 3)}
    assert flows["a.py"]("b.txt") is None
    assert flows["b.R"]("b.txt") == {(None, 2)}
    assert {source.path: source.exact for source in found}["b.R"] is False


def test_commands_that_are_no_file() -> None:
    shell = command_source(["sh", "-e", "-c", "date > now.txt"], "one")
    assert shell is not None
    assert [(s.axis, s.path) for s in shell.spots] == [("clock", "the command of step one")]
    python = command_source(["/usr/bin/python3", "-c", "import os\nprint(os.listdir())"], "two")
    assert python is not None
    assert [s.line for s in python.spots] == [2]
    assert command_source(["python3", "a.py"], "three") is None
