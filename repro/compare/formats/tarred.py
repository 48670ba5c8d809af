"""tar: member by member; order, times and owners are free, names, kinds and targets are not."""

from __future__ import annotations

import os

from repro.compare.base import Beyond, Comparator, Malformed, Task, parse_both
from repro.compare.choose import compare_part
from repro.compare.findings import Findings
from repro.errors import ArchiveError
from repro.model.verdict import Comparison
from repro.primitives.frozen import frozen
from repro.primitives.tarformat import BLOCK, FILE, FOLDER, HARDLINK, SYMLINK
from repro.primitives.tarread import Limits, TarReader

_LIMITS = Limits(total=96 << 20, entries=10_000)
_RECORD = 20 * BLOCK
_KINDS = {FILE: "a file", HARDLINK: "a hard link", SYMLINK: "a link", FOLDER: "a folder"}


@frozen
class Member:
    """One member: what it is, where a link leads, its permissions, its bytes."""

    kind: str
    link: str
    mode: int
    data: bytes


class TarComparator(Comparator):
    """Every member is judged as a file of its own name; same names are demanded."""

    name = "tar/1"
    rank = 44
    suffixes = (".tar",)
    kinds = ("tar",)

    def accepts(self, path: str, head: bytes) -> bool:
        """By name, or by the magic inside the first header."""
        return super().accepts(path, head) or head[257:262] == b"ustar"

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(_members, old, new)
        findings = self._findings(task)
        for name in sorted(left.keys() | right.keys()):
            if name not in left or name not in right:
                findings.differ(name, "only in one of the two")
            else:
                _member(name, left[name], right[name], findings, task)
        findings.otherwise("the order, times and owners of members, or the kind of tar")
        return findings.result(f"{len(left)} member{'s' if len(left) != 1 else ''}")


def _member(name: str, old: Member, new: Member, findings: Findings, task: Task) -> None:
    if (old.kind, old.link) != (new.kind, new.link):
        shown = [f"{side.kind} {side.link}".strip() for side in (old, new)]
        findings.differ(name, "another kind or target", *shown)
    elif old.data != new.data:
        findings.merge(name, compare_part(name, old.data, new.data, task))
    if old.mode != new.mode:
        findings.drop(f"{name}: its permissions ({old.mode:o} / {new.mode:o})")


def _members(data: bytes) -> dict[str, Member]:
    found: dict[str, Member] = {}
    try:
        reader = TarReader(iter((data,)), _LIMITS)
        for header in reader:
            name = os.fsdecode(header.name)
            if name in found:
                raise Beyond("two members have the same name")
            kind = _KINDS.get(header.kind, f"kind {header.kind!r}")
            body = b"".join(reader.data())
            found[name] = Member(
                kind=kind, link=os.fsdecode(header.link), mode=header.mode, data=body
            )
    except ArchiveError as error:
        refused = error.slug in ("archive-hostile", "archive-limit")
        raise (Beyond if refused else Malformed)(f"not read: {error.message}") from None
    _end(data)
    return found


def _end(data: bytes) -> None:
    """Writers end with two blocks of zeros and then fill a record, or not (pax, 'ustar')."""
    zeros = len(data) - len(data.rstrip(b"\0"))
    if len(data) % _RECORD and (len(data) % BLOCK or zeros >= 3 * BLOCK):
        raise Malformed("it ends inside its padding")
