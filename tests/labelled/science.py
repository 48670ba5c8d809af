"""HDF5, NetCDF, MAT-files, FITS, NIfTI, Parquet, Feather, Arrow, SQLite and R's own files."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from typing import Any

from labelled.arrays import grid, variants, with_cell
from labelled.pair import Pair, group, numbers
from labelled.writers import library, through_file

Faults = dict[str, tuple[str, Any]]


def faults_of(array: Any, *names: str) -> Faults:
    """The planted faults of arrays by name, all without names."""
    return {name: fault for name, fault in variants(array).items() if not names or name in names}


PLAIN = (
    "one value of 9,600", "one sign", "one value missing", "another unit", "Kelvin for Celsius",
    "the last row dropped", "another seed", "two rows swapped", "upside down", "rounded to one digit",
)  # fmt: skip


def hdf5(
    array: Any,
    *,
    units: str = "K",
    history: str = "Monday",
    compression: str | None = None,
    name: str = "t",
    note: str = "a",
    extra: bool = False,
    link: str = "",
) -> bytes:
    h5py = library("h5py")
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file.attrs["history"] = history
        data = file.create_dataset(f"g/{name}", data=array, compression=compression)
        data.attrs["units"] = units
        file["labels"] = ["x", note]
        if extra:
            file["extra"] = 1
        if link:
            file["outside"] = h5py.ExternalLink(link, "/x")
    return out.getvalue()


def hdf5_pairs() -> Iterator[Pair]:
    array = grid()
    base = hdf5(array)
    yield from group(
        "hdf5", "grid.h5", base,
        benign={
            "compressed": ("packing", hdf5(array, compression="gzip")),
            "another history": ("time", hdf5(array, history="Tuesday")),
        },
        close={"last digits, compressed": ("rounding", hdf5(array * (1 + 4e-16), compression="gzip"))},
        fault={
            **{n: (cause, hdf5(value, history="Friday")) for n, (cause, value) in faults_of(array).items() if "precision" not in n},
            "single precision": ("type", hdf5(array.astype("f4"))),
            "a unit": ("text", hdf5(array, units="C")),
            "a name": ("rows", hdf5(array, name="T")),
            "a label": ("text", hdf5(array, note="b")),
            "a dataset more": ("rows", hdf5(array, extra=True)),
            "cut off": ("cut", base[:-500]),
        },
        opaque={"a link to another file": ("never followed", hdf5(array, link="/etc/hostname"))},
    )  # fmt: skip
    matlab = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon May  1 10:00:00 2024 HDF5 schema 1.00 ."

    def mat73(value: Any, head: bytes = matlab) -> bytes:
        h5py = library("h5py")
        out = io.BytesIO()
        with h5py.File(out, "w", userblock_size=512) as file:
            file["x"] = value
        return head.ljust(116) + bytes(8) + b"\0\2IM" + bytes(384) + out.getvalue()[512:]

    yield from group(
        "mat 7.3", "fit.mat", mat73(array),
        benign={"another date": ("version", mat73(array, matlab.replace(b"2024", b"2025")))},
        fault={"one value": ("few", mat73(with_cell(array, (3, 3), 0.5), matlab.replace(b"2024", b"2025")))},
    )  # fmt: skip


def netcdf_pairs() -> Iterator[Pair]:
    array = grid()
    for format, kind in (
        ("netcdf3", "NETCDF3_CLASSIC"),
        ("netcdf3 (64 bit)", "NETCDF3_64BIT_OFFSET"),
        ("netcdf4", "NETCDF4"),
    ):

        def made(
            value: Any,
            *,
            units: str = "K",
            history: str = "Mon",
            kind: str = kind,
            scale: float = 1.0,
            name: str = "t",
        ) -> bytes:
            netcdf = library("netCDF4")

            def write(path: str) -> None:
                with netcdf.Dataset(path, "w", format=kind) as file:
                    file.history = history
                    file.createDimension("y", value.shape[0])
                    file.createDimension("x", value.shape[1])
                    variable = file.createVariable(name, "f8", ("y", "x"))
                    variable.units, variable.factor = units, scale
                    variable[:] = value

            return through_file(".nc", write)

        yield from group(
            format, "t.nc", made(array),
            benign={"another history": ("time", made(array, history="2025-01-01: ncks"))},
            close={"last digits": ("rounding", made(array * (1 + 4e-16), history="Tue"))},
            fault={
                **{n: (cause + "+rows" * (n == "the last row dropped") + "+few" * (n == "the last row dropped"), made(value, history="Tue")) for n, (cause, value) in faults_of(array, *PLAIN).items()},
                "a unit": ("text", made(array, units="C", history="Tue")),
                "a factor": ("few+factor", made(array, scale=10.0)),
                "a name": ("rows", made(array, name="T")),
            },
        )  # fmt: skip


def matlab_pairs() -> Iterator[Pair]:
    array = grid()
    matlab = library("scipy.io")

    def made(
        value: Any,
        *,
        text: str = "K",
        n: int = 3,
        packed: bool = False,
        level: str = "5",
        day: str = "Mon",
    ) -> bytes:
        out = io.BytesIO()
        said: dict[str, Any] = {"x": value, "n": float(n), "units": text}
        if level == "5":
            said["cells"] = library("numpy").array(["a", value[0]], dtype=object)
            said["s"] = {"depth": 1.5, "site": text}
        matlab.savemat(out, said, format=level, do_compression=packed)
        data = out.getvalue()
        return data if level == "4" else data[:60] + day.encode() + data[63:]

    for level in ("5", "4"):
        base = made(array, level=level)
        benign = {
            "compressed": ("packing", made(array, packed=True)),
            "another date": ("version+time", made(array, day="Tue")),
        }
        yield from group(
            f"mat {level}", "fit.mat", base,
            benign=benign if level == "5" else {},
            close={"last digits": ("rounding", made(array * (1 + 4e-16), level=level))},
            fault={
                **{n: (cause, made(value, level=level, day="Tue")) for n, (cause, value) in faults_of(array, *PLAIN).items()},
                "a unit": ("text", made(array, text="C", level=level)),
                "n": ("few", made(array, n=4, level=level)),
                "cut off": ("cut", base[:-40]),
            },
        )  # fmt: skip


def fits_pairs() -> Iterator[Pair]:
    fits, numpy = library("astropy.io.fits"), library("numpy")
    array = grid()

    def image(
        value: Any, *, day: int = 1, unit: str = "Jy", exposure: float = 30.0, checks: bool = False
    ) -> bytes:
        primary = fits.PrimaryHDU(value)
        primary.header["DATE"] = f"2024-05-{day:02d}"
        primary.header["BUNIT"] = unit
        primary.header["EXPTIME"] = (exposure, "seconds")
        columns = [fits.Column("id", "J", array=numpy.arange(5)), fits.Column("name", "4A", array=list("abcde")),
                   fits.Column("flux", "D", array=numpy.asarray(value)[0, :5])]  # fmt: skip
        out = io.BytesIO()
        fits.HDUList([primary, fits.BinTableHDU.from_columns(columns)]).writeto(
            out, checksum=checks
        )
        return out.getvalue()

    def packed(value: Any, kind: str) -> bytes:
        out = io.BytesIO()
        tiles = fits.CompImageHDU((value * 100).astype("i4"), compression_type=kind)
        fits.HDUList([fits.PrimaryHDU(), tiles]).writeto(out)
        return out.getvalue()

    base = image(array)
    yield from group(
        "fits", "m31.fits", base,
        benign={
            "another date": ("time", image(array, day=2)),
            "with checksums": ("time+packing+metadata+checks", image(array, day=3, checks=True)),
        },
        close={"last digits": ("rounding", image(array * (1 + 4e-16), day=2))},
        fault={
            **{n: (cause + "+few+order+random+sign+offset+factor" * (n in ("the last row dropped", "upside down")), image(value, day=2)) for n, (cause, value) in faults_of(array, *PLAIN).items()},
            "a unit": ("text", image(array, unit="mJy")),
            "the exposure": ("few", image(array, exposure=31.0)),
            "cut off": ("cut", base[:-2880]),
            "cut off inside a block": ("cut", base[:-100]),
        },
    )  # fmt: skip
    for kind in ("RICE_1", "GZIP_1"):
        yield from group(
            f"fits ({kind})", "m31.fits", packed(array, kind),
            opaque={"one value in a compressed tile": ("does not decompress", packed(with_cell(array, (3, 3), 0.5), kind))},
        )  # fmt: skip


def nifti_pairs() -> Iterator[Pair]:
    nibabel, numpy = library("nibabel"), library("numpy")
    volume = grid().reshape(20, 24, 20).astype("f4")

    def made(
        value: Any, *, turned: float = 1.0, day: int = 1, packed: bool = False, note: str = "a"
    ) -> bytes:
        picture = nibabel.Nifti1Image(value, numpy.diag([turned, 2.0, 2.0, 1.0]))
        picture.header["descrip"] = note
        data = bytes(picture.to_bytes())
        return gzip.compress(data, mtime=day) if packed else data

    for path, packed in (("brain.nii", False), ("brain.nii.gz", True)):
        base = made(volume, packed=packed)
        benign = {"another time of packing": ("packing+time", made(volume, packed=True, day=9))}
        yield from group(
            f"nifti ({path[6:]})", path, base,
            benign=benign if packed else {},
            fault={
                "one voxel": ("few", made(with_cell(volume, (1, 2, 3), 0.0), packed=packed, day=2)),
                "left for right": ("few", made(volume, turned=-1.0, packed=packed, day=2)),
                "mirrored": ("order", made(volume[::-1].copy(), packed=packed, day=2)),
                "a voxel's size": ("few", made(volume, turned=1.5, packed=packed, day=2)),
                "another seed": ("random", made(grid(7).reshape(20, 24, 20).astype("f4"), packed=packed, day=2)),
                "cut off": ("cut", base[:-300]),
            },
        )  # fmt: skip


def column_pairs() -> Iterator[Pair]:
    arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
    feather, pandas = library("pyarrow.feather"), library("pandas")
    values = numbers(500, seed=21)
    columns: dict[str, list[Any]] = {"id": list(range(500)), "x": values, "site": ["a", "b"] * 250}

    def table(**changes: Any) -> Any:
        return arrow.table({**columns, **changes})

    def as_parquet(found: Any, **options: Any) -> bytes:
        out = io.BytesIO()
        parquet.write_table(found, out, **options)
        return out.getvalue()

    def as_feather(found: Any, **options: Any) -> bytes:
        out = io.BytesIO()
        feather.write_feather(found, out, **options)
        return out.getvalue()

    def as_stream(found: Any, **options: Any) -> bytes:
        out = io.BytesIO()
        with arrow.ipc.new_stream(out, found.schema) as writer:
            writer.write_table(found, **options)
        return out.getvalue()

    moved = [*values[:250], values[250] + 1e-3, *values[251:]]
    faults: dict[str, tuple[str, Any]] = {
        "one value of 500": ("few", table(x=moved)),
        "one sign": ("sign", table(x=[*values[:-1], -values[-1]])),
        "a missing value": ("missing+few", table(x=[*values[:-1], None])),
        "a missing integer": ("missing+few", table(id=[*range(499), None])),
        "an integer": ("few", table(id=[*range(499), 500])),
        "a text": ("text", table(site=["a", "b"] * 249 + ["a", "B"])),
        "the last row dropped": ("shape+rows+few", table().slice(0, 499)),
        "rows in another order": ("order+text", table().take(list(range(499, -1, -1)))),
        "another unit": ("factor", table(x=[v * 1000 for v in values])),
        "another seed": ("random", table(x=numbers(500, seed=22))),
        "a column's name": ("rows+schema", table().rename_columns(["id", "X", "site"])),
        "columns in another order": ("order+schema+rows+type", table().select(["x", "id", "site"])),
        "single precision": (
            "type+schema",
            table().set_column(1, "x", arrow.array(values, arrow.float32())),
        ),
    }
    packings = (
        (
            "parquet",
            "t.parquet",
            as_parquet,
            {"compression": "zstd", "row_group_size": 100, "use_dictionary": False},
        ),
        ("feather", "t.feather", as_feather, {"compression": "uncompressed", "chunksize": 50}),
        ("arrow", "t.arrow", as_stream, {"max_chunksize": 50}),
    )
    for format, path, write, options in packings:
        base = write(table())
        yield from group(
            format, path, base,
            benign={"packed otherwise": ("packing", write(table(), **options))},
            close={"last digits": ("rounding", write(table(x=[v * (1 + 4e-16) for v in values]), **options))},
            fault={**{n: (cause, write(found, **options)) for n, (cause, found) in faults.items()}, "cut off": ("cut", base[:-100])},
        )  # fmt: skip
    frame = pandas.DataFrame(columns)
    out = io.BytesIO()
    frame.to_parquet(out)
    other = io.BytesIO()
    frame.assign(x=moved).to_parquet(other)
    yield from group(
        "parquet (pandas)",
        "t.parquet",
        out.getvalue(),
        fault={"one value": ("few", other.getvalue())},
    )


def sqlite_pairs() -> Iterator[Pair]:
    rows: list[tuple[Any, ...]] = [(n, f"s{n % 7}", v) for n, v in enumerate(numbers(200, seed=23))]

    def made(
        rows: list[tuple[Any, ...]],
        *,
        page: int = 4096,
        vacuum: bool = False,
        kind: str = "REAL",
        column: str = "mm",
        index: bool = False,
        view: str = "",
    ) -> bytes:
        def write(path: str) -> None:
            base = sqlite3.connect(path)
            base.execute(f"PRAGMA page_size={page}")
            base.execute(f"CREATE TABLE rain (id INTEGER, site TEXT, {column} {kind})")
            if vacuum:
                base.executemany("INSERT INTO rain VALUES (?, ?, ?)", rows)
                base.execute("INSERT INTO rain SELECT * FROM rain")
                base.commit()
                base.execute("DELETE FROM rain")
                base.commit()
            base.executemany("INSERT INTO rain VALUES (?, ?, ?)", rows)
            if index:
                base.execute("CREATE INDEX i ON rain (site)")
            if view:
                base.execute(f"CREATE VIEW v AS {view}")
            base.commit()
            base.close()

        return through_file(".sqlite", write)

    last = rows[-1]
    yield from group(
        "sqlite", "rain.sqlite", made(rows),
        benign={
            "another size of pages": ("packing+numbering+metadata", made(rows, page=1024)),
            "written twice": ("packing+numbering+metadata", made(rows, vacuum=True)),
            "rows in another order": ("order", made(rows[::-1])),
        },
        close={"a last digit": ("rounding", made([*rows[:-1], (*last[:2], last[2] * (1 + 4e-16))], page=1024))},
        fault={
            "one value of 200": ("few", made([*rows[:-1], (*last[:2], last[2] + 0.01)])),
            "one value, in another order": ("few+order", made([*rows[:-1], (*last[:2], last[2] + 0.01)][::-1])),
            "one sign": ("sign", made([*rows[:-1], (*last[:2], -last[2])])),
            "a text": ("value+text", made([*rows[:-1], (last[0], "S3", last[2])])),
            "NULL": ("missing", made([*rows[:-1], (*last[:2], None)])),
            "the last row dropped": ("rows", made(rows[:-1])),
            "a row twice": ("rows", made([*rows, last])),
            "a column's name": ("text+schema+rows", made(rows, column="cm")),
            "another unit": ("factor+random+order", made([(a, b, c * 10) for a, b, c in rows])),
            "an index more": ("rows", made(rows, index=True)),
            "a view more": ("rows", made(rows, view="SELECT 1")),
            "cut off": ("cut+unreadable", made(rows)[:-5000]),
        },
    )  # fmt: skip


R_BASE = 'list(fit = c(a = 1.25, b = -3.5), rows = data.frame(id = 1:5, site = factor(c("n", "s", "n", "e", "s")), x = c(0.5, NA, 2.5, NaN, 4)), note = "done", ok = TRUE)'
R_FAULTS = {
    "one coefficient": ("few", "1.25", "1.26"),
    "one sign": ("sign", "-3.5", "3.5"),
    "NA beside NaN": ("na+missing", "2.5, NaN", "2.5, NA"),
    "an integer": ("few", "1:5", "c(1:4, 6L)"),
    "floats for integers": ("type", "1:5", "c(1, 2, 3, 4, 5)"),
    "a level": ("text", '"e"', '"w"'),
    "the order of names": (
        "text+order+sign+random+few",
        "a = 1.25, b = -3.5",
        "b = -3.5, a = 1.25",
    ),
    "a name": ("text", "note =", "nota ="),
    "a text": ("text", '"done"', '"Done"'),
    "false": ("few", "TRUE", "FALSE"),
    "logical NA": ("few", "TRUE", "NA"),
    "an element more": ("rows+text+shape+few", "ok = TRUE", "ok = TRUE, z = 1"),
}


def r_pairs() -> Iterator[Pair]:
    if shutil.which("Rscript") is None:
        raise ImportError("Rscript is not installed", name="R")
    wanted: dict[str, str] = {"base": R_BASE, "close": R_BASE.replace("1.25", "1.25 * (1 + 4e-16)")}
    for name, (_, old, new) in R_FAULTS.items():
        assert R_BASE.count(old) == 1, name
        wanted[name] = R_BASE.replace(old, new)
    names = {name: f"f{number}" for number, name in enumerate(wanted)}

    def code(folder: str) -> str:
        lines = []
        for name, text in wanted.items():
            path = f"{folder}/{names[name]}"
            lines.append(f'x <- {text}; saveRDS(x, "{path}.rds"); save(x, file = "{path}.RData")')
        path = f"{folder}/packed"
        lines.append(
            f'x <- {R_BASE}; saveRDS(x, "{path}.rds", compress = "xz"); save(x, file = "{path}.RData", compress = "bzip2")'
        )
        lines.append(
            f'saveRDS(x, "{folder}/old.rds", version = 2); save(x, file = "{folder}/old.RData", version = 2)'
        )
        return "\n".join(lines)

    found: dict[str, bytes] = {}

    def run(path: str) -> None:
        folder = os.path.dirname(path)
        with open(f"{folder}/make.R", "w") as script:
            script.write(code(folder))
        subprocess.run(
            ["Rscript", "--vanilla", f"{folder}/make.R"], check=True, capture_output=True
        )
        for name in os.listdir(folder):
            with open(f"{folder}/{name}", "rb") as stream:
                found[name] = stream.read()
        with open(path, "wb") as out:
            out.write(b"done")

    through_file(".done", run)
    for suffix in ("rds", "RData"):
        yield from group(
            suffix, f"fit.{suffix}", found[f"{names['base']}.{suffix}"],
            benign={"packed otherwise": ("packing", found[f"packed.{suffix}"]), "R's older version": ("packing+version", found[f"old.{suffix}"])},
            close={"a last digit": ("rounding", found[f"{names['close']}.{suffix}"])},
            fault={
                **{name: (cause, found[f"{names[name]}.{suffix}"]) for name, (cause, _, _) in R_FAULTS.items()},
                "cut off": ("cut", found[f"{names['base']}.{suffix}"][:-12]),
            },
        )  # fmt: skip


def pairs() -> Iterator[Pair]:
    for found in (
        hdf5_pairs,
        netcdf_pairs,
        matlab_pairs,
        fits_pairs,
        nifti_pairs,
        column_pairs,
        sqlite_pairs,
        r_pairs,
    ):
        yield from found()
