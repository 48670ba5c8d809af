"""A folder that layers are written to, one over another."""

from __future__ import annotations

import io
import os
from pathlib import Path

from repro.workflows.outfolder import OutFolder


def put(out: OutFolder, *paths: str, data: bytes = b"1") -> None:
    for path in paths:
        out.file(path, io.BytesIO(data), 0o644)


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_what_was_written_below_goes_and_only_that(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "mine").write_text("mine")
    with OutFolder(tmp_path) as out:
        put(out, "a/b/c/one", "a/b/two", "ab/three")
        out.folder("a/b/d")
        out.empty("a/b")
        assert tree(tmp_path) == {"a", "a/b", "a/b/c", "a/b/mine", "ab", "ab/three"}
        assert (out.files, out.size) == (1, 1)
        put(out, "a/b/c/one", data=b"22")  # and again, in what was emptied
        out.remove("a/b/c/one")
        out.empty("a")
        assert "a/b/c/one" not in tree(tmp_path) and (out.files, out.size) == (1, 1)
        out.folder("a/b/d")
        out.remove("a/b/d")
        assert "a/b/d" not in tree(tmp_path)


def test_a_file_where_a_folder_was_and_back(tmp_path: Path) -> None:
    with OutFolder(tmp_path) as out:
        out.folder("x")
        put(out, "x/one", "x/two")
        out.remove("x")
        put(out, "x")
        out.folder("x")
        put(out, "x/one")
        assert tree(tmp_path) == {"x", "x/one"} and out.files == 1


def test_layers_of_many_files_over_each_other(tmp_path: Path) -> None:
    """As many looks as files, not as many as pairs of them."""
    looks = 0

    class Counted(str):
        __slots__ = ()

        def startswith(self, *words: object) -> bool:  # type: ignore[override]
            nonlocal looks
            looks += 1
            return super().startswith(*words)  # type: ignore[arg-type]

    with OutFolder(tmp_path) as out:
        for _ in range(2):
            put(out, *(Counted(f"f{number}") for number in range(400)))
        assert looks < 4000 and out.files == len(os.listdir(tmp_path)) == 400
