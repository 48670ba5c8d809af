"""Plots by matplotlib as PNG, SVG and PDF, PDF by reportlab, photographs by Pillow."""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterator
from typing import Any

from labelled.pair import Pair, group
from labelled.writers import library

POINTS = 60


def plot(
    format: str,
    *,
    metadata: dict[str, Any] | None = None,
    salt: str | None = "s",
    dpi: int = 80,
    moved: float = 0.0,
    dropped: int = 0,
    sign: int = 1,
    title: str = "Rainfall and yield",
    xlabel: str = "rain (mm)",
    ylabel: str = "yield (t)",
    colour: str = "C0",
    line: float = 0.0,
    seed: int = 3,
    log: bool = False,
    legend: str = "fit",
    marker: str = "o",
    limit: float = 12.0,
    compress: int | None = None,
) -> bytes:
    """A scatter with a fit and a legend; every argument is one thing that may go wrong."""
    matplotlib, numpy = library("matplotlib"), library("numpy")
    matplotlib.use("Agg")
    figure_ = library("matplotlib.figure")
    chance = numpy.random.default_rng(seed)
    x = numpy.linspace(0.5, 10, POINTS)
    y = (2 + 0.7 * x + chance.normal(0, 0.8, POINTS)) * sign
    y[41] += moved
    x, y = x[: POINTS - dropped], y[: POINTS - dropped]
    with matplotlib.rc_context({"svg.hashsalt": salt}):
        figure = figure_.Figure(figsize=(5, 3.6))
        axes = figure.subplots()
        axes.plot(x, y, marker, ms=4, color=colour)
        axes.plot([0, 10], [2 * sign, (9 + line) * sign], "k--", lw=1, label=legend)
        axes.set(title=title, xlabel=xlabel, ylabel=ylabel, xlim=(0, limit))
        if log:
            axes.set_yscale("log")
        axes.legend()
        out = io.BytesIO()
        extra = {"pil_kwargs": {"compress_level": compress}} if compress is not None else {}
        figure.savefig(out, format=format, dpi=dpi, metadata=metadata, **extra)
    return out.getvalue()


FAULTS: dict[str, dict[str, Any]] = {
    "one point of sixty moved": {"moved": 0.6},
    "one point moved by little": {"moved": 0.12},
    "the last point dropped": {"dropped": 1},
    "another seed": {"seed": 4},
    "the sign of all values": {"sign": -1},
    "a letter of the title": {"title": "Rainfall and yie1d"},
    "the unit of an axis": {"xlabel": "rain (cm)"},
    "the labels of the axes swapped": {"xlabel": "yield (t)", "ylabel": "rain (mm)"},
    "a capital in a label": {"ylabel": "yield (T)"},
    "another colour": {"colour": "C1"},
    "a slope a little steeper": {"line": 0.15},
    "the name in the legend": {"legend": "fIt"},
    "another marker": {"marker": "s"},
    "another scale": {"log": True},
    "another limit of an axis": {"limit": 12.1},
}
PLACES = ("one point", "the last point", "a letter", "the unit", "a capital", "the name in")


def png_pairs(every: bool = True) -> Iterator[Pair]:
    base = plot("png")
    names = list(FAULTS) if every else list(FAULTS)[:8:3]
    faults = {
        name: ("place" if name.startswith(PLACES) else "spread+place", plot("png", **FAULTS[name]))
        for name in names
    }
    tall = library("PIL.Image").open(io.BytesIO(base))
    yield from group(
        "png (plots)", "fig.png", base,
        benign={
            "another date and program": ("metadata", plot("png", metadata={"Creation Time": "2025", "Software": "x 9.9"})),
            "packed harder": ("packing", plot("png", compress=9)),
            "not packed": ("packing", plot("png", compress=0)),
        },
        close={"a channel off by 2/255": ("pixels", nudged(tall, 2))},
        fault={**faults, "a channel off by 3/255": ("spread+place", nudged(tall, 3)),
               "finer": ("shape", plot("png", dpi=100)), "a pixel wider": ("shape", wider(tall)),
               "one pixel black": ("place", blot(tall)), "cut off": ("cut", base[:-400])},
    )  # fmt: skip
    noisy = {"metadata": {"Creation Time": "2025"}, "compress": 3}
    yield from group(
        "png (plots, noise)", "fig.png", base,
        fault={
            "a date, packing and a point": ("place", plot("png", moved=0.6, **noisy)),
            "a date, packing and a letter": ("place", plot("png", title="Rainfall and yie1d", **noisy)),
        },
    )  # fmt: skip
    yield from group(
        "png (declared)", "fig.png", base, options={"max_pixels": "0.1 %", "min_ssim": "0.99"},
        close={"a point within what is declared": ("declared", plot("png", moved=0.12))},
        fault={"another seed": ("spread", plot("png", seed=4))},
    )  # fmt: skip


