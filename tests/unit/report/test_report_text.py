from __future__ import annotations

import re

import report_sample

from repro.model.outcome import Outcome
from repro.model.verdict import Comparison, OutputVerdict, Verdict
from repro.report.jsondoc import outcome_document
from repro.report.tally import tally
from repro.report.text import detail, verdict_lines


def document(*outputs: tuple[str, Outcome], required: Outcome = Outcome.CLOSE) -> dict[str, object]:
    return outcome_document(
        Verdict(
            outputs=tuple(
                OutputVerdict(
                    path=path, required=True, comparison=Comparison(outcome=outcome, comparator="x")
                )
                for path, outcome in outputs
            ),
            required=required,
        )
    )


def test_the_look() -> None:
    lines = verdict_lines(report_sample.document()).split("\n")
    assert lines[0].startswith("      =  identical   results/table1.csv")
    assert lines[1] == (
        f"      ≈  close       {'results/model.npz':<44}  "
        "3 members, max rel 2.2e-16 (1 ulp), allowed 1e-06 (repro.yml)"
    )
    assert lines[2].lstrip().startswith("?  undecided   model.pkl")
    assert lines[2].endswith("not required")
    assert lines[6].startswith("      ∅  MISSING     figs/fig4.pdf")
    assert lines[7] == "  !   figs/extra.png was written by the rerun but not recorded"
    assert lines[8] == "MISSING   2 of 6 outputs reproduce"
    assert lines[9] == "perhaps: plot.py:14 random numbers are drawn without a seed [unseeded]"
    assert len(lines) == 10


def test_no_control_character_of_a_run_reaches_the_terminal() -> None:
    text = verdict_lines(report_sample.document(), colour=False)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\udc80-\udcff]", text)
    text.encode("utf-8")


def test_colour_is_only_ours() -> None:
    text = verdict_lines(report_sample.document(), colour=True)
    assert set(re.findall(r"\x1b\[[^m]*m", text)) <= {
        "\x1b[0m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[1;31m",
    }  # fmt: skip
    assert re.sub(r"\x1b\[[0-9;]*m", "", text) == verdict_lines(report_sample.document())


def test_ascii() -> None:
    text = verdict_lines(report_sample.document(), ascii_only=True)
    assert text.isascii()
    assert "      c  close " in text


def test_success_and_the_bar() -> None:
    assert verdict_lines(document(("a", Outcome.IDENTICAL))).endswith(
        "IDENTICAL   1 of 1 output reproduces"
    )
    text = verdict_lines(document(("a", Outcome.CLOSE), required=Outcome.EQUIVALENT))
    assert text.endswith("CLOSE   0 of 1 output reproduces (equivalent required)")


def test_a_long_list_keeps_the_worst() -> None:
    many = [(f"f{n:04}", Outcome.IDENTICAL) for n in range(500)]
    lines = verdict_lines(document(*many, ("bad", Outcome.DIFFERENT))).split("\n")
    assert len(lines) == 202
    assert lines[0].strip() == "… 301 better ones are not listed"
    assert "bad" in lines[-2]


def test_the_likely_reason_of_a_difference_is_told() -> None:
    output = {
        "verdict": "different",
        "differences": [{"where": "row 2", "text": "number differs"}],
        "notes": ["not compared: a", "by the factor 1000: perhaps another unit", "perhaps more"],
    }
    assert detail(output) == "row 2: number differs, by the factor 1000: perhaps another unit"
    assert "perhaps" not in detail({**output, "verdict": "close"})


def test_an_open_network_stands_in_the_verdict() -> None:
    found = document(("a.csv", Outcome.IDENTICAL))
    assert "NETWORK" not in verdict_lines(found)
    found["seal"] = {"network": True}
    assert verdict_lines(found).splitlines()[-1].startswith("IDENTICAL   NETWORK OPEN   1 of 1")
    assert tally(found).sentence.endswith("; the network was open")
