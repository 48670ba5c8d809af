"""Compare a distribution's files in an image with its RECORD, and with the published wheel."""

from __future__ import annotations

import re

from repro.model.origin import FileNote
from repro.model.packed import PackedFile, PackedFiles
from repro.pin.dist_files import DistFiles
from repro.pin.launchers import is_launcher, without_shebang
from repro.pin.wheel import Place, Wheel
from repro.primitives.frozen import frozen
from repro.primitives.pycache import source_of

_OF_INSTALLERS = re.compile(
    r"RECORD|INSTALLER|REQUESTED|direct_url\.json|provenance_url\.json|uv_cache\.json|uv_build\.json"
)
_SCRIPT_LIMIT = 1 << 20


@frozen
class Compared:
    """What came of a comparison: counts, and files to be named. ``claimed`` are its paths."""

    equal: int
    absent: int
    local: tuple[FileNote, ...]
    differs: tuple[FileNote, ...]
    claimed: frozenset[str]


class _Tally:
    def __init__(self) -> None:
        self.equal = 0
        self.absent = 0
        self.local: list[FileNote] = []
        self.differs: list[FileNote] = []
        self.claimed: set[str] = set()

    def done(self) -> Compared:
        def ordered(notes: list[FileNote]) -> tuple[FileNote, ...]:
            return tuple(sorted(notes, key=lambda note: note.path))

        return Compared(
            equal=self.equal,
            absent=self.absent,
            local=ordered(self.local),
            differs=ordered(self.differs),
            claimed=frozenset(self.claimed),
        )


def with_record(files: PackedFiles, dist: DistFiles) -> Compared:
    """Every packed file that RECORD names against the hash that it gives."""
    tally = _Tally()
    tally.claimed.add(f"{dist.info}/RECORD")  # some installers leave it out of itself
    for path, digest in (dist.record or {}).items():
        tally.claimed.add(path)
        found = files.get(path)
        if found is None:
            tally.absent += not path.endswith(".pyc")
        elif source_of(path) is not None:
            tally.local.append(FileNote(path=path, why="compiled"))
        elif digest is None:
            tally.local.append(FileNote(path=path, why="its RECORD gives no sha256"))
        elif found.sha256 == digest:
            tally.equal += 1
        else:
            tally.differs.append(FileNote(path=path, why="not what the RECORD in the image says"))
    return tally.done()


def with_wheel(files: PackedFiles, dist: DistFiles, wheel: Wheel) -> Compared:
    """Every packed file of the distribution against the wheel's member. Raises WheelError.

    Also what RECORD names although the wheel has nothing like it.
    """
    tally = _Tally()
    sizes = wheel.members
    skipped = {f"{wheel.info}/RECORD"}
    for member, place in wheel.places(dist.site).items():
        path = files.real(place.path)
        tally.claimed.add(path)
        found = files.get(path)
        if member in skipped:
            _note_record(tally, path, found)
        elif found is None:
            tally.absent += 1
        elif _same(found, wheel, member, sizes[member]):
            tally.equal += 1
        elif place.script and _same_script(found, wheel, member, place):
            tally.local.append(FileNote(path=path, why="its first line names this Python"))
        else:
            tally.differs.append(FileNote(path=path, why="not what the published wheel holds"))
    for path in sorted((dist.record or {}).keys() - tally.claimed):
        found = files.get(path)
        if found is not None:
            _beyond(tally, dist, path, found)
    tally.claimed |= (dist.record or {}).keys()
    return tally.done()


def _note_record(tally: _Tally, path: str, found: PackedFile | None) -> None:
    if found is not None:
        tally.local.append(FileNote(path=path, why="written by the installer"))


def _same(found: PackedFile, wheel: Wheel, member: str, size: int) -> bool:
    # Only as many bytes are read as the image's own file has: no wheel can be a bomb.
    return found.kind == "file" and found.size == size and found.sha256 == wheel.sha256(member)


def _same_script(found: PackedFile, wheel: Wheel, member: str, place: Place) -> bool:
    """Whether a script differs in its first line alone (PEP 427: ``#!python``)."""
    if found.content is None or wheel.members[member] > _SCRIPT_LIMIT:
        return False
    original = wheel.read(member)
    first, _, rest = original.partition(b"\n")
    body = without_shebang(found.content)
    return first.startswith(b"#!python") and body is not None and body == rest


def _beyond(tally: _Tally, dist: DistFiles, path: str, found: PackedFile) -> None:
    """A file that RECORD names and the wheel does not hold: what else may have made it."""
    folder, _, leaf = path.rpartition("/")
    if source_of(path) is not None:
        tally.local.append(FileNote(path=path, why="compiled"))
    elif folder == dist.info and _OF_INSTALLERS.fullmatch(leaf):
        tally.local.append(FileNote(path=path, why="written by the installer"))
    elif path in dist.launchers and found.content is not None:
        if is_launcher(found.content, *dist.launchers[path]):
            tally.local.append(FileNote(path=path, why="the installer's launcher"))
        else:
            why = "does more than start its entry point"
            tally.differs.append(FileNote(path=path, why=why))
    else:
        tally.differs.append(FileNote(path=path, why="not in the published wheel"))
