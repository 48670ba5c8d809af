"""``repro check``: what would stop or spoil a rerun, said without running anything."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from repro.errors import ProjectError
from repro.primitives.texts import printable
from repro.project.audit_paths import Here
from repro.project.audit_project import audit_project
from repro.project.audit_shell import network_in_shell
from repro.project.config import Config, find_config, read_config
from repro.project.detect import Findings, plain_files, survey
from repro.project.finding import RISK, STOPS, Finding, in_order
from repro.workflows.foreseeing import foreseen
from repro.workflows.preparing import project_root
from repro.workflows.repository import git_state

_MAIN = ("main", "run", "run_all", "run-all", "runall", "analysis", "analyse", "analyze", "all")
_INIT = "`repro init` writes a repro.yml to begin with"


def check(folder: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """The document ``repro.check/1``.

    Raises ProjectError when ``folder`` is none; everything else that is wrong is a finding.
    """
    root = project_root(folder)
    here = here_of(root, environ)
    config, findings = _config(root)
    found = survey(root)
    audit = audit_project(plain_files(root), here, exclude=config.exclude if config else ())
    every = [*findings, *audit.findings, *_entry(config, found, root), *_steps(config)]
    every += _uncommitted(root, environ)
    every += _secrets(root, config)
    ordered = sorted(dict.fromkeys(every), key=in_order)
    stops = sum(finding.level == STOPS for finding in ordered)
    return {
        "schema": "repro.check/1",
        "root": root,
        "found": found.sentence(),
        "examined": audit.examined,
        "stops": stops,
        "risks": len(ordered) - stops,
        "findings": [{**finding.to_json(), "where": finding.where} for finding in ordered],
        "limits": list(audit.limits),
    }


def _secrets(root: str, config: Config | None) -> Iterator[Finding]:
    """Credentials in files that a snapshot would pack: it would be refused."""
    exclude, allow = (config.exclude, config.allow) if config else ((), ())
    for found in foreseen(root, exclude=exclude, allow=allow):
        yield Finding(
            code="secret", level=STOPS, path=found.path, line=found.line or None,
            text=f"looks like a secret ({found.kind}): a snapshot is refused",
            mend="take it out, or leave the file out (inputs.exclude); allow: [FILE] when it is none",
        )  # fmt: skip


def here_of(root: str, environ: Mapping[str, str]) -> Here:
    """This machine, as an audit of the project at ``root`` may know it."""
    return Here(root=root, home=environ.get("HOME") or "/nonexistent", exists=os.path.exists)


def _config(root: str) -> tuple[Config | None, list[Finding]]:
    """repro.yml, where there is one that can be read."""
    path = find_config(Path(root))
    if path is None:
        return None, []
    try:
        return read_config(path), []
    except ProjectError as error:
        finding = Finding(
            code="config", level=STOPS, path=path.name, text=error.message,
            mend=error.hint or "see docs/repro-yml.md for the fields",
        )  # fmt: skip
        return None, [finding]


def _entry(config: Config | None, found: Findings, root: str) -> Iterator[Finding]:
    """Whether it is clear what to run."""
    if config is not None:
        for path in config.notebooks:
            if not os.path.isfile(os.path.join(root, path)):
                yield Finding(
                    code="no-entry", level=STOPS, path=os.path.basename(config.path),
                    text=f"names the notebook {printable(path, 80)}, which is not there",
                    mend="correct `notebooks`",
                )  # fmt: skip
        if config.steps or config.notebooks:
            return
    if found.builds:
        return
    entries = [*found.notebooks, *found.scripts]
    if not entries:
        yield Finding(
            code="no-entry", level=STOPS, text="nothing in it says what to run, and nothing runnable "
            "was recognised", mend=f"say it: `repro snapshot -- COMMAND`; {_INIT}",
        )  # fmt: skip
        return
    mains = [path for path in entries if Path(path).stem.lower() in _MAIN]
    if len(entries) == 1 or len(mains) == 1:
        return
    names = ", ".join(printable(path, 40) for path in entries[:4])
    rest = f" and {len(entries) - 4} more" if len(entries) > 4 else ""
    yield Finding(
        code="no-entry", level=RISK, mend=_INIT,
        text=f"does not say which to run, and in which order: {names}{rest}",
    )  # fmt: skip


def _steps(config: Config | None) -> Iterator[Finding]:
    """Commands of repro.yml that ask the network."""
    for step in config.steps if config is not None else ():
        name = os.path.basename(config.path) if config is not None else "repro.yml"
        shell = step.argv[:3] == ("sh", "-e", "-c")
        for line in (step.argv[-1] if shell else shlex.join(step.argv)).splitlines():
            finding = network_in_shell(line, name, None)
            if finding is not None:
                yield finding


def _uncommitted(root: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    state = git_state(root, environ)
    if state is None or not state["changed_count"]:
        return
    count = state["changed_count"]
    first = str(state["changed"][0])
    yield Finding(
        code="uncommitted", level=RISK, mend="git commit, so that the commit names what was run",
        text=f"{count} change{'s' * (count != 1)} since the commit, such as "
        f"`{printable(first.strip(), 60)}`",
    )  # fmt: skip
