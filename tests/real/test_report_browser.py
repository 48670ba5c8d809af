"""The report in a real headless Chromium: its script runs, its policy holds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "unit" / "report"))
import report_sample

from repro.report.html import verify_page

pytestmark = pytest.mark.real
BROWSER = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--enable-logging=stderr", "--virtual-time-budget=3000",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> str:
    if BROWSER is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    return BROWSER


def render(browser: str, page: str, folder: Path, *flags: str) -> tuple[str, str]:
    """The page's document after its script ran, and what the browser logged."""
    file = folder / "page.html"
    file.write_text(page, encoding="utf-8")
    ran = subprocess.run(
        [browser, *FLAGS, *flags, f"--user-data-dir={folder / 'profile'}", "--dump-dom",
         file.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return ran.stdout, ran.stderr


def test_the_script_runs_and_the_policy_is_not_violated(browser: str, tmp_path: Path) -> None:
    page = verify_page(report_sample.document(), report_sample.figures())
    dom, log = render(browser, page, tmp_path)
    assert '<html lang="en" class="js">' in dom
    assert "Content Security Policy" not in log
    assert "Uncaught" not in log
    # A name with onerror and outputs with <script> would have changed the title.
    title = re.search(r"<title>(.*?)</title>", dom)
    assert title is not None and title.group(1) == "MISSING · fire-ants-1.0 · repro"
    assert len(re.findall(r"<img ", dom)) == 4
    assert len(re.findall(r"<script", dom)) == 1


def test_the_policy_stops_what_slips_in(browser: str, tmp_path: Path) -> None:
    """That the browser reports violations at all, so that the test above means something."""
    page = verify_page(report_sample.document(), report_sample.figures())
    page = page.replace(
        "<main>", "<main><img src=x onerror='document.title=1'><script>document.title=2</script>"
    )
    dom, log = render(browser, page, tmp_path)
    assert "Content Security Policy" in log
    assert "<title>MISSING" in dom


def test_a_picture_of_it_is_drawn(browser: str, tmp_path: Path) -> None:
    page = verify_page(report_sample.document(), report_sample.figures())
    shot = tmp_path / "page.png"
    render(browser, page, tmp_path, f"--screenshot={shot}", "--window-size=1200,2400")
    assert shot.stat().st_size > 50_000


def thousands() -> dict[str, Any]:
    document = report_sample.document()
    kinds = document["outputs"]
    for number in range(5000 - len(kinds)):
        kind = kinds[number % 2 * 3 + 1 - number % 2]
        document["outputs"].append({**kind, "path": f"results/part {number:05}.csv"})
    return document


def test_thousands_of_outputs(browser: str, tmp_path: Path) -> None:
    page = verify_page(thousands())
    dom, log = render(browser, page, tmp_path)
    assert "Content Security Policy" not in log and "Uncaught" not in log
    assert len(set(re.findall(r"results/part \d{5}\.csv", dom))) == 5000 - 7
    pdf = tmp_path / "page.pdf"
    render(browser, page, tmp_path, f"--print-to-pdf={pdf}")
    assert 20 < len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes())) < 600


def test_no_name_makes_the_page_wider(browser: str, tmp_path: Path) -> None:
    document = report_sample.document()
    long = "w" * 255
    document["outputs"].append({
        **document["outputs"][0], "path": long, "summary": long,
        "differences": [{"where": long, "text": long, "old": long, "new": long}],
    })  # fmt: skip
    for name in ("warnings", "not_checked"):
        document[name] = [long]
    document["hints"] = [{"code": long, "text": long, "at": long}]
    document["archive"].update(name=long, title=long)
    document["environment"]["author"][long] = long
    page = verify_page(document)
    # The measuring needs a script of its own, which the policy rightly refuses.
    page = re.sub(r"<meta http-equiv[^>]*>", "", page).replace(
        "</body>",
        "<script>document.title = document.documentElement.scrollWidth + ' of ' +"
        " document.documentElement.clientWidth</script></body>",
    )
    for width in (500, 1200):
        dom, _ = render(browser, page, tmp_path, f"--window-size={width},900")
        found = re.search(r"<title>(\d+) of (\d+)</title>", dom)
        assert found is not None and int(found.group(1)) <= int(found.group(2)), found


def test_the_heat_map_shows_what_no_eye_sees(browser: str, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    sides = []
    for value in (100, 102):
        picture = image.new("RGB", (400, 400), (90, 100, 110))
        picture.paste((90, value, 110), (100, 100, 300, 300))
        file = tmp_path / f"{value}.png"
        picture.save(file)
        sides.append(file.read_bytes())
    document = report_sample.document()
    document["outputs"] = [document["outputs"][0]]
    page = verify_page(document, {"figs/fig3.png": (sides[0], sides[1])})
    shown = []
    for mode in ("difference", "heat"):
        shot = tmp_path / f"{mode}.shot.png"
        changed = page.replace('class="pair" data-mode="side"', f'class="pair" data-mode="{mode}"')
        render(browser, changed, tmp_path, f"--screenshot={shot}", "--window-size=1000,1400")
        drawn = image.open(shot).convert("RGB")
        # The stage is the large dark area; the patch is what stands out of it.
        shown.append(sum(count for count, (r, g, b) in drawn.getcolors(1 << 24)
                         if 100 < r < 250 and g < 120 and b < 160 and r > g + 60))  # fmt: skip
    assert shown[1] > shown[0] + 30_000, shown
