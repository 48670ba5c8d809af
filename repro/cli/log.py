"""``repro log``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer

from repro.cli import context

HELP = """List the versions in an archive, the newest first.

\b
  repro log paper.repro

Each line: tag, identity, time of the snapshot, bytes that the file needs for it beyond all older
versions, outputs, git commit ("+": files were changed), outcome of the self-test; then
the message (snapshot -m). A star marks the version that ARCHIVE without :TAG means.
"folded": its large data share their bytes with a newer version, which only repro reads.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("log", help=HELP)(log)


def log(
    archive: str = typer.Argument(..., help="The archive, or ARCHIVE:TAG for one version."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """List versions (help text: HELP)."""
    from repro.workflows.log import log as look
    from repro.workflows.names import parse_reference

    document = look(*parse_reference(archive))
    if json_:
        context.print_json(document)
        return
    for line in _lines(document):
        print(line)


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    from repro.primitives.texts import printable

    versions = document["versions"]
    names = [printable(", ".join(reversed(each["tags"])), 60) for each in versions]
    width = max(len(name) for name in names)
    for name, each in zip(names, versions, strict=True):
        mark = "*" if each["default"] else " "
        yield f"{mark} {name:<{width}}  {_facts(each)}"
        for line in (each["message"] or "").splitlines()[:1]:
            yield f"  {'':<{width}}  {printable(line, 120)}"


def _facts(version: Mapping[str, Any]) -> str:
    from repro.primitives.texts import human_size, printable

    created = (version["created"] or "no time").replace("T", " ").removesuffix("Z")
    count = version["outputs"]
    facts = [
        version["digest"].partition(":")[2][:12],
        f"{created:<19}",
        f"+{human_size(version['added']):<7}",
        f"{count} output{'' if count == 1 else 's'}",
        f"self-test {printable(version['self_test'] or 'unknown', 20)}",
    ]
    if version["folded"]:
        facts.append("folded")
    git = version["git"]
    if git and git["commit"]:
        facts.append(f"commit {printable(git['commit'], 12)[:12]}{'+' if git['changed'] else ''}")
    return "  ".join(facts)
