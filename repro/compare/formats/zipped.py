"""ZIP and what is built on it (npz, xlsx, docx, odt): member by member, order and times free."""

from __future__ import annotations

import io
import zipfile
import zlib

from repro.compare.base import Beyond, Comparator, Malformed, Task, parse_both
from repro.compare.choose import compare_part
from repro.model.verdict import Comparison

_MAX_MEMBERS = 10_000
_MAX_TOTAL = 96 << 20
_MAX_MEMBER = 64 << 20


class ZipComparator(Comparator):
    """Every member is judged as a file of its own name; same names are demanded."""

    name = "zip/1"
    rank = 46
    suffixes = (".zip", ".npz", ".xlsx", ".docx", ".pptx", ".odt", ".ods", ".whl", ".epub")
    magic = (b"PK\x03\x04", b"PK\x05\x06")
    kinds = ("zip",)

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(_members, old, new)
        findings = self._findings(task)
        for name in sorted(left.keys() | right.keys()):
            if name not in left or name not in right:
                findings.differ(name, "only in one of the two", *_sizes(name, left, right))
            elif left[name] != right[name]:
                findings.merge(name, compare_part(name, left[name], right[name], task))
        findings.otherwise("the order, times and attributes of members, or their compression")
        nouns = "member" if len(left) == 1 else "members"
        return findings.result(f"{len(left)} {nouns}")


def _sizes(name: str, left: dict[str, bytes], right: dict[str, bytes]) -> tuple[str, str]:
    sides = [f"{len(side[name])} bytes" if name in side else "missing" for side in (left, right)]
    return sides[0], sides[1]


def _members(data: bytes) -> dict[str, bytes]:
    if not data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        raise Malformed("it does not begin like a ZIP")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
        raise Malformed(f"{error}") from None
    except (NotImplementedError, RuntimeError) as error:
        # Encrypted, or packed in a way zipfile does not know.
        raise Beyond(f"a member cannot be unpacked: {error}") from None


def _read(archive: zipfile.ZipFile) -> dict[str, bytes]:
    infos = archive.infolist()
    if len(infos) > _MAX_MEMBERS:
        raise Beyond(f"more than {_MAX_MEMBERS} members")
    found: dict[str, bytes] = {}
    total = 0
    for info in infos:
        if info.filename in found:
            raise Beyond("two members have the same name")
        with archive.open(info) as stream:
            content = stream.read(_MAX_MEMBER + 1)
        total += len(content)
        if len(content) > _MAX_MEMBER or total > _MAX_TOTAL:
            raise Beyond("its members are too large to compare")
        found[info.filename] = content
    return found
