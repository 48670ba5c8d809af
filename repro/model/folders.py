"""What folders and files of a project are by their names alone."""

from __future__ import annotations

from collections.abc import Collection

CACHES = frozenset(
    {
        ".git", "__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".mypy_cache",
        ".ruff_cache", ".cache", ".Rproj.user", ".Rhistory", ".RData", ".DS_Store", ".snakemake",
    }
)  # fmt: skip
"""Names that never count as a project's inputs, outputs or files."""

MARKS = frozenset({"pyvenv.cfg", "conda-meta"})
"""A folder with one of these in it is an environment."""

_NAMES = (
    "/node_modules", "/renv/library",
    "/.julia/packages", "/.julia/compiled", "/.julia/artifacts", "/.julia/registries",
    "/.julia/scratchspaces", "/.julia/environments", "/.julia/juliaup", "/.juliaup",
    "/perl5/lib/perl5", "/.m2/repository", "/.sdkman/candidates", "/.gem", "/go/pkg/mod",
    "/.cargo/registry", "/.rustup/toolchains", "/.nvm/versions", "/.opam", "/.ghcup",
    "/.local/share/octave", "/.config/octave",
)  # fmt: skip
"""Where package managers of languages keep what they installed; not, for instance, what Julia
keeps of one's own packages in ``.julia/dev``."""


def is_environment(folder: str, names: Collection[str]) -> bool:
    """Whether a folder (its path and the names in it) is a venv, a conda prefix, a
    library or a depot."""
    return not MARKS.isdisjoint(names) or f"/{folder}".endswith(_NAMES)
