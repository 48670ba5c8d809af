"""Programs that look whether a file is there, or what a folder holds, and open nothing of it."""

from __future__ import annotations

import os
import sys

from tests.workflows.lab import Lab

SCRIPT = """
import glob, os
seen = [
    os.path.exists('data/flag'), os.path.getsize('data/flag'), os.access('data/flag', os.R_OK),
    os.path.exists('data/none'), os.path.isdir('empty'), os.path.islink('link'),
    sorted(os.listdir('parts')), sorted(glob.glob('data/*/x*.csv')),
]
open('out.txt', 'w').write(repr(seen))
"""


def project(lab: Lab) -> None:
    lab.write("run.py", SCRIPT)
    lab.write("data/flag", "x\n")
    lab.write("data/one/x1.csv", "1\n")
    lab.write("data/two/x2.csv", "2\n")
    lab.write("parts/a", "a")
    lab.write("parts/b", "b")
    (lab.project / "empty").mkdir()
    (lab.project / "link").symlink_to("data/flag")


def test_what_is_tested_and_never_opened_is_there_in_the_rerun(lab: Lab) -> None:
    project(lab)
    lab.snapshot("--", sys.executable, "run.py")
    lab.verify()


def test_also_beside_more_data_than_travels_unread(lab: Lab) -> None:
    project(lab)
    lab.write("raw/large.bin", "")
    os.truncate(lab.project / "raw/large.bin", 65_000_000)
    made = lab.snapshot("--", sys.executable, "run.py")
    assert any("tests whether they exist finds none" in text for text in made["warnings"])
    assert f"{lab.project}/raw/large.bin" not in lab.packed("data").keys()
    lab.verify()
