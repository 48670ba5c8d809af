"""Whose files are searched for credentials, and how far."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.errors import ProjectError
from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.primitives.events import Event
from repro.workflows.guarding import Guard, is_authors, refuse_secrets
from tests.unit.project import planted


def entry(path: Path, text: str, origin: str, kind: LayerKind = LayerKind.CODE) -> FileEntry:
    path.write_text(text)
    return FileEntry(
        path=str(path), type=EntryType.FILE, kind=kind, origin=origin, source=str(path),
        size=len(text),
    )  # fmt: skip


def guarded(*entries: FileEntry, root: Path, allow: tuple[str, ...] = ()) -> Guard:
    said: list[Event] = []
    return refuse_secrets(
        entries=entries, results={}, values=[], documents={}, root=str(root), allow=allow,
        deny=(), observer=said.append,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("origin", "kind", "searched"),
    [
        ("project", LayerKind.CODE, True), ("project", LayerKind.DATA, True),
        ("editable:mine", LayerKind.CODE, True), ("unowned", LayerKind.DATA, True),
        ("unowned", LayerKind.PACKAGES, False), ("pypi:numpy", LayerKind.PACKAGES, False),
        ("deb:libc6", LayerKind.BASE, False), ("repro", LayerKind.CODE, False),
    ],
)  # fmt: skip
def test_whose_files_are_searched_for_named_values(
    tmp_path: Path, origin: str, kind: LayerKind, searched: bool
) -> None:
    file = entry(tmp_path / "a.py", f"password = '{planted.LAKE}'\n", origin, kind)
    assert is_authors(file) is searched
    if not searched:
        guarded(file, root=tmp_path)
        return
    with pytest.raises(ProjectError) as refusal:
        guarded(file, root=tmp_path)
    assert (refusal.value.slug, refusal.value.exit_code) == ("secret", 3)
    assert refusal.value.details == ("a.py:1: password",)
    assert guarded(file, root=tmp_path, allow=("a.py",)).allowed == ("a.py:1: password",)


def test_tokens_in_an_environment_that_no_installer_wrote(tmp_path: Path) -> None:
    token = planted.tokens()["huggingface"]
    unowned = entry(tmp_path / "site.py", f"x = '{token}'\n", "unowned", LayerKind.PACKAGES)
    with pytest.raises(ProjectError, match="1 place looks like a secret"):
        guarded(unowned, root=tmp_path)
    owned = entry(tmp_path / "site.py", f"x = '{token}'\n", "pypi:x", LayerKind.PACKAGES)
    assert guarded(owned, root=tmp_path).files == 0


def test_files_elsewhere_are_named_whole(tmp_path: Path) -> None:
    outside = entry(tmp_path / "b.csv", planted.tokens()["aws"], "unowned", LayerKind.DATA)
    with pytest.raises(ProjectError) as refusal:
        guarded(outside, root=tmp_path / "project")
    assert refusal.value.details == (f"{tmp_path}/b.csv:1: AWS key",)
    guarded(outside, root=tmp_path / "project", allow=(f"{tmp_path}/*.csv",))
