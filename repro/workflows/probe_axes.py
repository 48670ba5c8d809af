"""What of a machine this machine can vary for a sealed rerun, and why not the rest."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.model.guise import Guise
from repro.model.recording import Claims
from repro.model.stability import AxisTried
from repro.model.system import HOST, UID, USER
from repro.observe.processor import other_kernels, without
from repro.primitives.frozen import field, frozen
from repro.workflows.numerics import THREADS, Blas, Numerics
from repro.workflows.probe_clock import LATER, Clock, moved
from repro.workflows.probe_order import Order

_SEED = "4242"
_ZONE = "ACST-9:30"  # POSIX form: needs no zone files in the image
_OTHER_HOST, _OTHER_USER, _OTHER_UID = "other-host", "other", 4242
_LOCALE = re.compile(rb"\b([a-z]{2}_[A-Z]{2}\.utf8)\b")
_FEATURES = ("avx2", "fma", "avx512f", "avx512vl")
RANDOMISE = Path("/proc/sys/kernel/randomize_va_space")


@frozen
class Variation:
    """One axis that can be varied: what changes it, and what it is usually.

    ``variables`` are set for the rerun, ``guise`` are fields of a Guise, ``lowest`` is an
    extra lowest layer. ``held`` as AxisTried has it.
    """

    axis: str
    usual: str
    varied: str
    variables: Mapping[str, str] = field(default_factory=dict)
    guise: Mapping[str, Any] = field(default_factory=dict)
    lowest: str | None = None
    held: str | None = None

    def tried(self, failure: str | None = None) -> AxisTried:
        """What was done: varied, or failed because of ``failure``."""
        return AxisTried(
            axis=self.axis, state="varied" if failure is None else "failed", usual=self.usual,
            varied=self.varied, why=failure or "", held=self.held,
        )  # fmt: skip


@frozen
class Machine:
    """What is known here: processors that may be used, processor flags, the image's unpacked
    layers, the engine's guises, libraries asked for their kernel, another directory order, another
    date."""

    cpus: Collection[int]
    flags: Collection[str]
    layers: Sequence[str]
    guises: Collection[str]
    numerics: Numerics
    blas: Sequence[Blas]
    order: Order
    clock: Clock


Choice = Variation | AxisTried


def choices(claims: Claims, machine: Machine) -> list[Choice]:
    """For every axis but the address layout: a variation, or why there is none."""
    environment = claims.environment
    return [
        _named("host-name", "host", HOST, _OTHER_HOST, {"host": _OTHER_HOST}, machine),
        _named(
            "user-id", "uid", f"{USER} ({UID})", f"{_OTHER_USER} ({_OTHER_UID})",
            {"user": _OTHER_USER, "uid": _OTHER_UID}, machine,
        ),
        _cpus(machine),
        _threads(environment, machine),
        _locale(environment, machine),
        _variable("time-zone", "TZ", _ZONE, environment),
        _hash_seed(environment),
        _order(machine.order),
        _kernel(environment, machine),
        _features(environment, machine),
        _source_date(environment),
        _clock(environment, machine.clock),
    ]  # fmt: skip


def merged(variations: Sequence[Variation]) -> tuple[dict[str, str], Guise, list[str]]:
    """Variables, guise and lowest layers of several variations at once."""
    variables: dict[str, str] = {}
    guise: dict[str, Any] = {}
    for each in variations:
        variables.update(each.variables)
        guise.update(each.guise)
    return variables, Guise(**guise), [v.lowest for v in variations if v.lowest is not None]


def _not(axis: str, why: str, held: str | None = None) -> AxisTried:
    return AxisTried(axis=axis, state="not varied", why=why, held=held)


def _named(
    axis: str, needs: str, usual: str, varied: str, guise: Mapping[str, Any], machine: Machine
) -> Choice:
    if needs not in machine.guises:
        return _not(axis, "this engine cannot")
    return Variation(
        axis=axis, usual=usual, varied=varied, guise=guise,
        held=f"{usual} in every rerun by repro; not by other engines",
    )  # fmt: skip


def _cpus(machine: Machine) -> Choice:
    if "cpus" not in machine.guises:
        return _not("cpus", "this engine cannot")
    count = len(machine.cpus)
    if count < 2:
        return _not("cpus", "this machine gives one processor")
    # Half of them: one alone could make a long run last as many times longer.
    fewer = tuple(sorted(machine.cpus)[: count // 2])
    return Variation(
        axis="cpus", usual=str(count), varied=str(len(fewer)), guise={"cpus": fewer}
    )  # fmt: skip


def _threads(environment: Mapping[str, str], machine: Machine) -> Choice:
    given = {name: environment[name] for name in THREADS if name in environment}
    usual = given.get("OMP_NUM_THREADS") or next(iter(given.values()), str(len(machine.cpus)))
    count = int(usual) if usual.isdecimal() else len(machine.cpus)
    other = str(count // 2 if count > 1 else 2)
    held = " ".join(f"{name}={value}" for name, value in given.items())
    return Variation(
        axis="threads", usual=usual, varied=other, variables=dict.fromkeys(THREADS, other),
        held=f"{held} in every rerun" if held else None,
    )  # fmt: skip


def _locale(environment: Mapping[str, str], machine: Machine) -> Choice:
    usual = environment.get("LC_ALL") or environment.get("LANG") or "C"
    same = usual.lower().replace("-", "")
    others = [name for name in _locales(machine.layers) if name.lower() != same]
    other = others[0] if others else "C"
    if other == usual:
        return _not("locale", "the image holds no locale but C", _held("LANG", environment))
    # What is spelled in another alphabet or sorted otherwise is seen only with a real one.
    varied = other if others else "C (the image holds no other language)"
    name = "LC_ALL" if "LC_ALL" in environment else "LANG"
    return Variation(
        axis="locale", usual=usual, varied=varied, variables={"LC_ALL": other, "LANG": other},
        held=_held(name, environment),
    )  # fmt: skip


def _locales(layers: Sequence[str]) -> Iterator[str]:
    """Languages that the image can speak, by locale(7) name; not C, not English first."""
    found: set[str] = set()
    for layer in layers:
        folder = Path(layer) / "usr/lib/locale"
        if not folder.is_dir() or folder.is_symlink():
            continue
        for path in folder.iterdir():
            if path.is_symlink():
                continue
            if path.is_dir() and re.fullmatch(r"[a-z]{2}_[A-Z]{2}\.utf-?8", path.name):
                found.add(path.name)
            elif path.name == "locale-archive" and path.is_file():
                names = _LOCALE.findall(path.read_bytes())
                found.update(name.decode("ascii") for name in names)
    yield from sorted(found, key=lambda name: (name.startswith("en"), name))


def _variable(axis: str, name: str, varied: str, environment: Mapping[str, str]) -> Choice:
    return Variation(
        axis=axis, usual=environment.get(name, "the machine's"), varied=varied,
        variables={name: varied}, held=_held(name, environment),
    )  # fmt: skip


def _hash_seed(environment: Mapping[str, str]) -> Choice:
    usual = environment.get("PYTHONHASHSEED", "random")
    other = _SEED if usual != _SEED else "1"
    return Variation(
        axis="hash-seed", usual=usual, varied=other, variables={"PYTHONHASHSEED": other},
        held=_held("PYTHONHASHSEED", environment) if usual != "random" else None,
    )  # fmt: skip


def _source_date(environment: Mapping[str, str]) -> Choice:
    """The date that programs are told: another year, month, day and weekday."""
    usual = environment.get("SOURCE_DATE_EPOCH", "")
    if not usual.isdecimal():
        return _not("source-date", "no SOURCE_DATE_EPOCH is set for the run")
    return _variable("source-date", "SOURCE_DATE_EPOCH", str(int(usual) + LATER), environment)


def _held(name: str, environment: Mapping[str, str]) -> str | None:
    return f"{name}={environment[name]} in every rerun" if name in environment else None


def _order(order: Order) -> Choice:
    if order.layer is None:
        return _not("directory-order", order.why)
    count = f"{order.folders} folder{'s' * (order.folders != 1)}"
    return Variation(
        axis="directory-order", usual="as the disk lists", lowest=order.layer,
        varied=f"{count} of the project the other way round",
    )  # fmt: skip


def _clock(environment: Mapping[str, str], clock: Clock) -> Choice:
    if clock.layer is None:
        return _not("clock", clock.why)
    return Variation(
        axis="clock", usual="the machine's", lowest=clock.layer,
        varied=f"{LATER // 86_400} days and {LATER % 86_400 // 3600} hours later (libfaketime: "
        "static programs and those of another libc see the true date)",
        variables=moved(environment.get("LD_PRELOAD")),
    )  # fmt: skip


def _kernel(environment: Mapping[str, str], machine: Machine) -> Choice:
    held = _held("OPENBLAS_CORETYPE", environment)
    if not machine.blas:
        return _not("blas-kernel", "the run loaded no OpenBLAS", held)
    first = machine.blas[0]
    if first.kernel is None:
        return _not("blas-kernel", "its OpenBLAS has one kernel alone, or does not name it", held)
    for name in other_kernels(first.kernel, machine.flags):
        # A build without this kernel takes another one instead: asked, not believed.
        if machine.numerics.kernel(first.path, name) not in (None, first.kernel):
            return Variation(
                axis="blas-kernel", usual=first.kernel, varied=name,
                variables={"OPENBLAS_CORETYPE": name}, held=held,
            )  # fmt: skip
    return _not("blas-kernel", "this processor or library knows no other kernel", held)


def _features(environment: Mapping[str, str], machine: Machine) -> Choice:
    here = [name for name in _FEATURES if name in machine.flags]
    variables = without(here)
    given = [name for name in variables if name in environment]
    held = f"{given[0]}={environment[given[0]]} in every rerun" if given else None
    if not variables:
        return _not("cpu-features", "NumPy and glibc have no simpler code for this processor", held)
    return Variation(
        axis="cpu-features", usual=" ".join(here), variables=variables, held=held,
        varied="without them (NumPy's and glibc's own code)",
    )  # fmt: skip


def processors() -> frozenset[int]:
    """Those that this process may use."""
    return frozenset(os.sched_getaffinity(0))
