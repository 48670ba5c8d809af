"""The lock files that lie in a project folder, read into statements."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from repro.pin import python_locks
from repro.pin.statements import Statement
from repro.primitives.frozen import field, frozen
from repro.primitives.texts import printable

_MAX_BYTES = 64 << 20


@frozen
class LockFiles:
    """What they say, the ones that say most first; ``unread`` names files with the reason."""

    statements: tuple[Statement, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)


def _renv(text: str, said_by: str) -> Iterator[Statement]:
    """``renv.lock``: no hash of an archive; renv's own Hash is one of a DESCRIPTION's fields."""
    document = json.loads(text)
    for name, package in document.get("Packages", {}).items():
        facts = {
            f"renv-{key.lower()}": package[key]
            for key in ("Source", "Repository", "Hash", "RemoteSha", "RemoteUrl")
            if isinstance(package.get(key), str) and not re.search("//[^/]*@", package[key])
        }
        if isinstance(package.get("Version"), str):
            yield Statement(
                said_by=said_by, source="r", name=name, version=package["Version"], facts=facts
            )


_READERS: tuple[tuple[str, python_locks.Reader], ...] = (
    (r"pylock(\.[^.]+)?\.toml", python_locks.pylock),
    (r"uv\.lock", python_locks.uv_lock),
    (r"pdm\.lock", python_locks.poetry_lock),
    (r"poetry\.lock", python_locks.poetry_lock),
    (r"requirements[^/]*\.txt", python_locks.requirements),
    (r"Pipfile\.lock", python_locks.pipfile_lock),
    (r"renv\.lock", _renv),
)


def read_lock_files(project: str) -> LockFiles:
    """All of them in the folder itself; never raises for what a file holds."""
    statements: list[Statement] = []
    unread: dict[str, str] = {}
    names = sorted(path.name for path in Path(project).iterdir() if path.is_file())
    for pattern, reader in _READERS:
        for name in names:
            if not re.fullmatch(pattern, name):
                continue
            try:
                statements += _read(Path(project) / name, reader)
            except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
                unread[name] = printable(str(error) or type(error).__name__, 150)
    return LockFiles(statements=tuple(statements), unread=unread)


def _read(path: Path, reader: python_locks.Reader) -> list[Statement]:
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"larger than {_MAX_BYTES} bytes")
    return list(reader(path.read_text("utf-8"), path.name))
