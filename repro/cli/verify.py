"""``repro verify``."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from repro.cli.ahead import carry_out
from repro.cli.bounds import CPUS, DISK, MEMORY, PIDS

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
    carry_out("repro.cli.verifying", dict(locals()))
