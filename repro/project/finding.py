"""One thing about a project that would stop or spoil a rerun."""

from __future__ import annotations

from typing import Any

from repro.primitives.frozen import frozen
from repro.primitives.texts import printable

STOPS, RISK = "stops", "risk"


@frozen
class Finding:
    """``level`` is ``stops`` (a sealed rerun of this code fails) or ``risk`` (it may differ).

    ``path`` is relative to the project, None for the project as a whole; ``line`` counts
    from 1, in a notebook inside the code cell number ``cell`` (from 1, all cells counted).
    ``text`` says what was found, ``mend`` what to do; ``url`` is asked for, where it is known.
    """

    code: str
    level: str
    text: str
    mend: str
    path: str | None = None
    line: int | None = None
    cell: int | None = None
    url: str | None = None

    @property
    def where(self) -> str:
        """``analysis.py:12``, ``paper.ipynb cell 3:1``, or ``the project``."""
        if self.path is None:
            return "the project"
        cell = f" cell {self.cell}" if self.cell is not None else ""
        line = f":{self.line}" if self.line is not None else ""
        return f"{printable(self.path, 120)}{cell}{line}"

    def to_json(self) -> dict[str, Any]:
        """The finding for programs."""
        return {
            "code": self.code,
            "level": self.level,
            "path": self.path,
            "line": self.line,
            "cell": self.cell,
            "url": self.url,
            "text": self.text,
            "mend": self.mend,
        }


def in_order(finding: Finding) -> tuple[bool, bool, str, int, int, str]:
    """A sort key: what stops first, then by place."""
    return (
        finding.level != STOPS, finding.path is None, finding.path or "",
        finding.cell or 0, finding.line or 0, finding.code,
    )  # fmt: skip
