"""Reports of real verifications: schema, CI formats, parts of an archive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.workflows.lab import Lab, need_an_engine

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
