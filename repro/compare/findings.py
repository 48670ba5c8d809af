"""Evidence gathered while two files are compared, and the outcome it amounts to."""

from __future__ import annotations

from repro.compare.numbers import Tally
from repro.compare.settings import Settings
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison, Difference

MAX_DIFFERENCES = 60
_MAX_TEXT = 600
_MAX_REMOVED = 40


class Findings:
    """Collects what a comparator sees. The worst piece decides, never the last.

    It starts from the fact that the bytes differ, so without any finding the outcome is
    EQUIVALENT only if the comparator says with ``result`` that it looked at everything.
    """

    def __init__(self, comparator: str, settings: Settings) -> None:
        self.comparator = comparator
        self.settings = settings
        self.tally = Tally(settings.rtol, settings.atol)
        self.differences: list[Difference] = []
        self.count = 0
        self._removed: dict[str, None] = {}
        self._notes: dict[str, None] = dict.fromkeys(settings.notes)
        self._allowed: dict[str, str] = {}
        self._close = False
        self._undecided = False
        self._explained = False

    def differ(self, where: str, text: str, old: str | None = None, new: str | None = None) -> None:
        """A difference that carries a result."""
        self.count += 1
        if len(self.differences) < MAX_DIFFERENCES:
            self.differences.append(
                Difference(where=_cut(where), text=_cut(text), old=_cut(old), new=_cut(new))
            )

    def drop(self, what: str) -> None:
        """Something that differs was left out because it carries no result."""
        if len(self._removed) < _MAX_REMOVED:
            self._removed[_cut(what)] = None

    def otherwise(self, what: str) -> None:
        """Name what must have differed when nothing else that was seen explains it."""
        if not self._removed and self.outcome is Outcome.EQUIVALENT:
            self.drop(what)

    def allow(self, name: str, value: str) -> None:
        """A freedom that repro.yml or the reviewer declares was needed: at best CLOSE."""
        self._close = True
        self._allowed[name] = value

    def near(self) -> None:
        """Something differs inside a tolerance that is not a number's: at best CLOSE."""
        self._close = True

    def note(self, text: str) -> None:
        """A limit or remark for the report."""
        if len(self._notes) < _MAX_REMOVED:
            self._notes[_cut(text)] = None

    def explain(self, text: str, *, once: bool = False) -> None:
        """Name the likely reason of what differs, in place of what its numbers suggest.

        With ``once`` only the first of several such reasons is noted.
        """
        if not (once and self._explained):
            self.note(text)
        self._explained = True

    def undecided(self, reason: str) -> None:
        """Part of the files could not be compared: never success."""
        self._undecided = True
        self.note(f"not compared: {reason}")

    def number(
        self, where: str, old: float, new: float, texts: tuple[str, str], *, steps: bool = True
    ) -> None:
        """Compare two numbers under the tolerance."""
        if not self.tally.add(where, old, new, steps=steps):
            self.differ(where, "number differs", *texts)

    def merge(self, where: str, part: Comparison) -> None:
        """Take over what was found for a part of the file."""
        for found in part.differences:
            self.differ(f"{where}, {found.where}", found.text, found.old, found.new)
        if part.outcome.rank > Outcome.UNDECIDED.rank and not part.differences:
            self.differ(where, part.summary or part.outcome.value)
        if part.outcome is Outcome.UNDECIDED:
            self._undecided = True
        self._close = self._close or part.outcome is Outcome.CLOSE
        for text in part.removed:
            self.drop(f"{where}: {text}")
        for text in part.notes:
            self.note(f"{where}: {text}")
        if part.numbers is not None:
            self.tally.absorb(part.numbers, where)
        for name, value in part.tolerance.items():
            if name not in ("rtol", "atol", "from"):
                self._allowed[name] = value

    @property
    def outcome(self) -> Outcome:
        """Where the evidence so far puts the pair on the ladder."""
        if self.count or self.tally.beyond:
            return Outcome.DIFFERENT
        if self._undecided:
            return Outcome.UNDECIDED
        return Outcome.CLOSE if self._close or self.tally.differ else Outcome.EQUIVALENT

    def result(self, summary: str) -> Comparison:
        """The finished comparison of a pair that was looked at completely."""
        if self.tally.signed_zero:
            self.drop("the sign of zero")
        if self.outcome is Outcome.DIFFERENT and not self._explained:
            for text in self.tally.guesses():
                self.note(text)
        if self.count > len(self.differences):
            self.note(f"{self.count - len(self.differences)} further differences are not listed")
        return Comparison(
            outcome=self.outcome,
            comparator=self.comparator,
            summary=_cut(summary),
            differences=tuple(self.differences),
            removed=tuple(self._removed),
            notes=tuple(self._notes),
            numbers=self.tally.summary(),
            tolerance=self._tolerance(),
        )

    def _tolerance(self) -> dict[str, str]:
        found = dict(self._allowed)
        if self.tally.n:
            found = {**self.settings.tolerance, **found}
        if found:
            found.setdefault("from", self.settings.source)
            if found["from"] == "default" and self._allowed:
                found["from"] = "repro.yml"
        return found


def _cut(text: str | None) -> str:
    if text is None:
        return None  # type: ignore[return-value]
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
