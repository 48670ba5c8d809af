from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import report_sample

from repro.errors import RerunFailed
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison, OutputVerdict, Verdict
from repro.primitives.texts import printable
from repro.report.jsondoc import outcome_document
from repro.report.junit import junit_error, junit_xml


def parsed(document: dict[str, Any] | None = None) -> ET.Element:
    text = junit_xml(document or report_sample.document())
    return ET.fromstring(text.encode("utf-8"))


def with_outputs(*outputs: OutputVerdict, bar: Outcome = Outcome.CLOSE) -> dict[str, Any]:
    judged = outcome_document(Verdict(outputs=outputs, required=bar))
    return {**report_sample.document(), **judged, "schema": "repro.verify/1"}


def output(outcome: Outcome, *, required: bool = True, note: str = "") -> OutputVerdict:
    comparison = Comparison(outcome=outcome, comparator="x/1", notes=(note,) if note else ())
    return OutputVerdict(path="a", required=required, comparison=comparison)


def test_one_case_an_output_and_counts_that_agree() -> None:
    suite = parsed().find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    assert len(cases) == len(report_sample.document()["outputs"]) == int(suite.attrib["tests"])
    assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure")) == 4
    assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped")) == 1
    assert parsed().attrib["failures"] == "4"
    named = {case.attrib["name"]: case for case in cases}
    failure = named["figs/fig3.png"].find("failure")
    assert failure is not None
    assert "0.11 % of pixels differ" in failure.attrib["message"]
    assert failure.attrib["type"] == "different"
    assert named["results/table1.csv"].find("failure") is None


def test_digest_and_seal_are_properties() -> None:
    found = {p.attrib["name"]: p.attrib["value"] for p in parsed().iter("property")}
    assert found["archive.digest"] == report_sample.document()["archive"]["digest"]
    assert found["seal.network"] == "none"
    assert found["seal.not_enforced.memory"] == "no cgroup may be delegated here"
    assert found["verdict"] == "missing"
    assert "signature" in found["not_checked.1"]


def test_hostile_names_are_text() -> None:
    raw = junit_xml(report_sample.document())
    assert "\x1b" not in raw and "\u202e" not in raw and "<script" not in raw
    names = [case.attrib["name"] for case in parsed().iter("testcase")]
    assert printable(report_sample.HOSTILE) in names
    failure = next(c for c in parsed().iter("testcase") if "onerror" in c.attrib["name"])
    assert "</code></td><script>x()</script>" in "".join(failure.itertext())


def test_undecided_is_an_error() -> None:
    found = parsed(with_outputs(output(Outcome.UNDECIDED, note="not compared: a pickle")))
    error = found.find("testsuite/testcase/error")
    assert error is not None and "a pickle" in error.attrib["message"]
    assert found.attrib["errors"] == "1" and found.attrib["failures"] == "0"


def test_a_higher_bar_makes_close_a_failure() -> None:
    assert not list(parsed(with_outputs(output(Outcome.CLOSE))).iter("failure"))
    found = parsed(with_outputs(output(Outcome.CLOSE), bar=Outcome.EQUIVALENT))
    failure = found.find("testsuite/testcase/failure")
    assert failure is not None and failure.attrib["message"].startswith("equivalent required")


def test_nothing_required_is_never_green() -> None:
    for document in (with_outputs(), with_outputs(output(Outcome.DIFFERENT, required=False))):
        found = parsed(document)
        assert found.attrib["errors"] == "1"
        assert "no output is required" in next(found.iter("error")).attrib["message"]


def test_a_failed_rerun() -> None:
    error = RerunFailed("step 'a' exited with 3", details=["last \x00 & words"])
    found = ET.fromstring(junit_error("p & q.repro", error).encode())
    case = found.find("testsuite/testcase/error")
    assert found.attrib["errors"] == "1" and case is not None
    assert case.attrib["message"] == "error[rerun-failed]: step 'a' exited with 3"
    assert "\\x00 & words" in (case.text or "")


def test_a_partial_one_says_so() -> None:
    document = report_sample.document()
    document["partial"] = report_sample.PARTIAL
    suite = parsed(document).find("testsuite")
    assert suite is not None and "partial: 2 of 9 outputs" in suite.attrib["name"]
    assert suite.find("properties/property[@name='partial']") is not None
