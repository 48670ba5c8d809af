"""What one of several steps at once touched in the project, and which of them race.

Steps that neither needs may run in any order. What one writes and the other opens would then
depend on chance, in the recording and in every rerun.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from repro.errors import ProjectError
from repro.model.step import Step
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable

_SHOWN = 10


class Touches:
    """Absolute paths as they were spelled, also of opens that found nothing."""

    def __init__(self) -> None:
        self.opened: set[str] = set()
        self.written: set[str] = set()


@frozen
class Touched:
    """The same below a project, relative to it, free of links; ``modules`` are folders that
    the step read Python modules from: their names are listed whatever the analysis does."""

    opened: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()

    @classmethod
    def of(cls, touches: Touches, root: str) -> Touched:
        """What of it lies in the project."""
        opened = frozenset(_inside(touches.opened, root))
        return cls(
            opened=opened,
            written=frozenset(_inside(touches.written, root)),
            modules=frozenset(_folder(path) for path in opened if path.endswith((".py", ".pyc"))),
        )


@frozen
class Race:
    """Two steps that nothing orders, and a path that one writes and the other touches.

    ``listed``: the other only lists the folder that holds it.
    """

    writer: str
    other: str
    path: str
    both_write: bool = False
    listed: bool = False

    def sentence(self) -> str:
        """For people."""
        path, one, other = printable(self.path, 80), _name(self.writer), _name(self.other)
        if self.both_write:
            return f"{one} and {other} both write {path}"
        if self.listed:
            return f"{other} lists the folder of {path}, which {one} writes"
        return f"{other} opens {path}, which {one} writes"


def earlier(steps: Sequence[Step]) -> tuple[frozenset[int], ...]:
    """For each step the numbers of all that must have ended before it begins.

    These are the steps it needs, directly or through others; a notebook comes after
    everything that is listed before it.
    """
    numbers = {step.name: number for number, step in enumerate(steps) if step.notebook is None}
    found: list[frozenset[int]] = []
    for number, step in enumerate(steps):
        if step.notebook is not None:
            found.append(frozenset(range(number)))
            continue
        direct = {numbers[name] for name in step.needs}
        found.append(frozenset(direct.union(*(found[each] for each in direct))))
    return tuple(found)


def races(
    steps: Sequence[Step], touched: Mapping[int, Touched], listings: bool = True
) -> Iterator[Race]:
    """Every path over which two steps that nothing orders race, by the steps' order."""
    before = earlier(steps)
    for one in sorted(touched):
        for other in sorted(touched):
            if one == other or one in before[other] or other in before[one]:
                continue
            yield from _pair(
                steps[one].name, touched[one], steps[other].name, touched[other],
                once=one < other, listings=listings,
            )  # fmt: skip


def refuse_races(
    steps: Sequence[Step], touched: Mapping[int, Touched], remark: dict[str, None]
) -> None:
    """Raises ProjectError for files; folders that were listed become remarks."""
    found = list(races(steps, touched))
    hard = [race for race in found if not race.listed]
    if hard:
        raise ProjectError(
            f"steps run at once and nothing orders them, though {hard[0].sentence()}",
            hint=mend(hard[0]),
            details=[race.sentence() for race in hard[1:_SHOWN]]
            + ([f"and {len(hard) - _SHOWN} more"] if len(hard) > _SHOWN else []),
            slug="steps-race",
        )
    for race in found[:_SHOWN]:
        remark[
            f"{race.sentence()}; they ran at once, so what it found there is chance: {mend(race)}"
        ] = None


def mend(race: Race) -> str:
    """What to write into repro.yml."""
    text = f"write `needs: [{race.writer}]` into step {_name(race.other)} of repro.yml"
    if race.both_write:
        text += ", or give each a file of its own"
    return f"{text} (or leave `jobs` out: then steps run in the listed order)"


def _pair(
    writer: str, one: Touched, name: str, other: Touched, *, once: bool, listings: bool
) -> Iterator[Race]:
    for path in sorted(one.written):
        if path in other.written:
            if once:
                yield Race(writer=writer, other=name, path=path, both_write=True)
        elif path in other.opened:
            yield Race(writer=writer, other=name, path=path)
        elif listings:
            folder = _folder(path)
            if folder in other.opened and folder not in other.modules:
                yield Race(writer=writer, other=name, path=path, listed=True)
    # A whole folder that was moved or removed.
    for path in sorted(other.opened - one.written):
        above = next((each for each in _above(path) if each in one.written), None)
        if above is not None and path not in other.written:
            yield Race(writer=writer, other=name, path=path)


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _inside(paths: Iterable[str], root: str) -> Iterator[str]:
    folders: dict[str, str] = {}
    for path in paths:
        folder, _, leaf = path.rpartition("/")
        if folder not in folders:
            folders[folder] = os.path.realpath(folder or "/")
        real = os.path.normpath(f"{folders[folder]}/{leaf}")
        if os.path.islink(real):
            real = os.path.realpath(real)
        if real == root:
            yield "."
        elif real.startswith(root + "/"):
            yield real[len(root) + 1 :]


def _name(name: str) -> str:
    return f"'{printable(name, 60)}'"
