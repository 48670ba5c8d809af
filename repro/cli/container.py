"""``repro container``: verbs for containers that are kept."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from repro.cli import context
from repro.cli.bounds import CPUS, MEMORY, PIDS
from repro.cli.container_lines import listing_lines, log_text
from repro.cli.render import observer_for

if TYPE_CHECKING:
    from collections.abc import Callable

HELP = """Keep a container: the archive's image with a thin writable layer that stays.

\b
  repro container create paper.repro --name trial
  repro container start trial                  the recorded steps, in the background
  repro container start trial -- python -m http.server
  repro container exec trial -- python -c "import numpy; print(numpy.__version__)"
  repro container logs trial --follow
  repro container diff trial                   A added, C changed, D deleted
  repro container commit trial -t with-fix     a new version of the archive
  repro container stop trial; repro container rm trial

Sealed as `repro run` is. The image is unpacked once for all containers and runs of it.
"""

_JSON = typer.Option(False, "--json", help="Print one JSON document.")
_QUIET = typer.Option(False, "-q", "--quiet", help="Only the result.")
_NAME = typer.Argument(..., metavar="NAME", help="The container.")
_COMMAND = typer.Argument(None, metavar="[-- CMD…]", help="A command, after `--`.")


def register(app: typer.Typer) -> None:
    """Add the command with its verbs."""
    verbs = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    verbs.command("create", help="Make a container; nothing runs yet.")(create)
    verbs.command("start", help=START)(start)
    verbs.command("exec", help=EXEC)(execute)
    verbs.command("jupyter", help=JUPYTER)(jupyter)
    verbs.command("stop", help="SIGTERM to the command, SIGKILL to all after --time.")(stop)
    verbs.command("ls", help="List containers.")(ls)
    verbs.command("diff", help=DIFF)(diff)
    verbs.command("commit", help=COMMIT)(commit)
    verbs.command("logs", help="Show what runs in the background wrote.")(logs)
    verbs.command("rm", help="Remove a container with its layer.")(rm)
    app.add_typer(verbs, name="container")


def create(
    archive: str = typer.Argument(..., help="The archive, ARCHIVE:TAG, or oci://…"),
    name: str = typer.Option(..., "--name", help="Its name."),
    network: str = typer.Option("none", help="none, or host (then nothing is sealed off)."),
    memory: str | None = MEMORY,
    cpus: str | None = CPUS,
    pids: str | None = PIDS,
    disk: str | None = typer.Option(None, help="Size of the writable layer, such as 10G."),
    engine: str | None = typer.Option(None, help="The engine to use [the first usable]."),
    insecure: bool = typer.Option(False, "--insecure", help="Plain HTTP for oci://."),
    json_: bool = _JSON,
    quiet: bool = _QUIET,
) -> None:
    """Make a container; its limits hold for everything that runs in it."""
    from repro.model.limits import limits
    from repro.workflows.containers import CreateRequest
    from repro.workflows.containers import create as make
    from repro.workflows.names import local_archive

    observer = observer_for(quiet=quiet)
    path, tag = local_archive(archive, context.environ(), insecure=insecure, observer=observer)
    made = make(
        CreateRequest(
            archive=path,
            tag=tag,
            name=name,
            environ=context.environ(),
            machine=context.machine(),
            created=context.created(),
            limits=limits(memory=memory, cpus=cpus, pids=pids, disk=disk),
            network=context.network(network),
            engine=engine,
        ),
        observer,
    )
    if json_:
        context.print_json(made.to_json())
    else:
        print(made.name)


START = """Run the recorded steps, or a command, in the background.

The run goes on when this command has ended; its output goes to `repro container logs`. When
the process that watches it is killed, all of it ends. With --attach this command stays, shows
the output and ends with the program's status; an interruption then ends the run.
"""


def start(
    name: str = _NAME,
    command: list[str] = _COMMAND,
    attach: bool = typer.Option(False, "-a", "--attach", help="Stay and show its output."),
    quiet: bool = _QUIET,
) -> None:
    """Run in the background (help text: START)."""
    from repro.workflows.container_runs import start as begin
    from repro.workflows.container_runs import wait

    observer = observer_for(quiet=quiet)
    begun = begin(context.environ(), name, tuple(command or ()), context.created, observer)
    if attach:
        raise typer.Exit(wait(begun, _shower()))
    print(name)


EXEC = """Run a command in a container.

When a run goes on, the command joins its sandbox: the same files, processes and network, no
more rights, and it ends with the run at the latest. When none does, it gets a sandbox of its
own over the same writable layer; nothing else can run over it meanwhile.
"""


def execute(
    name: str = _NAME,
    command: list[str] = _COMMAND,
    cwd: str | None = typer.Option(None, "-w", "--workdir", help="Absolute, inside [the project]."),
    interactive: bool = typer.Option(False, "-i", "--interactive", help="Pass our stdin on."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the program's output."),
) -> None:
    """Run one command more (help text: EXEC); ends with the program's own status."""
    from repro.errors import UsageError
    from repro.workflows.container_runs import ExecRequest
    from repro.workflows.container_runs import execute as run
    from repro.workflows.rerun import REACHED

    if not command:
        raise UsageError("say what to run", hint=f"repro container exec {name} -- CMD")
    ended = run(
        ExecRequest(
            name=name,
            command=tuple(command),
            environ=context.environ(),
            cwd=cwd,
            stdin=sys.stdin.fileno() if interactive else None,
        ),
        observer_for(quiet=quiet),
    )
    if ended.reached is not None:
        print(f"  !   the command {REACHED[ended.reached]}", file=sys.stderr)
    raise typer.Exit(ended.exit)


