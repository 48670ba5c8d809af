from __future__ import annotations

from typing import Any

import pytest
import report_sample
import yaml

from repro.errors import ProjectError
from repro.report.codecheck import certificate, read_codecheck

NOW = "2026-11-24T16:00:00Z"
AUTHORS = b"""---
paper:
  title: "Heat: tolerance"
  authors:
    - {name: Ada L\xc3\xb6we, ORCID: 0000-0002-1825-0097}
    - name: Bo
  reference: https://doi.org/10.1/x
manifest:
  - file: ./figs/fig3.png
    comment: "Figure 3 [repro: identical]"
  - {file: results/table1.csv, comment: Table 1}
  - {file: figs/other.pdf}
  - {comment: no file}
codechecker: [{name: Cy, ORCID: 0000-0001-5109-3700}]
certificate: 2026-001
check_time: 2020-01-01 10:00:00
"""


def made(**options: Any) -> tuple[str, dict[str, Any]]:
    text = certificate(report_sample.document(), now=NOW, **options)
    assert text.startswith("---\n")
    return text, yaml.safe_load(text)


def test_without_an_earlier_one() -> None:
    text, found = made(codechecker="Dee: the # checker")
    assert found["version"] == "https://codecheck.org.uk/spec/config/1.0/"
    assert found["codechecker"] == [{"name": "Dee: the # checker"}]
    assert found["check_time"] == "2026-11-24 16:00:00"
    assert found["paper"] == {"title": "Heat tolerance of fire ants"}
    files = {item["file"]: item["comment"] for item in found["manifest"]}
    assert set(files) == {output["path"] for output in report_sample.document()["outputs"]}
    assert files["results/table1.csv"] == "[repro: identical]"
    assert files["figs/fig4.pdf"].startswith("[repro: missing")
    assert "not reproduced" in found["summary"]
    assert report_sample.document()["archive"]["digest"] in found["summary"]
    assert "report" not in found and "#   report:" in text
    assert not any(word in text for word in ("FIXME", "TODO", "XXXX"))


def test_the_authors_words_are_kept() -> None:
    text, found = made(
        codechecker="Cy", earlier=read_codecheck(AUTHORS), source="beside the archive"
    )
    assert found["paper"]["authors"] == [
        {"name": "Ada Löwe", "ORCID": "0000-0002-1825-0097"}, {"name": "Bo"},
    ]  # fmt: skip
    assert [item["file"] for item in found["manifest"]] == [
        "./figs/fig3.png", "results/table1.csv", "figs/other.pdf",
    ]  # fmt: skip
    comments = [item["comment"] for item in found["manifest"]]
    assert comments[0].startswith("Figure 3 [repro: different, 0.11 %")
    assert comments[0].count("repro:") == 1
    assert comments[1] == "Table 1 [repro: identical]"
    assert comments[2] == "[repro: not among the judged outputs, not checked]"
    assert found["codechecker"] == [{"name": "Cy", "ORCID": "0000-0001-5109-3700"}]
    assert found["certificate"] == "2026-001"
    assert found["check_time"] == "2026-11-24 16:00:00"
    assert "beside the archive" in text


def test_twice_gives_the_same() -> None:
    once, _ = made(codechecker="Cy", earlier=read_codecheck(AUTHORS))
    again, _ = made(codechecker="Cy", earlier=read_codecheck(once.encode()))
    assert again == once


def test_hostile_names_stay_scalars() -> None:
    document = report_sample.document()
    document["archive"]["title"] = "x\n---\nreport: https://evil.example\n# "
    document["outputs"][0]["path"] = "a\n- file: forged\n"
    text = certificate(document, now=NOW)
    found = yaml.safe_load(text)
    assert set(found) == {"version", "paper", "manifest", "summary", "check_time"}
    assert found["paper"]["title"] == "x\\x0a---\\x0areport: https://evil.example\\x0a#"
    assert {item["file"] for item in found["manifest"]} == {o["path"] for o in document["outputs"]}
    assert text.isascii() and "\x1b" not in text


@pytest.mark.parametrize(
    "data",
    [
        b"a: &x [1]\nb: *x\n", b"[1, 2]", b"a: [", b"\xff\xfe\xff", b"x: !!python/object:os.x {}",
        b"a: " + b"x" * 300_000, b"[" * 5000, b"", b"a: \x00",
    ],
)  # fmt: skip
def test_a_bad_one_is_refused(data: bytes) -> None:
    with pytest.raises(ProjectError):
        read_codecheck(data)


@pytest.mark.parametrize(
    "text", ["manifest: 3", "manifest: [3, {file: {a: b}}]", "paper: [1]", "codechecker: {a: b}",
             "paper: {authors: {name: x}, title: [1]}", "manifest: [{file: a, comment: [1]}]",
             "report: {a: b}\ncertificate: true"],
)  # fmt: skip
def test_odd_forms_are_no_crash(text: str) -> None:
    _, found = made(earlier=read_codecheck(text.encode()))
    assert isinstance(found["manifest"], list)
    assert "report" not in found and "certificate" not in found
