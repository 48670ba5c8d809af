"""What a stability probe found: which results stay the same when the machine varies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

from repro.primitives.frozen import frozen

PROBE_SCHEMA = "repro.probe/1"
STATES = ("varied", "failed", "not varied")
"""What was done about an axis."""

AXES: Mapping[str, str] = {
    "host-name": "host name",
    "user-id": "user id",
    "cpus": "number of processors",
    "threads": "number of threads",
    "locale": "locale",
    "time-zone": "time zone",
    "hash-seed": "hash seed",
    "directory-order": "directory order",
    "blas-kernel": "BLAS kernel",
    "cpu-features": "processor features",
    "addresses": "address layout",
    "source-date": "SOURCE_DATE_EPOCH",
    "clock": "clock",
}
"""What a probe varies (or says that it cannot), in the order in which it is tried."""


class Stability(Enum):
    """The class of an output: whether reruns under other conditions gave the same."""

    DETERMINISTIC = "deterministic"
    VARIES = "varies"
    NONDETERMINISTIC = "nondeterministic"
    UNDECIDED = "undecided"


@frozen
class Spot:
    """A line of the project where something of the machine comes in; ``axis`` names what.

    Beside the axes it may be ``random`` (no seed) or ``order`` (of threads or processes).
    ``path`` is relative to the project, ``line`` counts from 1, in a notebook inside the code
    cell ``cell``. ``text`` says what stands there, ``mend`` what to do about it.
    """

    axis: str
    path: str
    line: int
    text: str
    mend: str
    cell: int | None = None

    @property
    def where(self) -> str:
        """``plot.py:14`` or ``paper.ipynb cell 3:1`` (not escaped)."""
        cell = f" cell {self.cell}" if self.cell is not None else ""
        return f"{self.path}{cell}:{self.line}"

    def to_json(self) -> dict[str, Any]:
        """The place inside a probe's document."""
        found: dict[str, Any] = {
            "axis": self.axis, "path": self.path, "line": self.line, "text": self.text,
            "mend": self.mend,
        }  # fmt: skip
        return found if self.cell is None else {**found, "cell": self.cell}

    @classmethod
    def parse(cls, value: object) -> Spot | None:
        """The place, None for what is none: an archive's documents are not trusted."""
        fields = value if isinstance(value, dict) else {}
        texts = [fields.get(name) for name in ("axis", "path", "text", "mend")]
        line, cell = _count(fields.get("line")), _count(fields.get("cell"))
        if not all(isinstance(text, str) for text in texts) or not texts[0] or line is None:
            return None
        axis, path, text, mend = map(str, texts)
        return cls(
            axis=axis, path=path, line=line, text=text, mend=mend,
            cell=cell,
        )  # fmt: skip


@frozen
class AxisTried:
    """One thing about the machine, and what was done about it.

    ``state`` is ``varied``, ``failed`` (the run ends in error under it) or ``not varied``, with
    ``why``. ``usual`` and ``varied`` are its value in ordinary reruns and in the probe's.
    ``held`` says what keeps it the same in every rerun of this archive, None when nothing does:
    then a reviewer's machine may differ.
    """

    axis: str
    state: str
    usual: str = ""
    varied: str = ""
    why: str = ""
    held: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The axis inside a probe's document."""
        return {
            "axis": self.axis, "state": self.state, "usual": self.usual, "varied": self.varied,
            "why": self.why, "held": self.held,
        }  # fmt: skip

    @classmethod
    def parse(cls, value: object) -> AxisTried | None:
        """The axis, None for what is none."""
        fields = value if isinstance(value, dict) else {}
        axis, state = fields.get("axis"), fields.get("state")
        if not isinstance(axis, str) or not axis or state not in STATES:
            return None
        held = fields.get("held")
        return cls(
            axis=axis, state=str(state), usual=str(fields.get("usual", "")),
            varied=str(fields.get("varied", "")), why=str(fields.get("why", "")),
            held=held if isinstance(held, str) else None,
        )  # fmt: skip


