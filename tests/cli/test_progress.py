"""The running line: bytes, files and time left on a terminal; nothing of it anywhere else."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.cli.render import json_wanted, observer_for, settle
from repro.primitives.events import Event, EventKind, Tally, done
from tests.workflows.lab import Lab, need_an_engine


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and shows what a person sees in the end."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        return seen(self.getvalue())


def seen(text: str) -> list[str]:
    """The lines of a terminal after all that was written over."""
    shown = []
    for line in text.replace("\r\n", "\n").split("\n"):
        shown.append(line.rsplit("\r\x1b[K", 1)[-1])
    return shown


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(sys, "argv", ["repro", "verify"])
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")

    def forward(seconds: float) -> None:
        now[0] += seconds

    return forward


def test_bytes_files_share_and_time_left(clock: Callable[[float], None]) -> None:
    out = Terminal()
    told = Tally("pack", 1_000_000_000, observer_for(quiet=False, stream=out), files=4000)
    told.text = "packages: numpy"
    told.add(0)
    assert out.lines()[-1] == (
        "  ..  pack      packages: numpy · 0 B of 1.0 GB · 0 of 4,000 files · 0 %"
    )
    clock(5)
    told.add(250_000_000, files=1200)
    assert out.lines()[-1] == (
        "  ..  pack      packages: numpy · 250 MB of 1.0 GB · 1,200 of 4,000 files · 25 % · 15s left"
    )
    assert out.getvalue().count("\n") == 0


def test_a_finished_phase_takes_the_place_of_its_running_line(
    clock: Callable[[float], None],
) -> None:
    out = Terminal()
    observer = observer_for(quiet=False, stream=out)
    Tally("pull", 100, observer).add(50)
    observer(done("pull", "all", 2.0))
    assert out.lines() == ["  ok  pull      all  2.0s", ""]
    Tally("pull", 100, observer).add(50)
    settle()
    assert out.lines() == ["  ok  pull      all  2.0s", ""], "an error begins a line of its own"


def test_it_is_drawn_at_most_ten_times_a_second(clock: Callable[[float], None]) -> None:
    out = Terminal()
    told = Tally("push", 100_000, observer_for(quiet=False, stream=out))
    for _ in range(100_000):
        clock(0.00001)  # one second in all
        told.add(1)
    assert 9 <= out.getvalue().count("\r\x1b[K  ..") <= 12
    assert "100 %" in out.lines()[-1]


@pytest.mark.parametrize("columns", [40, 80])
def test_a_line_never_wraps(
    clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    out = Terminal()
    told = Tally("pack", 10**12, observer_for(quiet=False, stream=out), files=10**6)
    told.text = "packages: " + "x" * 100 + "\x1b[2J"
    told.add(1)
    assert len(out.lines()[-1]) < columns
    assert "\x1b[2J" not in out.getvalue()


@pytest.mark.parametrize("where", ["pipe", "dumb", "json", "quiet"])
def test_no_running_line(
    clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    out = io.StringIO() if where == "pipe" else Terminal()
    if where == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    if where == "json":
        monkeypatch.setattr(sys, "argv", ["repro", "verify", "--json", "a.repro"])
    observer = observer_for(quiet=where == "quiet", stream=out)
    Tally("unpack", 100, observer).add(50)
    observer(Event(kind=EventKind.BEGIN, phase="run", text="step"))
    assert out.getvalue() == ""


def test_the_words_of_the_analysis_are_not_ours() -> None:
    assert json_wanted(["repro", "snapshot", "--json", "--", "python", "a.py"])
    assert not json_wanted(["repro", "snapshot", "--", "python", "a.py", "--json"])


def on_a_terminal(lab: Lab, *words: str) -> str:
    """All that a command writes to a terminal of its own."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "repro", *words], cwd=lab.project,
        env={**lab.env, "TERM": "xterm", "COLUMNS": "120"},
        stdin=subprocess.DEVNULL, stdout=follower, stderr=follower,
    )  # fmt: skip
    os.close(follower)
    found = b""
    try:
        while piece := os.read(leader, 1 << 16):
            found += piece
    except OSError:  # the other end is closed
        pass
    os.close(leader)
    assert process.wait(60) == 0, found.decode()
    return found.decode()


def test_snapshot_and_verify_on_a_terminal_and_in_a_pipe(tmp_path: Path) -> None:
    need_an_engine()
    lab = Lab(tmp_path, tmp_path / "cache")
    lab.write("a.sh", "echo 1 > out\n")
    command = ("snapshot", "-o", str(lab.archive), "--", "sh", "a.sh")
    shown = on_a_terminal(lab, *command)
    assert re.search(r"\.\.  pack .* of [\d.]+ MB · [\d,]+ of [\d,]+ files · \d+ %", shown)
    assert re.search(r"\.\.  unpack .* of [\d.]+ MB · \d+ %", shown)
    assert not any("  ..  " in line for line in seen(shown)), "nothing of it is left"
    shown = on_a_terminal(lab, "verify", str(lab.archive))
    assert re.search(r"\.\.  (unpack|archive) .* of [\d.]+ MB · \d+ %", shown)
    assert "\x1b" not in on_a_terminal(lab, "inspect", "--json", str(lab.archive))
    shown = on_a_terminal(lab, "verify", "--json", str(lab.archive))
    assert "  ..  " not in shown and "\x1b[K" not in shown
    piped = lab.repro(*command)
    assert "  ..  " not in piped.stderr and "\r" not in piped.stderr and "ok  pack" in piped.stderr
