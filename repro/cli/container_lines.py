"""Containers and their logs as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from repro.primitives.texts import human_size, printable

_COLUMNS = ("NAME", "STATE", "LAYER", "ARCHIVE", "LAST RUN")


def listing_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The lines of ``repro container ls``."""
    rows = [_COLUMNS, *(_row(row) for row in document["containers"])]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_COLUMNS) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join((*cells, row[-1])).rstrip()


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    if "archive" not in row:
        return row["name"], row["state"], human_size(row["size"]), "", printable(row["error"])
    archive = f"{row['archive'].rpartition('/')[2]}:{row['tag']}"
    name, state = row["name"], _state(row)
    return name, state, human_size(row["size"]), printable(archive, 60), _last(row["run"])


def _state(row: Mapping[str, Any]) -> str:
    run = row["run"]
    if row["state"] == "exited" and run["exit"] is not None:
        return f"exited {run['exit']}"
    return str(row["state"])


def _last(run: Mapping[str, Any] | None) -> str:
    if run is None:
        return ""
    what = "recorded steps" if run["command"] is None else " ".join(run["command"])
    text = f"{printable(what, 60)} ({run['began']})"
    if run["reached"]:
        text += f": over its {run['reached']} limit"
    if run["error"]:
        text += f": {printable(run['error'], 120)}"
    return text


def log_text(data: bytes) -> bytes:
    """A piece of output with nothing in it that a terminal would obey."""
    lines = data.decode("utf-8", "replace").split("\n")
    return "\n".join(_line(line) for line in lines).encode("utf-8", "backslashreplace")


def _line(line: str) -> str:
    """Tabs stay, and the carriage return at the end of a line."""
    end = "\r" if line.endswith("\r") else ""
    parts = line.removesuffix("\r").split("\t")
    return "\t".join(printable(part, len(part) * 10 + 1) for part in parts) + end
