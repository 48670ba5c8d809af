"""How long a judge takes: large tables and arrays, many pictures, many files."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ground import Ground
from measure import REPRO, Row, rounds, say

GIGABYTE = int(os.environ.get("REPRO_BENCH_JUDGED", 1_000_000_000))
PICTURES, FILES = 1_000, 10_000

_METER = """
import resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""
_TABLES = "import pandas, sys; a, b = map(pandas.read_csv, sys.argv[1:]); print(a.equals(b))"
_ARRAYS = "import numpy, sys; a, b = map(numpy.load, sys.argv[1:]); print(numpy.allclose(a, b, rtol=1e-9))"
_PICTURES = """
import os, sys
from PIL import Image, ImageChops
for name in os.listdir(sys.argv[1]):
    a, b = (Image.open(os.path.join(folder, name)) for folder in sys.argv[1:])
    ImageChops.difference(a, b).getbbox()
"""
_MAKE = """
import numpy, sys
folder, size = sys.argv[1], int(sys.argv[2])
chance = numpy.random.default_rng(1)
count = min(2_000_000, size // 40)
columns = zip(chance.normal(40, 9, count).tolist(), chance.normal(35, 1, count).tolist())
rows = [f"{n},{'abc'[n % 3]},{a:.6f},{b!r}\\n" for n, (a, b) in enumerate(columns)]
block = "".join(rows).encode()
changed = "".join([*rows[: count // 2], "7,a,1.5,2.5\\n", *rows[count // 2 + 1 :]]).encode()
noise = "".join(f"{n},{'abc'[n % 3]},{r.split(',')[2]},{float(r.split(',')[3]) * (1 + 4e-16)!r}\\n"
                for n, r in enumerate(rows[: count // 4])).encode()
times = max(1, size // len(block))
for name, last in (("a.csv", block), ("b.csv", changed)):
    with open(f"{folder}/{name}", "wb") as stream:
        stream.write(b"id,site,depth,salinity\\n")
        for number in range(times):
            stream.write(last if number == times - 1 else block)
with open(f"{folder}/n1.csv", "wb") as stream:
    stream.write("".join(rows[: count // 4]).encode())
with open(f"{folder}/n2.csv", "wb") as stream:
    stream.write(noise)
values = chance.normal(size=size // 8)
numpy.save(f"{folder}/a.npy", values)
numpy.save(f"{folder}/c.npy", values * (1 + 2**-52))
values[len(values) // 2] += 1e-3
numpy.save(f"{folder}/b.npy", values)
"""
_PLOTS = """
import io, os, sys
import numpy
from matplotlib.figure import Figure
def plot(moved, **options):
    figure = Figure(figsize=(5, 3.6))
    axes = figure.subplots()
    y = numpy.random.default_rng(3).normal(size=60)
    y[41] += moved
    axes.plot(y, "o"); axes.set(title="Yield", xlabel="rain (mm)")
    out = io.BytesIO(); figure.savefig(out, format="png", **options)
    return out.getvalue()
first = plot(0)
others = [plot(0, metadata={"Software": "x"}), *(plot(0.2 * n) for n in range(1, 5))]
for folder in sys.argv[1:3]:
    os.mkdir(folder)
for number in range(int(sys.argv[3])):
    open(f"{sys.argv[1]}/{number}.png", "wb").write(first)
    open(f"{sys.argv[2]}/{number}.png", "wb").write(others[number % 5])
"""


