from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
import report_sample

from repro.model.outcome import Outcome
from repro.model.verdict import Comparison, OutputVerdict, Verdict
from repro.report.html import verify_page
from repro.report.jsondoc import outcome_document
from repro.report.pictures import picture_of
from repro.report.textdiff import diff_table, text_of

VOID = {"meta", "img", "input", "col", "link", "br"}


class Reader(HTMLParser):
    """Collects tags and checks that they nest."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.raw: dict[str, list[str]] = {}
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("script", "style"):
            self.raw.setdefault(self._open[-1], []).append(data)
        else:
            self.text.append(data)

    def finish(self) -> None:
        self.close()
        assert self._open == []


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.finish()
    return reader


PAGE = verify_page(report_sample.document(), report_sample.figures())


def test_the_markup_nests_and_is_utf8() -> None:
    read(PAGE)
    PAGE.encode("utf-8")


def test_nothing_is_loaded_and_nothing_runs_but_our_script() -> None:
    reader = read(PAGE)
    names = [tag for tag, _ in reader.tags]
    assert names.count("script") == 1
    assert not {"iframe", "object", "embed", "link", "base", "form", "video"} & set(names)
    assert names.count("svg") == 1, "our filter for pictures; those of a run are <img>"
    for tag, attributes in reader.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href", "action", "srcset"):
            value = attributes.get(name)
            if value is not None:
                assert value.startswith("data:image/") if tag == "img" else value == "#outputs"


def test_the_policy_names_exactly_our_script_and_style() -> None:
    reader = read(PAGE)
    policy = next(a["content"] for t, a in reader.tags if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        content = "".join(reader.raw[kind])
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_hostile_strings_are_text() -> None:
    reader = read(PAGE)
    text = "".join(reader.text)
    assert "<img src=x" in text
    assert "</code></td><script>x()</script>" in text
    assert "document.title = 'owned'" not in "".join(reader.raw["script"])
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", PAGE)


def test_a_marker_in_a_name_is_not_filled_in() -> None:
    document = report_sample.document()
    document["archive"]["name"] = "{{script}} \\1"
    page = verify_page(document)
    assert "{{script}} \\1" in page
    assert page.count("addEventListener") == PAGE.count("addEventListener")


def test_the_worst_comes_first_and_is_open() -> None:
    reader = read(PAGE)
    shown = [a for t, a in reader.tags if t == "details"]
    order = [a["data-verdict"] for a in shown]
    ranks = [Outcome(verdict).rank for verdict in order]
    assert ranks == sorted(ranks, reverse=True)
    assert "open" in shown[0] and "open" not in shown[-1]
    text = "".join(reader.text)
    assert text.index("Results are missing") < text.index("figs/fig4.pdf")


def test_everything_a_reviewer_asks_is_there() -> None:
    text = " ".join(read(PAGE).text)
    for expected in (
        "2 of 6 required outputs", "not reproduced", "fire-ants-1.0", "Heat tolerance of fire ants",
        "plot.py:14", "random numbers are drawn without a seed", "no cgroup may be delegated here",
        "signature: the archive is not signed", "EPYC 7B13", "Xeon E5", "6m31s", "3.1 GB",
        "repro verify 'fire ants-1.0.repro' --require close", "sha256:3f9a81c2", "fitting …",
        "the author, sealed in the archive", "slope = 3.31", "Cell 2", "a pickle runs code",
        "copied, not computed?", "x.npy, [0, 3]",
    ):  # fmt: skip
        assert expected in text, expected


def test_what_it_used_stands_beside_the_author_s() -> None:
    text = " ".join(" ".join(read(PAGE).text).split())
    assert "Processor time 25m00s 24m00s" in text
    assert "Read, pipes included 7.1 MB not measured" in text
    assert "Written, pipes included 0 B 1.2 kB" in text


def test_both_pictures_are_inside() -> None:
    old, new = report_sample.figures()["figs/fig3.png"]
    for data in (old, new):
        assert data is not None
        assert base64.b64encode(data).decode() in PAGE


def test_a_plain_comparison_needs_no_run() -> None:
    output = OutputVerdict(
        path="a", required=True, comparison=Comparison(outcome=Outcome.CLOSE, comparator="x")
    )
    page = verify_page(outcome_document(Verdict(outputs=(output,))))
    reader = read(page)
    assert "The results agree within tolerance" in "".join(reader.text)


def test_the_size_is_capped_and_what_is_missing_is_said() -> None:
    page = verify_page(report_sample.document(), report_sample.figures(), max_size=60_000)
    assert len(page.encode()) < 60_000
    many = outcome_document(
        Verdict(
            outputs=tuple(
                OutputVerdict(
                    path=f"{n:04}" + "\x01" * 200, required=True,
                    comparison=Comparison(
                        outcome=Outcome.DIFFERENT, comparator="x", notes=("\x02" * 500,) * 30,
                        summary="é<" * 100,
                    ),
                )
                for n in range(3000)
            )
        )
    )  # fmt: skip
    page = verify_page(many, max_size=1 << 20)
    assert len(page.encode()) < 1 << 20
    assert re.search(r"\d+ further outputs are not listed here", page)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0\0\xff\xff" * 2 + bytes(20), "a.png"),
        (b"GIF89a\xff\xff\xff\xff", "a.gif"),
        (b"\xff\xd8\xff\xe0" + bytes(30), "a.jpg"),
        (b"<svg><!DOCTYPE x [<!ENTITY a 'b'>]></svg>", "a.svg"),
        (b"<html>", "a.svg"),
        (b"text", "a.txt"),
        (b"<svg/>", "a.txt"),
        (b"", "a.png"),
    ],
)
def test_what_is_no_safe_picture_is_not_embedded(data: bytes, path: str) -> None:
    assert picture_of(data, path) is None


def test_pictures_have_their_size() -> None:
    found = picture_of(report_sample.picture(), "x")
    assert found is not None
    assert (found.media, found.width, found.height) == ("image/png", 480, 300)
    jpeg = b"\xff\xd8\xff\xe0\x00\x04\x00\x00\xff\xc0\x00\x11\x08\x00\x10\x00\x20" + bytes(20)
    found = picture_of(jpeg)
    assert found is not None
    assert (found.width, found.height) == (32, 16)


def test_diffs_show_context_and_are_bounded() -> None:
    old = "\n".join(f"line {n}" for n in range(100))
    table = diff_table(old, old.replace("line 50\n", "line <50>\n"))
    assert "47 equal lines" in table and "46 equal lines" in table
    assert "line &lt;50&gt;" in table
    assert diff_table("a", "a") == ""
    lines = [f"line {n}" for n in range(5000)]
    far = diff_table(
        "\n".join(lines), "\n".join([*lines[:3], "X", *lines[4:4000], "Y", *lines[4001:]])
    )
    assert far.count('class="del"') == 2 and "3990 equal lines" in far
    big = diff_table("\n".join(["x"] * 9000), "\n".join(["y"] * 9000))
    assert len(big) < 200_000
    assert "further rows" in big


def test_only_text_is_shown_as_text() -> None:
    assert text_of(b"a\0b") is None
    assert text_of(b"\xff") is None
    assert text_of(None) is None
    assert text_of("é".encode()) == "é"


def many(count: int) -> str:
    outputs = tuple(
        OutputVerdict(
            path=f"out/{number:05}.csv", required=True,
            comparison=Comparison(
                outcome=Outcome.DIFFERENT if number < 3 else Outcome.IDENTICAL, comparator="x/1"
            ),
        )
        for number in range(count)
    )  # fmt: skip
    return verify_page(outcome_document(Verdict(outputs=outputs)))


def test_five_thousand_outputs_are_all_there() -> None:
    page = many(5000)
    assert len(set(re.findall(r"out/\d{5}\.csv", page))) == 5000
    assert page.count("<details class=") == 1000
    assert page.count('<tr data-verdict="identical">') == 4000
    assert "4000 further outputs, without their evidence" in page
    assert len(page) < 5_000_000


def test_paper_has_the_evidence_of_the_first_hundred() -> None:
    page = many(150)
    assert page.count('class="output later"') == 50
    assert 'class="printed"' in page
    assert 'class="printed"' not in many(100)


def test_spaces_at_the_ends_of_a_name_are_seen() -> None:
    output = OutputVerdict(
        path="  ", required=True, comparison=Comparison(outcome=Outcome.CLOSE, comparator="x/1")
    )
    page = verify_page(outcome_document(Verdict(outputs=(output,))))
    assert '<span class="path">“  ”</span>' in page


def test_a_partial_page_says_so_first() -> None:
    document = report_sample.document()
    document["partial"] = report_sample.PARTIAL
    page = verify_page(document)
    title = re.search(r"<title>(.*?)</title>", page)
    assert title is not None and "(partial: 2 of 9 outputs)" in title.group(1)
    head = page[page.index("<h1>") : page.index("</h1>")]
    assert "partial: 2 of 9 outputs" in head
    assert "no verdict on the whole archive" in page
    assert "a&#x27;b&lt;i&gt;" in page and "a'b<i>" not in page
