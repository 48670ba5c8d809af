"""Judge labelled pairs and count: the confusion matrix, each format's line, every wrong one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labelled.pair import Pair

from repro.compare.judge import judge
from repro.compare.memory import MemoryOutput
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison

LABELS = ("benign", "close", "fault", "opaque")
GRADES = (
    Outcome.IDENTICAL, Outcome.EQUIVALENT, Outcome.CLOSE, Outcome.UNDECIDED, Outcome.DIFFERENT,
)  # fmt: skip
EXPECTED = {
    "benign": (Outcome.IDENTICAL, Outcome.EQUIVALENT),
    "close": (Outcome.CLOSE,),
    "fault": (Outcome.DIFFERENT,),
    "opaque": (Outcome.UNDECIDED,),
}
# How the findings word what was left out, and so why a benign pair differs.
REMOVED = {
    "time": r"\bdates?\b|\btimes?\b|timing|duration|history|DATE|\bcreated\b|\bDate\b|last_change|CreationDate|/modified|/created",
    "packing": r"compress|packed|chunks|how hard|layout|/Filter|laid out|lie in the file|protocol|written",
    "order": r"\border\b",
    "format": r"how numbers|how a number|white space|quotes|encoding",
    "endings": r"line endings",
    "ids": r"\bids?\b|identifiers|/ID",
    "host": r"host name|process numbers|paths|addresses",
    "colours": r"terminal colours",
    "progress": r"progress",
    "version": r"version|roducer|program|Software|byte code",
    "metadata": r"metadata|Exif|comment|looks|permissions|owners|attributes",
    "zero": r"sign of zero",
    "numbering": r"counts?\b|counters|number of the run",
    "traceback": r"traceback",
}
# How the notes word a guess, and so why two files differ.
GUESSED = {
    "cut": r"cut off|is empty|malformed",
    "order": r"in another order|other columns",
    "rounding": r"perhaps rounding",
    "missing": r"missing value",
    "infinite": r"an infinity",
    "sign": r"the other sign",
    "factor": r"by the factor",
    "offset": r"shifted by",
    "few": r"single values",
    "rounded": r"fewer digits",
    "random": r"without a seed",
    "place": r"in one place of the picture",
    "spread": r"all over the picture",
}
# How the differences themselves are worded; what they say is a fact and no guess.
STATED = {
    "rows": r"more or fewer rows|number of (rows|items|cells|lines|pieces|outputs)|other sheets|lines? (added|missing)|added|^missing"
    r"|lines: \d+ recorded|only in|on one side only|other (objects|elements)",
    "type": r"another (type|kind|order of storage)|other columns",
    "shape": r"another (shape|size)",
    "text": r"text differs|source differs|header differs|value differs|lines differ|name differs|content differs",
    "textnumber": r"a number in the text",
    "kind": r" became ",
    "date": r"date or time",
    "member": r"only in|added or missing",
    "cell": r"cell|formula|empty in",
    "bytes": r"bytes differ",
    "turned": r"turned",
    "shown": r"how the picture is shown",
    "separator": r"separated by",
    "value": r"value differs|another value|became",
    "missing": r"missing value|became null|null became|empty in",
    "drawn": r"other (objects|elements)|content differs|text differs|a number in the text",
    "na": r"NA is not NaN",
    "schema": r"schema|column",
}


@dataclass(frozen=True)
class Judged:
    """A pair, what was found, and the causes that the findings name."""

    pair: Pair
    found: Comparison
    named: frozenset[str]

    @property
    def graded(self) -> bool:
        """Whether the outcome is one that the label allows."""
        return self.found.outcome in EXPECTED[self.pair.label]

    @property
    def explained(self) -> bool:
        """Whether the expected cause is named, and no guess is made that is wrong."""
        allowed = {self.pair.cause, *self.pair.also}
        return self.pair.cause in self.named and self.guesses <= allowed

    @property
    def guesses(self) -> frozenset[str]:
        """What the notes guess about a planted fault; a fact is no guess."""
        notes = self.found.notes if self.pair.label == "fault" else ()
        return frozenset(_matching(GUESSED, notes))


def judged(pair: Pair) -> Judged:
    """Judge one pair as a rerun's output is judged."""
    assert pair.old != pair.new, f"{pair.title}: the same bytes prove nothing"
    sides = [{pair.path: MemoryOutput(data)} for data in (pair.old, pair.new)]
    rules = {pair.path: (True, pair.options)}
    found = judge(sides[0], sides[1], rules=rules).outputs[0].comparison
    return Judged(pair, found, frozenset(_named(pair, found)))


