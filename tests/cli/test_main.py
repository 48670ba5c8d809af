"""main(): every way out has its documented status, and never 1 for a crash."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repro import __version__
from repro.cli import app
from repro.cli.ending import ended
from repro.errors import (
    ArchiveError,
    Interrupted,
    PinError,
    ProjectError,
    RemoteError,
    ReproError,
    RerunFailed,
    RunFailed,
    RuntimeUnavailable,
    SignatureError,
    StorageError,
    UsageError,
)


def run(monkeypatch: pytest.MonkeyPatch, *argv: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["repro", *argv])
    with pytest.raises(SystemExit) as ending:
        ended(app.command_line)
    return ending.value.code


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def explode(words: object) -> Callable[[], None]:
        def call() -> None:
            raise error

        return call

    monkeypatch.setattr(app, "build_app", explode)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("x"), 2),
        (ProjectError("x"), 3),
        (PinError("x"), 3),
        (StorageError("x"), 3),
        (ArchiveError("x"), 4),
        (RunFailed("x"), 5),
        (RerunFailed("x"), 5),
        (RuntimeUnavailable("x"), 6),
        (RemoteError("x"), 7),
        (SignatureError("x"), 8),
        (Interrupted("x"), 130),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 3),
        (ValueError("a bug"), 70),
        (RecursionError(), 70),
    ],
)
def test_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
) -> None:
    failing(monkeypatch, error)
    assert run(monkeypatch, "verify", "x") == status
    assert capsys.readouterr().out == ""


def test_message_form(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    failing(
        monkeypatch,
        ArchiveError("layer 3", hint="again", details=["expected a\x1b[0m"], slug="archive-digest"),
    )
    run(monkeypatch, "verify", "x")
    assert capsys.readouterr().err == (
        "error[archive-digest]: layer 3\n  expected a\\x1b[0m\n  hint: again\n"
    )


def test_json_has_the_same_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, ProjectError("m", hint="h", details=["d"], slug="s"))
    assert run(monkeypatch, "snapshot", "--json") == 3
    assert json.loads(capsys.readouterr().out) == {
        "error": {"slug": "s", "message": "m", "hint": "h", "details": ["d"], "exit_code": 3}
    }


def test_a_bug_names_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, ZeroDivisionError("oops"))
    assert run(monkeypatch, "verify") == 70
    text = capsys.readouterr().err
    assert "this is a bug of repro" in text
    assert "repro-bug-" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("argv", [["nonsense"], ["verify"], ["verify", "--nonsense", "x"]])
def test_usage(monkeypatch: pytest.MonkeyPatch, argv: list[str]) -> None:
    assert run(monkeypatch, *argv) == 2


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["verify", "x.repro", "--codechecker", "A. Person"], "--codecheck FILE"),
        (["extract", "x.repro", "folder", "--file", "a.csv"], "takes out one file"),
        (["extract", "x.repro", "--results", "--file", "a.csv"], "takes out one file"),
        (["snapshot", "--tag", "two words", "--", "false"], "'two words' is no tag"),
    ],
)
def test_what_would_be_ignored_or_come_too_late_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    argv: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *argv) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["log"], ["diff", "oci://h.invalid/a:v1"]])
def test_who_takes_no_registry_says_how_to_fetch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    assert run(monkeypatch, *argv, "oci://h.invalid/a:v1") == 2
    assert "repro pull oci://h.invalid/a:v1 -o FILE" in capsys.readouterr().err


def test_a_script_of_the_folder_is_no_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "go.sh").write_text("#!/bin/sh\n")
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "snapshot", "--", "go.sh") == 3
    assert "is run as ./go.sh" in capsys.readouterr().err


def test_no_such_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "inspect", "nothing-here.repro") == 2
    assert "there is no file nothing-here.repro" in capsys.readouterr().err


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--version") in (0, None)
    assert capsys.readouterr().out == f"repro {__version__}\n"


def test_every_family_has_its_own_slug() -> None:
    # Rooms may refine a family; its slug tells what a program needs to know.
    families = [f for f in (ReproError, *_all(ReproError)) if f.__module__ == "repro.errors"]
    slugs = [family.slug for family in families]
    assert len(slugs) == len(set(slugs))


def _all(cls: type[ReproError]) -> list[type[ReproError]]:
    found = []
    for sub in cls.__subclasses__():
        found += [sub, *_all(sub)]
    return found


def test_an_interruption_in_a_callback_is_not_lost() -> None:
    """Python drops what is raised in a weak reference's callback, as at every import."""
    script = (
        "import os, signal, sys, time, weakref\n"
        "from repro.cli import app\n"
        "from repro.cli.ending import ended\n"
        "class Thing: pass\n"
        "def build(words):\n"
        "    def call():\n"
        "        thing = Thing()\n"
        "        kept = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))\n"
        "        del thing\n"
        "        time.sleep(20)\n"
        "    return call\n"
        "app.build_app = build\n"
        "ended(app.command_line)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=15)
    assert done.returncode == 130, done.stderr


def test_what_a_verification_waits_for_is_little() -> None:
    """Before the rerun neither the judge nor a report nor a network client is loaded
    (docs/decisions/0005)."""
    script = (
        "import sys\n"
        "import repro.cli.ahead, repro.cli.ending, repro.cli.verifying, repro.workflows.names\n"
        "import repro.workflows.reporting, repro.runtime.engines.bubblewrap\n"
        "late = ('typer', 'click', 'dataclasses', 'inspect', 'tempfile', 'shutil', 'pydantic', 'logging', 'concurrent.futures', 'requests', 'yaml', 'nbformat', "
        "'packaging', 'repro.observe', 'repro.report', 'repro.compare.judge', 'repro.pin', "
        "'repro.image', 'repro.remote')\n"
        "print([m for m in sys.modules if m in late or m.startswith(tuple(f'{l}.' for l in late))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_arguments_are_explained_and_a_slip_is_answered_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Newer versions of click and typer lose the one and double the other (pyproject.toml)."""
    assert run(monkeypatch, "verify", "--help") == 0
    assert "ARCHIVE:TAG, or oci" in capsys.readouterr().out
    assert run(monkeypatch, "verfy") == 2
    assert capsys.readouterr().err.count("Did you mean 'verify'?") == 1
