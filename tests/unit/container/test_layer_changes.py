"""Created, changed, deleted, renamed, opaque: from folders as overlayfs leaves them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from repro.container.changes import Lower, changes
from repro.errors import StorageError


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    made = tmp_path / "base", tmp_path / "top", tmp_path / "upper"
    for folder in made:
        folder.mkdir()
    return made


def put(root: Path, path: str, text: str = "x", mode: int = 0o644) -> Path:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(mode)
    return place


def whiteout(root: Path, path: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    os.mknod(root / path, stat.S_IFCHR | 0o600, os.makedev(0, 0))


def opaque(root: Path, path: str) -> None:
    (root / path).mkdir(parents=True, exist_ok=True)
    os.setxattr(root / path, "user.overlay.opaque", b"y")


def seen(folders: tuple[Path, Path, Path]) -> list[str]:
    base, top, upper = folders
    return [f"{each.kind.value} {each.path}" for each in changes(upper, Lower([base, top]))]


def test_added_changed_deleted(folders: tuple[Path, Path, Path]) -> None:
    base, top, upper = folders
    put(base, "a/same")
    put(base, "a/longer")
    put(top, "a/other")
    put(base, "a/program")
    put(base, "gone/inner")
    (base / "link").symlink_to("a")
    put(upper, "a/same")
    put(upper, "a/longer", "xx")
    put(upper, "a/other", "y")
    put(upper, "a/program", mode=0o755)
    put(upper, "new/file")
    whiteout(upper, "gone")
    (upper / "link").symlink_to("b")
    assert seen(folders) == [
        "C /a/longer", "C /a/other", "C /a/program", "D /gone", "C /link", "A /new", "A /new/file",
    ]  # fmt: skip


def test_times_alone_are_no_change(folders: tuple[Path, Path, Path]) -> None:
    base, _, upper = folders
    put(base, "a")
    os.utime(put(upper, "a"), (1, 1))
    assert seen(folders) == []


def test_what_was_made_and_deleted_again_leaves_nothing(folders: tuple[Path, Path, Path]) -> None:
    _, _, upper = folders
    whiteout(upper, "made-and-gone")
    assert seen(folders) == []


def test_an_opaque_folder_hides_what_it_does_not_hold(folders: tuple[Path, Path, Path]) -> None:
    base, top, upper = folders
    for path in ("d/a", "d/b", "d/in/c", "d/in/e"):
        put(base, path)
    put(top, "d/t")
    opaque(upper, "d")
    put(upper, "d/a")
    put(upper, "d/in/c", "y")
    assert seen(folders) == ["D /d/b", "C /d/in/c", "D /d/in/e", "D /d/t"]


def test_layers_that_delete_and_hide_themselves(folders: tuple[Path, Path, Path]) -> None:
    base, top, upper = folders
    put(base, "gone")
    put(base, "d/hidden")
    put(base, "file")
    put(base, "cut/below")
    whiteout(top, "gone")
    opaque(top, "d")
    put(top, "d/shown")
    put(top, "cut")
    put(upper, "gone")
    put(upper, "d/hidden")
    whiteout(upper, "d/shown")
    put(upper, "cut/below")
    assert seen(folders) == ["C /cut", "A /cut/below", "A /d/hidden", "D /d/shown", "A /gone"]


def test_a_folder_for_a_file_and_a_file_for_a_folder(folders: tuple[Path, Path, Path]) -> None:
    base, _, upper = folders
    put(base, "one/inner")
    put(base, "other")
    put(upper, "one")
    put(upper, "other/inner")
    assert seen(folders) == ["C /one", "C /other", "A /other/inner"]


def test_links_lead_nowhere(folders: tuple[Path, Path, Path]) -> None:
    base, _, upper = folders
    put(base.parent, "outside/secret")
    (base / "d").symlink_to(base.parent / "outside")
    put(upper, "d/secret")
    assert seen(folders) == ["C /d", "A /d/secret"]
    (upper / "up").symlink_to("..")
    assert seen(folders)[-1] == "A /up"


def test_special_files_and_odd_names(folders: tuple[Path, Path, Path]) -> None:
    _, _, upper = folders
    os.mkfifo(upper / "pipe")
    os.mkdir(os.fsencode(upper) + b"/caf\xe9\n")
    assert seen(folders) == ["A /caf\udce9\n", "A /pipe"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_closed_folder_is_said(folders: tuple[Path, Path, Path]) -> None:
    _, _, upper = folders
    (upper / "closed").mkdir(mode=0)
    with pytest.raises(StorageError, match="closed"):
        seen(folders)
