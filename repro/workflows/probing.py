"""The stability probe: sealed reruns of a packed archive on a machine that seems another."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from repro.compare.judge import judge
from repro.errors import ReproError
from repro.model.guise import AS_USUAL, Guise
from repro.model.outcome import Outcome
from repro.model.ports import OutputFile, Sandbox
from repro.model.recording import Claims
from repro.model.stability import AXES, AxisTried, OutputClass, Probe, Stability
from repro.model.verdict import OutputVerdict, Verdict
from repro.primitives.events import Event, EventKind, Observer, done
from repro.primitives.frozen import frozen
from repro.primitives.texts import human_time, printable
from repro.project.variation_files import Source
from repro.workflows.places import scratch
from repro.workflows.probe_axes import RANDOMISE, Choice, Variation, merged
from repro.workflows.probe_places import with_spots
from repro.workflows.probe_proposals import places_text, proposals
from repro.workflows.rerun import Rerun, Terms, how_it_ended, rerun

_SAME = (Outcome.IDENTICAL, Outcome.EQUIVALENT)
_PATIENCE = 60.0  # seconds
_RARE = "a race that shows in one run of many need not have shown in these reruns"
_ELSEWHERE = (
    "another kernel, file system, disk or graphics processor was not tried; a reviewer's machine "
    "may differ in these too"
)


@frozen
class ProbeRequest:
    """What to probe: ``layers`` are unpacked, lowest first; ``baseline`` is what the self-test
    wrote, in ``seconds``; ``runs`` is where runs may write; ``sources`` are the project's. After
    ``rest`` seconds a clock that shows whole seconds has moved."""

    sandbox: Sandbox
    layers: Sequence[str]
    claims: Claims
    baseline: Mapping[str, OutputFile]
    seconds: float
    runs: Path
    choices: Sequence[Choice]
    sources: Sequence[Source]
    rest: float = 1.1


Seen = Mapping[str, OutputVerdict]
"""What one rerun gave, judged against the self-test; by path, only what is not the same."""


def probe(request: ProbeRequest, observer: Observer) -> Probe:
    """Rerun sealed under other conditions, and class every output.

    First nothing is varied, then everything at once; each axis alone when that differs.
    Raises RuntimeUnavailable when the sandbox cannot be set up.
    """
    prober = _Prober(request, observer)
    prober.foretell()
    outputs, axes = prober.classes()
    found = tuple(with_spots(output, request.sources, prober.loose) for output in outputs)
    result = Probe(
        reruns=prober.count,
        seconds=prober.spent,
        axes=axes,
        outputs=found,
        proposals=proposals(request.claims, found, axes),
        limits=(*prober.limits, *_undated(found, request.sources, axes), _RARE, _ELSEWHERE),
    )
    _tell(result, observer)
    return result


def _tell(result: Probe, observer: Observer) -> None:
    stable = [o for o in result.outputs if o.stability is Stability.DETERMINISTIC]
    text = f"{len(stable)} of {len(result.outputs)} outputs deterministic · {result.reruns} reruns"
    observer(done("probe", text, result.seconds))
    for output in result.outputs:
        if output.stability is not Stability.DETERMINISTIC:
            said = f"{printable(output.path)} {output.sentence()}{places_text(output.spots)}"
            observer(Event(kind=EventKind.WARNING, phase="probe", code="unstable", text=said))
    for axis in result.axes:
        if axis.state != "varied":
            text = f"{AXES[axis.axis]} {axis.state}: {axis.why}"
            observer(Event(kind=EventKind.NOTE, phase="probe", text=text))


def _undated(
    outputs: Sequence[OutputClass], sources: Sequence[Source], axes: Sequence[AxisTried]
) -> Iterator[str]:
    """Lines that ask the clock, which was not moved: whether a result changes with the date is
    not known."""
    if any(axis.axis == "clock" and axis.state == "varied" for axis in axes):
        return
    told = {(s.path, s.cell, s.line) for output in outputs for s in output.spots}
    places = [
        spot.where
        for source in sources
        for spot in source.spots
        if spot.axis == "clock" and (spot.path, spot.cell, spot.line) not in told
    ]
    if places:
        more = f" and {len(places) - 5} more" if len(places) > 5 else ""
        shown = ", ".join(printable(place, 120) for place in dict.fromkeys(places[:5]))
        yield f"the date was the same in all reruns, and these lines ask the clock: {shown}{more}"


class _Prober:
    def __init__(self, request: ProbeRequest, observer: Observer) -> None:
        self._request = request
        self._observer = observer
        self._variations = [c for c in request.choices if isinstance(c, Variation)]
        self._fixed = [c for c in request.choices if not isinstance(c, Variation)]
        self._failed: dict[str, str] = {}
        self._most = len(self._variations) + 6
        self.count = 0
        self.spent = 0.0
        self.limits: list[str] = []
        # A hash seed that is not held, so other in each run, is chance too.
        self.loose = [v.axis for v in self._variations if v.held is None and v.usual == "random"]

    def foretell(self) -> None:
        """How many reruns, and how long, before the first."""
        each = max(self._request.seconds, 0.05)
        rest = self._request.rest
        text = (
            f"2 to {self._most} sealed reruns, about {human_time(2 * each + rest)} to "
            f"{human_time(self._most * each + 5 * rest)} (fewer processors and threads may take longer)"
        )
        self._observer(done("probe", text))

    def classes(self) -> tuple[tuple[OutputClass, ...], tuple[AxisTried, ...]]:
        """Every output's class, and what was done on every axis."""
        unvaried = self._run("nothing varied", [])
        if isinstance(unvaried, str):
            self.limits.append(f"the first rerun, with nothing varied, {unvaried}")
            return self._undecided(), self._axes()
        chance = dict(unvaried)
        joint = self._run("everything at once", self._variations) if self._variations else {}
        alone: dict[str, Seen] = {}
        if isinstance(joint, str) or joint.keys() - chance.keys():
            alone = self._each_alone()
        again: Seen = {}
        if alone and any(seen.keys() - chance.keys() for seen in alone.values()):
            # What differed may have differed by itself: seen once more.
            again = self._once_more()
        for path, verdict in again.items():
            chance.setdefault(path, verdict)
        # What addresses explain differs in every rerun, not in one of them.
        always = unvaried.keys() & again.keys() if alone and again else unvaried.keys()
        settled = self._with_fixed_addresses() & always if always else frozenset()
        shown = not isinstance(joint, str) or bool(
            alone
        )  # whether any varied rerun came to its end
        if isinstance(joint, str):
            self.limits.append(f"the rerun with everything varied at once {joint}")
            joint = {}
        outputs = self._outputs(chance, joint, alone, settled)
        return outputs if shown else tuple(map(_unshown, outputs)), self._axes()

    def _once_more(self) -> Seen:
        """What an unvaried rerun after all the others gives."""
        seen = self._run("nothing varied, once more", [])
        if isinstance(seen, str):
            self.limits.append(
                f"the rerun with nothing varied, once more, {seen}: what varies with "
                "an axis may do so by chance"
            )
            return {}
        return seen

    def _each_alone(self) -> dict[str, Seen]:
        found: dict[str, Seen] = {}
        for variation in self._variations:
            seen = self._run(AXES[variation.axis], [variation])
            if isinstance(seen, str):
                self._failed[variation.axis] = seen
            else:
                found[variation.axis] = seen
        return found

    def _outputs(
        self, chance: Seen, joint: Seen, alone: Mapping[str, Seen], settled: frozenset[str]
    ) -> tuple[OutputClass, ...]:
        paths = set(self._request.baseline) | set(chance) | set(joint)
        paths |= {output.path for output in self._request.claims.outputs}
        paths |= {path for seen in alone.values() for path in seen}
        return tuple(
            _class_of(
                path, chance.get(path), joint.get(path),
                {axis: seen[path] for axis, seen in alone.items() if path in seen},
                [v.axis for v in self._variations], path in settled,
            )
            for path in sorted(paths)
        )  # fmt: skip

    def _undecided(self) -> tuple[OutputClass, ...]:
        return tuple(
            OutputClass(path=output.path, stability=Stability.UNDECIDED, worst="undecided")
            for output in self._request.claims.outputs
        )

    def _axes(self) -> tuple[AxisTried, ...]:
        tried = [self._tried(v) for v in self._variations]
        return (*tried, self._addresses(), *self._fixed)

    def _tried(self, variation: Variation) -> AxisTried:
        failure = self._failed.get(variation.axis)
        if failure is not None and variation.axis == "clock":
            # The library may be at fault, not the date: nothing is found out about the run.
            why = f"with libfaketime the run {failure}"
            return AxisTried(axis="clock", state="not varied", usual=variation.usual, why=why)
        return variation.tried(failure)

    def _addresses(self) -> AxisTried:
        with contextlib.suppress(OSError):
            if RANDOMISE.read_text().strip() != "0":
                return AxisTried(
                    axis="addresses", state="varied", usual="random in every rerun",
                    varied="the same, where two reruns differed",
                )  # fmt: skip
        return AxisTried(axis="addresses", state="not varied", why="this machine randomises none")

    def _with_fixed_addresses(self) -> frozenset[str]:
        """What two reruns agree on when libraries lie at the same addresses in both, and no
        longer in a third one where they do not: a clock may stand still between two."""
        if "fixed_addresses" not in self._request.sandbox.guises:
            return frozenset()
        fixed = Guise(fixed_addresses=True)
        try:
            with (
                self._made("the same addresses", {}, fixed, [], rest=True) as one,
                self._made("the same addresses again", {}, fixed, [], rest=True) as two,
                self._made("other addresses", {}, AS_USUAL, [], rest=True) as three,
            ):
                failed = next((each for each in (one, two, three) if each.exit), None)
                if failed is None:
                    return self._same(one, two) - self._same(two, three)
                why = _ended(failed)
        except ReproError as error:  # a container forbids personality(2), say
            why = f"could not be made: {printable(error.message)}"
        self.limits.append(
            f"a rerun with the same addresses {why}: they may be the cause of chance"
        )
        return frozenset()

    def _same(self, one: Rerun, two: Rerun) -> frozenset[str]:
        verdict = self._judged(one.produced, two.produced)
        return frozenset(o.path for o in verdict.outputs if o.outcome in _SAME)

    def _run(self, what: str, variations: Sequence[Variation]) -> Seen | str:
        """What is not the same as in the self-test; or how the run ended in error."""
        variables, guise, lowest = merged(variations)
        try:
            with self._made(what, variables, guise, lowest, rest=not variations) as outcome:
                if outcome.exit != 0:
                    return _ended(outcome)
                verdict = self._judged(self._request.baseline, outcome.produced)
        except ReproError as error:
            if not variations:
                raise
            return f"could not be made: {printable(error.message)}"
        seen = {o.path: o for o in verdict.outputs if o.outcome not in _SAME}
        text = f"{self.count} of at most {self._most} · {what} · "
        text += f"{len(seen)} of {len(verdict.outputs)} outputs differ" if seen else "all the same"
        self._observer(done("probe", text, outcome.seconds))
        return seen

    @contextlib.contextmanager
    def _made(
        self, what: str, variables: Mapping[str, str], guise: Guise, lowest: Sequence[str],
        *, rest: bool,
    ) -> Iterator[Rerun]:  # fmt: skip
        self.count += 1
        if rest:
            time.sleep(self._request.rest)
        started = time.monotonic()
        text = f"{self.count} of at most {self._most} · {what}"
        self._observer(Event(kind=EventKind.BEGIN, phase="probe", text=text))
        with scratch(self._request.runs, "probe") as folder:
            # A program that the preloaded library brings to a halt would never end.
            preloads = "LD_PRELOAD" in variables
            patience = _PATIENCE + 10 * self._request.seconds if preloads else None
            terms = Terms(variables=variables, guise=guise, timeout=patience)
            layers = [*lowest, *self._request.layers]
            outcome = rerun(
                self._request.sandbox, layers, self._request.claims, folder, terms
            )  # fmt: skip
            self.spent += time.monotonic() - started
            yield outcome

    def _judged(self, old: Mapping[str, OutputFile], new: Mapping[str, OutputFile]) -> Verdict:
        claims = self._request.claims
        return judge(
            old, new, rules={o.path: (o.required, o.compare) for o in claims.outputs},
            required=Outcome.EQUIVALENT, declared=claims.declared,
        )  # fmt: skip


