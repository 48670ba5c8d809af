"""`repro check` over real folders: the document, the levels, and what git says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from repro.errors import ProjectError
from repro.workflows.check import check


def look(folder: Path, **files: str) -> dict[str, Any]:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return check(folder, {"PATH": os.environ["PATH"], "HOME": "/home/ada"})


def codes(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f["code"], f["level"]) for f in document["findings"]]


def test_clean(tmp_path: Path) -> None:
    document = look(tmp_path, LICENSE="MIT", main__py="print(1)")
    assert document["schema"] == "repro.check/1"
    assert document["findings"] == [] and document["stops"] == document["risks"] == 0
    assert document["examined"] == 1 and document["root"] == str(tmp_path)


def test_where_nothing_says_what_to_run(tmp_path: Path) -> None:
    assert codes(look(tmp_path, LICENSE="", data__txt="1")) == [("no-entry", "stops")]
    assert codes(look(tmp_path, a__py="", b__py="")) == [("no-entry", "risk")]
    assert codes(look(tmp_path, main__py="")) == []
    (tmp_path / "main.py").unlink()
    assert codes(look(tmp_path, Makefile="all:\n\ttrue\n")) == []


def test_repro_yml_says_it(tmp_path: Path) -> None:
    assert (
        codes(look(tmp_path, LICENSE="", a__py="", b__py="", repro__yml="run: python a.py")) == []
    )
    document = look(tmp_path, repro__yml="steps: [{run: 'curl -O http://a.org/b && python a.py'}]")
    assert codes(document) == [("network", "stops")]
    document = look(tmp_path, repro__yml="notebooks: [gone.ipynb]")
    assert codes(document) == [("no-entry", "stops")]
    assert codes(look(tmp_path, repro__yml="outputz: [a]\nrun: make"))[0] == ("config", "stops")


def test_excluded_by_repro_yml(tmp_path: Path) -> None:
    text = "run: python a.py\ninputs: {exclude: [old.py]}"
    assert codes(look(tmp_path, LICENSE="", a__py="", old__py="print 1", repro__yml=text)) == []


def test_uncommitted_changes(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True,
            capture_output=True,
        )  # fmt: skip

    look(tmp_path, LICENSE="", main__py="print(1)")
    git("init")
    git("add", ".")
    git("commit", "-m", "x")
    assert codes(look(tmp_path)) == []
    document = look(tmp_path, main__py="print(2)")
    assert codes(document) == [("uncommitted", "risk")]
    assert "main.py" in document["findings"][0]["text"]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ProjectError):
        look(tmp_path / "gone")
