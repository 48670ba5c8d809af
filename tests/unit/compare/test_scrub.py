from __future__ import annotations

import pytest

from repro.compare.findings import Findings
from repro.compare.lines import compare_lines
from repro.compare.scrub import scrub
from repro.compare.settings import read_settings
from repro.model.outcome import Outcome

NOISE = [
    ("Generated on 2024-01-01", "Generated on 2025-12-31"),
    ("# Created by pandoc 2.17 on 2024-01-01", "# Created by pandoc 2.17 on 2025-01-01"),
    ("Report generated: 2024-01-01 12:33:21", "Report generated: 2025-07-08 02:13:22"),
    ("Run at 2024-01-01T12:33:21.123456+00:00", "Run at 2025-02-03T22:03:01.000001+00:00"),
    ("Analysis run on Tue Nov 24 12:01:02 2026", "Analysis run on Wed Nov 25 02:11:32 2026"),
    ("Date:                Tue, 24 Nov 2026", "Date:                Wed, 25 Nov 2026"),
    ("Time:                        12:34:56   Log-Likelihood:", "Time:                        01:02:03   Log-Likelihood:"),
    ("Started: 2024-01-01 12:33:21", "Started: 2024-01-02 02:13:22"),
    ("timestamp: 1700000000.12", "timestamp: 1710000000.99"),
    ("<AxesSubplot at 0x7f12ab34cd56>", "<AxesSubplot at 0x7fffffffff56>"),
    ("<environment: 0x55d0c8a3b2c8>", "<environment: 0x5581234562c8>"),
    ("ptr 0x7f12ab34cd56", "ptr 0x7faaaaaaaa56"),
    ("saved to /tmp/tmpab12cd34/out.csv", "saved to /tmp/tmpzz99xx00/out.csv"),
    ("/tmp/RtmpAbCdEf/file", "/tmp/RtmpXyZ123/file"),
    ("/tmp/ipykernel_123/456.py:3: UserWarning", "/tmp/ipykernel_99/456.py:3: UserWarning"),
    ("id 1b4e28ba-2fa1-41d2-883f-0016d3cca427", "id 6fa459ea-ee8a-4ca4-894e-db77e160355e"),
    ("Wall time: 3.2 s", "Wall time: 123 ms"),
    ("CPU times: user 1.2 s, sys: 3 ms, total: 1.3 s", "CPU times: user 9.2 s, sys: 1 ms, total: 9.3 s"),
    ("1.21 µs ± 3.1 ns per loop (mean ± std. dev. of 7 runs, 10 loops each)", "1.91 µs ± 9.1 ns per loop (mean ± std. dev. of 7 runs, 10 loops each)"),
    ("real\t0m3.212s", "real\t1m0.212s"),
    ("Elapsed time: 3.21 s", "Elapsed time: 9.99 s"),
    ("elapsed: 0.213", "elapsed: 9.213"),
    ("Total elapsed: 1m 3s", "Total elapsed: 2m 9.5s"),
    ("Execution time: 12.3 seconds", "Execution time: 1.3 seconds"),
    ("Done in 3.2s", "Done in 4.5s"),
    ("===== 5 passed in 0.12s =====", "===== 5 passed in 9.12s ====="),
    ("Analysis finished in 3.2 s", "Analysis finished in 71.0 s"),
    ("step 2 took 3.2 seconds", "step 2 took 5.2 seconds"),
    ("simulation took 00:03:12", "simulation took 00:07:45"),
    ("100%|##########| 10/10 [00:01<00:00,  9.53it/s]", "100%|##########| 10/10 [00:03<00:00,  3.21it/s]"),
    ("2024-01-01 12:33:21,123 - root - INFO - start", "2025-02-03 02:03:01,999 - root - INFO - start"),
    ("[12:33:21] step one", "[02:03:01] step one"),
    ("\x1b[32mok\x1b[0m", "ok"),
    (" 10%\r 90%\r100% done", " 50%\r100% done"),
    ("hostname: alpha", "hostname: beta"),
]  # fmt: skip

