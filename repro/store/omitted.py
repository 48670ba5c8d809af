"""Which layers an archive may lack on purpose, and what is said to who needs them."""

from __future__ import annotations

from collections.abc import Iterable

from repro.errors import NotWhole
from repro.model.thin_media import THIN
from repro.primitives.digest import Digest
from repro.store.catalog import VersionInfo


def omitted(versions: Iterable[VersionInfo]) -> frozenset[Digest]:
    """Blobs of layers that versions with a thin document may lack."""
    return frozenset(
        layer.descriptor.digest
        for version in versions
        if version.artifact(THIN) is not None
        for layer in version.layers
    )


def refuse_thin(label: str) -> NotWhole:
    """What is said to who needs the layers."""
    return NotWhole(
        f"{label} is a thin archive: bytes that package registries have are left out of it",
        hint=f"`repro fatten {label} -o WHOLE.repro` makes it whole, `repro verify --fetch` does so "
        "itself; `repro inspect` says what is fetched",
    )
