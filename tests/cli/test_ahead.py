"""A command line read by a child gives what reading it here gives."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from repro.cli import ahead, run, running, verify, verifying

SCRIPT = """
import os, sys
from repro.cli import ahead, ending
{before}
module = __import__("repro.cli.{module}", fromlist=["perform"])
def perform(*, opening=None, **options):
    print(sorted(options.items()), "typer" in sys.modules, flush=True)
    return 7
module.perform = perform
def call():
    ahead.Ahead(sys.argv[1:]).perform()
    from repro.cli.app import command_line
    print("here", flush=True)
    command_line()
ending.ended(call)
"""
HERE = "ahead.Ahead.perform = lambda self: None"
KILLED = """
import signal
ahead._read_line = lambda words, writing: os.kill(os.getpid(), signal.SIGKILL)
"""


def told(*words: str, before: str = "") -> tuple[int, str]:
    module = {"verify": "verifying", "run": "running"}[words[0]]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(before=before, module=module), *words],
        capture_output=True, timeout=60,
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "surrogateescape")


LINES = [
    ("verify", "p.repro"),
    ("verify", "p.repro:v1", "--rtol", "1e-3", "--only", "a*", "--only", "b", "--json", "-v"),
    ("verify", os.fsdecode(b"caf\xe9.repro"), "--report", os.fsdecode(b"\xff\n.html")),
    ("verify", "--timeout", "inf", "--pin-cpu", "--", "-odd name"),
    ("run", "p.repro", "--", "sh", "-c", 'echo "é" --json'),
    ("run", "p.repro", "--jupyter", "--port", "8888", "--out", "o"),
]


@pytest.mark.parametrize("words", LINES)
def test_the_same_options(words: tuple[str, ...]) -> None:
    status, options = told(*words)
    status_here, said_here = told(*words, before=HERE)
    assert status == status_here == 7
    assert said_here.startswith("here\n")
    assert options.removesuffix(" False\n") == said_here[5:].removesuffix(" True\n")
    assert options.count(", (") > 10


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (("verify", "--help"), 0, "Rerun an archive sealed"),
        (("verify", "--schema"), 0, "urn:repro:schema:verify:1"),
        (("verify",), 2, "Missing argument 'ARCHIVE'"),
        (("verify", "p.repro", "--nonsense"), 2, "No such option"),
        (("run", "p.repro", "--port", "99999"), 2, "99999"),
    ],
)
def test_what_is_no_plain_call_is_read_here(words: tuple[str, ...], status: int, text: str) -> None:
    found, said = told(*words)
    assert found == status
    assert said.startswith("here\n")
    assert said.count(text) == 1


def test_a_child_that_dies_is_no_loss() -> None:
    status, said = told("verify", "p.repro", before=KILLED)
    assert status == 7
    assert said.startswith("here\n")


def test_a_caller_that_buries_no_children() -> None:
    ignoring = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)"
    assert told("verify", "p.repro", before=ignoring)[0] == 7


@pytest.mark.parametrize(
    ("command", "performer"), [(verify.verify, verifying.perform), (run.run, running.perform)]
)
def test_the_performer_takes_every_option(command: Any, performer: Any) -> None:
    own = [*inspect.signature(command).parameters, "opening"]
    assert own == list(inspect.signature(performer).parameters)


@pytest.mark.parametrize("words", [[], ["inspect", "x"], ["--json", "verify"]])
def test_other_commands_are_not_worth_a_child(words: list[str]) -> None:
    assert not ahead.worth_it(words)


def test_one_processor_reads_it_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    assert not ahead.worth_it(["verify", "x"])
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    assert ahead.worth_it(["verify", "x"])


def test_an_option_of_another_kind_is_not_told_wrongly(tmp_path: Path) -> None:
    assert ahead._back({"path": str(tmp_path)}) == tmp_path
    with pytest.raises(TypeError, match="a set"):
        ahead._path({1})
