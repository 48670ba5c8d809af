"""The code of one language in an R Markdown or Quarto document."""

from __future__ import annotations

import re

_OPEN = re.compile(r"\s*(```+|~~~+)\s*\{\s*([A-Za-z]+)\b([^}]*)\}")
_NOT_RUN = re.compile(r"\beval\s*=\s*F(?:ALSE)?\b")


def chunk_text(text: str, language: str) -> str:
    """The text with every line blank that is not in an evaluated chunk of the language.

    Line numbers stay as they are.
    """
    kept: list[str] = []
    fence: str | None = None
    wanted = False
    for line in text.splitlines():
        if fence is not None:
            if line.strip() == fence:
                fence = None
                kept.append("")
            else:
                kept.append(line if wanted else "")
            continue
        opening = _OPEN.match(line)
        if opening is not None:
            fence = opening.group(1)
            wanted = opening.group(2).lower() == language and not _NOT_RUN.search(opening.group(3))
        kept.append("")
    return "\n".join(kept)


def languages(text: str) -> frozenset[str]:
    """The languages that have chunks."""
    return frozenset(
        match.group(2).lower() for line in text.splitlines() if (match := _OPEN.match(line))
    )
