"""``repro verify`` once its options are known; nothing here needs typer (``ahead``)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from repro.cli import context
from repro.cli.render import observer_for

if TYPE_CHECKING:
    from repro.model.outcome import Outcome
    from repro.workflows.opened import Opening
    from repro.workflows.reporting import Reports


def perform(
    *,
    archive: str,
    require: str,
    only: list[str],
    report: Path | None,
    junit: Path | None,
    markdown: Path | None,
    codecheck: Path | None,
    codechecker: str | None,
    badge: Path | None,
    timeout: float | None,
    memory: str | None,
    cpus: str | None,
    pids: str | None,
    disk: str | None,
    engine: str | None,
    pin_cpu: bool,
    require_seal: str,
    network: str,
    rtol: float | None,
    atol: float | None,
    json_: bool,
    schema: bool,
    fetch: bool,
    insecure: bool,
    quiet: bool,
    verbose: bool,
    opening: Opening | None = None,
) -> int:
    """Verify as the options say; the exit status. ``opening`` opens the archive."""
    from repro.model.limits import limits
    from repro.workflows.names import local_archive
    from repro.workflows.opened import Opened
    from repro.workflows.reporting import Reports, verify_and_report
    from repro.workflows.verify_request import VerifyRequest

    reports = Reports(
        html=report, junit=junit, markdown=markdown, codecheck=codecheck, badge=badge,
        codechecker=codechecker, now=context.created(),
    )  # fmt: skip
    _check_reports(reports)
    own = {k: repr(v) for k, v in (("rtol", rtol), ("atol", atol)) if v is not None}
    observer = observer_for(quiet=quiet, verbose=verbose)
    path, tag = local_archive(archive, context.environ(), insecure=insecure, observer=observer)
    bounds = limits(memory=memory, cpus=cpus, pids=pids, disk=disk)
    if fetch:
        from repro.workflows.fatten import whole_copy

        path = whole_copy(
            path, context.environ(), observer, engine=engine, limits=bounds,
            full_seal=_full(require_seal),
        )  # fmt: skip
    document, reproduced = verify_and_report(
        VerifyRequest(
            archive=path,
            tag=tag,
            environ=context.environ(),
            machine=context.machine(),
            required=outcome_of(require),
            timeout=timeout,
            limits=bounds,
            engine=engine,
            network=context.network(network),
            full_seal=_full(require_seal),
            reviewer=own or None,
            only=tuple(only),
            pin_cpu=pin_cpu,
            opening=opening or Opened,
        ),
        reports,
        observer,
    )
    if json_:
        context.print_json(document)
    else:
        context.print_verdict(document)
        for kind, file in reports.files.items():
            print(f"{kind}: {file}", file=sys.stderr)
    return 0 if reproduced else 1


def outcome_of(text: str) -> Outcome:
    """The bar a person named. Raises UsageError for anything else."""
    from repro.errors import UsageError
    from repro.model.outcome import Outcome

    bars = {"identical": Outcome.IDENTICAL, "equivalent": Outcome.EQUIVALENT,
            "close": Outcome.CLOSE}  # fmt: skip
    if text not in bars:
        raise UsageError("--require takes identical, equivalent or close")
    return bars[text]


def _full(text: str) -> bool:
    from repro.errors import UsageError

    if text not in ("any", "full"):
        raise UsageError("--require-seal takes any or full")
    return text == "full"


def _check_reports(reports: Reports) -> None:
    """A run of hours must not end at a folder that is not there, or without what was asked."""
    from repro.errors import UsageError

    if reports.codechecker is not None and reports.codecheck is None:
        raise UsageError("--codechecker goes with --codecheck FILE")
    for kind, file in reports.files.items():
        if not file.parent.is_dir():
            raise UsageError(f"there is no folder {file.parent} for the {kind}")