def _named(pair: Pair, found: Comparison) -> Iterable[str]:
    if pair.label == "opaque":
        notes = " | ".join(found.notes)
        yield from [pair.cause] if re.search(pair.cause, notes) else []
        return
    if pair.label != "fault":
        yield from _matching(REMOVED, found.removed)
    if pair.label == "fault":
        yield from _matching(GUESSED, found.notes)
        texts = [item.text for item in found.differences]
        yield from _matching(STATED, [*texts, *found.notes])
    elif found.outcome is Outcome.CLOSE:
        if found.numbers is not None and found.numbers.differ:
            yield "rounding"
        yield from ["pixels"] if any("2/255" in note for note in found.notes) else []
        yield from ["declared"] if found.tolerance.get("from") == "repro.yml" else []


def _matching(table: dict[str, str], texts: Iterable[str]) -> Iterable[str]:
    joined = "\n".join(texts)
    return [slug for slug, pattern in table.items() if re.search(pattern, joined, re.M)]


def missed(all_: Iterable[Judged]) -> list[Judged]:
    """Planted faults and refused pairs that were told to be the same, or close."""
    bad = (one for one in all_ if one.pair.label in ("fault", "opaque"))
    return [one for one in bad if one.found.outcome.meets(Outcome.CLOSE)]


def alarms(all_: Iterable[Judged]) -> list[Judged]:
    """Benign pairs that were told to be different or could not be told."""
    good = (one for one in all_ if one.pair.label == "benign")
    return [one for one in good if one.found.outcome.rank > Outcome.EQUIVALENT.rank]


def matrix(all_: Sequence[Judged]) -> str:
    """Labels down, outcomes across."""
    lines = ["| labelled | " + " | ".join(grade.value for grade in GRADES) + " | all |"]
    lines.append("|---" * (len(GRADES) + 2) + "|")
    for label in LABELS:
        counts = Counter(one.found.outcome for one in all_ if one.pair.label == label)
        cells = [str(counts[grade] or "") for grade in GRADES]
        lines.append(f"| {label} | {' | '.join(cells)} | {sum(counts.values())} |")
    return "\n".join(lines)


def by_format(all_: Sequence[Judged]) -> str:
    """One line a format: pairs, and how many are graded and explained rightly."""
    lines = [
        "| format | " + " | ".join(LABELS) + " | graded right | cause right |",
        "|---" * 7 + "|",
    ]
    for format in dict.fromkeys(one.pair.format for one in all_):
        own = [one for one in all_ if one.pair.format == format]
        counts = Counter(one.pair.label for one in own)
        right = sum(one.graded for one in own), sum(one.explained for one in own)
        cells = [str(counts[label] or "") for label in LABELS]
        lines.append(
            f"| {format} | {' | '.join(cells)} | {right[0]}/{len(own)} | {right[1]}/{len(own)} |"
        )
    return "\n".join(lines)


def wrong(all_: Iterable[Judged]) -> str:
    """Every pair that was graded or explained wrongly, with its findings."""
    lines = []
    for one in all_:
        if one.graded and one.explained:
            continue
        what = "GRADE" if not one.graded else "cause"
        lines.append(
            f"{what} {one.pair.title}: {one.pair.label}, because of {one.pair.cause}; found "
            f"{one.found.outcome.value} by {one.found.comparator}, named {sorted(one.named)}"
        )
        for item in one.found.differences[:3]:
            lines.append(f"    {item.where}: {item.text} ({item.old!s:.60} / {item.new!s:.60})")
        for text in [*one.found.removed, *one.found.notes][:6]:
            lines.append(f"    {text[:200]}")
    return "\n".join(lines)
