"""What git says about the project, for the circumstances (never at verify)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.primitives import process

_MAX_CHANGED = 1000


def git_state(root: str, environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Commit, branch and changed files, or None outside a repository or without git."""
    if not any((folder / ".git").exists() for folder in (Path(root), *Path(root).parents)):
        return None
    quiet = {
        "PATH": environ.get("PATH", ""),
        "HOME": environ.get("HOME", "/"),
        "LC_ALL": "C",
        "GIT_OPTIONAL_LOCKS": "0",
    }

    def git(*words: str) -> str | None:
        done = process.run(["git", *words], cwd=root, environment=quiet, timeout=30)
        return done.stdout.decode("utf-8", "replace") if done.exit == 0 else None

    commit = git("rev-parse", "--verify", "HEAD")
    changed = git("status", "--porcelain=v1", "--untracked-files=normal", "--", ".")
    if commit is None or not re.fullmatch(r"[0-9a-f]{40,64}", commit.strip()):
        return None
    lines = (changed or "").splitlines()
    return {
        "commit": commit.strip(),
        "branch": (git("rev-parse", "--abbrev-ref", "HEAD") or "").strip(),
        "changed": lines[:_MAX_CHANGED],
        "changed_count": len(lines),
    }
