"""The environment of the recording, the self-test and the rerun: by allow-list only.

A variable that is not named here never enters an archive (safety.md, P32).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from repro.errors import ProjectError
from repro.primitives.frozen import frozen

FIXED: Mapping[str, str] = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MPLBACKEND": "Agg",
}
"""Set to these values for every run; repro.yml may override them."""

TAKEN = (
    "PATH", "HOME", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYTHONPATH",
    "R_LIBS", "R_LIBS_USER", "R_LIBS_SITE", "JUPYTER_PATH", "LD_LIBRARY_PATH", "PERL5LIB",
    "NODE_PATH", "JULIA_PROJECT", "JULIA_DEPOT_PATH", "JULIA_LOAD_PATH", "JULIA_NUM_THREADS",
    "JAVA_HOME", "CLASSPATH", "OCTAVE_PATH", "RUBYLIB", "GEM_HOME", "GEM_PATH", "LUA_PATH",
    "LUA_CPATH", "GOPATH",
    "CC", "CXX", "FC", "F77", "CPPFLAGS", "CFLAGS", "CXXFLAGS", "FFLAGS", "LDFLAGS",
    "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "PKG_CONFIG_PATH",
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "NPY_DISABLE_CPU_FEATURES", "MKL_CBWR",
)  # fmt: skip
"""Taken from the author's shell when set there: where things are found, what compiles them and
how, and how many threads."""

DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


_SECRET = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|(?:API|ACCESS|PRIVATE|AUTH)_?KEY|_PAT$", re.I
)


@frozen
class RunEnvironment:
    """``values`` is exactly what the program gets. ``altered`` lists the names whose value
    differs from the author's shell. ``cache`` is the scratch folder of XDG_CACHE_HOME."""

    values: Mapping[str, str]
    altered: tuple[str, ...]
    cache: str


def cache_folder(root: str) -> str:
    """The scratch folder that XDG_CACHE_HOME names for the project at ``root``."""
    hashed = hashlib.sha256(root.encode("utf-8", "surrogateescape")).hexdigest()
    return f"/tmp/repro-cache-{hashed[:12]}"


def build(
    environ: Mapping[str, str], *, root: str, clamp: int, variables: Mapping[str, str]
) -> RunEnvironment:
    """The environment of a run of the project at ``root``, the same in record and rerun."""
    cache = cache_folder(root)
    values = {name: environ[name] for name in TAKEN if environ.get(name)}
    values.setdefault("PATH", DEFAULT_PATH)
    values.setdefault("HOME", "/nonexistent")
    values.update(FIXED)
    values["SOURCE_DATE_EPOCH"] = str(clamp)
    values["XDG_CACHE_HOME"] = cache
    # The commands ever typed are never read, nor is anything added to them: IPython keeps them
    # beside its settings, Octave and the shell of a notebook write them even for a script.
    values["IPYTHONDIR"] = f"{cache}/ipython"
    values["OCTAVE_HISTFILE"] = f"{cache}/octave_history"
    values["HISTFILE"] = f"{cache}/history"
    values.update(variables)
    altered = tuple(
        sorted(n for n, value in values.items() if n in environ and environ[n] != value)
    )
    return RunEnvironment(values=dict(sorted(values.items())), altered=altered, cache=cache)


def passed(words: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that ``NAME`` (as in the author's shell) and ``NAME=VALUE`` ask for.

    Their values are written into the archive. Raises ProjectError when a name is not set in
    the shell, or says that its value is a secret.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            if _SECRET.search(name):
                raise ProjectError(
                    f"the variable {name} looks like a secret: its value would be in the archive",
                    hint=f"if it is none, say its value: --env {name}=VALUE",
                    slug="secret-variable",
                )
            if name not in environ:
                raise ProjectError(
                    f"the variable {name} is not set in your shell",
                    hint=f"export it, or say its value: --env {name}=VALUE",
                    slug="variable",
                )
            value = environ[name]
        found[name] = value
    return found
