from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.store.stamps import is_untouched, write_stamp


@pytest.fixture
def place(tmp_path: Path) -> Path:
    layer = tmp_path / "layer"
    (layer / "sub").mkdir(parents=True)
    (layer / "sub/file").write_bytes(b"content")
    (layer / "link").symlink_to("sub/file")
    write_stamp(layer)
    return layer


def _flip(layer: Path) -> None:
    """Another byte of the same size, the modification time put back."""
    file = layer / "sub/file"
    was = file.stat()
    with file.open("r+b") as stream:
        stream.write(b"C")
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))


def _replace(layer: Path) -> None:
    (layer / "other").write_bytes(b"content")
    os.replace(layer / "other", layer / "sub/file")


CHANGES: dict[str, Callable[[Path], object]] = {
    "flip": _flip,
    "replace": _replace,
    "mode": lambda layer: (layer / "sub/file").chmod(0o600),
    "add": lambda layer: (layer / "sub/new").write_bytes(b""),
    "remove": lambda layer: (layer / "link").unlink(),
    "rename": lambda layer: os.rename(layer / "sub", layer / "bus"),
    "no stamp": lambda layer: layer.with_name("layer.stamp").unlink(),
}


def test_reading_and_moving_the_whole_touches_nothing(place: Path) -> None:
    (place / "sub/file").read_bytes()
    os.listdir(place / "sub")
    assert is_untouched(place)


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen(place: Path, change: str) -> None:
    CHANGES[change](place)
    assert not is_untouched(place)
