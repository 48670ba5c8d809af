from __future__ import annotations

import re

import pytest
import report_sample
from markdown_it import MarkdownIt

from repro.primitives.texts import printable
from repro.report.markdown import code, review_form, words

HTML = MarkdownIt("gfm-like", {"linkify": False}).enable("table")
NASTY = [
    "a|b.txt", "a\\|b", "`tick`", "``", "a`b|c\\", "<img src=x onerror=y>", "**bold** _it_",
    "[x](http://evil.example)", "![x](http://evil.example/p.png)", "https://evil.example/",
    "www.evil.example", "@everyone and #12", "a@b.example", "line\nbreak", "\x1b[31m", " lead",
    "--- | ---", "&lt;b&gt;", "<!-- gone", "~~~", "\u202egnp", "# not a title", "", "\udcff",
]  # fmt: skip


def cells(text: str) -> list[list[str]]:
    html = HTML.render(text)
    return [re.findall(r"<t[dh]>(.*?)</t[dh]>", row, re.S) for row in html.split("<tr>")[1:]]


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("shown", [code, words])
def test_nothing_in_a_cell_acts(text: str, shown: object) -> None:
    assert callable(shown)
    table = f"| a | b | c |\n| - | - | - |\n| 1 | {shown(text)} | 3 |\n"
    rows = cells(table)
    assert len(rows) == 2 and len(rows[1]) == 3
    inner = rows[1][1]
    plain = re.sub(r"</?code>", "", inner)
    assert not re.search(r"<[a-z!/]", plain), inner
    unescaped = plain
    for entity, char in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        unescaped = unescaped.replace(entity, char)
    assert unescaped == printable(text)
    if re.search(r"[@#]|://|www", text):
        assert inner.startswith("<code>")


def test_plain_words_stay_plain() -> None:
    assert (
        words("max rel 2.2e-16 (1 ulp), allowed 1e-06") == "max rel 2.2e-16 (1 ulp), allowed 1e-06"
    )
    assert code("results/table_1.csv") == "`results/table_1.csv`"


def test_the_form() -> None:
    form = review_form(report_sample.document())
    assert form.startswith("<!-- Written by `repro verify` -->\n# MISSING: ")
    lines = form.splitlines()
    first = next(line for line in lines if line.startswith("| missing"))
    assert lines.index(first) == lines.index("| --- | --- | --- |") + 1, "worst first"
    assert "not reproduced" in form
    assert f"`{report_sample.document()['archive']['digest']}`" in form
    assert "no cgroup may be delegated here" in form
    assert "- enforced: files, network\n" in form
    assert "- processor time: 25m00s (the author's run: 24m00s)\n" in form
    assert "- read, pipes included: 7.1 MB\n" in form
    assert "signature: the archive is not signed" in form
    assert "| kernel | 6.1.0 | 6.8.0 |" in form and "| locale" not in form
    assert "repro verify 'fire ants-1.0.repro' --require close" in form
    html = HTML.render(form)
    assert "<script" not in html and "<img" not in html and "<a " not in html


def test_a_partial_form_cannot_be_mistaken() -> None:
    document = report_sample.document()
    document["partial"] = report_sample.PARTIAL
    form = review_form(document)
    assert "**partial: 2 of 9 outputs** (no verdict on the whole archive)" in form
    assert form.count("partial: 2 of 9 outputs") >= 3
    assert "--only" in form


def test_many_outputs_are_counted() -> None:
    document = report_sample.document()
    document["outputs"] = [
        {**document["outputs"][0], "path": f"o{n:04}.txt"} for n in range(1000)
    ]  # fmt: skip
    form = review_form(document)
    assert "700 better outputs are not listed here" in form
    assert len(form) < 100_000