def nudged(picture: Any, amount: int) -> bytes:
    numpy, image = library("numpy"), library("PIL.Image")
    samples = numpy.array(picture.convert("RGB")).astype(int)
    samples[:, :, 1] -= amount * (samples[:, :, 1] > 100)
    return _saved(image.fromarray(samples.astype("u1")).convert(picture.mode), "PNG")


def wider(picture: Any) -> bytes:
    wide = library("PIL.Image").new(picture.mode, (picture.width + 1, picture.height), "white")
    wide.paste(picture)
    return _saved(wide, "PNG")


def blot(picture: Any) -> bytes:
    copy = picture.copy()
    copy.putpixel((200, 200), (0, 0, 0, 255)[: len(picture.getbands())])
    return _saved(copy, "PNG")


def _saved(picture: Any, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


def svg_pairs() -> Iterator[Pair]:
    base = plot("svg", salt=None, metadata={"Date": "2024-05-01T10:00:00"})
    other = {"salt": None, "metadata": {"Date": "2025-06-02T11:59:00"}}
    faults = {
        name: (
            "drawn+order",
            plot("svg", **change, **other),
        )
        for name, change in FAULTS.items()
    }
    yield from group(
        "svg (plots)", "fig.svg", base,
        benign={"other random ids": ("ids", plot("svg", salt=None, metadata={"Date": "2024-05-01T10:00:00"})),
                "ids and date": ("time+ids", plot("svg", **other))},
        fault={**faults, "cut off": ("cut", base[:-30])},
    )  # fmt: skip


def pdf_pairs() -> Iterator[Pair]:
    old, new = (datetime.datetime(2024, 5, 1), datetime.datetime(2025, 6, 2))
    base = plot("pdf", metadata={"CreationDate": old})
    faults = {
        name: ("drawn", plot("pdf", metadata={"CreationDate": new}, **change))
        for name, change in FAULTS.items()
    }
    yield from group(
        "pdf (matplotlib)", "fig.pdf", base,
        benign={"another date": ("time", plot("pdf", metadata={"CreationDate": new}))},
        fault={**faults, "cut off": ("cut", base[:-200])},
    )  # fmt: skip
    rows = [["site", "rain (mm)"], ["north", "812.4"], ["south", "640.1"]]
    base = report(rows)
    yield from group(
        "pdf (reportlab)", "report.pdf", base,
        benign={"another date": ("time+ids", report(rows, day=2)), "packed otherwise": ("packing", report(rows, packed=0))},
        fault={
            "a digit of a table": ("drawn", report([*rows[:-1], ["south", "640.7"]], day=2)),
            "a unit": ("drawn", report([["site", "rain (cm)"], *rows[1:]], day=2)),
            "a row less": ("drawn", report(rows[:-1], day=2)),
            "a page more": ("drawn", report(rows, day=2, pages=2)),
        },
    )  # fmt: skip


def report(rows: list[list[str]], day: int = 1, packed: int = 1, pages: int = 1) -> bytes:
    canvas = library("reportlab.pdfgen.canvas")
    out = io.BytesIO()
    page = canvas.Canvas(out, pageCompression=packed)
    page._doc.info.invariant = 0
    page.setTitle("Report")
    for _ in range(pages):
        for number, row in enumerate(rows):
            page.drawString(72, 700 - 20 * number, "   ".join(row))
        page.showPage()
    page.save()
    data = out.getvalue()
    start = data.index(b"/CreationDate (D:") + len(b"/CreationDate (D:")
    return data[:start] + f"202405{day:02d}".encode() + data[start + 8 :]


def photo(seed: int = 1) -> Any:
    """Something like a gel or a micrograph: smooth bands with grain."""
    numpy, image = library("numpy"), library("PIL.Image")
    chance = numpy.random.default_rng(seed)
    rows, columns = numpy.mgrid[0:160, 0:200]
    smooth = 110 + 60 * numpy.sin(columns / 9) * numpy.cos(rows / 23)
    grain = chance.normal(0, 6, (160, 200))
    grey = (smooth + grain).clip(0, 255).astype("u1")
    return image.fromarray(grey).convert("RGB")


def photo_pairs() -> Iterator[Pair]:
    picture = photo()
    exif = library("PIL.Image").Exif()
    exif[0x0132] = "2025:01:02 03:04:05"
    spots = {"a band pasted over": pasted(picture), "one spot": blotted(picture)}
    for format, path, options, pack in (
        ("JPEG", "gel.jpg", {"quality": 90}, {"exif": exif}),
        ("TIFF", "gel.tif", {"compression": "raw"}, {"compression": "tiff_lzw"}),
        ("WEBP", "gel.webp", {"lossless": True, "method": 0}, {"lossless": True, "method": 6}),
        ("BMP", "gel.bmp", {}, None),
        ("GIF", "gel.gif", {}, None),
        ("PNG", "gel.png", {}, {"compress_level": 1}),
    ):
        base = _saved(picture, format, **options)
        noise = {**options, **(pack or {})}
        benign = {
            "packed otherwise, or a date": (
                "packing" if format in ("WEBP", "PNG") else "metadata",
                _saved(picture, format, **noise),
            )
        }
        yield from group(
            format.lower(), path, base,
            benign=benign if pack is not None else {},
            fault={
                **{name: ("place", _saved(p, format, **noise)) for name, p in spots.items()},
                "mirrored": ("spread", _saved(picture.transpose(0), format, **noise)),
                "another picture": ("spread", _saved(photo(2), format, **noise)),
                "turned": ("shape+spread+turned", _saved(picture.transpose(2), format, **noise)),
                "smaller": ("shape", _saved(picture.resize((100, 80)), format, **noise)),
                "cut off": ("cut+unreadable", base[: len(base) * 2 // 3]),
            },
        )  # fmt: skip
    yield from group(
        "jpeg (lossy)", "gel.jpg", _saved(picture, "JPEG", quality=90),
        fault={"much lossier": ("spread", _saved(picture, "JPEG", quality=30))},
    )  # fmt: skip
    deep = library("numpy").array(picture.convert("L")).astype("f4") / 7
    image = library("PIL.Image")
    changed = deep.copy()
    changed[80, 80] += 0.01
    yield from group(
        "tiff (floats)", "map.tif", _saved(image.fromarray(deep), "TIFF"),
        benign={"packed": ("metadata", _saved(image.fromarray(deep), "TIFF", compression="tiff_deflate"))},
        fault={"one value of 32,000": ("few", _saved(image.fromarray(changed), "TIFF")),
               "another unit": ("factor", _saved(image.fromarray(deep * 10), "TIFF"))},
    )  # fmt: skip
    frames = [photo(n).convert("P") for n in range(3)]
    film = _saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    yield from group(
        "gif (film)", "film.gif", film,
        fault={
            "a frame less": ("rows+few", _saved(frames[0], "GIF", save_all=True, append_images=frames[1:2], duration=100)),
            "frames swapped": ("spread", _saved(frames[0], "GIF", save_all=True, append_images=[frames[2], frames[1]], duration=100)),
            "slower": ("few+value+factor+text", _saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=200)),
        },
    )  # fmt: skip


def pasted(picture: Any) -> Any:
    """A band covered by its neighbour, as in a manipulated gel."""
    copy = picture.copy()
    copy.paste(picture.crop((40, 60, 64, 90)), (100, 60))
    return copy


def blotted(picture: Any) -> Any:
    copy = picture.copy()
    copy.paste((255, 255, 255), (150, 100, 158, 108))
    return copy


def pairs() -> Iterator[Pair]:
    for found in (png_pairs, svg_pairs, pdf_pairs, photo_pairs):
        yield from found()
