"""The report in a real headless Chromium: its script runs, its policy holds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

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