JUPYTER = """Serve Jupyter over a container's layer.

Prints an address of this machine to open in a browser. The server is the one that the image
holds, and has no network: a port of this machine leads to it. What is written stays in the
container's layer. Ctrl-C, or `repro container stop`, ends it.
"""


def jupyter(
    name: str = _NAME,
    port: int = typer.Option(0, "--port", min=0, max=65535, help="[a free one]"),
    quiet: bool = _QUIET,
) -> None:
    """Serve until it ends (help text: JUPYTER)."""
    from functools import partial

    from repro.cli.serving import announce
    from repro.workflows.container_jupyter import serve_container

    say = partial(announce, f"what is written stays in the container {name}")
    observer = observer_for(quiet=quiet)
    raise typer.Exit(serve_container(context.environ(), name, port, say, context.created, observer))


def stop(
    name: str = _NAME,
    seconds: float = typer.Option(10.0, "--time", min=0, help="Seconds until SIGKILL."),
) -> None:
    """End what runs."""
    from repro.workflows.container_runs import stop as end

    if not end(context.environ(), name, seconds):
        print(f"{name} was not running", file=sys.stderr)
    print(name)


def ls(json_: bool = _JSON) -> None:
    """List containers."""
    from repro.workflows.containers import listing

    document = listing(context.environ())
    if json_:
        context.print_json(document)
    else:
        for line in listing_lines(document):
            print(line)


DIFF = """Show what a container's writable layer changed.

A added, C changed, D deleted, against the archive's image. A renamed file is one deleted and
one added. What was opened for writing but is as before is not listed, nor are times.
"""


def diff(name: str = _NAME, json_: bool = _JSON, quiet: bool = _QUIET) -> None:
    """Show changed paths (help text: DIFF)."""
    from repro.primitives.texts import printable
    from repro.workflows.containers import diff as compare

    found = compare(context.environ(), name, observer_for(quiet=quiet))
    if json_:
        listed = [{"kind": change.kind.value, "path": change.path} for change in found]
        context.print_json({"schema": "repro.container-diff/1", "changes": listed})
        return
    for change in found:
        print(f"{change.kind.value} {printable(change.path, 4096)}")


COMMIT = """Write a container's layer as a new version of its archive.

The recorded steps and results stay those of the old version: nobody recorded a run of the new
one. Results as they lie in the container are left out; a sealed rerun of the new version is
compared with the old results, and the version says how that went. Also left out: /tmp, /run,
special files. Permissions become 0755 or 0644, as everywhere in an archive.
"""


def commit(
    name: str = _NAME,
    tag: str = typer.Option(..., "-t", "--tag", help="The new version's tag."),
    output: str | None = typer.Option(None, "-o", "--output", help="[the container's archive]"),
    message: str | None = typer.Option(None, "-m", "--message", help="A line for `repro log`."),
    no_self_test: bool = typer.Option(False, "--no-self-test", help="Do not rerun it."),
    allow: list[str] = typer.Option([], "--allow", help="Let a file pass that looks secret."),
    json_: bool = _JSON,
    quiet: bool = _QUIET,
) -> None:
    """Make a version of a layer (help text: COMMIT)."""
    from pathlib import Path

    from repro.primitives.texts import printable
    from repro.workflows.container_commit import CommitRequest
    from repro.workflows.container_commit import commit as write

    made = write(
        CommitRequest(
            name=name,
            tag=tag,
            output=Path(output) if output is not None else None,
            environ=context.environ(),
            created=context.created(),
            clamp=context.clamp(),
            message=message,
            self_test=not no_self_test,
            allow=tuple(allow),
        ),
        observer_for(quiet=quiet),
    )
    if json_:
        context.print_json(made.to_json())
        return
    counts = made.changes
    print(f"{printable(made.path)}:{made.tag}  {made.digest}")
    print(f"  {counts['A']} added, {counts['C']} changed, {counts['D']} deleted")
    for path, why in made.left_out[:10]:
        print(f"  left out: {printable(path)} ({why})")
    if len(made.left_out) > 10:
        print(f"  left out: {len(made.left_out) - 10} more (--json lists all)")
    print("  results: carried over from the old version, not recorded of this one; rerun of")
    print(f"           this one: {made.self_test['outcome']}")


def logs(
    name: str = _NAME,
    last: int | None = typer.Option(None, "-n", "--tail", min=0, help="Only the last N lines."),
    follow: bool = typer.Option(False, "-f", "--follow", help="Go on until the run ends."),
) -> None:
    """Show the log."""
    from repro.workflows.container_runs import follow_log
    from repro.workflows.containers import log_lines, shelf, size_of

    place = shelf(context.environ()).find(name)
    show = _shower()
    position = size_of(place.log)
    show(log_lines(place.log, last, position))
    if follow:
        follow_log(place, position, show)


def rm(
    names: list[str] = typer.Argument(..., metavar="NAME…", help="The containers."),
    force: bool = typer.Option(False, "-f", "--force", help="End what runs first."),
) -> None:
    """Remove containers."""
    from repro.workflows.containers import remove

    for name in names:
        remove(context.environ(), name, force=force)
        print(name)


def _shower() -> Callable[[bytes], None]:
    """Writes pieces to stdout: as they are, but harmless ones to a terminal."""
    terminal = sys.stdout.isatty()

    def show(data: bytes) -> None:
        sys.stdout.buffer.write(log_text(data) if terminal else data)
        sys.stdout.buffer.flush()

    return show
