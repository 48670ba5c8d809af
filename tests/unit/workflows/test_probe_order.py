"""Another directory order by an extra lowest layer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from repro.workflows import probe_order
from repro.workflows.probe_order import listed, other_order


def layer(folder: Path, *paths: str) -> str:
    for path in paths:
        place = folder / "home/p" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(path)
    return str(folder)


def test_every_name_in_another_order_and_nothing_else(tmp_path: Path) -> None:
    one = layer(tmp_path / "one", *(f"data/{name}" for name in "abcdef"), "main.py")
    two = layer(tmp_path / "two", "data/big", "x/y/z")
    os.symlink("/etc", tmp_path / "two/home/p/link")
    usual = listed([one, two], "/home/p")
    with other_order([one, two], "/home/p", ["/dev/shm"]) as order:
        if order.layer is None:
            pytest.skip(order.why)
        assert order.folders == 2
        root = Path(order.layer) / "home/p"
        assert os.listdir(root / "data") == [name for name, _ in reversed(usual["data"])]
        assert set(os.listdir(root)) == {"data", "main.py", "x", "link"}
        assert not (root / "link").is_symlink()
        assert (root / "x/y").is_dir()
        sizes = [p.stat().st_size for p in root.rglob("*") if p.is_file()]
        assert sizes and not any(sizes)
        made = order.layer
    assert not Path(made).exists()


@pytest.mark.parametrize(
    ("paths", "places", "why"),
    [
        (("one.txt",), ["/dev/shm"], "no folder of the project holds two files"),
        (("a", "b"), ["/nowhere"], "no folder here lists files in the order of their making"),
        ((), [], "no folder of the project"),
    ],
)
def test_why_not(tmp_path: Path, paths: tuple[str, ...], places: list[str], why: str) -> None:
    (tmp_path / "one").mkdir()
    with other_order([layer(tmp_path / "one", *paths)], "/home/p", places) as order:
        assert order.layer is None
        assert order.why.startswith(why)


def test_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_order, "MOST", 3)
    one = layer(tmp_path / "one", *"abcdef")
    with other_order([one], "/home/p", ["/dev/shm"]) as order:
        assert (order.layer, order.why) == (None, "the project holds more than 3 files")


def test_what_a_killed_probe_left_is_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = tmp_path / f"repro-order-{dead.pid}-abc"
    (left / "home/p").mkdir(parents=True)
    alive = tmp_path / f"repro-order-{os.getpid()}-abc"
    alive.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tmp_path / f"repro-order-{dead.pid}-link"
    link.symlink_to(elsewhere)
    one = layer(tmp_path / "one", "a", "b")
    with other_order([one], "/home/p", [str(tmp_path)]):
        assert not left.exists()
        assert alive.exists() and link.is_symlink() and elsewhere.exists()
