"""``repro extract``."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from repro.cli import context
from repro.cli.render import observer_for
from repro.primitives.texts import human_size, printable

_FILE_HELP = "One file of the image (or a recorded result), checked; to -o or stdout."

HELP = """Take the project's files, its recorded results, or lists of its packages out of an archive.

\b
  repro extract paper.repro folder
  repro extract --results paper.repro folder
  repro extract --locks paper.repro folder      pylock.toml, apt.txt, renv.lock …
  repro extract paper.repro --file data/a.csv -o a.csv    one file, nothing else unpacked
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("extract", help=HELP)(extract)


def extract(
    archive: str = typer.Argument(..., help="The archive, ARCHIVE:TAG, or oci://…"),
    folder: Path | None = typer.Argument(None, help="A new or empty folder."),
    file: str | None = typer.Option(None, "--file", metavar="PATH", help=_FILE_HELP),
    output: Path | None = typer.Option(None, "-o", "--output", help="For --file [stdout]."),
    results: bool = typer.Option(False, "--results", help="The recorded results."),
    locks: bool = typer.Option(
        False, "--locks", help="Lists that package managers install its packages from."
    ),
    force: bool = typer.Option(False, "--force", help="Write into a folder that has files."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
    insecure: bool = typer.Option(False, "--insecure", help="Plain HTTP for oci://."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="No progress."),
) -> None:
    """Take files out (help text: HELP)."""
    from repro.errors import UsageError
    from repro.workflows.extract import extract as take
    from repro.workflows.names import local_archive

    observer = observer_for(quiet=quiet)
    if file is not None:
        if folder is not None or results or locks:
            raise UsageError("--file takes out one file: -o FILE says where, or stdout")
        _file(archive, file, output, json_, insecure, quiet)
        return
    if folder is None or output is not None:
        raise UsageError("name a folder to write into, or --file PATH [-o FILE]")
    path, tag = local_archive(archive, context.environ(), insecure=insecure, observer=observer)
    if locks:
        _locks(path, tag, folder, force, json_)
        return
    done = take(
        path,
        tag,
        folder,
        results=results,
        force=force,
        environ=context.environ(),
        observer=observer,
    )
    if json_:
        context.print_json(
            {
                "schema": "repro.extract/1",
                "folder": str(done.folder),
                "files": done.files,
                "size": done.size,
                "skipped": list(done.skipped),
            }
        )
        return
    for line in done.skipped:
        print(f"not written: {line}", file=sys.stderr)
    print(f"{done.files} files, {human_size(done.size)}, in {done.folder}")


def _file(
    archive: str, name: str, output: Path | None, json_: bool, insecure: bool, quiet: bool
) -> None:
    """One file, to its place or to stdout; what is said of it then goes to stderr."""
    from repro.errors import UsageError
    from repro.workflows.extract_file import extract_file

    if json_ and output is None:
        raise UsageError("--json needs -o FILE: stdout is for one of the two")
    found = extract_file(
        archive, name, output or sys.stdout.buffer, context.environ(), insecure=insecure,
        observer=observer_for(quiet=quiet),
    )  # fmt: skip
    if json_:
        context.print_json(found.to_json())
    elif not quiet:
        print(
            f"{printable(found.path)}: {human_size(found.size)}, sha256 {found.sha256} as in the "
            f"file list; read: {found.how}",
            file=sys.stderr,
        )


def _locks(path: Path, tag: str | None, folder: Path, force: bool, json_: bool) -> None:
    """Write the lists and say what each is good for."""
    from repro.workflows.locks import write_locks

    written = write_locks(path, tag, folder, force=force)
    if json_:
        lists = [
            {"name": each.name, "exact": each.exact, "total": each.total, "how": each.how}
            for each in written
        ]
        context.print_json(
            {"schema": "repro.extract-locks/1", "folder": str(folder), "lists": lists}
        )
        return
    for each in written:
        print(f"{each.name}: {each.total} packages, {each.exact} by address and hash; {each.how}")
    print(f"lock.json: everything that is known of each, in {folder}")
