"""Reports of real verifications: schema, CI formats, parts of an archive."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.workflows.lab import Lab, need_an_engine

WORDS = "Table 1 [repro: identical, same bytes as the input in.txt]"
SCRIPT = (
    "cat in.txt > same.txt; od -An -N8 -tu4 /dev/urandom > varies.txt; "
    "[ -e /etc/hostname ] && echo x > only-there.txt; printf '1.5 %s' $(date +%N) > numbers.txt"
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    need_an_engine()
    made = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("cache"))
    made.write("in.txt", "1 2\n")
    made.repro("snapshot", "-q", "-o", str(made.archive), "--", "sh", "-c", SCRIPT)
    return made


def verified(lab: Lab, *options: str, status: int) -> dict[str, Any]:
    done = lab.repro("verify", "--json", str(lab.archive), *options, status=status)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_real_document_keeps_to_the_schema(lab: Lab, tmp_path: Path) -> None:
    schema = json.loads(lab.repro("verify", "--schema").stdout)
    found = verified(lab, status=1)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(found)] == []
    verdicts = {output["path"]: output["verdict"] for output in found["outputs"]}
    assert verdicts["same.txt"] == "identical" and verdicts["varies.txt"] == "different"
    assert found["partial"] is None


def test_every_report_of_one_verification(lab: Lab, tmp_path: Path) -> None:
    lab.write("../codecheck.yml", "manifest: [{file: same.txt, comment: Table 1}]\n")
    files = {name: tmp_path / name for name in ("a.html", "a.xml", "a.md", "c.yml", "b.svg")}
    verified(
        lab, "--report", str(files["a.html"]), "--junit", str(files["a.xml"]),
        "--markdown", str(files["a.md"]), "--codecheck", str(files["c.yml"]),
        "--codechecker", "Dee", "--badge", str(files["b.svg"]), status=1,
    )  # fmt: skip
    assert "<h1>" in files["a.html"].read_text()
    suite = ET.parse(files["a.xml"]).getroot()
    assert int(suite.attrib["failures"]) >= 1
    assert "| identical | `same.txt` |" in files["a.md"].read_text()
    found = yaml.safe_load(files["c.yml"].read_text())
    assert found["manifest"] == [{"file": "same.txt", "comment": WORDS}]
    assert found["codechecker"] == [{"name": "Dee"}]
    assert "different" in files["b.svg"].read_text()
    (lab.folder / "codecheck.yml").unlink()


def test_a_failed_rerun_is_an_error_in_junit(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    done = lab.repro(
        "verify", str(lab.archive), "--timeout", "0.001", "--junit", str(file), status=5
    )
    assert "error[timeout]" in done.stderr
    suite = ET.parse(file).getroot()
    assert suite.attrib["errors"] == "1"


def test_a_report_nowhere_is_told_before_the_run(lab: Lab, tmp_path: Path) -> None:
    done = lab.repro(
        "verify", str(lab.archive), "--badge", str(tmp_path / "none" / "b.svg"), status=2
    )
    assert "no folder" in done.stderr and "run" not in done.stderr.split("error")[0]


STEPS = """
steps:
  - {name: fit, run: "cat in.txt in.txt > a.txt"}
  - {name: plot, run: "sort a.txt | uniq -c | tee fig.txt", needs: [fit]}
  - {name: other, run: "od -An -N8 -tu4 /dev/urandom > varies.txt", needs: [fit]}
"""


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    need_an_engine()
    made = Lab(tmp_path_factory.mktemp("steps"), tmp_path_factory.mktemp("cache"))
    made.write("in.txt", "1 2\n")
    made.write("repro.yml", STEPS)
    made.repro("snapshot", "-q", "-o", str(made.archive))
    return made


def test_only_some_outputs(steps: Lab, tmp_path: Path) -> None:
    assert verified(steps, status=1)["verdict"] == "different"
    files = [tmp_path / name for name in ("a.html", "a.xml", "a.md", "c.yml", "b.svg")]
    found = verified(
        steps, "--only", "fig.txt", "--report", str(files[0]), "--junit", str(files[1]),
        "--markdown", str(files[2]), "--codecheck", str(files[3]), "--badge", str(files[4]),
        status=0,
    )  # fmt: skip
    schema = json.loads(steps.repro("verify", "--schema").stdout)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(found)] == []
    assert [o["path"] for o in found["outputs"]] == ["fig.txt"]
    assert found["partial"]["steps"] == ["fit", "plot"]
    assert len(found["run"]["steps"]) == 2
    assert "steps that did not run (--only): other" in found["not_checked"]
    for file in files:
        assert "partial: 1 of 3 outputs" in file.read_text(), file
    done = steps.repro("verify", str(steps.archive), "--only", "fig.txt")
    assert "IDENTICAL   partial: 1 of 3 outputs" in done.stdout
    assert "of results (the author's run)" in done.stderr


def test_only_what_differs_is_no_success(steps: Lab) -> None:
    found = verified(steps, "--only", "varies.txt", "--only", "a.txt", status=1)
    assert {o["path"]: o["verdict"] for o in found["outputs"]} == {
        "varies.txt": "different", "a.txt": "identical",
    }  # fmt: skip
    assert found["partial"]["steps"] == ["fit", "other"]
    assert "steps-left-out" in [hint["code"] for hint in found["hints"]]


def test_only_nothing_is_a_mistake(steps: Lab) -> None:
    done = steps.repro("verify", str(steps.archive), "--only", "*.png", status=2)
    assert "matches no recorded output" in done.stderr
