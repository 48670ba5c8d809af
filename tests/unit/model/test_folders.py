"""Folders that a package manager of some language keeps."""

from __future__ import annotations

import pytest

from repro.model.folders import is_environment


@pytest.mark.parametrize(
    "folder",
    [
        "node_modules", "web/node_modules", "renv/library", "/home/a/.julia/packages",
        "/home/a/.juliaup", "/home/a/.config/octave", "/home/a/perl5/lib/perl5", "/home/a/.m2/repository",
        "/home/a/go/pkg/mod",
    ],
)  # fmt: skip
def test_libraries_by_their_place(folder: str) -> None:
    assert is_environment(folder, ())


@pytest.mark.parametrize(
    "folder", ["/home/a/.julia", "/home/a/.julia/dev/Mine", "my_node_modules", "library", ""]
)
def test_what_only_looks_like_one(folder: str) -> None:
    assert not is_environment(folder, ())


def test_marks() -> None:
    assert is_environment("env", ["bin", "pyvenv.cfg"])
    assert is_environment("miniforge", ["conda-meta"])