RESULTS = [
    ("2020-03-04", "2020-03-05"),
    ("Peak date: 2020-03-04", "Peak date: 2020-03-05"),
    ("Date: 2020-03-04", "Date: 2020-03-05"),
    ("2020-01-01 00:00:00  1.5", "2020-01-01 01:00:00  1.5"),
    ("2020-01-01 00:00:00  Berlin 1.5", "2020-01-01 01:00:00  Berlin 1.5"),
    ("Start: 2020-03-04", "Start: 2020-03-05"),
    ("started at 2020-03-04 12:00:00", "started at 2020-03-04 13:00:00"),
    ("half-life 3.2 s", "half-life 3.3 s"),
    ("decay time: 3.2 s", "decay time: 3.3 s"),
    ("mean processing time: 3.2 s", "mean processing time: 3.3 s"),
    ("The ball took 3.2 s to fall", "The ball took 3.3 s to fall"),
    ("it took 3.2 s", "it took 3.3 s"),
    ("winner finished in 9.58 s", "winner finished in 9.59 s"),
    ("Marathon time: 02:15:31", "Marathon time: 02:15:32"),
    ("eta 0.35", "eta 0.36"),
    ("eta: 3.5 s", "eta: 3.6 s"),
    ("Runtime: 120 min", "Runtime: 121 min"),
    ("checksum 0x1a2b3c4d", "checksum 0x1a2b3c4e"),
    ("id 886313e1-3b8a-5372-9b90-0c9aee199e5d", "id 886313e1-3b8a-5372-9b90-0c9aee199e5e"),
    ("pid = 0.5", "pid = 1.5"),
    ("PID: 12 recovered", "PID: 13 recovered"),
    ("Host: mouse", "Host: human"),
    ("0.012 0.003 0.015", "0.012 0.003 0.016"),
    ("100% 5/5", "100% 4/5"),
    ("sys = 3", "sys = 4"),
    ("Generated 12 samples", "Generated 13 samples"),
    ("created 2 groups", "created 3 groups"),
    ("Generated on 2024-01-01 n=5", "Generated on 2025-01-01 n=6"),
    ("Wall time: 3.2 s, x = 1", "Wall time: 3.2 s, x = 2"),
    ("converged in 12 iterations", "converged in 13 iterations"),
    ("x = 3.0 \r", "x = 4.0 \r"),
    ("/tmp/slope_3.2.txt", "/tmp/slope_3.3.txt"),
    ("Elapsed periods: 5", "Elapsed periods: 6"),
    ("\x1b[31mfailed", "\x1b[32mpassed"),
]  # fmt: skip


def outcome(old: str, new: str, **options: object) -> Outcome:
    findings = Findings("text/1", read_settings(options))
    compare_lines(old, new, findings)
    return findings.outcome


@pytest.mark.parametrize(("old", "new"), NOISE)
def test_noise_is_removed_and_named(old: str, new: str) -> None:
    findings = Findings("text/1", read_settings({}))
    compare_lines(old, new, findings)
    assert findings.outcome is Outcome.EQUIVALENT, findings.differences
    assert findings.result("").removed


@pytest.mark.parametrize(("old", "new"), RESULTS)
def test_results_that_look_like_noise_stay(old: str, new: str) -> None:
    assert outcome(old, new) is Outcome.DIFFERENT
    assert outcome(new, old) is Outcome.DIFFERENT


@pytest.mark.parametrize(("old", "new"), NOISE)
def test_noise_on_one_side_only_is_a_difference(old: str, new: str) -> None:
    if "\r" not in old and "\x1b" not in old:
        assert outcome(old, "") is Outcome.DIFFERENT


def test_both_values_are_named() -> None:
    findings = Findings("text/1", read_settings({}))
    compare_lines("Done in 3.2s", "Done in 4.5s", findings)
    assert findings.result("").removed == ("durations (line 1: 3.2s / 4.5s)",)


def test_r_timings_need_their_heading() -> None:
    head = "   user  system elapsed \n"
    assert outcome(f"{head}  0.012   0.003   0.015 ", f"{head}  0.112   0.003   0.115 ") is (
        Outcome.EQUIVALENT
    )


def test_long_lines_are_left_alone() -> None:
    seen: list[str] = []
    line = "Done in 3.2s" + "x" * 5000
    assert scrub(line, lambda name, text: seen.append(name)) == line
    assert not seen


def test_patterns_do_not_run_away() -> None:
    hostile = [
        "generated by " * 300, "date " * 700, "1" * 3900, "<" * 3900, "a " * 1900, "1:" * 1900,
        "[" * 3900, "Mon, " * 700, "took about " * 300, "/tmp/" * 700, " " * 3900 + "x",
        "1.1 " * 900, "elapsed (" * 400, "5 passed, " * 390, "\t" * 3900, "<0x" * 1000,
    ]  # fmt: skip
    for line in hostile:
        for log in (False, True):
            assert isinstance(scrub(line, lambda name, text: None, log=log), str)
