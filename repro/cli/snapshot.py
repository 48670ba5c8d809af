"""``repro snapshot``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from repro.cli import context
from repro.cli.render import observer_for

if TYPE_CHECKING:
    from repro.model.scope import Scope
    from repro.workflows.snapshot import Snapshot
    from repro.workflows.thin import Thinned

HELP = """Record a run of this project and pack it into one archive.

The command runs as you typed it; repro watches which files it reads and writes, packs
the packages behind them, reruns everything sealed once (the self-test) and writes one file.
Your folder stays as it was unless --write-back.

\b
  repro snapshot -- python analysis.py
  repro snapshot paper.ipynb
  repro snapshot                        (with a repro.yml; `repro init` writes one)
"""
_ANONYMOUS_HELP = "No user name, host name or home path in the archive, for blind review."
_ALLOW_HELP = "Pack this file though it looks as if it held a secret."
_PROBE_HELP = "Rerun it under other conditions too; say what each output varies with."
_SELF_TEST_HELP = "Rerun the archive sealed before writing it."
_TAG_HELP = "Add a version with this tag to the archive [replace it, tag latest]."
_STDIN_HELP = "A file that each step reads as its stdin; packed for the reruns."
_FRESH_HELP = "Hide these old results before the run."
_PARANOID_HELP = "Read every file again, also where nothing seems changed."
_KEEP_HELP = "Keep an archive whose self-test failed as NAME.repro.failed."
_WRITE_BACK_HELP = "Put the run's results into the project folder as well."
_THIN_HELP = "Leave out what package registries have; see `repro thin`."
_JOBS_HELP = "Record so many steps of repro.yml at once, each after those it needs [1]."
_ENV_HELP = "Give the run this variable of your shell; its value is written into the archive."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("snapshot", help=HELP)(snapshot)


def _variables(words: list[str]) -> list[str]:
    for word in words:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", word.partition("=")[0]):
            raise typer.BadParameter(f"{word.partition('=')[0]!r} is not a variable's name")
    return words


def snapshot(
    command: list[str] = typer.Argument(None, help="Notebooks, or the command after `--`."),
    output: Path | None = typer.Option(
        None, "-o", "--output", help="The archive to write [NAME.repro in the project]."
    ),
    project: Path = typer.Option(Path(), "-C", "--project", help="The project folder."),
    name: str | None = typer.Option(None, help="The archive's name [repro.yml, else the folder]."),
    tag: str | None = typer.Option(None, help=_TAG_HELP),
    message: str | None = typer.Option(None, "-m", "--message", help="A note, for `repro log`."),
    fresh: list[str] = typer.Option([], "--fresh", metavar="GLOB", help=_FRESH_HELP),
    exclude: list[str] = typer.Option([], metavar="GLOB", help="Leave these files out."),
    env: list[str] = typer.Option(
        [], "--env", metavar="NAME[=VALUE]", callback=_variables, help=_ENV_HELP
    ),
    allow: list[str] = typer.Option([], metavar="FILE", help=_ALLOW_HELP),
    anonymous: bool = typer.Option(False, "--anonymous", help=_ANONYMOUS_HELP),
    self_test: bool = typer.Option(True, "--self-test/--no-self-test", help=_SELF_TEST_HELP),
    probe: bool = typer.Option(False, "--probe", help=_PROBE_HELP),
    strict: bool = typer.Option(False, "--strict", help="Exit 1 when the self-test differs."),
    write_back: bool = typer.Option(False, "--write-back", help=_WRITE_BACK_HELP),
    keep: bool = typer.Option(False, "--keep", help=_KEEP_HELP),
    minimal: bool = typer.Option(False, "--minimal", help="Pack only files that the run read."),
    full: bool = typer.Option(False, "--full", help="Pack the environments in use whole."),
    small: bool = typer.Option(False, "--small", help="Compress harder: slower, smaller."),
    thin: bool = typer.Option(False, "--thin", help=_THIN_HELP),
    engine: str | None = typer.Option(None, help="The self-test's engine [the first usable]."),
    paranoid: bool = typer.Option(False, "--paranoid", help=_PARANOID_HELP),
    timeout: float | None = typer.Option(None, help="Seconds each step may take."),
    jobs: int | None = typer.Option(None, min=1, max=256, help=_JOBS_HELP),
    tracer: str = typer.Option("auto", help="How reads are observed: auto, notify, strace, none."),
    capture: str = typer.Option("auto", help="How writes are caught: auto, overlay, in-place."),
    stdin: Path | None = typer.Option(None, "--stdin", help=_STDIN_HELP),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the result."),
    verbose: bool = typer.Option(False, "-v", "--verbose", help="Say more; show the run's output."),
) -> None:
    """Take a snapshot (help text: HELP)."""
    from repro.workflows.preparing import SnapshotRequest
    from repro.workflows.snapshot import snapshot as take

    words = tuple(command or ())
    notebooks = words if words and all(word.endswith(".ipynb") for word in words) else ()
    result = take(
        SnapshotRequest(
            root=project,
            environ=context.environ(),
            created=context.created(),
            clamp=context.clamp(),
            machine=context.machine(),
            command=() if notebooks else words,
            notebooks=tuple(_relative(project, word) for word in notebooks),
            output=output,
            name=name,
            tag=tag,
            message=message,
            fresh=tuple(fresh),
            exclude=tuple(exclude),
            env=tuple(env),
            allow=tuple(allow),
            anonymous=anonymous,
            person=context.person(),
            self_test=self_test,
            probe=probe,
            strict=strict,
            write_back=write_back,
            keep=keep,
            level=10 if small else 3,
            paranoid=paranoid,
            engine=engine,
            tracer=tracer,
            capture=capture,
            scope=_scope(minimal, full),
            timeout=timeout,
            stdin=stdin,
            on_output=_show if verbose else None,
            jobs=jobs,
        ),
        observer_for(quiet=quiet, verbose=verbose),
    )
    _print(result, _make_thin(result.path, quiet, verbose) if thin else None, json_, quiet)


def _make_thin(path: Path, quiet: bool, verbose: bool) -> Thinned:
    """Put the thin archive in the place of the whole one, which stays when that fails."""
    from repro.errors import ReproError
    from repro.workflows.thin import ThinRequest
    from repro.workflows.thin import thin as make

    try:
        return make(
            ThinRequest(archive=path, output=path, environ=context.environ()),
            observer_for(quiet=quiet, verbose=verbose),
        )
    except ReproError:
        print(f"the snapshot is done; its whole archive stays: {path}", file=sys.stderr)
        raise


def _print(result: Snapshot, made: Thinned | None, json_: bool, quiet: bool) -> None:
    if json_:
        document = result.to_json()
        if made is not None:
            document["archive"]["size"] = made.after
            document["thin"] = made.to_json()
        context.print_json(document)
        return
    print(f"{result.path}  {result.digest}")
    if result.packed.probe is not None:
        from repro.report.stability import probe_lines

        for line in probe_lines(result.packed.probe.to_json()):
            print(line)
    if quiet:
        return
    if made is None:
        print(f"next: repro verify {result.path}", file=sys.stderr)
        return
    from repro.cli.thin import stays, summary

    for line in (*stays(made, verbose=False), *list(summary(made))[1:]):
        print(line, file=sys.stderr)
    print(f"next: repro verify --fetch {result.path}", file=sys.stderr)


def _scope(minimal: bool, full: bool) -> Scope:
    """What ``--minimal`` and ``--full`` mean. Raises UsageError when both are given."""
    from repro.errors import UsageError
    from repro.model.scope import Scope

    if minimal and full:
        raise UsageError("--minimal and --full exclude each other")
    return Scope.MINIMAL if minimal else Scope.FULL if full else Scope.PACKAGES


def _relative(project: Path, word: str) -> str:
    """A notebook's path relative to the project, whichever folder it was typed in."""
    from repro.errors import ProjectError

    root = project.resolve()
    for base in (Path.cwd(), root):
        path = (base / word).resolve()
        if path.is_file():
            if not path.is_relative_to(root):
                raise ProjectError(f"the notebook {word} lies outside the project {root}")
            return str(path.relative_to(root))
    raise ProjectError(f"there is no notebook {word}", slug="notebook")


def _show(data: bytes) -> None:
    sys.stderr.buffer.write(data)
    sys.stderr.buffer.flush()
