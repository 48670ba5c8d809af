"""Text from strangers made harmless for a terminal, a log or one line of an error."""

from __future__ import annotations

import re

_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4,
          "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}  # fmt: skip


def printable(text: str, limit: int = 200) -> str:
    """``text`` with control, bidi and undecodable characters escaped, cut to ``limit``."""
    shown = "".join(_escape(char) for char in text[: limit * 2])
    if len(shown) > limit or len(text) > limit * 2:
        return shown[: limit - 1] + "…"
    return shown


def _escape(char: str) -> str:
    code = ord(char)
    if 0x20 <= code < 0x7F:
        return char
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    import unicodedata  # for other than ASCII only: docs/decisions/0005

    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return char


def human_size(count: int) -> str:
    """Bytes for people: ``612 MB``, ``4.1 kB`` (powers of 1000)."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"


def bytes_of(text: str) -> int | None:
    """``5000``, ``500M``, ``2GB`` (powers of 1000), ``1.5GiB`` (of 1024); None for what is no size."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kmgt]?i?)b?", text.strip().lower())
    unit = _UNITS.get(match.group(2)) if match else None
    if match is None or unit is None:
        return None
    found = int(float(match.group(1)) * unit)
    return found if found < 1 << 53 else None


def human_time(seconds: float) -> str:
    """Seconds for people: ``0.3s``, ``6m12s``, ``2h03m``."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m"
