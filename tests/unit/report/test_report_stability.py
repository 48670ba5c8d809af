"""The author's probe and the pinned rerun in each report; an archive's words are made harmless."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import report_sample
from jsonschema import Draft202012Validator

from repro.model.ports import Seal
from repro.model.stability import AxisTried, OutputClass, Probe, Proposal, Spot, Stability
from repro.report.html import verify_page
from repro.report.jsondoc import verify_document, verify_schema
from repro.report.stability import numerics_lines, pinned_lines, probe_lines, probe_summary
from repro.report.text import verdict_lines

EVIL = "<script>x()</script>\x1b[31m\u202e"
SPOT = Spot(axis="random", path=f"a{EVIL}.py", line=3, cell=2, text=EVIL, mend=EVIL)
PROBE = Probe(
    reruns=7, seconds=1.5,
    axes=(
        AxisTried(axis="hash-seed", state="varied", usual="0", varied=EVIL, held=EVIL),
        AxisTried(axis="clock", state="not varied", why=f"no way {EVIL}"),
        AxisTried(axis=EVIL, state="failed", why="it failed"),
    ),
    outputs=(
        OutputClass(path="results/table1.csv", stability=Stability.DETERMINISTIC),
        OutputClass(path="figs/fig3.png", stability=Stability.NONDETERMINISTIC, spots=(SPOT,)),
        OutputClass(path=EVIL, stability=Stability.VARIES, axes=(EVIL,), worst="close"),
    ),
    proposals=(Proposal(why=EVIL, outputs=(EVIL,), lines=("environment:", f"  x: {EVIL}")),),
    limits=(EVIL,),
)  # fmt: skip
SEAL = Seal(engine="bubblewrap", version="0.12.0", enforced={"network": "none"})
PINNED = {
    "variables": {"OPENBLAS_CORETYPE": "Haswell"}, "processors": None, "could_not": [EVIL],
    "before": {"figs/fig3.png": "different"}, "outcomes": {"figs/fig3.png": "identical"},
    "vanished": ["figs/fig3.png"], "seconds": 1.0, "failed": None,
    "settings": "OPENBLAS_CORETYPE=Haswell",
}  # fmt: skip


def document(**more: Any) -> dict[str, Any]:
    plain = report_sample.document()
    made = verify_document(
        verdict=report_sample.verdict(), archive=plain["archive"], seal=SEAL,
        run=plain["run"], tool_version="0", probe=PROBE, pinned=PINNED, **more,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(json.dumps(made))
    return found


def harmless(text: str) -> bool:
    return "\x1b" not in text and "\u202e" not in text


def test_the_document_is_valid() -> None:
    validator = Draft202012Validator(json.loads(verify_schema()))
    found = document()
    assert [error.message for error in validator.iter_errors(found)] == []
    stability = {o["path"]: o.get("stability") for o in found["outputs"]}
    assert stability["figs/fig3.png"]["class"] == "nondeterministic"
    assert stability["figs/fig3.png"]["places"][0]["cell"] == 2
    assert stability["paper.ipynb"] is None
    for path, wrong in (
        (("probe", "schema"), "repro.probe/2"),
        (("probe", "axes", 0, "state"), "perhaps"),
        (("probe", "outputs", 0, "class"), "good"),
        (("pinned", "outcomes"), {"a": "good"}),
        (("pinned", "variables"), []),
    ):
        broken: Any = copy.deepcopy(found)
        place = broken
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = wrong
        assert not validator.is_valid(broken), path


def test_without_a_probe_nothing_is_said() -> None:
    plain = report_sample.document()
    assert "probe" not in plain and "pinned" not in plain
    assert list(probe_summary(plain)) == list(pinned_lines(plain)) == []
    assert "Stability" not in verify_page(plain)


def test_the_terminal() -> None:
    text = verdict_lines(document())
    assert harmless(text)
    assert "author's probe: 1 of 3 outputs deterministic" in text
    assert "not varied: clock, " in text and ", within its tolerance" in text
    assert "pinned: 1 of 1 drifts vanish in a second rerun with OPENBLAS_CORETYPE=Haswell" in text
    assert "figs/fig3.png: different, pinned identical" in text
    assert "could not: " in text


def test_the_author_sees_proposals() -> None:
    lines = list(probe_lines(PROBE.to_json()))
    assert harmless("\n".join(lines))
    assert lines[0] == "probe     1 of 3 outputs deterministic, in 7 sealed reruns"
    assert "      environment:" in lines
    assert any(line.startswith("        x: ") for line in lines)
    assert any(line.endswith(", within its tolerance") for line in lines)
    assert not any("proposals" in line for line in probe_lines(PROBE.to_json(), proposals=False))


def test_the_page() -> None:
    page = verify_page(document())
    assert "<script>x()" not in page and harmless(page)
    assert "1 of 3 outputs deterministic, in 7 sealed reruns" in page
    assert "Pinned to the author" in page and ", within its tolerance</td>" in page
    assert "<td>different</td><td>identical</td>" in page


def test_a_pinned_rerun_without_result() -> None:
    failed = {**PINNED, "failed": "nothing could be set", "outcomes": {}, "vanished": []}
    lines = list(pinned_lines({"pinned": failed}))
    assert lines[0] == "pinned: no result: nothing could be set"
    assert not any("identical" in line for line in lines)


@pytest.mark.parametrize("numerics", [None, [], {}, {"blas": [{"kernel": EVIL}, 3]}, {"blas": 3}])
def test_numerics_of_a_stranger(numerics: object) -> None:
    assert harmless("\n".join(numerics_lines({"numerics": numerics})))


def test_numerics() -> None:
    numerics = {
        "blas": [{"path": "/l", "version": "0.3.21", "kernel": "Haswell"}],
        "libm": "glibc 2.36", "processors": 2, "threads": {"OMP_NUM_THREADS": "2"},
    }  # fmt: skip
    assert list(numerics_lines({"numerics": numerics})) == [
        "  BLAS      OpenBLAS 0.3.21, kernel Haswell",
        "  numbers   2 processors, OMP_NUM_THREADS=2, libm of glibc 2.36",
    ]
