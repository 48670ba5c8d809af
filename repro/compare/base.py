"""The seam of comparators: what one declares, and what the public method guarantees."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeVar

from repro.compare.causes import causes
from repro.compare.findings import Findings
from repro.compare.settings import Settings, read_settings
from repro.model.outcome import Outcome
from repro.model.ports import OutputFile
from repro.model.verdict import Comparison, Difference
from repro.primitives.frozen import frozen
from repro.primitives.texts import human_size, printable

MAX_BYTES = 64 << 20
UNBOUNDED = 1 << 62
"""``max_bytes`` of a comparator that never holds a whole file."""
MAX_DEPTH = 3
_HEAD = 512
T = TypeVar("T")


class Malformed(Exception):
    """The bytes are not what the format demands; the text says where."""


class Beyond(Exception):
    """Within the format, but past a bound of this comparator; the text names the bound."""


class Damaged(Exception):
    """One side follows the format and the other does not: surely different."""


@frozen
class Task:
    """What a comparator is told beside the bytes. ``depth`` counts files inside files."""

    path: str
    settings: Settings
    options: Mapping[str, object]
    reviewer: Mapping[str, object] | None = None
    depth: int = 0


class Comparator(abc.ABC):
    """Compares two files of one kind.

    A plug-in is one file in ``formats/``: it sets ``name`` (``csv/1``, the number grows
    when verdicts can change), ``rank`` (smaller is asked first), ``suffixes`` (lower
    case, with the dot), ``magic`` (the bytes files start with), ``kinds`` (values of the
    option ``as``) and writes ``_compare``.
    """

    name: ClassVar[str]
    rank: ClassVar[int] = 50
    suffixes: ClassVar[tuple[str, ...]] = ()
    magic: ClassVar[tuple[bytes, ...]] = ()
    kinds: ClassVar[tuple[str, ...]] = ()
    max_bytes: ClassVar[int] = MAX_BYTES

    def accepts(self, path: str, head: bytes) -> bool:
        """Whether this comparator is for a file of that name starting with ``head``."""
        if self.magic and head.startswith(self.magic):
            return True
        return path.lower().endswith(self.suffixes) if self.suffixes else False

    def compare(
        self,
        old: OutputFile,
        new: OutputFile,
        options: Mapping[str, object],
        *,
        path: str = "",
        reviewer: Mapping[str, object] | None = None,
        depth: int = 0,
    ) -> Comparison:
        """Compare two files; never raises, never better than the evidence.

        What is too large, past a bound or makes the parser fail is UNDECIDED; what is not
        of this format on one side, or on both with different bytes, is DIFFERENT.
        ``options`` are the sealed ones, ``reviewer`` a reviewer's own tolerance; ``path``
        only helps to name what is inside.
        """
        try:
            if old.digest == new.digest:
                return Comparison(outcome=Outcome.IDENTICAL, comparator="bytes/1")
            if max(old.size, new.size) > self.max_bytes:
                bound = human_size(self.max_bytes)
                raise Beyond(f"too large to compare beyond bytes (limit {bound})")
            task = Task(
                path=path,
                settings=read_settings(options, reviewer),
                options=options,
                reviewer=reviewer,
                depth=depth,
            )
            found = self._compare_files(old, new, task)
            return dataclasses.replace(found, notes=found.notes + causes(old, new, found))
        except Damaged as error:
            return self._plain(Outcome.DIFFERENT, str(error), note=str(error))
        except Malformed as error:
            return self._plain(
                Outcome.DIFFERENT, "bytes differ", note=f"compared as bytes: {error}"
            )
        except Beyond as error:
            return self._plain(Outcome.UNDECIDED, str(error), note=f"bytes differ, {error}")
        except OSError as error:
            text = f"cannot be read: {error.strerror or error}"
            return self._plain(Outcome.UNDECIDED, text, note=text)
        except Exception as error:  # a comparer's crash must never end or decide a verdict
            text = f"{self.name} failed: {type(error).__name__}: {printable(str(error), 120)}"
            return self._plain(
                Outcome.UNDECIDED, "the comparator failed", note=f"bytes differ, {text}"
            )

    def _compare_files(self, old: OutputFile, new: OutputFile, task: Task) -> Comparison:
        """Compare files that are known to differ; a plug-in that streams writes this one."""
        return self._compare(read_all(old, self.max_bytes), read_all(new, self.max_bytes), task)

    @abc.abstractmethod
    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        """Compare bytes that are known to differ. May raise Malformed, Beyond, Damaged."""

    def _findings(self, task: Task) -> Findings:
        return Findings(self.name, task.settings)

    def _plain(self, outcome: Outcome, summary: str, *, note: str) -> Comparison:
        differences: tuple[Difference, ...] = ()
        if outcome is Outcome.DIFFERENT:
            differences = (Difference(where="the file", text=summary),)
        return Comparison(
            outcome=outcome,
            comparator=self.name,
            summary=summary,
            differences=differences,
            notes=(note,),
        )


def read_all(output: OutputFile, limit: int) -> bytes:
    """The output's bytes. Raises Beyond when they are not as many as it says."""
    with contextlib.closing(output.open()) as stream:
        # Not all that is allowed: a stream takes the memory for what it is asked for.
        data = stream.read(min(limit, output.size) + 1)
    if len(data) != output.size:
        raise Beyond("it changed while it was compared")
    return data


def read_head(output: OutputFile) -> bytes:
    """The first bytes of an output, for the choice of a comparator."""
    with contextlib.closing(output.open()) as stream:
        return stream.read(_HEAD)


def parse_both(parse: Callable[[bytes], T], old: bytes, new: bytes) -> tuple[T, T]:
    """Parse two sides. Raises Damaged when one is malformed, Malformed when both are."""
    sides: list[T] = []
    errors: list[tuple[str, Malformed]] = []
    for name, data in (("recorded", old), ("rerun's", new)):
        try:
            sides.append(parse(data))
        except Malformed as error:
            errors.append((name, error))
    if len(errors) == 1:
        raise Damaged(f"only the {errors[0][0]} file is malformed: {errors[0][1]}")
    if errors:
        raise Malformed(f"neither side is well-formed: {errors[0][1]}")
    return sides[0], sides[1]
