"""FITS: cards and arrays; the date of writing and checksums are removed by name."""

from __future__ import annotations

import re

from repro.compare.base import Comparator, Task, parse_both
from repro.compare.contents import Content, compare_contents, summary
from repro.compare.findings import Findings
from repro.compare.fits import MAGIC, read_fits
from repro.model.verdict import Comparison

# Standard 4.0, 4.4.2.1: DATE is when the header was made; 4.4.2.7 the checksums.
_WRITTEN = re.compile(r", card (DATE|CHECKSUM|DATASUM|ZHECKSUM|ZDATASUM)(, comment)?$")
_TILES = ", compressed tiles"


class FitsComparator(Comparator):
    """Images and binary tables; what other extensions hold is compared by its bytes."""

    name = "fits/1"
    rank = 16
    suffixes = (".fits", ".fit", ".fts")
    magic = (MAGIC,)
    kinds = ("fits",)
    max_bytes = 256 << 20

    def _compare(self, old: bytes, new: bytes, task: Task) -> Comparison:
        left, right = parse_both(read_fits, old, new)
        findings = self._findings(task)
        one, two = _without_written(left, right, findings)
        packed = [place for place in one if place.endswith(_TILES) and place in two]
        tiles = list(packed)
        for place in packed:
            if one[place] != two[place]:
                findings.undecided(f"{place}, which this version does not decompress")
                tiles.extend(_sizes(place, {**one, **two}))
        compare_contents(_without(one, tiles), _without(two, tiles), findings)
        findings.otherwise("how cards are laid out, or what fills a block")
        return findings.result(summary({p: leaf for p, leaf in one.items() if ", card" not in p}))


def _sizes(tile: str, places: Content) -> list[str]:
    """The cards beside compressed tiles that say how long they are."""
    unit = re.escape(tile.partition(", column")[0])
    sizes = re.compile(rf"{unit}, card (PCOUNT|THEAP|TFORM\d+)(, comment)?")
    return [place for place in places if sizes.fullmatch(place)]


def _without(content: Content, places: list[str]) -> Content:
    return {place: leaf for place, leaf in content.items() if place not in places}


def _without_written(old: Content, new: Content, findings: Findings) -> tuple[Content, Content]:
    places = [place for place in {**old, **new} if _WRITTEN.search(place)]
    for place in places:
        if old.get(place) != new.get(place) and not place.endswith("comment"):
            findings.drop(place)
    return _without(old, places), _without(new, places)
