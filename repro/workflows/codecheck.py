"""Where an author's codecheck.yml is looked for: beside the archive, then inside it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.errors import ProjectError
from repro.primitives.files import open_inside
from repro.primitives.frozen import frozen
from repro.report.codecheck import MAX_BYTES, read_codecheck

NAME = "codecheck.yml"


@frozen
class Earlier:
    """The author's codecheck.yml: its fields, where it lay, or why it could not be used."""

    fields: Mapping[str, Any] | None = None
    source: str | None = None
    problem: str | None = None


def earlier_certificate(archive: Path, layers: Sequence[str], root: str) -> Earlier:
    """The codecheck.yml of the project at ``root``; no link is followed. Never raises for it."""
    for source, data in (
        ("beside the archive", _read(str(archive.parent), NAME)),
        *(("in the archive", _read(layer, f"{root}/{NAME}")) for layer in reversed(layers)),
    ):
        if data is None:
            continue
        try:
            return Earlier(fields=read_codecheck(data), source=source)
        except ProjectError as error:
            return Earlier(problem=f"{error.message} ({source})")
    return Earlier()


def _read(folder: str, name: str) -> bytes | None:
    try:
        base = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fd = open_inside(base, name.lstrip("/"), os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    finally:
        os.close(base)
    with os.fdopen(fd, "rb") as stream:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return stream.read(MAX_BYTES + 1)
