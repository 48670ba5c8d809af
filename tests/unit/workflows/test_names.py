from __future__ import annotations

from pathlib import Path

import pytest

from repro.errors import UsageError
from repro.primitives.files import remove_tree
from repro.workflows.names import check_tag, parse_reference
from repro.workflows.places import cache_root, scratch


def test_references(tmp_path: Path) -> None:
    plain = tmp_path / "a.repro"
    odd = tmp_path / "a.repro:v1"
    plain.write_text("")
    assert parse_reference(str(plain)) == (plain, None)
    assert parse_reference(f"{plain}:v1") == (plain, "v1")
    odd.write_text("")
    assert parse_reference(str(odd)) == (odd, None)
    with pytest.raises(UsageError):
        parse_reference(f"{plain}:not a tag")
    with pytest.raises(UsageError):
        parse_reference(str(tmp_path))


def test_tags() -> None:
    assert check_tag("v1.0-rc_1") == "v1.0-rc_1"
    for bad in ("", "-a", "a b", "a/b", "x" * 129):
        with pytest.raises(UsageError):
            check_tag(bad)


def test_cache_place() -> None:
    assert cache_root({"REPRO_CACHE": "/c", "HOME": "/h"}) == Path("/c")
    assert cache_root({"XDG_CACHE_HOME": "/x"}) == Path("/x/repro")
    assert cache_root({"HOME": "/h"}) == Path("/h/.cache/repro")


def test_scratch_is_gone_even_when_locked(tmp_path: Path) -> None:
    with scratch(tmp_path / "runs", "t") as folder:
        locked = folder / "a" / "b"
        locked.mkdir(parents=True)
        (locked / "f").write_text("x")
        locked.chmod(0)
        (folder / "a").chmod(0)
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_remove_tree_follows_no_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "keep").write_text("x")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(outside)
    remove_tree(tree)
    assert (outside / "keep").exists()
    assert outside.stat().st_mode & 0o777 == 0o755
