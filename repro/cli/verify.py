"""``repro verify``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from repro.cli import context
from repro.cli.bounds import CPUS, DISK, MEMORY, PIDS
from repro.cli.render import observer_for

if TYPE_CHECKING:
    from repro.model.outcome import Outcome
    from repro.workflows.reporting import Reports

HELP = """Rerun an archive sealed and compare its results with the recorded ones.

Needs no root and none of the analysis's packages. Exit 0 when every required output
meets --require, 1 when the rerun ran and one does not.

\b
  repro verify paper.repro --report report.html
"""


_ONLY_HELP = "Judge only these outputs; repeatable. The verdict says that it is partial."
_CODECHECK_HELP = "Write a CODECHECK certificate's codecheck.yml here."
_PIN_HELP = "Where outputs drift: rerun once more as the author's processor would."
_FETCH_HELP = "Make a thin archive whole first, from package registries; kept in the cache."
_OWN_HELP = "Your own {} tolerance; shown as the reviewer's."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", help=HELP)(verify)


def outcome_of(text: str) -> Outcome:
    """The bar a person named. Raises UsageError for anything else."""
    from repro.errors import UsageError
    from repro.model.outcome import Outcome

    bars = {"identical": Outcome.IDENTICAL, "equivalent": Outcome.EQUIVALENT,
            "close": Outcome.CLOSE}  # fmt: skip
    if text not in bars:
        raise UsageError("--require takes identical, equivalent or close")
    return bars[text]


def _full(text: str) -> bool:
    from repro.errors import UsageError

    if text not in ("any", "full"):
        raise UsageError("--require-seal takes any or full")
    return text == "full"


def _check_reports(reports: Reports) -> None:
    """A run of hours must not end at a folder that is not there, or without what was asked."""
    from repro.errors import UsageError

    if reports.codechecker is not None and reports.codecheck is None:
        raise UsageError("--codechecker goes with --codecheck FILE")
    for kind, file in reports.files.items():
        if not file.parent.is_dir():
            raise UsageError(f"there is no folder {file.parent} for the {kind}")


def _schema(asked: bool) -> None:
    """Print the schema and end, whatever else the line says."""
    if asked:
        from repro.report.jsondoc import verify_schema

        sys.stdout.write(verify_schema())
        raise typer.Exit


_SCHEMA = typer.Option(
    False,
    "--schema",
    callback=_schema,
    is_eager=True,
    help="Print the JSON Schema of repro.verify/1 and exit.",
)


def verify(
    archive: str = typer.Argument(..., help="The archive, ARCHIVE:TAG, or oci://…"),
    require: str = typer.Option("close", help="The bar: identical, equivalent or close."),
    only: list[str] = typer.Option([], "--only", metavar="GLOB", help=_ONLY_HELP),
    report: Path | None = typer.Option(None, "--report", help="Write an HTML report here."),
    junit: Path | None = typer.Option(None, "--junit", help="Write JUnit XML (for CI) here."),
    markdown: Path | None = typer.Option(None, "--markdown", help="Write a review form here."),
    codecheck: Path | None = typer.Option(None, "--codecheck", help=_CODECHECK_HELP),
    codechecker: str | None = typer.Option(None, help="Who checks, for --codecheck."),
    badge: Path | None = typer.Option(None, "--badge", help="Write an SVG badge here."),
    timeout: float | None = typer.Option(None, help="Seconds each step may take."),
    memory: str | None = MEMORY,
    cpus: str | None = CPUS,
    pids: str | None = PIDS,
    disk: str | None = DISK,
    engine: str | None = typer.Option(None, help="The engine to use [the first usable]."),
    pin_cpu: bool = typer.Option(False, "--pin-cpu", help=_PIN_HELP),
    require_seal: str = typer.Option(
        "any", help="full: refuse when something that can be is not enforced."
    ),
    network: str = typer.Option("none", help="none, or host (marked in the verdict)."),
    rtol: float | None = typer.Option(None, help=_OWN_HELP.format("relative")),
    atol: float | None = typer.Option(None, help=_OWN_HELP.format("absolute")),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document (repro.verify/1)."),
    schema: bool = _SCHEMA,
    fetch: bool = typer.Option(False, "--fetch", help=_FETCH_HELP),
    insecure: bool = typer.Option(False, "--insecure", help="Plain HTTP for oci://."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the verdict."),
    verbose: bool = typer.Option(False, "-v", "--verbose", help="Say more."),
) -> None:
    """Verify (help text: HELP)."""
    from repro.model.limits import limits
    from repro.workflows.names import local_archive
    from repro.workflows.reporting import Reports, verify_and_report
    from repro.workflows.verify_request import VerifyRequest

    reports = Reports(
        html=report, junit=junit, markdown=markdown, codecheck=codecheck, badge=badge,
        codechecker=codechecker, now=context.created(),
    )  # fmt: skip
    _check_reports(reports)
    own = {k: repr(v) for k, v in (("rtol", rtol), ("atol", atol)) if v is not None}
    observer = observer_for(quiet=quiet, verbose=verbose)
    path, tag = local_archive(archive, context.environ(), insecure=insecure, observer=observer)
    bounds = limits(memory=memory, cpus=cpus, pids=pids, disk=disk)
    if fetch:
        from repro.workflows.fatten import whole_copy

        path = whole_copy(
            path, context.environ(), observer, engine=engine, limits=bounds,
            full_seal=_full(require_seal),
        )  # fmt: skip
    document, reproduced = verify_and_report(
        VerifyRequest(
            archive=path,
            tag=tag,
            environ=context.environ(),
            machine=context.machine(),
            required=outcome_of(require),
            timeout=timeout,
            limits=bounds,
            engine=engine,
            network=context.network(network),
            full_seal=_full(require_seal),
            reviewer=own or None,
            only=tuple(only),
            pin_cpu=pin_cpu,
        ),
        reports,
        observer,
    )
    if json_:
        context.print_json(document)
    else:
        context.print_verdict(document)
        for kind, file in reports.files.items():
            print(f"{kind}: {file}", file=sys.stderr)
    raise typer.Exit(0 if reproduced else 1)