def _ended(outcome: Rerun) -> str:
    last = outcome.steps[-1]
    tail = f" ({printable(last.tail[-1], 120)})" if last.tail else ""
    return f"failed: step {printable(last.name, 60)} {how_it_ended(last)}{tail}"


def _unshown(output: OutputClass) -> OutputClass:
    """That nothing differs says nothing where every rerun with something varied failed."""
    if output.stability is not Stability.DETERMINISTIC:
        return output
    return OutputClass(path=output.path, stability=Stability.UNDECIDED, worst="undecided")


def _class_of(
    path: str,
    chance: OutputVerdict | None,
    joint: OutputVerdict | None,
    alone: Mapping[str, OutputVerdict],
    every: Sequence[str],
    settled: bool,
) -> OutputClass:
    """The class of one output, from the reruns in which it was not the same."""
    verdicts = [v for v in (chance, joint, *alone.values()) if v is not None]
    if not verdicts:
        return OutputClass(path=path, stability=Stability.DETERMINISTIC)
    worst = max(verdicts, key=lambda verdict: verdict.outcome.rank)
    numbers = [v.comparison.numbers for v in verdicts]
    rels = [float(n.max_rel) for n in numbers if n is not None and n.max_rel is not None]
    stability, axes, together = Stability.VARIES, tuple(alone), False
    if chance is not None and settled:
        axes = ("addresses",)
    elif chance is not None:
        stability, axes = Stability.NONDETERMINISTIC, ()
    elif not alone:
        axes, together = tuple(every), True
    return OutputClass(
        path=path, stability=stability, axes=axes, together=together,
        worst=worst.outcome.value, summary=worst.comparison.summary,
        max_rel=f"{max(rels):.3g}" if rels else None,
    )  # fmt: skip
