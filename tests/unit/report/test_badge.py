from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
import report_sample

from repro.model.outcome import Outcome
from repro.report.badge import badge_svg

SVG = "{http://www.w3.org/2000/svg}"


def badge(verdict: str, *, required: str = "close", partial: bool = False, **archive: str) -> Any:
    document = report_sample.document()
    document["verdict"], document["required"] = verdict, required
    document["reproduced"] = Outcome(verdict).meets(Outcome(required))
    document["archive"].update(archive)
    if partial:
        document["partial"] = report_sample.PARTIAL
    return ET.fromstring(badge_svg(document))


def colours(svg: ET.Element) -> list[str]:
    return [r.attrib["fill"] for r in svg.iter(f"{SVG}rect") if "fill" in r.attrib]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_word_colour_and_title(outcome: Outcome) -> None:
    svg = badge(outcome.value)
    texts = [t.text for t in svg.iter(f"{SVG}text")]
    assert texts == ["reruns", outcome.value]
    title = svg.find(f"{SVG}title")
    assert title is not None and svg.attrib["aria-labelledby"] == title.attrib["id"]
    assert f"reruns: {outcome.value}" in (title.text or "")
    assert report_sample.document()["archive"]["digest"] in (title.text or "")
    green = colours(svg)[1] == "#14713d"
    assert green == (outcome in (Outcome.IDENTICAL, Outcome.EQUIVALENT))


def test_good_but_below_the_bar_is_red() -> None:
    svg = badge("close", required="identical")
    assert colours(svg)[1] == "#b3211b"
    assert "close, identical required" in ET.tostring(svg, "unicode")


def test_partial_is_said_and_not_green() -> None:
    svg = badge("identical", partial=True)
    assert [t.text for t in svg.iter(f"{SVG}text")][1] == "partial: 2 of 9 outputs, identical"
    assert colours(svg)[1] != "#14713d"


def test_an_open_network_is_said_and_not_green() -> None:
    document = report_sample.document()
    document.update(verdict="identical", reproduced=True)
    document["seal"]["network"] = True
    svg = ET.fromstring(badge_svg(document))
    assert [t.text for t in svg.iter(f"{SVG}text")][1] == "identical, network open"
    assert colours(svg)[1] != "#14713d"


def test_nothing_is_loaded_and_nothing_acts() -> None:
    svg = badge("identical", name='</title><script>x()</script>\x1b"&')
    raw = ET.tostring(svg, "unicode")
    assert {e.tag.removeprefix(SVG) for e in svg.iter()} == {
        "svg", "title", "clipPath", "rect", "g", "text",
    }  # fmt: skip
    assert "href" not in raw and "@import" not in raw and "\x1b" not in raw
    title = svg.find(f"{SVG}title")
    assert title is not None and "<script>x()" in (title.text or "")


def contrast(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


def test_white_can_be_read_on_every_colour() -> None:
    for outcome in Outcome:
        assert all(contrast(colour) >= 4.5 for colour in colours(badge(outcome.value)))
