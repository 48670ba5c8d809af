"""``repro verify``: check every digest, rerun sealed, judge against the recorded results."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.errors import RerunFailed, RuntimeUnavailable
from repro.model.lock import Lock
from repro.model.ports import OutputFile, Sandbox, Seal
from repro.model.recording import Recording
from repro.model.usage import Usage
from repro.primitives.aside import Aside
from repro.primitives.events import Event, EventKind, Observer, done, silent
from repro.primitives.frozen import frozen
from repro.primitives.texts import human_size, printable
from repro.runtime.choose import choose
from repro.store.archive import Archive, VersionInfo
from repro.workflows.expectation import Expectation, expectation
from repro.workflows.opened import Opened
from repro.workflows.places import proofs, runs_root, scratch
from repro.workflows.rerun import Rerun, Terms, how_it_ended, rerun, step_text
from repro.workflows.selection import Selection, select
from repro.workflows.verify_request import VerifyRequest

if TYPE_CHECKING:
    from repro.model.pinned import Pinned
    from repro.model.verdict import Verdict
    from repro.workflows.numerics import Blas


@frozen
class Verification:
    """A finished verification. ``recorded`` and ``produced`` stay readable inside
    ``verified`` (the context) only."""

    path: Path
    name: str
    tag: str
    digest: str
    recording: Recording
    selection: Selection
    expected: Expectation
    verdict: Verdict
    seal: Seal
    rerun: Rerun
    layers: tuple[str, ...]
    lock: Mapping[str, Any]
    recorded: Mapping[str, OutputFile]
    host: Mapping[str, object]
    blas: tuple[Blas, ...] = ()
    pinned: Pinned | None = None


class Verifier:
    """A verification as a context: its scratch folder lives until the report is written."""

    def __init__(self, request: VerifyRequest, opened: Opened, observer: Observer = silent) -> None:
        """``opened`` is the archive of the request; its layers may still be being checked."""
        self._request = request
        self._observer = observer
        self._opened = opened
        self._archive = opened.archive
        self._folders = ExitStack()

    def __enter__(self) -> Verification:
        with self._folders as folders:
            folder = scratch(runs_root(self._request.environ), "verify")
            found = self._verify(folders.enter_context(folder))
            self._folders = folders.pop_all()
            return found

    def __exit__(self, *exception: object) -> None:
        self._folders.close()

    def _verify(self, folder: Path) -> Verification:
        request = self._request
        version = self._opened.version
        recording = self._archive.recording(version)
        selection = select(recording, request.only)
        sandbox = choose(request.engine, proofs(request.environ))
        checked = self._archive.verify_small(version)
        recorded = self._archive.results(version)
        # Every document is read before anything of the image runs.
        lock = self._archive.lock_json(version)
        Lock.parse(lock)
        inputs = input_digests(self._archive, version, recording)
        seal = sandbox.seal(request.network, request.limits.over(recording.claims.limits))
        layers = self._opened.layers()
        size = human_size(sum(layer.descriptor.size for layer in version.layers))
        self._note(
            "archive",
            f"{checked + len(layers)} blobs intact · {len(layers)} layers, {size}",
            time.monotonic() - self._opened.since,
        )
        if request.full_seal:
            check_full(seal)
        self._note("sealed", seal_text(seal, request.network))
        expected = self._expect(recording, selection, folder)
        outcome = self._rerun(sandbox, layers, selection, folder, expected.usage)
        wanted = {output.path for output in selection.claims.outputs} if request.only else None
        recorded = {p: o for p, o in recorded.items() if wanted is None or p in wanted}
        from repro.observe.host import host_facts

        verdict = self._judge(inputs, selection, recorded, outcome)
        blas, pinned = self._numerics(
            sandbox, layers, folder, verdict, recording, selection,
            lambda again: self._judge(inputs, selection, recorded, again),
        )  # fmt: skip
        return Verification(
            path=request.archive,
            name=recording.claims.name,
            tag=version.tag,
            digest=str(version.config_digest),
            recording=recording,
            selection=selection,
            expected=expected,
            verdict=verdict,
            seal=seal,
            rerun=outcome,
            layers=tuple(layers),
            lock=lock,
            recorded=recorded,
            host=host_facts(),
            blas=blas,
            pinned=pinned,
        )

    def _numerics(
        self, sandbox: Sandbox, layers: list[str], folder: Path, verdict: Verdict,
        recording: Recording, selection: Selection, judge: Callable[[Rerun], Verdict],
    ) -> tuple[tuple[Blas, ...], Pinned | None]:  # fmt: skip
        """Where outputs drifted: this machine's BLAS kernels, and the pinned rerun if asked for."""
        from repro.model.pinned import drifted

        before = drifted(verdict)
        if not before:
            return (), None
        # Seldom needed, so loaded here alone (docs/decisions/0005).
        from repro.observe.processor import flags
        from repro.workflows.numerics import Blas, Numerics
        from repro.workflows.pinning import pin, setting

        claims = selection.claims
        limits = self._request.limits.over(claims.limits)
        asked = Numerics(sandbox, layers, claims, folder / "asked", limits)
        blas = tuple(asked.blas(each.path) for each in Blas.recorded(recording.circumstances))
        if not self._request.pin_cpu:
            return blas, None
        cpus = os.sched_getaffinity(0)
        wanted = setting(
            recording.circumstances, claims, flags(), cpus, sandbox.guises, asked
        )  # fmt: skip
        (folder / "pinned").mkdir()
        return blas, pin(
            before, wanted, sandbox=sandbox, layers=layers, claims=claims,
            folder=folder / "pinned", terms=self._terms(), judge=judge, observer=self._observer,
        )  # fmt: skip

    def _terms(self) -> Terms:
        request = self._request
        return Terms(timeout=request.timeout, network=request.network, limits=request.limits)

    def _expect(self, recording: Recording, selection: Selection, folder: Path) -> Expectation:
        """Say what is to be expected before it begins, and what of it this machine lacks."""
        claims = selection.claims
        found = expectation(
            recording,
            {step.name for step in claims.steps},
            sum(output.size for output in claims.outputs),
        )
        self._note("expect", found.sentence())
        for text in (*found.shortages(folder), *filter(None, [selection.why])):
            self._observer(Event(kind=EventKind.WARNING, phase="expect", text=text))
        return found

    def _judge(
        self,
        inputs: Mapping[str, str],
        selection: Selection,
        recorded: Mapping[str, OutputFile],
        outcome: Rerun,
    ) -> Verdict:
        # Loaded only now: the analysis does not wait for its judge (bench/README.md).
        from repro.compare.judge import judge

        return judge(
            recorded,
            outcome.produced,
            rules={o.path: (o.required, o.compare) for o in selection.claims.outputs},
            required=self._request.required,
            declared=selection.claims.declared,
            reviewer_options=self._request.reviewer,
            input_digests=inputs,
        )

    def _rerun(
        self, sandbox: Sandbox, layers: list[str], selection: Selection, folder: Path,
        author: Usage,
    ) -> Rerun:  # fmt: skip
        claims = selection.claims
        with Aside(self._opened.check_untouched) as looked:
            outcome = rerun(sandbox, layers, claims, folder, self._terms(), observer=self._observer)
        looked.result()
        if outcome.exit != 0:
            raise rerun_failed(outcome, selection.left_out)
        text = printable(" && ".join(step_text(step) for step in claims.steps), 100)
        self._note("run", f"{text} · exit 0", outcome.seconds)
        self._note("used", f"{outcome.usage.text(author)}{_OF_AUTHOR}")
        for note in outcome.notes:
            self._observer(Event(kind=EventKind.WARNING, phase="run", text=note))
        return outcome

    def _note(self, phase: str, text: str, seconds: float | None = None) -> None:
        self._observer(done(phase, text, seconds))


