"""Development installs in the lock: by name alone, with the commit of their source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from repro.model.lock import Grade, Lock
from repro.model.observation import PackageRef
from repro.model.ports import PackageIndex
from repro.workflows.repository import git_state


def name_editables(
    lock: Lock,
    packages: Iterable[PackageRef],
    indexes: Sequence[PackageIndex],
    environ: Mapping[str, str],
) -> Lock:
    """The lock with its development installs marked (facts ``editable``, ``commit``, ``changed``).

    Nothing that can be fetched gives their bytes, so they have neither URL nor hash; the
    number of changed files tells how far the commit is from what was packed.
    """
    by_name = {index.name: index for index in indexes}
    facts: dict[tuple[str, str, str], dict[str, str]] = {}
    for package in packages:
        folder = by_name[package.source].editable(package)
        if folder is not None:
            facts[(package.source, package.name, package.version)] = _facts(folder, environ)
    return replace(
        lock,
        packages=tuple(
            replace(each, url=None, hash=None, grade=Grade.NAME_ONLY, facts={**each.facts, **found})
            if (found := facts.get((each.source, each.name, each.version))) is not None
            else each
            for each in lock.packages
        ),
    )


def _facts(folder: str, environ: Mapping[str, str]) -> dict[str, str]:
    state = git_state(folder, environ)
    if state is None:
        return {"editable": "true"}
    return {
        "editable": "true",
        "commit": str(state["commit"]),
        "changed": str(state["changed_count"]),
    }
