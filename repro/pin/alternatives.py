"""Debian's alternatives: which links make the generic names, and where they lead now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

DATABASE = "/var/lib/dpkg/alternatives"
CHOSEN = "/etc/alternatives"


def alternatives(root: str) -> Iterator[tuple[str, str, str]]:
    """The public link, the link in /etc/alternatives and its target, of each in use.

    From the files of update-alternatives(1): a state, the master's link, pairs of a
    slave's name and link, an empty line, then the choices.
    """
    folder = Path(root + DATABASE)
    for database in sorted(folder.iterdir()) if folder.is_dir() else []:
        lines = database.read_text("utf-8", "surrogateescape").split("\n")
        head = lines[1 : lines.index("", 2)] if "" in lines[2:] else lines[1:]
        pairs = [(database.name, head[0] if head else "")]
        pairs += zip(head[1::2], head[2::2], strict=False)
        for name, link in pairs:
            chosen = f"{CHOSEN}/{name}"
            try:
                target = os.readlink(root + chosen)
            except OSError:
                continue
            if link.startswith("/") and os.path.islink(root + link):
                yield link, chosen, target
