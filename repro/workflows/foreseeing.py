"""What would refuse a snapshot after its run, looked for before it: a run may take hours."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from repro.model.secret_names import named_secret
from repro.model.written import HEAD, ours
from repro.project.detect import plain_files
from repro.project.globs import matches_any
from repro.project.identity import Identity
from repro.project.secrets import SecretFound, search

_LARGEST = 4_000_000
_TOGETHER = 64_000_000


def foreseen(
    root: str, *, exclude: Sequence[str], allow: Sequence[str], identity: Identity | None = None
) -> Iterator[SecretFound]:
    """Places in the project's small files that hold a credential, or tell who somebody is.

    A forecast: what the run reads elsewhere and what it writes is not known yet, and files
    over 4 MB or beyond 64 MB together are passed over. ``identity`` is None when nobody asks.
    """
    left = _TOGETHER
    for path in plain_files(root):
        skipped = matches_any(path, (*exclude, *allow, "**.repro")) or named_secret(
            path.rpartition("/")[2]
        )
        if skipped:
            continue
        try:
            place = os.path.join(root, path)
            size = os.path.getsize(place)
            if size > min(_LARGEST, left):
                continue
            left -= size
            with open(place, "rb") as stream:
                if ours(stream.read(HEAD)):
                    continue  # it stays out
                stream.seek(0)
                yield from search(path, stream, size).found
                if identity is not None:
                    stream.seek(0)
                    for line, kind in identity.in_stream(stream):
                        yield SecretFound(path=path, line=line, kind=kind)
        except OSError:
            continue  # said by name when it is packed


def forecast(found: Sequence[SecretFound]) -> str | None:
    """One sentence for people before the run, or None when there is nothing to say."""
    if not found:
        return None
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    shown = ", ".join(f"{each.path}:{each.line} ({each.kind})" for each in found[:3])
    return f"{shown}{more}: the snapshot will be refused when such a file is to be packed (--exclude, --allow)"
