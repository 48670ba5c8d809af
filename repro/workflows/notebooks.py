"""A notebook as a step: which Python executes it, and the runner that travels along."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from repro.errors import ProjectError
from repro.model.step import Step
from repro.primitives.resources import template
from repro.primitives.texts import printable
from repro.workflows.kernels import Kernels, kernel_of, kernels, missing

RUNNER = ".repro/notebook.py"
"""Where the runner lies in a project that has notebooks (and in its archive)."""


def notebook_step(root: str, notebook: str, environment: Mapping[str, str]) -> Step:
    """The step that executes ``notebook`` (relative to the project) in place.

    Raises ProjectError when the notebook is not there, no Python with jupyter_client is, or
    none of those finds the notebook's kernel.
    """
    if not (Path(root) / notebook).is_file():
        raise ProjectError(f"there is no notebook {printable(notebook)}", slug="notebook")
    python = _python(root, notebook, environment)
    return Step(name=Path(notebook).stem, argv=(python, RUNNER, notebook), notebook=notebook)


def runner_files() -> Mapping[str, bytes]:
    """What is placed into a project with notebooks before its run."""
    return {RUNNER: template("notebook_runner.py").encode("utf-8")}


def _python(root: str, notebook: str, environment: Mapping[str, str]) -> str:
    """The first Python that can start the notebook's kernel."""
    wanted = kernel_of(Path(root) / notebook)
    tried = []
    without: Kernels | None = None
    for candidate in dict.fromkeys(_candidates(root, environment)):
        seen = kernels(candidate, wanted.name, cwd=root, environment=environment)
        if seen is not None and seen.found:
            return candidate
        without = without or seen
        tried.append(candidate)
    if without is not None:
        raise missing(wanted, notebook, without)
    raise ProjectError(
        "no Python with jupyter_client was found to execute the notebook",
        hint="pip install ipykernel (in the environment of the analysis)",
        details=[f"tried {printable(path)}" for path in tried],
        slug="notebook-python",
    )


def _candidates(root: str, environment: Mapping[str, str]) -> Iterator[str]:
    path = environment.get("PATH", "")
    if environment.get("VIRTUAL_ENV"):
        yield str(Path(environment["VIRTUAL_ENV"]) / "bin" / "python")
    for folder in (".venv", "venv", "env"):
        if (Path(root) / folder / "pyvenv.cfg").is_file():
            yield str(Path(root) / folder / "bin" / "python")
    for name in ("python3", "python"):
        found = shutil.which(name, path=path)
        if found:
            yield found
    jupyter = shutil.which("jupyter", path=path)
    if jupyter:
        with open(jupyter, "rb") as stream:
            first = stream.readline(4096)
        if first.startswith(b"#!/") and b"python" in first:
            yield first[2:].decode("utf-8", "replace").strip().split()[0]
