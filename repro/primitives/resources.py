"""Read the files of ``templates/`` from an installed wheel or from a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def template(name: str) -> str:
    """The text of ``templates/<name>``. Raises FileNotFoundError when it is not there."""
    for folder in (_PACKAGE / "_templates", _PACKAGE.parent / "templates"):
        path = folder / name
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError(f"template {name} is not installed")