_OF_AUTHOR = " (in brackets: the author's run)"
_ENDED = {True: "timeout", False: "rerun-failed"}
INHERENT = frozenset({"host facts"})
"""What no engine hides and ``--require-seal full`` does not ask for."""


def check_full(seal: Seal) -> None:
    """Raises RuntimeUnavailable when something is not enforced that can be."""
    missing = {name: why for name, why in seal.not_enforced.items() if name not in INHERENT}
    if missing:
        raise RuntimeUnavailable(
            f"the seal is not full: {', '.join(sorted(missing))}",
            hint="give limits: --memory 4G --cpus 2 --pids 512 --disk 10G, and no --network",
            details=[f"{name}: {why}" for name, why in sorted(missing.items())],
            slug="seal",
        )


def rerun_failed(outcome: Rerun, left_out: Sequence[str] = ()) -> RerunFailed:
    """The error of a rerun whose last step failed; ``left_out`` names steps that did not run."""
    last = outcome.steps[-1]
    hint = f"give it more: --{last.reached}" if last.reached is not None else None
    if left_out and hint is None:
        hint = f"steps left out by --only: {', '.join(left_out)}; it may need one of them"
    return RerunFailed(
        f"the sealed rerun failed: step {printable(last.name, 60)!r} {how_it_ended(last)}",
        details=(*last.tail, f"it used: {outcome.usage.text()}"),
        hint=hint,
        slug=f"limit-{last.reached}" if last.reached else _ENDED[last.timed_out],
    )


def seal_text(seal: Seal, network: str) -> str:
    """One line about the seal, what is not enforced included."""
    net = "no network" if network == "none" else "NETWORK OPEN (--network host)"
    missing = ", ".join(sorted(name for name in seal.not_enforced if name != "network"))
    text = f"{net} · read-only image · {seal.engine} {seal.version}"
    if seal.passed_over:
        names = ", ".join(seal.passed_over)
        text += f" (not {names}: `repro doctor` says why)"
    return f"{text} · not limited: {missing}" if missing else text


def input_digests(archive: Archive, version: VersionInfo, recording: Recording) -> dict[str, str]:
    """sha256 (hex) -> path of the project's inputs, for the check against copied results.

    A notebook is rewritten in place, so its own earlier state is no source of a copy.
    """
    in_place = {step.notebook for step in recording.claims.steps if step.notebook}
    prefix = recording.claims.root.rstrip("/") + "/"
    found: dict[str, str] = {}
    for path, digest in archive.file_digests(version, kinds=("code", "data")):
        relative = path[len(prefix) :] if path.startswith(prefix) else path
        if relative not in in_place:
            found.setdefault(digest.hex, relative)
    return found
