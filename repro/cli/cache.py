"""``repro cache``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from repro.cli import context
from repro.cli.render import observer_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

HELP = """Look after this user's cache: unpacked layers, and what lies beside them.

Limit and gc bound all that can be had again: unpacked layers, packed ones (for the next
snapshot), archives that were pulled or made whole, files of inputs.remote, unfinished pulls.
What is removed is unpacked, packed or fetched again when it is needed. What a running repro
uses or writes stays, and what kept containers need.

\b
  repro cache ls
  repro cache check            hash all layers again, remove damaged ones
  repro cache gc --keep 5GB    remove the longest unused
  repro cache limit 20GB       keep a limit after each verification, run and snapshot
  repro cache limit none       lift it
"""

_JSON = typer.Option(False, "--json", help="Print one JSON document.")
_UNITS = "such as 500MB, 20GB or 1.5GiB"


def register(app: typer.Typer) -> None:
    """Add the command with its four verbs."""
    verbs = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    verbs.command("ls", help="List the layers, the last used first, and the other kinds.")(ls)
    verbs.command("check", help="Hash every layer again and remove damaged ones.")(check)
    verbs.command("gc", help="Remove what was used longest ago.")(gc)
    verbs.command("limit", help="Show, set or lift the cache's limit.")(limit)
    app.add_typer(verbs, name="cache")


def ls(json_: bool = _JSON) -> None:
    """List layers."""
    from repro.workflows.cache import listing

    document = listing(context.environ())
    if json_:
        context.print_json(document)
    else:
        _print(document)


def check(
    json_: bool = _JSON,
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the result."),
) -> None:
    """Check layers."""
    from repro.workflows.cache import check as look

    document = look(context.environ(), observer_for(quiet=quiet))
    if json_:
        context.print_json(document)
    else:
        print(f"{document['good']} layers are whole, {len(document['damaged'])} were removed")


def gc(
    keep: str = typer.Option("0", "--keep", metavar="SIZE", help="Bytes that may stay."),
    json_: bool = _JSON,
) -> None:
    """Remove what was used longest ago."""
    from repro.workflows.cache import gc as remove

    _report(remove(context.environ(), _size(keep)), json_)


def limit(
    size: str = typer.Argument(None, metavar="[SIZE]", help=f"{_UNITS}; none lifts the limit."),
    json_: bool = _JSON,
) -> None:
    """Show or set the limit."""
    from repro.primitives.texts import human_size
    from repro.workflows.cache import limit as keep
    from repro.workflows.cache import listing

    if size is not None:
        document = keep(context.environ(), None if size == "none" else _size(size))
        if json_:
            context.print_json(document)
            return
        _report(document, json_)
    else:
        document = listing(context.environ())
        if json_:
            context.print_json({key: document[key] for key in ("schema", "limit", "size", "total")})
            return
    bound = document["limit"]
    print("no limit" if bound is None else f"limit: {human_size(bound)}")


def _size(text: str) -> int:
    from repro.errors import UsageError
    from repro.primitives.texts import bytes_of, printable

    size = bytes_of(text)
    if size is None:
        raise UsageError(f"'{printable(text, 40)}' is no size", hint=f"write a number {_UNITS}")
    return size


def _report(document: Mapping[str, Any], json_: bool) -> None:
    from repro.primitives.texts import human_size

    if json_:
        context.print_json(document)
    else:
        freed, left = human_size(document["freed"]), human_size(document["size"])
        print(f"{freed} set free, {left} in the cache")
        for name, kind in document["kinds"].items():
            if kind["freed"]:
                print(f"  {name}: {human_size(kind['freed'])} set free")


def _print(document: Mapping[str, Any]) -> None:
    from repro.primitives.texts import human_size, printable

    for layer in document["layers"]:
        state = "in use" if layer["in_use"] else "" if layer["ready"] else "from an earlier boot"
        used = layer["used"].replace("T", " ").removesuffix("Z")
        hexadecimal = layer["diff_id"].partition(":")[2][:12]
        print(f"{hexadecimal}  {human_size(layer['size']):>7}  last used {used}  {state}".rstrip())
    bound = document["limit"]
    count = len(document["layers"])
    print(
        f"{count} layer{'' if count == 1 else 's'}, {human_size(document['size'])}; in all "
        f"{human_size(document['total'])} in {printable(document['folder'])}, "
        + ("no limit" if bound is None else f"limit {human_size(bound)}")
    )
    for name, kind in document["kinds"].items():
        if kind["count"] and name != "layers":
            print(f"  {name}: {kind['count']}, {human_size(kind['size'])}")
    for name, size in document["others"].items():
        print(f"  beside them, under no limit: {printable(name)} {human_size(size)}")
