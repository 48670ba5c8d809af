"""``repro verify --pin-cpu``: do as the recorded processor did, where this machine allows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.errors import ReproError
from repro.model.guise import AS_USUAL, Guise
from repro.model.pinned import Pinned
from repro.model.ports import Sandbox
from repro.model.recording import Claims
from repro.model.verdict import Verdict
from repro.observe.processor import FEATURES, KERNELS, can_run, without
from repro.primitives.events import Observer, done
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable
from repro.workflows.numerics import THREADS, Blas, Numerics
from repro.workflows.rerun import Rerun, Terms, how_it_ended, rerun

_MOST_PROCESSORS = 4096
_OLD = (
    "the archive does not name its numeric libraries (made by an older repro, or not self-tested)"
)


@frozen
class Setting:
    """What makes this machine do as the recorded one, and what cannot be done."""

    variables: Mapping[str, str]
    cpus: tuple[int, ...]
    could_not: tuple[str, ...]

    @property
    def guise(self) -> Guise:
        """The processors as a guise; as usual when they are not to be fewer."""
        return Guise(cpus=self.cpus) if self.cpus else AS_USUAL


def setting(
    circumstances: Mapping[str, Any],
    claims: Claims,
    here: Collection[str],
    cpus: Collection[int],
    guises: Collection[str],
    asked: Numerics,
) -> Setting:
    """What to set. ``here`` are this processor's flags, ``cpus`` those that may be used."""
    numerics, host = circumstances.get("numerics"), circumstances.get("host")
    if not isinstance(numerics, dict) or not isinstance(host, dict):
        return Setting(variables={}, cpus=(), could_not=(_OLD,))
    could_not: list[str] = []
    variables = _kernel(Blas.recorded(circumstances), claims, here, asked, could_not)
    there = {name for name in _texts(host.get("features")) if name in FEATURES}
    own = {name for name in FEATURES if name in here}
    for name, value in without(own - there).items():
        if name in claims.environment:
            could_not.append(f"{name} is set by the archive itself")
        else:
            variables[name] = value
    if there - own:
        lacking = " ".join(sorted(there - own))
        could_not.append(f"this processor lacks features that the author's had: {lacking}")
    chosen = _processors(numerics.get("processors"), claims, cpus, guises, variables, could_not)
    return Setting(variables=variables, cpus=chosen, could_not=tuple(could_not))


def _kernel(
    recorded: Sequence[Blas], claims: Claims, here: Collection[str], asked: Numerics,
    could_not: list[str],
) -> dict[str, str]:  # fmt: skip
    """OPENBLAS_CORETYPE, when another kernel than the recorded one would be taken."""
    if not recorded or recorded[0].kernel is None:
        return {}
    first, wanted = recorded[0], str(recorded[0].kernel)
    if wanted not in KERNELS:
        could_not.append(f"the BLAS kernel {printable(wanted, 40)} is not known to this repro")
        return {}
    usual = asked.kernel(first.path)
    if usual == wanted:
        return {}
    if "OPENBLAS_CORETYPE" in claims.environment:
        could_not.append("OPENBLAS_CORETYPE is set by the archive itself")
    elif not can_run(wanted, here):
        could_not.append(f"this processor cannot run the BLAS kernel {wanted} (here: {usual})")
    elif (taken := asked.kernel(first.path, wanted)) != wanted:
        could_not.append(f"the BLAS library takes {taken} instead of the kernel {wanted}")
    else:
        return {"OPENBLAS_CORETYPE": wanted}
    return {}


def _processors(
    recorded: object, claims: Claims, cpus: Collection[int], guises: Collection[str],
    variables: dict[str, str], could_not: list[str],
) -> tuple[int, ...]:  # fmt: skip
    """Threads and processors as many as there, when there were others than here."""
    known = isinstance(recorded, int) and not isinstance(recorded, bool)
    count = recorded if known and isinstance(recorded, int) else 0
    if not 0 < count <= _MOST_PROCESSORS or count == len(cpus):
        return ()
    variables.update({n: str(count) for n in THREADS if n not in claims.environment})
    if count > len(cpus):
        could_not.append(
            f"the author's machine gave {count} processors, this one {len(cpus)}: only the number "
            "of threads was set"
        )
        return ()
    if "cpus" not in guises:
        could_not.append("this engine cannot hold a run to fewer processors")
        return ()
    return tuple(sorted(cpus)[:count])


def pin(
    before: Mapping[str, str],
    wanted: Setting,
    *,
    sandbox: Sandbox,
    layers: Sequence[str],
    claims: Claims,
    folder: Path,
    terms: Terms,
    judge: Callable[[Rerun], Verdict],
    observer: Observer,
) -> Pinned:
    """Rerun once more as ``wanted``; ``before`` are the outputs that had drifted.

    Nothing is rerun when nothing is to be set. ``folder`` is an empty one of this run alone.
    """

    def ended(failed: str | None, outcomes: Mapping[str, str], seconds: float | None) -> Pinned:
        return Pinned(
            before=before, variables=wanted.variables, could_not=wanted.could_not,
            outcomes=outcomes, processors=len(wanted.cpus) or None, seconds=seconds, failed=failed,
        )  # fmt: skip

    if not wanted.variables and not wanted.cpus:
        return ended(
            "nothing could be set: see what could not, or the machines are alike", {}, None
        )
    terms = Terms(
        timeout=terms.timeout, network=terms.network, limits=terms.limits,
        variables=wanted.variables, guise=wanted.guise,
    )  # fmt: skip
    try:
        outcome = rerun(sandbox, layers, claims, folder, terms, observer=observer)
    except ReproError as error:
        return ended(printable(error.message), {}, None)
    if outcome.exit != 0:
        return ended(f"the pinned rerun {how_it_ended(outcome.steps[-1])}", {}, outcome.seconds)
    after = {o.path: o.outcome.value for o in judge(outcome).outputs if o.path in before}
    found = ended(None, after, outcome.seconds)
    text = f"{len(found.vanished)} of {len(before)} drifts vanish · set: {found.settings()}"
    observer(done("pinned", text, outcome.seconds))
    return found


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))
