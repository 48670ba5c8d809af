"""What inputs.exclude names is never packed: a run that needs it is refused, by name."""

from __future__ import annotations

import json

import pytest

from tests.workflows.lab import Lab


@pytest.mark.parametrize("how", ["repro.yml", "--exclude"])
def test_a_run_that_reads_it_is_refused(lab: Lab, how: str) -> None:
    lab.write("data/patients.csv", "ada\n")
    lab.write("data/more.csv", "bob\n")
    lab.write("a.sh", "cat data/patients.csv data/more.csv > out.txt\n")
    words: list[str] = []
    if how == "repro.yml":
        lab.write("repro.yml", "version: 1\nrun: sh a.sh\ninputs: {exclude: [data]}\n")
    else:
        words = ["--exclude", "data/**", "--", "sh", "a.sh"]
    done = lab.repro("snapshot", "--json", "-o", str(lab.archive), *words, status=3)
    error = json.loads(done.stdout)["error"]
    assert error["slug"] == "excluded-input" and "data/more.csv (and 1 more)" in error["message"]
    assert error["details"] == ["data/patients.csv"] and "inputs.exclude" in error["hint"]
    assert not lab.archive.exists()


def test_what_the_run_only_writes_or_made_itself_is_none(lab: Lab) -> None:
    lab.write("scratch/old.txt", "old\n")
    lab.write("notes.md", "mine\n")
    lab.write(
        "repro.yml",
        "version: 1\nrun: sh -c 'echo 1 > scratch/new.txt; cat scratch/new.txt > out.txt; "
        "echo 2 > scratch/old.txt; cat scratch/old.txt >> out.txt'\n"
        "outputs: [out.txt]\ninputs: {exclude: [scratch/old.txt, notes.md]}\n",
    )
    lab.snapshot()
    assert not [path for path in lab.packed("code", "data") if path.endswith((".md", "old.txt"))]
    lab.verify()


def test_an_environment_in_the_project_is_no_file_of_it(lab: Lab) -> None:
    """Its packages are packed as packages, whatever is excluded."""
    lab.write("venv/pyvenv.cfg", "home = /usr/bin\n")
    lab.write("venv/lib/tool.sh", "echo 1 > out.txt\n")
    lab.write("repro.yml", "version: 1\nrun: sh venv/lib/tool.sh\ninputs: {exclude: [venv]}\n")
    lab.snapshot()
    lab.verify()
