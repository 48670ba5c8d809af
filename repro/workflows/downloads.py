"""Hidden downloads: which program asked for which host, and in which line of the source."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path

from repro.model.observation import Connection, Observation, ProcessSeen
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable
from repro.project.audit_paths import Here
from repro.project.audit_project import audit_file
from repro.project.finding import Finding
from repro.workflows.log_trouble import Place, Trouble, host_of, trouble_in

HINT = (
    "name the file under `inputs.remote` in repro.yml ({url, sha256, path}) and read `path`, or "
    "download it into the project before the run"
)
_LOG_BYTES = 256 << 10
_DNS = 53
_MOST_LINES = 10
_SOURCES = (".py", ".pyw", ".r", ".rmd", ".qmd", ".sh", ".bash", ".mk", ".smk", ".ipynb")
_KERNELS = ("ipykernel_launcher", ".repro/notebook.py")
_FROM_LOG, _FROM_SOURCE = "from the log of the sealed run", "from reading the source"


@frozen
class _Candidate:
    """A line that may have asked; host and port where it names them."""

    place: Place
    host: str | None
    port: int | None
    how: str


@frozen
class _Wanted:
    """One program's attempts at one port: ``addresses`` as seen by the recorder."""

    program: str
    scripts: tuple[str, ...]
    addresses: tuple[str, ...]
    port: int | None
    local: bool


def read_log(path: Path) -> str:
    """The end of a run's log."""
    try:
        with path.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - _LOG_BYTES))
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""


def hidden_downloads(
    observation: Observation, log: str, here: Here, notebook: str | None
) -> tuple[str, ...]:
    """One line per host that the recorded run asked and a sealed rerun cannot reach.

    ``log`` is of the sealed rerun that failed ("" when it did not), ``notebook`` its step's.
    The source line comes from the log, else from reading the sources the run read.
    """

    def is_file(path: str) -> bool:
        return os.path.isfile(os.path.join(here.root, path))

    trouble = trouble_in(log, here.root, is_file, notebook) if log else None
    candidates = [*_logged(trouble), *_static(observation, here)]
    wanted = [
        each
        for each in _wanted(observation, here.root)
        if not each.local or _is_blamed(each, trouble, candidates)
    ]
    lines = []
    for each in wanted:
        lines.append(_line(each, candidates, trouble))
        # What failed first is what was asked first: a place in the log without a host is its.
        candidates = [c for c in candidates if c.how != _FROM_LOG or c.port is not None]
    if not wanted and trouble is not None:
        lines = list(_from_log_alone(trouble, candidates))
    return tuple(dict.fromkeys(lines))[:_MOST_LINES]


def _logged(trouble: Trouble | None) -> Iterator[_Candidate]:
    if trouble is None or trouble.place is None:
        return
    for host, port in trouble.hosts or ((None, None),):
        yield _Candidate(place=trouble.place, host=host, port=port, how=_FROM_LOG)


def _static(observation: Observation, here: Here) -> Iterator[_Candidate]:
    """Network calls in the project's sources that the run opened."""
    prefix = here.root + "/"
    paths = dict.fromkeys(
        posixpath.normpath(access.path)[len(prefix) :]
        for access in observation.accesses
        if posixpath.normpath(access.path).startswith(prefix) and not access.listed
    )
    for path in paths:
        name = posixpath.basename(path)
        if not name.lower().endswith((*_SOURCES, "makefile")) and name != "Snakefile":
            continue
        if any(part in f"/{path}" for part in ("/site-packages/", "/dist-packages/", "/.repro/")):
            continue
        for audited in audit_file(path, here):
            for finding in audited.findings:
                if finding.code == "network":
                    yield _candidate(finding)


def _candidate(finding: Finding) -> _Candidate:
    host, port = (host_of(finding.url) if finding.url else None) or (None, None)
    if host is not None and "{" in host:
        host = None
    place = Place(path=finding.path or "", line=finding.line, cell=finding.cell)
    return _Candidate(place=place, host=host, port=port, how=_FROM_SOURCE)


def _wanted(observation: Observation, root: str) -> list[_Wanted]:
    """The attempts, one for each program and port; name look-ups only where nothing followed."""
    groups: dict[tuple[int | None, int | None, bool], list[str]] = {}
    for seen in observation.connections:
        if seen.family in ("inet", "inet6"):
            key = (seen.process, seen.port, is_local(seen))
            groups.setdefault(key, []).append(seen.address)
    asked = {process for process, port, _ in groups if port != _DNS}
    found = []
    for (number, port, local), addresses in groups.items():
        process = _process(observation.processes, number)
        if port == _DNS and (number in asked or local):
            continue
        found.append(
            _Wanted(
                program="a program" if process is None else _program(process),
                scripts=() if process is None else tuple(_scripts(process, root)),
                addresses=tuple(dict.fromkeys(addresses)),
                port=port,
                local=local,
            )
        )
    return found


