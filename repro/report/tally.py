"""The verdict in one sentence and one count: every report takes them from here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repro.model.outcome import Outcome
from repro.primitives.frozen import frozen


@frozen
class Tally:
    """How many required outputs there are, and how many of them meet the bar.

    ``partial`` is ``partial: N of M outputs`` where not all outputs were judged, else empty.
    ``open`` is True when the rerun could reach a network.
    """

    verdict: str
    bar: str
    good: int
    required: int
    reproduced: bool
    partial: str
    open: bool = False

    @property
    def word(self) -> str:
        """The verdict, and the bar when a good one missed it: ``close, identical required``."""
        if self.reproduced or not Outcome(self.verdict).meets(Outcome.CLOSE):
            return self.verdict
        return f"{self.verdict}, {self.bar} required"

    @property
    def sentence(self) -> str:
        """Who reads only this must not be misled."""
        done = "reproduced" if self.reproduced else "not reproduced"
        text = (
            f"{self.good} of {self.required} required outputs meet the bar "
            f"“{self.bar}” or better: {done}"
        )
        if self.partial:
            text = f"{self.partial}; {text} (of what was judged)"
        return f"{text}; the network was open" if self.open else text


def tally(document: Mapping[str, Any]) -> Tally:
    """The count of a ``repro.verify/1`` or ``repro.diff/1`` document."""
    required = [output for output in document["outputs"] if output["required"]]
    bar = Outcome(document["required"])
    return Tally(
        verdict=document["verdict"],
        bar=bar.value,
        good=sum(Outcome(output["verdict"]).meets(bar) for output in required),
        required=len(required),
        reproduced=bool(document["reproduced"]),
        partial=str((document.get("partial") or {}).get("text", "")),
        open=bool((document.get("seal") or {}).get("network")),
    )
