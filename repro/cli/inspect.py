"""``repro inspect``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer

from repro.cli import context
from repro.primitives.texts import human_size, human_time, printable

HELP = """Show what is inside an archive; reads only the head of the file.

ARCHIVE is a file, or FILE:TAG for one of its versions.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("inspect", help=HELP)(inspect)


def inspect(
    archive: str = typer.Argument(..., help="The archive, or ARCHIVE:TAG."),
    pins: bool = typer.Option(False, "--pins", help="List every package with its pin."),
    left_out: bool = typer.Option(False, "--left-out", help="List what was not packed, and why."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Show an archive (help text: HELP)."""
    from repro.workflows.inspect import inspect as look
    from repro.workflows.names import parse_reference

    document = look(*parse_reference(archive))
    if json_:
        context.print_json(document)
        return
    for line in _lines(document):
        print(line)
    if pins:
        for package in document["pins"]["packages"]:
            grade = printable(str(package.get("grade")), 20)
            print(f"  {grade:<10} {printable(str(package.get('purl')))}")
    if left_out:
        for item in document["left_out"]:
            print(f"  {printable(str(item.get('path')))}: {printable(str(item.get('reason')))}")


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    archive = document["archive"]
    yield f"{printable(archive['name'])}:{archive['tag']}  {archive['digest']}"
    if archive["title"]:
        yield f"  title     {printable(archive['title'])}"
    yield f"  file      {human_size(archive['size'])}, linux/{printable(archive['architecture'])}"
    yield f"  checked   {document['checked']}"
    if len(document["versions"]) > 1:
        tags = ", ".join(version["tag"] for version in document["versions"])
        yield f"  versions  {printable(tags)} (the last is the default)"
    yield f"  project   {printable(document['root'])}"
    for step in document["steps"]:
        what = step["notebook"] or " ".join(step["argv"])
        yield f"  step      {printable(step['name'], 40)}: {printable(what, 120)}"
    yield from _run_lines(document)
    yield "layers, lowest first"
    for layer in document["layers"]:
        sizes = f"{human_size(layer['size']):>8} of {human_size(layer['uncompressed_size']):>8}"
        yield f"  {printable(layer['kind'], 12):<9} {sizes}  diff_id {layer['diff_id']}"
    grades = ", ".join(
        f"{count} {printable(g, 20)}" for g, count in sorted(document["pins"]["grades"].items())
    )
    yield f"packages  {len(document['pins']['packages'])} ({grades or 'none'})"
    yield "outputs"
    for output in document["outputs"]:
        need = "" if output["required"] else "  (not required)"
        size = human_size(output["size"])
        yield f"  {output['sha256'][:12]}  {size:>8}  {printable(output['path'])}{need}"


def _run_lines(document: Mapping[str, Any]) -> Iterator[str]:
    run = document["run"]
    if run["seconds"] is not None:
        peak = f", peak {human_size(run['peak_memory'])}" if run["peak_memory"] else ""
        yield (
            f"  run       {human_time(run['seconds'])}{peak}, {run['processes']} programs, "
            f"{run['files']} files seen by {printable(str(run['tracer']), 20)}"
        )
    host = document["host"]
    if isinstance(host, dict):
        facts = [host.get("distribution"), host.get("kernel"), host.get("cpu")]
        yield f"  host      {printable(' · '.join(str(f) for f in facts if f))}"
    test = document["self_test"]
    if isinstance(test, dict):
        yield f"  self-test {printable(str(test.get('outcome', 'unknown')))}"
    for kind in ("not_observed", "warnings"):
        for text in document[kind][:20]:
            yield f"  !         {printable(str(text))}"
