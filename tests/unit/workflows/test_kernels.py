"""A notebook's kernel: its name, whether it is there, and how it is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repro.errors import ProjectError
from repro.workflows.kernels import Kernel, Kernels, kernel_of, kernels, missing

EMPTY = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}


@pytest.mark.parametrize(
    ("metadata", "name", "language"),
    [
        ({}, "python3", ""),
        ({"kernelspec": {"name": "ir", "language": "R"}}, "ir", "R"),
        ({"kernelspec": {"name": "x"}, "language_info": {"name": "julia"}}, "x", "julia"),
        ({"kernelspec": {"name": "", "language": None}}, "python3", ""),
        ({"kernelspec": ["ir"], "language_info": 3}, "python3", ""),
        ([], "python3", ""),
    ],
)
def test_what_a_notebook_asks_for(
    tmp_path: Path, metadata: object, name: str, language: str
) -> None:
    book = tmp_path / "a.ipynb"
    book.write_text(json.dumps({"metadata": metadata, "cells": []}))
    found = kernel_of(book)
    assert (found.name, found.language) == (name, language)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_notebook(tmp_path: Path, data: bytes) -> None:
    book = tmp_path / "a.ipynb"
    book.write_bytes(data)
    with pytest.raises(ProjectError, match=r"a\.ipynb is no notebook"):
        kernel_of(book)


@pytest.mark.parametrize(
    ("name", "language", "said"),
    [
        ("ir", "R", "apt install r-cran-irkernel"),
        ("julia-1.10", "julia", 'Pkg.add("IJulia")'),
        ("bash", "bash", "python -m bash_kernel.install --sys-prefix"),
        ("python3", "python", "pip install ipykernel (in"),
        ("thesis", "python", "python -m ipykernel install --sys-prefix --name thesis"),
        ("brainfuck", "bf", "a kernel for bf that is called brainfuck"),
    ],
)
def test_how_it_is_installed(name: str, language: str, said: str) -> None:
    assert said in Kernel(name=name, language=language).hint()


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (None, "the kernel ir of a.ipynb is not installed"),
        ("/opt/R/bin/R", "the kernel ir of a.ipynb cannot be started: no /opt/R/bin/R"),
    ],
)
def test_the_error_names_what_is_there(program: str | None, said: str) -> None:
    seen = Kernels(names=("bash", "python3"), program=program, found=False)
    error = missing(Kernel(name="ir", language="R"), "a.ipynb", seen)
    assert error.message == said
    assert error.details == ("installed kernels: bash, python3",)
    assert error.hint is not None and "r-cran-irkernel" in error.hint


def test_a_python_without_jupyter(tmp_path: Path) -> None:
    for program in ("/nonexistent/python", "/bin/true", "/bin/false"):
        assert kernels(program, "x", cwd=str(tmp_path), environment=EMPTY) is None
