"""How each library writes the same numbers, with noise in the file that carries no result."""

from __future__ import annotations

import csv
import importlib
import io
import json
import math
import os
import pickle
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable
from typing import Any

Values = list[float]


def library(name: str) -> Any:
    """A library by its name: what is absent raises ImportError when a pair is made."""
    return importlib.import_module(name)


def through_file(suffix: str, write: Callable[[str], object]) -> bytes:
    """The bytes of what a library only writes to a path."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"file{suffix}")
        write(path)
        with open(path, "rb") as stream:
            return stream.read()


def npy(values: list[Any], type: str = "<f8") -> bytes:
    numpy = library("numpy")
    out = io.BytesIO()
    numpy.save(out, numpy.array(values, dtype=type))
    return out.getvalue()


def csv_noisy(values: Values, count: int, noise: str) -> bytes:
    out = io.StringIO()
    out.write(f"# generated on 2024-05-0{noise} 10:2{noise}:11\n")
    writer = csv.writer(out)
    writer.writerow(["name", "value"])
    writer.writerows([f"x{number}", repr(value)] for number, value in enumerate(values))
    writer.writerow(["count", count])
    return out.getvalue().encode()


def json_noisy(values: Values, count: int, noise: str) -> bytes:
    said = {"log": f"finished in {noise}.2 s", "fit": {"values": values, "n": count}}
    return json.dumps(said, indent=1).encode()


def yaml_noisy(values: Values, count: int, noise: str) -> bytes:
    yaml = library("yaml")
    said = {"log": f"created on 2024-05-0{noise} 10:00:00", "values": values, "n": count}
    return str(yaml.safe_dump(said)).encode()


def notebook_numbers(values: Values, count: int, noise: str) -> bytes:
    """A cell's DataFrame as pandas shows it in HTML, a count in a stream, a time of the run."""
    nbformat = library("nbformat")
    rows = "".join(f"<tr><th>{n}</th><td>{v!r}</td></tr>" for n, v in enumerate(values))
    new = nbformat.v4
    outputs = [
        new.new_output("stream", name="stdout", text=f"n = {count}\nfinished in {noise}.5 s\n"),
        new.new_output("display_data", data={"text/html": f"<table>{rows}</table>"}),
    ]
    cell = new.new_code_cell("fit()", outputs=outputs, execution_count=1, id="c1")
    cell.metadata["execution"] = {"iopub.execute_input": f"2024-01-0{noise}T00:00:00Z"}
    return str(nbformat.writes(new.new_notebook(cells=[cell]))).encode()


def npz_noisy(values: Values, count: int, noise: str) -> bytes:
    numpy = library("numpy")
    out = io.BytesIO()
    save = numpy.savez if noise == "1" else numpy.savez_compressed
    save(out, x=numpy.array(values), n=numpy.array(count))
    return out.getvalue()


def xlsx_noisy(values: Values, count: int, noise: str) -> bytes:
    openpyxl = library("openpyxl")
    datetime = library("datetime")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["name", "value"])
    for number, value in enumerate(values):
        sheet.append([f"x{number}", None if math.isnan(value) else value])
    sheet.append(["count", count])
    book.properties.created = datetime.datetime(2024, 1, int(noise))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def hdf5_noisy(values: Values, count: int, noise: str) -> bytes:
    h5py = library("h5py")
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file.attrs["history"] = f"2024-05-0{noise}: made"
        file.create_dataset("fit/x", data=values)
        file["fit/n"] = count
    return out.getvalue()


def netcdf3_noisy(values: Values, count: int, noise: str) -> bytes:
    netcdf = library("scipy.io")
    out = io.BytesIO()
    with netcdf.netcdf_file(out, "w") as file:
        file.history = f"2024-05-0{noise}: made"
        file.createDimension("i", len(values))
        file.createVariable("x", "d", ("i",))[:] = values
        file.createVariable("n", "i", ())[...] = count
        file.flush()
        return out.getvalue()


def mat5_noisy(values: Values, count: int, noise: str) -> bytes:
    numpy, matlab = library("numpy"), library("scipy.io")
    out = io.BytesIO()
    matlab.savemat(out, {"x": numpy.array(values), "n": numpy.int32(count)})
    data = out.getvalue()
    return data[:80] + noise.encode() + data[81:]


def fits_noisy(values: Values, count: int, noise: str) -> bytes:
    fits, numpy = library("astropy.io.fits"), library("numpy")
    unit = fits.PrimaryHDU(numpy.array(values))
    unit.header["DATE"] = f"2024-05-0{noise}T00:00:00"
    unit.header["NSTARS"] = count
    out = io.BytesIO()
    fits.HDUList([unit]).writeto(out)
    return out.getvalue()


def parquet_noisy(values: Values, count: int, noise: str) -> bytes:
    arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
    table = arrow.table({"x": values, "n": [count, *range(1, len(values))]})
    out = io.BytesIO()
    parquet.write_table(table, out, compression="snappy" if noise == "1" else "zstd")
    return out.getvalue()


def sqlite_noisy(values: Values, count: int, noise: str) -> bytes:
    def write(path: str) -> None:
        base = sqlite3.connect(path)
        base.execute(f"PRAGMA page_size={4096 if noise == '1' else 8192}")
        base.execute("CREATE TABLE fit (x REAL, n INTEGER)")
        base.executemany(
            "INSERT INTO fit VALUES (?, ?)", [(v, n or count) for n, v in enumerate(values)]
        )
        base.commit()
        base.close()

    return through_file(".sqlite", write)


def pickle_noisy(values: Values, count: int, noise: str) -> bytes:
    return pickle.dumps({"x": values, "n": count}, protocol=4 if noise == "1" else 2)


def zip_noisy(values: Values, count: int, noise: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("tables/fit.csv", date_time=(2024, 5, int(noise), 0, 0, 0))
        archive.writestr(info, csv_noisy(values, count, "1"))
    return out.getvalue()
