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
        return done.stdout.decode("utf-8", "surrogateescape") if done.exit == 0 else None

    commit = git("rev-parse", "--verify", "HEAD")
    if commit is None or not re.fullmatch(r"[0-9a-f]{40,64}", commit.strip()):
        return None
    status = git(
        "status", "--porcelain=v1", "-z", "--untracked-files=normal", "--ignored", "--", "."
    )
    lines = _lines(status or "")
    changed = [line for line in lines if not line.startswith("!! ")]
    ignored = [line[3:] for line in lines if line.startswith("!! ")]
    return {
        "commit": commit.strip(),
        "branch": (git("rev-parse", "--abbrev-ref", "HEAD") or "").strip(),
        "prefix": (git("rev-parse", "--show-prefix") or "").removesuffix("\n"),
        "changed": changed[:_MAX_CHANGED],
        "changed_count": len(changed),
        "ignored": ignored[:_MAX_CHANGED],
        "ignored_count": len(ignored),
        # Without it nobody may say that a file is as it was committed.
        "complete": status is not None and max(len(changed), len(ignored)) <= _MAX_CHANGED,
    }


def git_author(root: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Name and mail address that git would commit with there; empty where it has none."""
    settings = {
        "PATH": environ.get("PATH", ""), "HOME": environ.get("HOME", "/"), "LC_ALL": "C",
    }  # fmt: skip
    found = []
    for key in ("user.name", "user.email"):
        done = process.run(
            ["git", "config", "--get", key], cwd=root, environment=settings, timeout=30
        )
        found.append(
            done.stdout.decode("utf-8", "surrogateescape").strip() if done.exit == 0 else ""
        )
    return found[0], found[1]


def _lines(status: str) -> list[str]:
    """``XY PATH`` of each entry, paths from the top of the repository (git-status(1), -z)."""
    fields = iter(status.split("\0"))
    found = []
    for line in fields:
        if line:
            found.append(line)
            if line[0] in "RC":  # the name it had before follows as a field of its own
                next(fields, None)
    return found


def file_state(git: Mapping[str, Any], path: str) -> str | None:
    """How a file (relative to the project) stood to the commit of ``git_state``.

    ``committed``, ``changed`` (since the commit), ``uncommitted`` (git knew or ignored it, but
    no commit holds it), or None when the recording does not tell.
    """
    prefix = git.get("prefix")
    if not isinstance(prefix, str) or git.get("complete") is not True:
        return None
    name = prefix + path
    for line in git.get("changed", []):
        if isinstance(line, str) and _covers(line[3:], name):
            return "uncommitted" if set(line[:2]) & set("?ARC") else "changed"
    for other in git.get("ignored", []):
        if isinstance(other, str) and _covers(other, name):
            return "uncommitted"
    return "committed"


def _covers(entry: str, name: str) -> bool:
    """Whether an entry of git-status(1) is this file or a folder (also a submodule) above it."""
    return name == entry or name.startswith(entry.rstrip("/") + "/")