@frozen
class OutputClass:
    """The class of one output. ``axes`` are those with which it varies: each alone, or (with
    ``together``) only all at once. ``worst`` is the worst outcome between two reruns, ``summary``
    the judge's words for it, ``max_rel`` the largest relative difference of its numbers as
    decimal text. ``spots`` are the lines that may be the cause, the likeliest first.
    """

    path: str
    stability: Stability
    axes: tuple[str, ...] = ()
    together: bool = False
    worst: str = "identical"
    summary: str = ""
    max_rel: str | None = None
    spots: tuple[Spot, ...] = ()

    def sentence(self) -> str:
        """``varies with hash seed, threads``: the class in words."""
        if self.stability is not Stability.VARIES:
            word: str = self.stability.value
            return word
        names = ", ".join(AXES.get(axis, axis) for axis in self.axes)
        return f"varies with {names}" + (" (together, with none alone)" if self.together else "")

    def to_json(self) -> dict[str, Any]:
        """The output inside a probe's document."""
        return {
            "path": self.path, "class": self.stability.value, "axes": list(self.axes),
            "together": self.together, "worst": self.worst, "summary": self.summary,
            "max_rel": self.max_rel, "says": self.sentence(),
            "places": [spot.to_json() for spot in self.spots],
        }  # fmt: skip

    @classmethod
    def parse(cls, value: object) -> OutputClass | None:
        """The class, None for what is none."""
        fields = value if isinstance(value, dict) else {}
        words = {each.value: each for each in Stability}
        path, word = fields.get("path"), fields.get("class")
        if not isinstance(path, str) or word not in words:
            return None
        spots = [Spot.parse(item) for item in _list(fields.get("places"))]
        max_rel = fields.get("max_rel")
        return cls(
            path=path,
            stability=words[word],
            axes=_texts(fields.get("axes")),
            together=fields.get("together") is True,
            worst=str(fields.get("worst", "")),
            summary=str(fields.get("summary", "")),
            max_rel=max_rel if isinstance(max_rel, str) else None,
            spots=tuple(spot for spot in spots if spot is not None),
        )


@frozen
class Proposal:
    """What would make results stable: ``lines`` of repro.yml, or none when the code is to be
    changed; ``why`` for people; the ``outputs`` that it is for."""

    why: str
    outputs: tuple[str, ...]
    lines: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The proposal inside a probe's document."""
        return {"why": self.why, "outputs": list(self.outputs), "lines": list(self.lines)}

    @classmethod
    def parse(cls, value: object) -> Proposal | None:
        """The proposal, None for what is none."""
        fields = value if isinstance(value, dict) else {}
        why = fields.get("why")
        if not isinstance(why, str):
            return None
        return cls(
            why=why, outputs=_texts(fields.get("outputs")), lines=_texts(fields.get("lines"))
        )


@frozen
class Probe:
    """A finished probe: ``reruns`` besides the self-test, in ``seconds`` together."""

    reruns: int
    seconds: float
    axes: tuple[AxisTried, ...]
    outputs: tuple[OutputClass, ...]
    proposals: tuple[Proposal, ...]
    limits: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The document ``repro.probe/1``; no floats, since it is sealed."""
        return {
            "schema": PROBE_SCHEMA,
            "reruns": self.reruns,
            "seconds": f"{self.seconds:.3f}",
            "axes": [axis.to_json() for axis in self.axes],
            "outputs": [output.to_json() for output in self.outputs],
            "proposals": [proposal.to_json() for proposal in self.proposals],
            "limits": list(self.limits),
        }


def recorded_probe(circumstances: Mapping[str, Any]) -> Probe | None:
    """The probe in an archive's recording, without what is malformed in it.

    None when it was not probed, or by a repro of another schema.
    """
    document = circumstances.get("probe")
    if not isinstance(document, dict) or document.get("schema") != PROBE_SCHEMA:
        return None
    axes = [AxisTried.parse(item) for item in _list(document.get("axes"))]
    outputs = [OutputClass.parse(item) for item in _list(document.get("outputs"))]
    proposals = [Proposal.parse(item) for item in _list(document.get("proposals"))]
    seconds = document.get("seconds")
    known = isinstance(seconds, str) and re.fullmatch(r"\d{1,9}(?:\.\d{1,6})?", seconds)
    return Probe(
        reruns=_count(document.get("reruns")) or 0,
        seconds=float(seconds) if known and isinstance(seconds, str) else 0.0,
        axes=tuple(axis for axis in axes if axis is not None),
        outputs=tuple(output for output in outputs if output is not None),
        proposals=tuple(proposal for proposal in proposals if proposal is not None),
        limits=_texts(document.get("limits")),
    )


def recorded_classes(circumstances: Mapping[str, Any]) -> Mapping[str, OutputClass]:
    """The classes that an archive's recording holds, by path; none when it was not probed."""
    found = recorded_probe(circumstances)
    return {} if found is None else {each.path: each for each in found.outputs}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in _list(value) if isinstance(item, str) and item)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(value: object) -> int | None:
    known = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 31
    return value if known else None  # type: ignore[return-value]
