"""Which kernel a notebook wants, whether a Python finds it, and how it is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.errors import ProjectError
from repro.primitives import process
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable

_INSTALL = {
    "r": "apt install r-cran-irkernel, or in R: install.packages('IRkernel'); "
    "IRkernel::installspec()",
    "julia": """julia -e 'using Pkg; Pkg.add("IJulia")'""",
    "bash": "pip install bash_kernel && python -m bash_kernel.install --sys-prefix",
    "octave": "pip install octave_kernel (and apt install octave)",
    "matlab": "pip install jupyter-matlab-proxy (MATLAB itself is under licence)",
    "sos": "pip install sos-notebook && python -m sos_notebook.install --sys-prefix",
    "stata": "pip install nbstata && python -m nbstata.install --sys-prefix",
    "scheme": "pip install calysto_scheme && python -m calysto_scheme install --sys-prefix",
    "typescript": "deno jupyter --install",
    "javascript": "deno jupyter --install",
    "c++": "conda install -c conda-forge xeus-cling",
    "sage": "conda install -c conda-forge sage",
    "rust": "cargo install evcxr_jupyter && evcxr_jupyter --install",
    "go": "go install github.com/janpfeifer/gonb@latest && gonb --install",
}
"""By the language that a notebook names: what its kernel's own documentation says."""

_PROBE = """
import json, shutil
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
import sys
manager = KernelSpecManager()
said = {"kernels": sorted(manager.find_kernel_specs()), "program": None, "found": False}
try:
    program = manager.get_kernel_spec(sys.argv[1]).argv[0]
    said.update(program=program, found=shutil.which(program) is not None)
except NoSuchKernel:
    pass
print(json.dumps(said))
"""


@frozen
class Kernel:
    """The kernel that a notebook names, and the language it is for (both may be anything)."""

    name: str
    language: str

    def hint(self) -> str:
        """How it is installed."""
        language = self.language.lower()
        if language in ("python", "python3", "ipython", ""):
            if self.name in ("python3", "python"):
                return "pip install ipykernel (in the environment of the analysis)"
            named = printable(self.name, 60)
            return (
                f"choose the kernel python3 in the notebook, or: pip install ipykernel && "
                f"python -m ipykernel install --sys-prefix --name {named}"
            )
        return _INSTALL.get(
            language,
            f"install a kernel for {printable(self.language, 40)} that is called "
            f"{printable(self.name, 60)}; `jupyter kernelspec list` shows those that are there",
        )


@frozen
class Kernels:
    """What a Python says: all kernels it finds; of the wanted one its program (None: there is
    no such kernel) and whether that can be started."""

    names: tuple[str, ...]
    program: str | None
    found: bool


def kernel_of(notebook: Path) -> Kernel:
    """The kernel a notebook asks for; python3 when it names none.

    Raises ProjectError when it is no notebook.
    """
    try:
        document = json.loads(notebook.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ProjectError(
            f"{printable(notebook.name)} is no notebook: {printable(str(error), 100)}",
            slug="notebook",
        ) from None
    metadata = _mapping(_mapping(document).get("metadata"))
    spec = _mapping(metadata.get("kernelspec"))
    language = spec.get("language") or _mapping(metadata.get("language_info")).get("name")
    return Kernel(name=str(spec.get("name") or "python3"), language=str(language or ""))


def kernels(
    python: str, wanted: str, *, cwd: str, environment: Mapping[str, str]
) -> Kernels | None:
    """What this Python finds; None when it has no jupyter_client."""
    probe = process.run(
        [python, "-c", _PROBE, wanted], cwd=cwd, environment=environment, timeout=60
    )
    try:
        said = json.loads(probe.stdout) if probe.exit == 0 else None
        if said is None:
            return None
        return Kernels(names=tuple(said["kernels"]), program=said["program"], found=said["found"])
    except (ValueError, KeyError, TypeError):
        return None


def missing(wanted: Kernel, notebook: str, seen: Kernels) -> ProjectError:
    """The error of a notebook whose kernel cannot be started."""
    named = printable(wanted.name, 60)
    if seen.program is None:
        problem = f"the kernel {named} of {printable(notebook)} is not installed"
    else:
        program = printable(seen.program)
        problem = f"the kernel {named} of {printable(notebook)} cannot be started: no {program}"
    there = ", ".join(printable(name, 60) for name in seen.names) or "none"
    return ProjectError(
        problem, hint=wanted.hint(), details=[f"installed kernels: {there}"], slug="kernel"
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
