"""What differing pixels amount to: the rules of all pictures, and how alike two look (SSIM)."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from repro.compare.findings import Findings
from repro.compare.pixels import LIMIT, PixelCount

_WINDOW, _STRIDE = 8, 4
_ONE_PLACE = 0.1
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
Luma = Iterable[Sequence[float]]
"""Rows of brightness between 0 and 255, from the top."""


def judge_pixels(
    count: PixelCount, findings: Findings, size: str, similarity: Callable[[], float | None]
) -> str:
    """Put counted pixels on the ladder; the summary.

    CLOSE when no channel of any pixel is off by more than 2/255, or within the bounds that
    ``max_pixels`` and ``min_ssim`` declare (both, when both are declared). ``similarity``
    is only called where ``min_ssim`` is declared; None means that it cannot be measured.
    """
    if not count.differ:
        findings.drop("how the pixels are packed")
        return size
    share = f"{100 * count.differ / count.total:.2g} % of pixels differ"
    largest = f"by at most {round(count.largest * 255)}/255"
    where = "the picture"
    if count.box is not None:
        left, top, right, bottom = count.box
        where = f"columns {left}-{right}, rows {top}-{bottom}"
    if not count.beyond:
        findings.near()
        findings.note(f"no channel of any pixel is off by more than 2/255 ({where})")
    elif not _allowed(count, findings, similarity):
        findings.differ(where, f"{share}, {largest}")
        findings.explain(_spread(count), once=True)
    if count.beyond:
        beyond = f"{100 * count.beyond / count.total:.2g} %"
        findings.note(f"{beyond} of the pixels are off by more than {LIMIT * 255:.0f}/255")
    return f"{share}, {largest}"


def _spread(count: PixelCount) -> str:
    left, top, right, bottom = count.box or (0, 0, count.total - 1, 0)
    if (
        count.box is not None
        and (right - left + 1) * (bottom - top + 1) <= _ONE_PLACE * count.total
    ):
        return "what differs lies in one place of the picture: perhaps a label or single points"
    return "what differs lies all over the picture: perhaps other data, colours or scales"


def _allowed(count: PixelCount, findings: Findings, similarity: Callable[[], float | None]) -> bool:
    settings = findings.settings
    bounds = {}
    if settings.max_pixels is not None:
        if count.beyond > settings.max_pixels * count.total:
            return False
        bounds["max_pixels"] = f"{settings.max_pixels:g}"
    if settings.min_ssim is not None:
        found = similarity()
        if found is None:
            findings.note("min_ssim is declared, but cannot be measured for this kind of picture")
            return False
        findings.note(f"SSIM {found:.6f}, at least {settings.min_ssim:g} is declared")
        if found < settings.min_ssim:
            return False
        bounds["min_ssim"] = f"{settings.min_ssim:g}"
    for name, value in bounds.items():
        findings.allow(name, value)
    return bool(bounds)


def mean_ssim(old: Luma, new: Luma) -> float | None:
    """The mean structural similarity over boxes of 8 x 8 pixels, 4 apart (Wang et al., 2004).

    Boxes of equal weights instead of a Gaussian, as the paper's section III.B has them. None
    for a picture without pixels. Smaller pictures are one box.
    """
    kept: deque[tuple[Sequence[float], Sequence[float]]] = deque(maxlen=_WINDOW)
    total, boxes = 0.0, 0
    number = 0
    for number, pair in enumerate(zip(old, new, strict=True), 1):
        kept.append(pair)
        if number >= _WINDOW and (number - _WINDOW) % _STRIDE == 0:
            part = _band(kept)
            total, boxes = total + part[0], boxes + part[1]
    if 0 < number < _WINDOW:
        total, boxes = _band(kept)
    return total / boxes if boxes else None


def _band(rows: Iterable[tuple[Sequence[float], Sequence[float]]]) -> tuple[float, int]:
    """The sum of all boxes' similarity in one band of rows, and how many boxes there are."""
    pairs = list(rows)
    width = len(pairs[0][0])
    starts = range(0, max(1, width - _WINDOW + 1), _STRIDE)
    if width == 0:
        return 0.0, 0
    if all(one == two for one, two in pairs):
        return float(len(starts)), len(starts)
    columns = [_columns(pairs, kind) for kind in range(5)]
    area = min(_WINDOW, width) * len(pairs)
    total = 0.0
    for start in starts:
        stop = min(start + _WINDOW, width)
        x, y, xx, yy, xy = ((sums[stop] - sums[start]) / area for sums in columns)
        covariance = xy - x * y
        total += ((2 * x * y + _C1) * (2 * covariance + _C2)) / (
            (x * x + y * y + _C1) * (xx - x * x + yy - y * y + _C2)
        )
    return total, len(starts)


def _columns(pairs: list[tuple[Sequence[float], Sequence[float]]], kind: int) -> list[float]:
    """Running sums over columns of x, y, x*x, y*y or x*y."""
    one, two = ((0, 0), (1, 1), (0, 0), (1, 1), (0, 1))[kind]
    sums = [0.0] * len(pairs[0][0])
    for pair in pairs:
        if kind < 2:
            sums = [total + value for total, value in zip(sums, pair[one], strict=True)]
        else:
            products = zip(sums, pair[one], pair[two], strict=True)
            sums = [total + a * b for total, a, b in products]
    return [0.0, *itertools.accumulate(sums)]
