"""Layers that a container stands on are kept."""

from __future__ import annotations

from pathlib import Path

from repro.primitives.digest import Digest
from repro.store.pins import Pins

ONE, OTHER = Digest("a" * 64), Digest("b" * 64)


def test_kept_until_all_owners_release(tmp_path: Path) -> None:
    pins = Pins(tmp_path)
    assert pins.every() == frozenset()
    pins.keep("x", [ONE, OTHER])
    pins.keep("y", [ONE])
    pins.release("x")
    assert pins.every() == {ONE}
    pins.release("y")
    pins.release("y")
    assert pins.every() == frozenset()


def test_nonsense_is_passed_over(tmp_path: Path) -> None:
    pins = Pins(tmp_path)
    pins.keep("x", [ONE])
    (tmp_path / "pins" / "y").write_bytes(b"sha256:zz\n\xff\n" + f"{OTHER}\n".encode())
    assert pins.every() == {ONE, OTHER}
