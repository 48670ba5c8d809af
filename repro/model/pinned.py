"""A second rerun on a processor that pretends to be the author's, where outputs drifted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repro.model.outcome import Outcome
from repro.model.verdict import Verdict
from repro.primitives.frozen import frozen

_DRIFTED = (Outcome.CLOSE, Outcome.DIFFERENT, Outcome.UNDECIDED)


def drifted(verdict: Verdict) -> dict[str, str]:
    """Outputs that were looked at and are not the same; the outcome by path."""
    return {o.path: o.outcome.value for o in verdict.outputs if o.outcome in _DRIFTED}


@frozen
class Pinned:
    """What was set to match the recorded machine, what could not be, and what came of it.

    ``variables`` and ``processors`` (a number, None: as they are) were set; ``outcomes`` are
    those of the outputs that had drifted, by path, ``before`` what they were without pinning.
    ``failed`` says why there is none. The verdict stays that of the ordinary rerun.
    """

    before: Mapping[str, str]
    variables: Mapping[str, str]
    could_not: tuple[str, ...]
    outcomes: Mapping[str, str]
    processors: int | None = None
    seconds: float | None = None
    failed: str | None = None

    @property
    def vanished(self) -> tuple[str, ...]:
        """Outputs that gave the recorded bytes under pinning."""
        return tuple(p for p, outcome in self.outcomes.items() if outcome == "identical")

    def settings(self) -> str:
        """What was set, for people."""
        words = [f"{name}={value}" for name, value in self.variables.items()]
        if self.processors is not None:
            words.append(f"{self.processors} processor{'s' * (self.processors != 1)}")
        return ", ".join(words) or "nothing"

    def to_json(self) -> dict[str, Any]:
        """``pinned`` of ``repro.verify/1``."""
        return {
            "variables": dict(self.variables),
            "processors": self.processors,
            "could_not": list(self.could_not),
            "before": dict(self.before),
            "outcomes": dict(self.outcomes),
            "vanished": list(self.vanished),
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "failed": self.failed,
            "settings": self.settings(),
        }
