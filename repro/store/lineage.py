"""The versions of one archive as a person sees them: names of one thing, in order of age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from repro.model.oci import RECORDING, Descriptor
from repro.primitives.digest import Digest
from repro.primitives.frozen import frozen
from repro.primitives.tarformat import BLOCK, padding
from repro.store.catalog import VersionInfo, references


@frozen
class Named:
    """One version with all its tags in the order of the index; the last is the one shown."""

    tags: tuple[str, ...]
    version: VersionInfo


def is_same(one: VersionInfo, other: VersionInfo) -> bool:
    """Whether two entries of an index are one version: the same image and recording.

    One image with two recordings is two versions: two snapshots that gave the same.
    """
    if one.manifest_digest != other.manifest_digest:
        return False
    recordings = [version.artifact(RECORDING) for version in (one, other)]
    return len({each.descriptor.digest if each else None for each in recordings}) == 1


def named(versions: Sequence[VersionInfo]) -> list[Named]:
    """Each version once, in the order of their last entries."""
    found: list[list[VersionInfo]] = []
    for version in versions:
        group = next((group for group in found if is_same(group[0], version)), [])
        if group:
            found.remove(group)
        found.append([*group, version])
    return [Named(tags=tuple(each.tag for each in group), version=group[-1]) for group in found]


def added_bytes(
    versions: Sequence[VersionInfo], folded: Mapping[Digest, int] | None = None
) -> list[int]:
    """The bytes of the file that each version needs beyond those before it, tar framing included.

    ``folded`` says what blobs kept in pieces do not share (``Archive.folded_bytes``).
    """
    apart = folded or {}
    seen: set[Digest] = set()
    added = []
    for version in versions:
        new = {d.digest: d for _, d in references(version) if d.digest not in seen}
        seen |= new.keys()
        added.append(
            sum(apart[each.digest] if each.digest in apart else member_bytes(each)
                for each in new.values())
        )  # fmt: skip
    return added


def member_bytes(descriptor: Descriptor) -> int:
    """What a blob takes in the file: its header, its bytes, its padding."""
    return BLOCK + descriptor.size + padding(descriptor.size)
