"""``ARCHIVE`` and ``ARCHIVE:TAG`` as people type them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from repro.errors import UsageError
from repro.model.oci import TAG
from repro.primitives.events import Observer, silent
from repro.primitives.texts import printable


def parse_reference(text: str) -> tuple[Path, str | None]:
    """The file and the tag (None: the default version).

    A file whose name holds a colon wins over a tag. Raises UsageError when there is no
    such file.
    """
    path = Path(text)
    if path.is_file():
        return path, None
    before, colon, tag = text.rpartition(":")
    if colon and Path(before).is_file() and TAG.fullmatch(tag):
        return Path(before), tag
    if path.is_dir():
        raise UsageError(
            f"{printable(text)} is a folder, not an archive",
            hint="to make one: repro snapshot -C FOLDER -- COMMAND",
        )
    raise no_file(f"there is no file {printable(text)}", text)


def no_file(message: str, text: str) -> UsageError:
    """What is said when ``text`` names no file: where it lies on a registry, how it comes here."""
    hint = None
    if text.startswith("oci://"):
        hint = f"this command takes files: repro pull {printable(text)} -o FILE.repro fetches one"
    return UsageError(message, hint=hint, slug="no-file")


def whole_file(text: str) -> Path:
    """An archive with all its versions. Raises UsageError when one of them is named."""
    path, tag = parse_reference(text)
    if tag is not None:
        raise UsageError(
            "all versions of an archive are in one file: leave out the tag",
            hint=f"use {printable(str(path))}",
        )
    return path


def local_archive(
    text: str,
    environ: Mapping[str, str],
    *,
    insecure: bool = False,
    observer: Observer = silent,
) -> tuple[Path, str | None]:
    """As ``parse_reference``, but ``oci://…`` as well: fetched into this user's cache first.

    Raises RemoteError as well.
    """
    if not text.startswith("oci://"):
        return parse_reference(text)
    from repro.remote.reference import Reference
    from repro.workflows.pulled import local_copy

    return local_copy(Reference.parse(text), environ, insecure=insecure, observer=observer)


def check_tag(tag: str) -> str:
    """``tag`` itself. Raises UsageError when an OCI tag may not look like it."""
    if not TAG.fullmatch(tag):
        raise UsageError(
            f"{printable(tag, 60)!r} is no tag", hint="use letters, digits, '.', '_' and '-'"
        )
    return tag
