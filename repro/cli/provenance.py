"""``repro provenance``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer

from repro.cli import context
from repro.cli.render import observer_for
from repro.primitives.texts import printable

HELP = """Prove that the packages inside are, byte for byte, what was published.

Every file of a Python or Debian package in the archive's layers is compared with the wheel
of the package index that pip is set to, and with the package that this machine's apt
offers. ARCHIVE is a file, or FILE:TAG. Nothing is unpacked or run.

Exit status 0 when nothing differs, 1 when something does, 7 when a registry, or the way to
it, kept a package from being checked. What is not checked is named, and never counted as published.
"""

_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("provenance", help=HELP)(provenance)


def provenance(
    archive: str = typer.Argument(..., help="The archive, or ARCHIVE:TAG."),
    offline: bool = typer.Option(
        False, "--offline", help="Ask nobody: use the lists inside the image (weaker)."
    ),
    index: str | None = typer.Option(
        None, metavar="URL", help="A package index (simple API) [pip's own settings]."
    ),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the result."),
    verbose: bool = typer.Option(False, "-v", "--verbose", help="List every package and file."),
) -> None:
    """Check where packages come from (help text: HELP)."""
    from repro.errors import EXIT_NOT_REPRODUCED, EXIT_OK, EXIT_REMOTE
    from repro.workflows.names import parse_reference
    from repro.workflows.provenance import ProvenanceRequest
    from repro.workflows.provenance import provenance as check

    path, tag = parse_reference(archive)
    found = check(
        ProvenanceRequest(
            archive=path, tag=tag, environ=context.environ(), offline=offline, index=index
        ),
        observer_for(quiet=quiet or json_, verbose=verbose),
    )
    if json_:
        context.print_json(found.to_json())
    else:
        for line in _lines(found.to_json(), verbose):
            print(line)
    status = EXIT_REMOTE if found.remote else EXIT_OK
    raise typer.Exit(EXIT_NOT_REPRODUCED if found.differs else status)


def _lines(document: Mapping[str, Any], verbose: bool) -> Iterator[str]:
    packages = document["packages"]
    plain = ("as published", "as recorded in the image")
    for package in packages:
        if package["origin"] not in plain or verbose:
            yield from _package_lines(package, verbose)
    for note in document["unclaimed"][: None if verbose else _SHOWN]:
        yield f"  ADDED       {printable(note['path'])}: {note['why']}"
    if len(document["unclaimed"]) > _SHOWN and not verbose:
        yield f"  ADDED       {len(document['unclaimed']) - _SHOWN} more (-v)"
    for note in document["compiled_differs"][: None if verbose else _SHOWN]:
        yield f"  COMPILED    {printable(note['path'])}: {printable(note['why'])}"
    if len(document["compiled_differs"]) > _SHOWN and not verbose:
        yield f"  COMPILED    {len(document['compiled_differs']) - _SHOWN} more (-v)"
    for note in document["made_by_tools"]:
        yield f"  !           {printable(note['path'])}: {note['why']}"
    for text in document["limits"]:
        yield f"  !           {printable(text, 300)}"
    if document["compiled"]:
        yield (
            f"  {document['compiled_proven']} of {document['compiled']} compiled Python files "
            "(.pyc) say what their sources say: compiled again here"
        )
    counts = ", ".join(f"{count} {name}" for name, count in sorted(document["counts"].items()))
    word = "DIFFERS" if document["differs"] else "no difference found"
    yield f"{word}   {len(packages)} packages: {counts or 'none'}"


def _package_lines(package: Mapping[str, Any], verbose: bool) -> Iterator[str]:
    name = printable(f"{package['source']} {package['name']} {package['version']}", 100)
    origin = package["origin"].upper() if package["differs"] else package["origin"]
    why = f": {printable(package['why'])}" if package["why"] else ""
    yield f"  {name:<40} {origin}{why}"
    if verbose and package["against"]:
        counts = f"{package['equal']} files equal, {package['not_packed']} not packed"
        yield f"      {printable(package['against'], 300)}: {counts}"
    for note in package["differs"][: None if verbose else _SHOWN]:
        yield f"      {printable(note['path'])}: {printable(note['why'])}"
    if len(package["differs"]) > _SHOWN and not verbose:
        yield f"      and {len(package['differs']) - _SHOWN} more (-v)"
    if verbose:
        for note in package["local"]:
            if note["why"] != "compiled":
                yield f"      made locally: {printable(note['path'])}: {printable(note['why'])}"
