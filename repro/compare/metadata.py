"""Attributes by convention that say when and how a file was written, never what it holds."""

from __future__ import annotations

from repro.compare.contents import Content, Leaf
from repro.compare.findings import Findings

# CF conventions 2.6.2 (history), ACDD 1.3 (dates), NetCDF-4's own, PyTables' own.
_WRITTEN = (
    "history", "date_created", "date_modified", "date_issued", "date_metadata_modified",
    "creation_date", "_NCProperties", "NCO", "CDO", "PYTABLES_FORMAT_VERSION",
)  # fmt: skip


def without_written(old: Content, new: Content, findings: Findings) -> tuple[Content, Content]:
    """Both sides without such attributes of the file itself; those that differ are named."""
    for name in _WRITTEN:
        place = f"@{name}"
        if old.get(place) != new.get(place):
            findings.drop(f"attribute {name} ({_show(old.get(place))} / {_show(new.get(place))})")
    return _rest(old), _rest(new)


def _rest(content: Content) -> Content:
    places = {f"@{name}" for name in _WRITTEN}
    return {place: leaf for place, leaf in content.items() if place not in places}


def _show(leaf: Leaf | None) -> str:
    return "none" if leaf is None else str(leaf)[:60]
