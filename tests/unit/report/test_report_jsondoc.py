from __future__ import annotations

import json
import os

import report_sample

from repro.model.outcome import Outcome
from repro.model.verdict import Comparison, OutputVerdict, Verdict
from repro.report.jsondoc import outcome_document


def test_the_document_has_the_promised_fields() -> None:
    found = json.loads(json.dumps(report_sample.document()))
    assert found["schema"] == "repro.verify/1"
    assert found["tool"] == {"name": "repro", "version": "0.1.0"}
    assert found["archive"]["name"] == "fire-ants-1.0"
    assert found["seal"]["engine"] == "bubblewrap"
    assert found["seal"]["network"] is False
    assert found["seal"]["not_enforced"] == {"memory": "no cgroup may be delegated here"}
    assert found["run"]["exit"] == 0
    assert (found["verdict"], found["required"], found["reproduced"]) == ("missing", "close", False)
    by_path = {output["path"]: output for output in found["outputs"]}
    model = by_path["results/model.npz"]
    assert model["numbers"] == {
        "n": 40000, "differ": 12, "max_abs": 4.4e-16, "max_rel": 2.2e-16, "max_ulp": 1,
        "nan_mismatch": 0, "first": "x.npy, [0, 3]",
    }  # fmt: skip
    assert model["tolerance"] == {"rtol": 1e-6, "atol": 0.0, "from": "repro.yml"}
    assert by_path["figs/fig4.pdf"]["produced"] is None
    assert by_path[report_sample.HOSTILE]["copied_from"] == "data/<i>raw</i>.csv"
    assert "copied_from" not in model
    assert found["hints"][0]["code"] == "unseeded"
    assert found["not_checked"] == ["signature: the archive is not signed"]


def test_paths_that_are_not_utf8_survive() -> None:
    path = os.fsdecode(b"a\xff\n.txt")
    output = OutputVerdict(
        path=path, required=True, comparison=Comparison(outcome=Outcome.IDENTICAL, comparator="x")
    )
    text = json.dumps(outcome_document(Verdict(outputs=(output,))), ensure_ascii=True)
    assert text.isascii()
    found = json.loads(text)
    assert found["schema"] == "repro.diff/1"
    assert os.fsencode(found["outputs"][0]["path"]) == b"a\xff\n.txt"


def test_an_open_network_is_said() -> None:
    from repro.model.ports import Seal
    from repro.report.jsondoc import verify_document

    found = verify_document(
        verdict=Verdict(outputs=()),
        archive={},
        run={},
        tool_version="1",
        seal=Seal(engine="x", version="1", enforced={}, not_enforced={"network": "asked for"}),
    )
    assert found["seal"]["network"] is True
    assert found["verdict"] == "undecided"
