"""What the process that watches one of several steps at once tells of it, as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from repro.model.observation import ProcessSeen
from repro.model.step import Cost, StepSeen
from repro.observe.ledger import Ledger
from repro.observe.lines import Line
from repro.observe.outside import Outside
from repro.observe.touches import Touched
from repro.primitives.frozen import frozen


@frozen
class Base:
    """How much a ledger held as its copy was made: what came later is the part's own."""

    programs: int
    connections: int
    links: frozenset[str]

    @classmethod
    def of(cls, ledger: Ledger) -> Base:
        """The state of a ledger now."""
        return cls(
            programs=len(ledger.programs), connections=len(ledger.connections),
            links=frozenset(ledger.links.texts),
        )  # fmt: skip


def written(
    step: StepSeen | None, ledger: Ledger, base: Base, outside: Outside, limits: list[str],
    root: str,
) -> bytes:  # fmt: skip
    """The document. ``step`` is None for one that was ended because another failed."""
    touched = Touched.of(ledger.touches, root) if ledger.touches is not None else Touched()
    document = {
        "step": None if step is None else {**asdict(step), "cost": asdict(step.cost)},
        "lines": [[path, *line] for path, line in ledger.lines.items()],
        "programs": [asdict(program) for program in ledger.programs[base.programs :]],
        "connections": [list(key) for key in list(ledger.connections)[base.connections :]],
        "remarks": list(ledger.remarks),
        "links": ledger.links.texts,
        "kept": outside.kept,
        "trouble": outside.trouble,
        "limits": limits,
        "touched": {name: sorted(paths) for name, paths in asdict(touched).items()},
    }
    return json.dumps(document).encode("ascii")


@frozen
class Part:
    """The document as read."""

    step: StepSeen | None
    touched: Touched
    limits: tuple[str, ...]
    document: Mapping[str, Any]

    @classmethod
    def read(cls, data: bytes) -> Part:
        """From a process of our own: nothing of the run can write into its pipe."""
        document = json.loads(data)
        step = document["step"]
        if step is not None:
            cost, tail = Cost(**step["cost"]), tuple(step["tail"])
            step = StepSeen(**{**step, "cost": cost, "tail": tail})
        touched = {name: frozenset(paths) for name, paths in document["touched"].items()}
        return cls(
            step=step, touched=Touched(**touched), limits=tuple(document["limits"]),
            document=document,
        )  # fmt: skip

    def add_to(self, ledger: Ledger, base: Base, outside: Outside) -> None:
        """Put what came since ``base`` into the one ledger of the recording."""
        shift = len(ledger.programs) - base.programs

        def moved(number: int | None) -> int | None:
            return number if number is None or number < base.programs else number + shift

        for fields in self.document["programs"]:
            fields["number"], fields["parent"] = moved(fields["number"]), moved(fields["parent"])
            ledger.programs.append(ProcessSeen(**{**fields, "argv": tuple(fields["argv"])}))
        for path, *values in self.document["lines"]:
            _add_line(ledger, path, Line(*values), moved)
        for process, family, address, port in self.document["connections"]:
            ledger.connected(moved(process), family, address, port)
        for remark in self.document["remarks"]:
            ledger.remarks[remark] = None
        links = self.document["links"]
        for gone in base.links - links.keys():
            ledger.links.texts.pop(gone, None)
        ledger.links.texts.update(links)
        outside.add(self.document["kept"], self.document["trouble"])


def _add_line(ledger: Ledger, path: str, new: Line, moved: Any) -> None:
    old = ledger.lines.get(path, Line())
    ledger.lines.note(
        path,
        read=old.read or new.read,
        read_first=old.read_first or new.read_first,
        written=old.written or new.written,
        executed=old.executed or new.executed,
        listed=old.listed or new.listed,
        fresh=old.fresh or new.fresh,
        reader=moved(new.reader) if old.reader is None else old.reader,
        writer=moved(new.writer) if old.writer is None else old.writer,
    )
