"""``repro ci init``: files that build, push, rerun and promote an archive in CI."""

from __future__ import annotations

from pathlib import Path

from repro.errors import ProjectError
from repro.primitives.files import atomic_write
from repro.primitives.frozen import frozen
from repro.primitives.resources import template
from repro.primitives.texts import printable
from repro.project.config import find_config, read_config
from repro.remote.reference import Reference

_FILES = {
    "make": ("ci_Makefile", "repro.mk"),
    "github": ("ci_github.yml", ".github/workflows/repro.yml"),
    "gitlab": ("ci_gitlab.yml", ".gitlab-ci.yml"),
}
"""Kind -> template, and where it is written in the project."""


@frozen
class CiFiles:
    """What was written, relative to the project, and remarks for people."""

    written: tuple[str, ...]
    notes: tuple[str, ...]


def ci_init(
    root: Path, kinds: tuple[str, ...], image: Reference, install: str, *, force: bool = False
) -> CiFiles:
    """Write the files of ``kinds`` (make, github, gitlab); github brings make along.

    ``install`` is what pip is to install as repro. Raises ProjectError when there is no
    repro.yml, or a file is there already and not ``force``; nothing is written then.
    """
    config = find_config(root)
    if config is None:
        raise ProjectError(
            "there is no repro.yml: CI would not know what to run", hint="repro init writes one"
        )
    wanted = dict.fromkeys(("make", *kinds) if "github" in kinds else kinds)
    targets = {kind: root / _FILES[kind][1] for kind in wanted}
    there = [path for path in targets.values() if path.exists()]
    if there and not force:
        raise ProjectError(
            f"{printable(there[0].name)} is there already", hint="--force replaces it"
        )
    name = read_config(config).name or root.resolve().name
    for kind, path in targets.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as stream:
            stream.write(_text(_FILES[kind][0], image, install, name).encode("utf-8"))
    return CiFiles(
        written=tuple(str(path.relative_to(root)) for path in targets.values()),
        notes=tuple(_notes(install)),
    )


def _text(source: str, image: Reference, install: str, name: str) -> str:
    safe = "".join(char if char.isascii() and char.isalnum() else "-" for char in name).strip("-")
    place = f"oci://{image.host}/{image.repository}"
    return (
        template(source)
        .replace("@IMAGE@", place)
        .replace("@HOST@", image.host)
        .replace("@INSTALL@", _quoted(install))
        .replace("@NAME@", safe or "analysis")
    )


def _quoted(install: str) -> str:
    if any(char in install for char in "\"'\n\\$`"):
        raise ProjectError("--install holds a character that a shell would read otherwise")
    return f"'{install}'" if any(char in install for char in " <>&;|@#*") else install


def _notes(install: str) -> list[str]:
    return [
        f"repro itself is installed from {printable(install, 120)}: check that this is where yours "
        "comes from",
        "the registry must take pushes from CI: give it the rights, or log in before",
    ]