def _process(processes: Sequence[ProcessSeen], number: int | None) -> ProcessSeen | None:
    return processes[number] if number is not None and number < len(processes) else None


def _program(process: ProcessSeen) -> str:
    """``python analysis.py``, ``R a.R``: the command line without folders and R's own options."""
    words = [word.removeprefix("--file=") for word in process.argv if not word.startswith("--no-")]
    return " ".join([posixpath.basename(words[0]), *words[1:7]]) if words else "a program"


def _scripts(process: ProcessSeen, root: str) -> Iterator[str]:
    """Project files among a command line's words, ``--file=a.R`` of R included."""
    for word in process.argv[:16]:
        path = posixpath.normpath(posixpath.join(process.cwd, word.removeprefix("--file=")))
        if path.startswith(root + "/") and posixpath.basename(path):
            yield path[len(root) + 1 :]


def is_local(seen: Connection) -> bool:
    """Whether a connection stays on this machine."""
    return seen.address.startswith("127.") or seen.address in ("::1", "0.0.0.0", "::") or (
        seen.address.startswith("::ffff:127.")
    )  # fmt: skip


def _is_blamed(wanted: _Wanted, trouble: Trouble | None, candidates: Sequence[_Candidate]) -> bool:
    """Whether a service of this machine is what the failed rerun missed.

    Most talk by loopback works sealed as well: a notebook's kernel with its client, workers.
    """
    if trouble is None:
        return False
    if trouble.hosts:
        return wanted.port in {port for _, port in trouble.hosts}
    ports = {each.port for each in candidates if each.port is not None}
    if ports:
        return wanted.port in ports
    return trouble.refused and not any(kernel in wanted.program for kernel in _KERNELS)


def _fits(wanted: _Wanted, candidate: _Candidate) -> int:
    """How well a line explains an attempt: 0 not at all."""
    if candidate.port is not None and candidate.port != wanted.port and wanted.port != _DNS:
        return 0
    if _is_address(candidate.host) and candidate.host not in wanted.addresses:
        return 0
    return (
        1
        + 4 * (candidate.port is not None)
        + 8 * (candidate.how == _FROM_LOG)
        + (candidate.place.path in wanted.scripts)
    )


def _is_address(host: str | None) -> bool:
    return host is not None and (":" in host or host.replace(".", "").isdigit())


def _line(wanted: _Wanted, candidates: Sequence[_Candidate], trouble: Trouble | None) -> str:
    ranked = [(_fits(wanted, each), each) for each in candidates]
    best = max((rank for rank, _ in ranked), default=0)
    chosen = [each for rank, each in ranked if rank == best and best > 0]
    program = printable(wanted.program, 80)
    target = _target(wanted, chosen, trouble)
    if not chosen:
        return f"{program} wanted {target}; which line asked is not known"
    places = " or ".join(dict.fromkeys(_shown(each.place) for each in chosen[:3]))
    return f"{places} ({chosen[0].how}): {program} wanted {target}"


def _target(wanted: _Wanted, chosen: Sequence[_Candidate], trouble: Trouble | None) -> str:
    """``data.org port 443 (10.0.0.1)``: the name where one is known, and the addresses."""
    names = [each.host for each in chosen if each.host is not None]
    if not names and trouble is not None:
        names = [host for host, port in trouble.hosts if port in (None, wanted.port)]
    addresses = ", ".join(wanted.addresses[:3])
    if wanted.port == _DNS:
        looked = printable(names[0], 80) if names else "a name"
        return f"{looked} (only its look-up was seen, at {addresses} port 53)"
    port = f" port {wanted.port}" if wanted.port is not None else ""
    here = ", a service of this machine that is not in the archive" if wanted.local else ""
    if names and names[0] not in wanted.addresses:
        return f"{printable(names[0], 80)}{port} ({addresses}){here}"
    return f"{addresses}{port}{here}"


def _from_log_alone(trouble: Trouble, candidates: Sequence[_Candidate]) -> Iterator[str]:
    """Where the recorder saw no attempt, the log still speaks of one."""
    for host, port in trouble.hosts or ((None, None),):
        known = [each for each in candidates if each.host in (None, host)][:1]
        place = f"{_shown(known[0].place)} ({known[0].how}): " if known else ""
        target = printable(host, 80) if host is not None else "the network"
        yield f"{place}wanted {target}{f' port {port}' if port is not None else ''}"


def _shown(place: Place) -> str:
    cell = f" cell {place.cell}" if place.cell is not None else ""
    line = f":{place.line}" if place.line is not None else ""
    return f"{printable(place.path, 120)}{cell}{line}"
