"""Formats of extras without their libraries: undecided, and the extra is named."""

from __future__ import annotations

import pytest

from repro.compare import child
from repro.compare.choose import choose
from repro.compare.memory import MemoryOutput
from repro.model.outcome import Outcome

FILES = {
    "a.h5": (b"\x89HDF\r\n\x1a\n", "h5py", "hdf5"),
    "a.parquet": (b"PAR1", "pyarrow", "tables"),
    "a.feather": (b"ARROW1", "pyarrow", "tables"),
    "a.tif": (b"II*\0", "PIL", "images"),
    "a.webp": (b"RIFF\x68\0\0\0WEBP", "PIL", "images"),
}


@pytest.mark.parametrize("path", FILES)
def test_a_missing_extra_is_named(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    magic, library, extra = FILES[path]
    boot = f"import sys; sys.modules[{library!r}] = None; {child._BOOT}"
    monkeypatch.setattr(child, "_BOOT", boot)
    old, new = magic + bytes(100), magic + bytes(99) + b"1"
    found = choose(path, (old, new), {}).compare(
        MemoryOutput(old), MemoryOutput(new), {}, path=path
    )
    assert found.outcome is Outcome.UNDECIDED
    assert f"its reader needs {library}: install repro[{extra}]" in found.notes[0]


@pytest.mark.parametrize("path", FILES)
def test_garbage_is_not_the_format(path: str) -> None:
    comparator = choose(path, (b"", b""), {})
    found = comparator.compare(MemoryOutput(b"garbage"), MemoryOutput(b"other garbage"), {})
    assert found.outcome is Outcome.DIFFERENT
