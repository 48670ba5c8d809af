"""What would make the results of a probed project stable: lines of repro.yml, or the code."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence

from repro.model.recording import Claims
from repro.model.stability import AXES, AxisTried, OutputClass, Proposal, Spot, Stability
from repro.primitives.texts import printable

_VARIABLES: Mapping[str, Mapping[str, str]] = {
    "threads": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    "cpus": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    "locale": {"LC_ALL": "C.UTF-8"},
    "time-zone": {"TZ": "UTC"},
    "hash-seed": {"PYTHONHASHSEED": "0"},
}
_WHY: Mapping[str, str] = {
    "threads": "hold the number of threads, in every rerun",
    "cpus": "hold the number of threads, so that the number of processors matters less",
    "blas-kernel": "let every processor use the same BLAS kernel (it may be slower than its own)",
    "locale": "hold the locale, in every rerun",
    "time-zone": "hold the time zone, in every rerun",
    "hash-seed": "hold the order of Python's sets, in every rerun",
}
_COMMON_KERNEL = "Haswell"
_WIDEST = 1e-6
"""A tolerance beyond which a difference is no rounding: none is proposed."""
_FEW = 20


def proposals(
    claims: Claims, outputs: Sequence[OutputClass], axes: Sequence[AxisTried]
) -> tuple[Proposal, ...]:
    """For every output that is not deterministic, in the order of the axes; the same once."""
    tried = {axis.axis: axis for axis in axes}
    found: dict[tuple[str, ...], tuple[str, list[str]]] = {}
    for output in outputs:
        for why, lines in _for_output(output, claims, tried):
            # The same lines may mend two things: said once.
            found.setdefault(lines or (why,), (why if lines else "", []))[1].append(output.path)
    listed = [
        Proposal(why=why or key[0], lines=key if why else (), outputs=tuple(dict.fromkeys(paths)))
        for key, (why, paths) in found.items()
    ]
    return (*listed, *_not_required(outputs, claims))


_Line = tuple[str, tuple[str, ...]]


def _for_output(
    output: OutputClass, claims: Claims, tried: Mapping[str, AxisTried]
) -> Iterator[_Line]:
    if output.stability is Stability.DETERMINISTIC or output.worst == "close":
        return
    for axis in () if output.together else output.axes:
        yield from _for_axis(axis, tried.get(axis))
    yield from _tolerance(output, claims)
    for spot in output.spots:
        yield _code(spot), ()


def _for_axis(axis: str, tried: AxisTried | None) -> Iterator[_Line]:
    if tried is not None and tried.held is not None:
        yield (
            f"{AXES[axis]}: held already ({tried.held}); it matters to whoever runs it otherwise",
            (),
        )
        return
    variables = _VARIABLES.get(axis)
    if axis == "blas-kernel" and tried is not None and tried.usual not in ("ARMV8", "NEOVERSEN1"):
        variables = {"OPENBLAS_CORETYPE": _COMMON_KERNEL}
    if variables:
        lines = [f'    {name}: "{value}"' for name, value in variables.items()]
        yield _WHY[axis], ("environment:", "  variables:", *lines)


def _tolerance(output: OutputClass, claims: Claims) -> Iterator[_Line]:
    """A tolerance ten times as wide as what was seen, when that looks like rounding."""
    seen = _number(output.max_rel)
    if seen is None or not 0 < seen <= _WIDEST:
        return
    rtol = f"1e{math.ceil(math.log10(seen)) + 1}"
    lines = (f"  - path: {_quoted(output.path)}", f"    compare: {{rtol: {rtol}}}")
    yield f"allow rounding: numbers differed by at most {seen:.1g} of their size", (
        *_outputs(claims), *lines,
    )  # fmt: skip


def _not_required(outputs: Sequence[OutputClass], claims: Claims) -> Iterator[Proposal]:
    """For what cannot be mended by a seed: outputs that show the time, or chance of no known line."""
    paths = [
        output.path
        for output in outputs
        if (output.stability is Stability.NONDETERMINISTIC or "clock" in output.axes)
        and not output.together
        and output.worst != "close"
        and (not output.spots or any(spot.axis == "clock" for spot in output.spots))
    ]
    if paths:
        rules = [f"  - path: {_quoted(path)}\n    required: false" for path in paths]
        lines = "\n".join(rules).split("\n")
        yield Proposal(
            why="or say that the verdict does not rest on it", outputs=tuple(paths),
            lines=(*_outputs(claims), *lines),
        )  # fmt: skip


def _outputs(claims: Claims) -> tuple[str, ...]:
    # The last rule that matches wins; without `**` the list would name this one output alone.
    return ("outputs:",) if claims.declared else ("outputs:", '  - "**"')


def _quoted(path: str) -> str:
    """A path as YAML in double quotes, which JSON's form is."""
    return json.dumps(path)


def _code(spot: Spot) -> str:
    return f"{printable(spot.where, 120)} ({spot.text}): {spot.mend}"


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def unstable_lines(outputs: Sequence[OutputClass]) -> Iterator[str]:
    """One line for each output that is not deterministic, with its likeliest places."""
    unstable = [o for o in outputs if o.stability is not Stability.DETERMINISTIC]
    for output in unstable[:_FEW]:
        yield f"{printable(output.path)} {output.sentence()}{places_text(output.spots)}"
    if len(unstable) > _FEW:
        yield f"and {len(unstable) - _FEW} more"


def places_text(spots: Sequence[Spot]) -> str:
    """``: perhaps plot.py:14 (random.random without a seed)``, or nothing."""
    if not spots:
        return ""
    shown = [f"{printable(spot.where, 120)} ({spot.text})" for spot in spots[:2]]
    return f": perhaps {' or '.join(shown)}"