def judging(ground: Ground) -> Iterator[Row]:
    """Rows of ``repro diff``, and the peak memory of each side."""
    folder = ground.folder / "judged"
    folder.mkdir()
    say("making files to judge")
    _do([str(ground.python), "-c", _MAKE, str(folder), str(GIGABYTE)])
    size = f"{GIGABYTE / 1e9:g} GB"
    python = str(ground.python)
    csv = [str(folder / name) for name in ("a.csv", "b.csv")]
    yield _row(
        ground, f"two tables (CSV) of {size}, one row differs", "<= pandas",
        {"cmp": ["cmp", *csv], "pandas": [python, "-c", _TABLES, *csv], "repro diff": [*REPRO, "diff", *csv]},
    )  # fmt: skip
    noisy = [str(folder / name) for name in ("n1.csv", "n2.csv")]
    yield _row(
        ground, f"two tables of {os.path.getsize(noisy[0]) // 1_000_000} MB, the last digits of every row differ", "",
        {"pandas": [python, "-c", _TABLES, *noisy], "repro diff": [*REPRO, "diff", *noisy]},
    )  # fmt: skip
    for name, what in (("b.npy", "one value differs"), ("c.npy", "every last digit differs")):
        pair = [str(folder / "a.npy"), str(folder / name)]
        sides = {"numpy": [python, "-c", _ARRAYS, *pair], "repro diff": [*REPRO, "diff", *pair]}
        yield _row(ground, f"two arrays (npy) of {size}, {what}", "<= 2", sides)
    for path in (*csv, *noisy, *(str(folder / name) for name in ("a.npy", "b.npy", "c.npy"))):
        os.unlink(path)
    plots = [str(folder / name) for name in ("plots-a", "plots-b")]
    _do([python, "-c", _PLOTS, *plots, str(PICTURES)])
    yield _row(
        ground, f"{PICTURES:,} pairs of plots (PNG), a point moved in four of five", "<= 2",
        {"Pillow": [python, "-c", _PICTURES, *plots], "repro diff": [*REPRO, "diff", *plots]},
    )  # fmt: skip
    yield _files(ground, folder)
    yield from _sealed(ground, folder)


_HDF5 = """
import os, sys
import h5py, numpy
for number in range(int(sys.argv[3])):
    for side, folder in enumerate(sys.argv[1:3]):
        os.makedirs(folder, exist_ok=True)
        values = numpy.random.default_rng(number).normal(size=500)
        values[7] += side * (number % 5) * 1e-3
        with h5py.File(f"{folder}/{number}.h5", "w") as file:
            file.create_dataset("g/x", data=values)
            file["g/x"].attrs["units"] = "K"
            file.attrs["history"] = f"side {side}"
"""
_READ = """
import os, sys
import h5py, numpy
for name in os.listdir(sys.argv[1]):
    a, b = (h5py.File(os.path.join(folder, name))["g/x"][()] for folder in sys.argv[1:])
    numpy.allclose(a, b, rtol=1e-9)
"""


def _sealed(ground: Ground, folder: Path) -> Iterator[Row]:
    """Files that a library reads in a locked process of its own."""
    sides = [str(folder / name) for name in ("hdf5-a", "hdf5-b")]
    try:
        _do([sys.executable, "-c", _HDF5, *sides, str(PICTURES)])
    except subprocess.CalledProcessError:
        say("h5py is missing: no row of HDF5")
        return
    yield _row(
        ground, f"{PICTURES:,} pairs of small HDF5, each read in a sealed process, four of five differ", "",
        {"h5py (not sealed)": [sys.executable, "-c", _READ, *sides], "repro diff": [*REPRO, "diff", *sides]},
    )  # fmt: skip


def _files(ground: Ground, folder: Path) -> Row:
    noise = random.Random(1)
    sides = [folder / name for name in ("files-a", "files-b")]
    for side in sides:
        side.mkdir()
    for number in range(FILES):
        data = noise.randbytes(20_000)
        for side in sides:
            (side / f"{number}.bin").write_bytes(data)
    names = [str(side) for side in sides]
    hashing = f"find {' '.join(names)} -type f -print0 | xargs -0 sha256sum > /dev/null"
    return _row(
        ground, f"two folders of {FILES:,} files of 20 kB, all the same", "<= 2",
        {"sha256sum": ["sh", "-c", hashing], "repro diff": [*REPRO, "diff", *names]},
    )  # fmt: skip


def _row(ground: Ground, what: str, aim: str, commands: Mapping[str, list[str]]) -> Row:
    peaks: dict[str, int] = {}

    def side(name: str, argv: list[str]) -> Callable[[], float]:
        def call() -> float:
            seconds, peak = _metered(argv, ground)
            peaks[name] = max(peaks.get(name, 0), peak)
            return seconds

        return call

    found = rounds(ground.count, {name: side(name, argv) for name, argv in commands.items()})
    note = "peak memory " + " · ".join(f"{name} {peak} MB" for name, peak in peaks.items())
    return Row(what, aim, found, note)


def _metered(argv: list[str], ground: Ground) -> tuple[float, int]:
    """Seconds, and the peak memory (MB) of the largest process; to find a difference is no error."""
    done = subprocess.run(
        [sys.executable, "-c", _METER, *argv], env=ground.env, capture_output=True, text=True
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"{argv} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    seconds, peak = done.stdout.split()
    return float(seconds), int(peak) // 1024


def _do(argv: list[str]) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
