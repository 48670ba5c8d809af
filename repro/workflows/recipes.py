"""Texts about an image for people and for other tools: a Dockerfile, an Apptainer definition.

Names, paths and commands come from the archive, so from a stranger: what could end a line
or a word of these formats is quoted, or the recipe says that it cannot hold it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from repro.errors import UsageError
from repro.model.recording import Claims
from repro.primitives.texts import printable

_VERSION = re.compile(r"[A-Za-z0-9.+:~_!-]+")
_BASES = {"debian": "debian", "ubuntu": "ubuntu"}


def dockerfile(
    claims: Claims, circumstances: Mapping[str, Any], lock: Mapping[str, Any], digest: str
) -> str:
    """A recipe with pinned versions, to read and to rebuild from the project's folder.

    What it gives is near to the archive's image, not equal to it: it says so.
    """
    packages = [each for each in lock.get("packages", []) if isinstance(each, dict)]
    lines = [
        f"# {_comment(claims.title or claims.name)}",
        f"# Written by `repro export --dockerfile` from {digest}.",
        "# A recipe for reading and rebuilding: the archive itself is the exact image.",
        "# Build it in the project's folder (`repro extract ARCHIVE FOLDER`).",
        f"FROM {_base(circumstances)}",
        *_apt(packages),
        *_pip(packages),
        *_others(packages),
        f"WORKDIR {json.dumps(claims.root)}",
        "COPY . .",
        *(
            f"ENV {name}={json.dumps(value).replace('$', chr(92) + '$')}"
            for name, value in sorted(claims.environment.items())
            if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and name not in ("PATH", "HOME")
        ),
        *_command(claims),
    ]
    return "\n".join(lines) + "\n"


def apptainer_definition(claims: Claims, digest: str, source: str) -> str:
    """A definition file (Apptainer user guide, "Definition Files") over an image archive.

    ``source`` is ``BOOTSTRAP\\nFrom: FILE``. Raises UsageError when a command holds a line
    break, which the format cannot.
    """
    commands = [shlex.join(step.argv) for step in claims.steps]
    variables = {
        name: shlex.quote(value)
        for name, value in sorted(claims.environment.items())
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
    }
    for text in (*commands, *variables.values(), claims.root, source.split("\n", 1)[1]):
        if "\n" in text:
            raise UsageError(f"a definition file cannot hold {printable(text, 60)!r}")
    lines = [
        f"Bootstrap: {source}",
        "",
        "%labels",
        f"    org.repro.config {digest}",
        "",
        "%environment",
        *(f"    export {name}={value}" for name, value in variables.items()),
        "",
        "%runscript",
        f"    cd {shlex.quote(claims.root)}",
        *(f"    {command} || exit" for command in commands),
        "",
        "%help",
        "    Build: apptainer build paper.sif THIS-FILE",
        "    Run:   apptainer run --containall --net --network none --writable-tmpfs paper.sif",
    ]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    return printable(text, 200)


def _base(circumstances: Mapping[str, Any]) -> str:
    host = circumstances.get("host")
    name = str(host.get("distribution", "")) if isinstance(host, dict) else ""
    match = re.match(r"(Debian|Ubuntu)\D*(\d+(?:\.\d+)?)", name)
    if match is None:
        return "debian:stable-slim"
    base = _BASES[match.group(1).lower()]
    return f"{base}:{match.group(2)}" + ("-slim" if base == "debian" else "")


def _pinned(packages: list[dict[str, Any]], source: str) -> Iterator[tuple[str, str]]:
    for each in packages:
        name, version = str(each.get("name")), str(each.get("version"))
        if (
            each.get("source") == source
            and _VERSION.fullmatch(name)
            and _VERSION.fullmatch(version)
        ):
            yield name, version


def _apt(packages: list[dict[str, Any]]) -> Iterator[str]:
    names = [f"{name}={version}" for name, version in _pinned(packages, "apt")]
    if names:
        yield "RUN apt-get update && apt-get install -y --no-install-recommends --allow-downgrades \\"
        for name in names[:-1]:
            yield f"    {name} \\"
        yield f"    {names[-1]}"


def _pip(packages: list[dict[str, Any]]) -> Iterator[str]:
    names = [f"{name}=={version}" for name, version in _pinned(packages, "pip")]
    if names:
        yield "RUN python3 -m pip install --break-system-packages \\"
        for name in names[:-1]:
            yield f"    {name} \\"
        yield f"    {names[-1]}"


def _others(packages: list[dict[str, Any]]) -> Iterator[str]:
    for each in packages:
        if each.get("source") not in ("apt", "pip"):
            shown = f"{each.get('source')}: {each.get('name')} {each.get('version')}"
            yield f"# also in the image, to be installed by hand: {_comment(shown)}"


def _command(claims: Claims) -> Iterator[str]:
    if len(claims.steps) == 1:
        yield f"CMD {json.dumps(list(claims.steps[0].argv))}"
        return
    joined = " && ".join(shlex.join(step.argv) for step in claims.steps)
    yield f"CMD {json.dumps(['/bin/sh', '-c', joined])}"
