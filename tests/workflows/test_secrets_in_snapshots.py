"""Credentials never get into an archive unless the author lets a file pass."""

from __future__ import annotations

import json
import os

from tests.unit.project import honest, planted
from tests.workflows.every_byte import members_with
from tests.workflows.lab import Lab

WORK = ("--", "sh", "-c", "cat in.txt > out.txt")


def refused(lab: Lab, *words: str) -> list[str]:
    """The places that a refusal names; nothing was written."""
    done = lab.repro("snapshot", "--json", "-o", str(lab.archive), *words, status=3)
    error = json.loads(done.stdout)["error"]
    assert error["slug"] == "secret" and "--allow FILE" in error["hint"], error
    assert not lab.archive.exists()
    return sorted(str(line) for line in error["details"])


def test_every_planted_file_is_named_and_none_is_packed(lab: Lab) -> None:
    lab.write("in.txt", "1\n")
    files = {**planted.files(), **planted.notebooks()}
    for path, text in files.items():
        lab.write(path, text)
    named = refused(lab, *WORK)
    assert {line.split(":")[0] for line in named} == set(files)
    assert all(line.split(":")[1].isdigit() for line in named)
    said = "\n".join(named)
    assert not [value for value in planted.tokens().values() if value in said]


def test_an_honest_project_is_packed(lab: Lab) -> None:
    lab.write("in.txt", "1\n")
    for path, text in honest.files().items():
        lab.write(f"files/{path}", text)
    made = lab.snapshot(*WORK)
    assert not [line for line in made["warnings"] if "secret" in line]


def test_files_with_the_names_of_secrets_stay_out_of_every_byte(lab: Lab) -> None:
    token = planted.tokens()["github"]
    lab.write("in.txt", "1\n")
    for name in (
        ".env",
        ".netrc",
        "id_rsa",
        "server.key",
        ".git/config",
        ".bash_history",
        "sub/.npmrc",
    ):
        lab.write(name, f"token={token}\n")
    lab.snapshot(*WORK)
    assert members_with(lab.archive, token) == []
    assert len(lab.inspect()["left_out"]) >= 6


def test_a_file_that_is_allowed(lab: Lab) -> None:
    lab.write("in.txt", "1\n")
    lab.write("conf/a.py", f"password = '{planted.LAKE}'\n")
    assert refused(lab, *WORK) == ["conf/a.py:1: password"]
    lab.snapshot("--allow", "conf/a.py", *WORK)
    lab.archive.unlink()
    lab.write("repro.yml", "allow: [conf/*.py]\n")
    lab.snapshot(*WORK)
    assert f"{lab.project}/conf/a.py" in lab.packed("code")
    lab.archive.unlink()
    lab.write("repro.yml", "inputs: {exclude: [conf]}\n")
    lab.snapshot(*WORK)
    assert members_with(lab.archive, planted.LAKE) == []


def test_a_name_that_is_allowed(lab: Lab) -> None:
    lab.write(".env", "MODE=fast\n")
    lab.repro("snapshot", "-o", str(lab.archive), "--", "sh", "-c", "cat .env > out.txt", status=5)
    lab.snapshot("--allow", ".env", "--", "sh", "-c", "cat .env > out.txt")


def test_denied_by_the_author(lab: Lab) -> None:
    lab.write("in.txt", "1\n")
    lab.write("people/list.csv", "a\n")
    lab.write("repro.yml", "secrets: {deny: [people/**]}\n")
    assert refused(lab, *WORK) == ["people/list.csv: on the list secrets.deny"]


def test_variables_and_command_lines(lab: Lab) -> None:
    lab.write("in.txt", "1\n")
    value = planted.letters(32)
    assert refused(lab, "--env", f"API_TOKEN={value}", *WORK) == ["env:API_TOKEN: secret value"]
    lab.write("repro.yml", f"environment: {{variables: {{DB_PASSWORD: {planted.LAKE}}}}}\n")
    assert refused(lab, *WORK) == ["env:DB_PASSWORD: password", "repro.yml:1: password"]
    lab.write("repro.yml", "")
    named = refused(lab, "--", "sh", "-c", f"cat in.txt > out.txt; : --password {planted.LAKE}")
    assert named == ["argv:sh: password"]
    lab.write("run.sh", "env true --api-key $(cat in.txt)\ncat in.txt > out.txt\n")
    lab.write("in.txt", value)
    assert refused(lab, "--", "sh", "run.sh") == [
        "argv:env: secret value",
        "argv:true: secret value",
    ]
    lab.snapshot("--allow", "argv:*", "--", "sh", "run.sh")


def test_results_are_searched(lab: Lab) -> None:
    token = planted.tokens()["huggingface"]
    lab.write("in.txt", token[::-1])
    assert refused(lab, "--", "sh", "-c", "rev in.txt > out.txt") == [
        "out.txt:1: Hugging Face token"
    ]
    lab.write("in.txt", "x")
    assert refused(lab, "--", "sh", "-c", "cp in.txt server.key")[0].startswith(
        "server.key: a name"
    )


def test_it_is_foretold_before_the_run_and_by_check(lab: Lab) -> None:
    lab.write("in.txt", "1\n")
    lab.write("conf.py", f"x = 1\npassword = '{planted.LAKE}'\n")
    lab.write(".env", f"TOKEN={planted.letters(32)}\n")
    words = ("snapshot", "-o", str(lab.archive))
    done = lab.repro(*words, "--", "sh", "-c", "exit 9", status=5)
    assert "conf.py:2 (password)" in done.stderr and "[secret]" in done.stderr
    done = lab.repro(*words, "--allow", "conf.py", "--", "sh", "-c", "exit 9", status=5)
    assert "[secret]" not in done.stderr
    found = json.loads(lab.repro("check", "--json", status=1).stdout)["findings"]
    assert [(f["path"], f["line"]) for f in found if f["code"] == "secret"] == [("conf.py", 2)]
    lab.write("repro.yml", "allow: conf.py\n")
    found = json.loads(lab.repro("check", "--json").stdout)["findings"]
    assert not [f for f in found if f["code"] == "secret"]


def test_what_was_searched_is_recorded(lab: Lab) -> None:
    lab.write("in.txt", "1\n")
    (lab.project / "big.bin").write_bytes(os.urandom(5_000_000))
    done = lab.repro("snapshot", "-o", str(lab.archive), *WORK)
    assert "1 big binary file not searched" in done.stderr
    assert lab.inspect()["secrets"]["not_searched"] == ["big.bin"]
