"""A whole project: linked seeds, locks, size, licence, and what was not looked at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repro.project.audit_dependencies import audit_dependencies, foreign_modules
from repro.project.audit_paths import Here
from repro.project.audit_project import ProjectAudit, audit_project
from repro.project.detect import plain_files
from repro.project.finding import RISK, STOPS


def audit(folder: Path, files: dict[str, str], exclude: tuple[str, ...] = ()) -> ProjectAudit:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    here = Here(root=str(folder), home="/home/ada", exists=lambda path: False)
    return audit_project(plain_files(str(folder)), here, exclude)


def codes(found: ProjectAudit) -> list[str]:
    return sorted(f.code for f in found.findings)


CLEAN = {"LICENSE": "MIT"}


def test_nothing_to_find(tmp_path: Path) -> None:
    found = audit(tmp_path, {**CLEAN, "a.py": "print(1)", "b.R": "cat(1)"})
    assert not found.findings
    assert found.examined == 2
    assert found.limits


DRAW = "import random\nrandom.random()\nrandom.random()\n"


def test_a_seed_in_a_linked_file_counts(tmp_path: Path) -> None:
    files = {**CLEAN, "main.py": "import random, lib.draw\nrandom.seed(1)", "lib/draw.py": DRAW}
    assert not audit(tmp_path, files).findings


def test_a_seed_in_another_program_does_not(tmp_path: Path) -> None:
    found = audit(tmp_path, {**CLEAN, "a.py": "import random\nrandom.seed(1)", "b.py": DRAW})
    assert [(f.code, f.level, f.path, f.line) for f in found.findings] == [
        ("unseeded", RISK, "b.py", 2)
    ]
    assert "and 1 more" in found.findings[0].text


def test_sourced_r_files_are_linked(tmp_path: Path) -> None:
    files = {
        **CLEAN,
        "a.R": "set.seed(1)\nsource('lib/b.R')",
        "lib/b.R": "rnorm(1)",
        "c.R": "rnorm(1)",
    }
    assert [(f.code, f.path) for f in audit(tmp_path, files).findings] == [("unseeded", "c.R")]


def test_stops_come_first(tmp_path: Path) -> None:
    found = audit(tmp_path, {"a.py": DRAW, "z.sh": "curl x", "b.py": "print 1"})
    assert [f.level for f in found.findings] == [STOPS, STOPS, RISK, RISK]
    assert [f.code for f in found.findings] == ["syntax", "network", "unseeded", "no-licence"]


def test_excluded_files_are_not_looked_at(tmp_path: Path) -> None:
    assert not audit(tmp_path, {**CLEAN, "old/a.py": "print 1"}, exclude=("old",)).findings


def test_documents_with_chunks(tmp_path: Path) -> None:
    text = (
        "```{r}\nrnorm(1)\n```\n```{python}\nimport requests\nrequests.get(u)\n```\n```{julia}\n```"
    )
    found = audit(tmp_path, {**CLEAN, "a.Rmd": text, "requirements.txt": "requests==1.0"})
    assert [(f.code, f.line) for f in found.findings] == [("network", 6), ("unseeded", 2)]
    assert any("chunks in julia" in limit for limit in found.limits)


def test_what_was_not_examined_is_said(tmp_path: Path) -> None:
    (tmp_path / "big.py").write_bytes(b"#" * (4 << 20) + b"\n")
    found = audit(tmp_path, {**CLEAN, "a.jl": "", "b.jl": ""})
    assert "2 Julia files: not examined" in found.limits
    assert any("big.py was not examined: larger" in limit for limit in found.limits)


def test_huge_data(tmp_path: Path) -> None:
    with (tmp_path / "raw.bin").open("wb") as stream:
        os.truncate(stream.fileno(), 1_000_000_001)
    found = audit(tmp_path, CLEAN)
    assert [(f.code, f.path) for f in found.findings] == [("huge-data", "raw.bin")]
    assert not audit(tmp_path, CLEAN, exclude=("raw.bin",)).findings


def test_huge_together(tmp_path: Path) -> None:
    for name in "ab":
        with (tmp_path / name).open("wb") as stream:
            os.truncate(stream.fileno(), 600_000_000)
    assert [(f.code, f.path) for f in audit(tmp_path, CLEAN).findings] == [("huge-data", None)]


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ({}, True), ({"LICENSE.txt": ""}, False), ({"COPYING": ""}, False), ({"Licence-MIT": ""}, False),
        ({"LICENSES/MIT.txt": ""}, False), ({"CITATION.cff": "license: MIT"}, False),
        ({"CITATION.cff": "title: x"}, True), ({"src/LICENSE": ""}, True), ({"licensed.md": ""}, True),
    ],
)  # fmt: skip
def test_licence(tmp_path: Path, files: dict[str, str], missing: bool) -> None:
    found = audit(tmp_path, {"a.txt": "", **files})
    assert codes(found) == (["no-licence"] if missing else [])


IMPORTS = {"python": {"numpy", "os", "lib"}, "r": ()}


def locks(files: dict[str, str], **loaded: object) -> list[tuple[str, str | None, int | None]]:
    given = {**IMPORTS, **loaded}
    found = audit_dependencies(["lib/x.py", *files], files, **given)  # type: ignore[arg-type]
    return [(f.code, f.path, f.line) for f in found]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("numpy==1.26.4\n", None), ("numpy == 1.26.4 ; python_version > '3'\n", None),
        ("numpy==1.0 \\\n  --hash=sha256:aa\n", None), ("# c\nnumpy[extra]==1.0  # c\n", None),
        ("-r other.txt\n--index-url http://x\n-e .\n./local\n", None), ("numpy===1.0\n", None),
        ("a @ git+https://h/b@0123456789012345678901234567890123456789\n", None),
        ("https://h/a-1.0-py3-none-any.whl\n", None),
        ("numpy\n", 1), ("a==1.0\nnumpy>=1\n", 2), ("numpy==1.*\n", 1), ("numpy~=1.2\n", 1),
        ("git+https://h/b@main\n", 1), ("-e git+https://h/b\n", 1), ("numpy<=2.0\n", 1),
    ],
)  # fmt: skip
def test_requirements(text: str, line: int | None) -> None:
    found = locks({"requirements.txt": text})
    assert found == ([("unpinned", "requirements.txt", line)] if line else [])


def test_conda_environments() -> None:
    text = "dependencies:\n  - python=3.11\n  - a::numpy==1.2\n  - pip\n  - pip:\n    - x==1.0\n"
    assert locks({"environment.yml": text}) == []
    text = "dependencies:\n  - python=3.11\n  - numpy>=1\n  - scipy\n  - pip:\n    - x\n"
    assert locks({"environment.yml": text}) == [("unpinned", "environment.yml", 3)]
    assert locks({"environment.yml": "a: [b"}) == []


def test_no_lock() -> None:
    assert locks({}) == [("no-lock", None, None)]
    assert locks({}, python={"os", "lib"}) == []
    assert locks({"uv.lock": ""}) == []
    assert locks({"poetry.lock": "", "requirements.txt": "numpy"}) == []
    assert locks({"pyproject.toml": "[project]"}) == [("no-lock", "pyproject.toml", None)]
    assert locks({"uv.lock": ""}, r={"dplyr", "stats"}) == [("no-lock", None, None)]
    assert locks({"uv.lock": "", "renv.lock": ""}, r={"dplyr"}) == []
    assert locks({"uv.lock": ""}, r={"stats"}) == []
    assert locks({"uv.lock": "", "Project.toml": ""}) == [("no-lock", "Project.toml", None)]
    assert locks({"uv.lock": "", "Project.toml": "", "Manifest.toml": ""}) == []


def test_modules_of_the_project_are_its_own() -> None:
    assert foreign_modules({"lib", "x", "os", "numpy", ""}, ["lib/x.py"]) == ["numpy"]
