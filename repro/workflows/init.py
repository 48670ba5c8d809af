"""``repro init``: a repro.yml with what could be found, and nothing that is inferred anyway."""

from __future__ import annotations

from pathlib import Path

import yaml

from repro.errors import ProjectError
from repro.primitives.files import atomic_write
from repro.primitives.resources import template
from repro.primitives.texts import printable
from repro.project.config import find_config, read_config
from repro.project.detect import Findings, survey

_RUNNERS = {
    ".py": "python {}", ".r": "Rscript {}", ".jl": "julia {}", ".sh": "sh {}", ".m": "octave {}",
}  # fmt: skip


def init(root: Path, *, force: bool) -> tuple[Path, str]:
    """Write repro.yml; its path and text. Raises ProjectError when one is there already."""
    if not root.is_dir():
        raise ProjectError(f"{printable(str(root))} is not a folder")
    existing = find_config(root)
    if existing is not None and not force:
        raise ProjectError(f"{existing.name} is there already", hint="--force replaces it")
    text = starter(survey(str(root.resolve())))
    path = existing or root / "repro.yml"
    with atomic_write(path) as stream:
        stream.write(text.encode("utf-8"))
    read_config(path)
    return path, text


def starter(found: Findings) -> str:
    """The text of a repro.yml for what was found."""
    lines = _what_to_run(found)
    return template("repro.yml").replace("@RUN@", "\n".join(lines))


def _what_to_run(found: Findings) -> list[str]:
    if found.builds and found.builds[0].lower().endswith("makefile"):
        return ["run: make"]
    if "Snakefile" in found.builds:
        return ["run: snakemake --cores 1"]
    if found.notebooks:
        return ["notebooks:", *(f"  - {_quoted(path)}" for path in found.notebooks)]
    scripts = [
        (path, _RUNNERS[suffix])
        for path in found.scripts
        if (suffix := Path(path).suffix.lower()) in _RUNNERS
    ]
    if len(scripts) == 1:
        path, runner = scripts[0]
        return [f"run: {_quoted(runner.format(path))}"]
    if scripts:
        lines = ["# Several scripts were found: keep the steps you need, in their order.", "steps:"]
        for path, runner in scripts:
            lines.append(f"  - {{name: {_quoted(Path(path).stem)}, "
                         f"run: {_quoted(runner.format(path))}}}")  # fmt: skip
        return lines
    return ["# Nothing runnable was recognised. Say what to run:", "# run: make all"]


def _quoted(text: str) -> str:
    return yaml.safe_dump(text, width=10_000, allow_unicode=True).strip().removesuffix("\n...")
