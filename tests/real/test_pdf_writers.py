"""PDF by the programs that people use: another time is equivalent, another point is not."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.compare.choose import choose
from repro.compare.memory import MemoryOutput
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison

pytestmark = pytest.mark.real
R = """
words <- commandArgs(TRUE)
if (words[2] == "cairo") cairo_pdf(words[1]) else pdf(words[1], compress = words[2] == "pdf")
set.seed(1); x <- rnorm(40); y <- rnorm(40); y[17] <- y[17] + as.numeric(words[3])
plot(x, y, main = words[4]); lines(lowess(x, y)); invisible(dev.off())
"""
GHOSTSCRIPT = ("gs", "-q", "-dNOPAUSE", "-dBATCH", "-sDEVICE=pdfwrite")


def needed(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def run(*argv: str, date: int) -> None:
    if shutil.which(argv[0]) is None:
        needed(f"{argv[0]} is not installed")
    # Where Ghostscript takes the time from.
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(date), "TZ": "UTC"}
    subprocess.run(argv, check=True, capture_output=True, env=env, timeout=120)


def by_r(device: str) -> Callable[..., bytes]:
    def write(folder: Path, *, moved: float = 0, title: str = "Yield", date: int = 1) -> bytes:
        path = folder / "plot.pdf"
        run("Rscript", "--vanilla", "-e", R, str(path), device, str(moved), title, date=date)
        # R writes the present time: another year is as good as another run, and as long.
        year = str(2000 + date).encode()
        return re.sub(rb"\(D:\d{4}", b"(D:" + year, path.read_bytes())

    return write


def by_ghostscript(folder: Path, **change: object) -> bytes:
    date = int(str(change.pop("date", 1)))
    (folder / "plain.pdf").write_bytes(by_r("plain")(folder, date=date, **change))
    out = folder / "out.pdf"
    run(*GHOSTSCRIPT, "-o", str(out), str(folder / "plain.pdf"), date=date)
    return out.read_bytes()


def by_matplotlib(kind: int) -> Callable[..., bytes]:
    def write(folder: Path, *, moved: float = 0, title: str = "Yield", date: int = 1) -> bytes:
        try:
            matplotlib = importlib.import_module("matplotlib")
            figure = importlib.import_module("matplotlib.figure").Figure()
        except ImportError as error:
            pytest.skip(str(error))
        axes = figure.subplots()
        axes.plot([1, 2, 3, 4], [2, 4 + moved, 1, 3], "o-")
        axes.set(title=title)
        when = importlib.import_module("datetime").datetime(2024, 1, 1, 0, 0, date)
        with matplotlib.rc_context({"pdf.fonttype": kind}):
            figure.savefig(folder / "plot.pdf", metadata={"CreationDate": when})
        return (folder / "plot.pdf").read_bytes()

    return write


WRITERS: dict[str, Callable[..., bytes]] = {
    "R": by_r("pdf"),
    "R, plain": by_r("plain"),
    "R, cairo": by_r("cairo"),
    "Ghostscript": by_ghostscript,
    "matplotlib, Type 3": by_matplotlib(3),
    "matplotlib, Type 42": by_matplotlib(42),
}


def compare(old: bytes, new: bytes, **options: object) -> Comparison:
    chosen = choose("plot.pdf", (old[:512], new[:512]), options)
    return chosen.compare(MemoryOutput(old), MemoryOutput(new), options, path="plot.pdf")


@pytest.mark.parametrize("name", WRITERS)
def test_times_are_nothing_and_points_are(name: str, tmp_path: Path) -> None:
    write = WRITERS[name]
    base, later = write(tmp_path), write(tmp_path, date=2)
    if base == later:
        pytest.skip("this writer takes the time from nowhere that a test can set")
    found = compare(base, later)
    assert found.outcome is Outcome.EQUIVALENT, found
    assert any("Date" in text for text in found.removed), found
    moved = compare(base, write(tmp_path, moved=0.02, date=2))
    assert moved.outcome is Outcome.DIFFERENT
    assert moved.differences[0].text == "number differs", moved
    near = compare(base, write(tmp_path, moved=0.02, date=2), rtol="0.5", atol="300")
    assert near.outcome is Outcome.CLOSE and near.tolerance["from"] == "repro.yml", near
    title = compare(base, write(tmp_path, title="Yicld", date=2), rtol="0.5", atol="300")
    assert title.outcome is Outcome.DIFFERENT, title
