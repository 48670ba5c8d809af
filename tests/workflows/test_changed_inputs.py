"""Files that a run reads and changes: a rerun starts from the state before, both are kept."""

from __future__ import annotations

import hashlib
import os

import pytest

from tests.workflows.lab import Lab

CAPTURES = pytest.mark.parametrize("capture", ["overlay", "in-place"])


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@CAPTURES
def test_outputs_in_the_place_of_inputs(lab: Lab, capture: str) -> None:
    """Appended to, counted up, replaced, renamed over: before is input, after is output."""
    for name in ("log", "count", "table", "moved"):
        lab.write(f"{name}.txt", "1\n")
    script = (
        "echo 2 >> log.txt\n"
        "echo $(($(cat count.txt) + 1)) > count.txt\n"
        "sort table.txt moved.txt > t; echo 9 > table.txt\n"
        "echo 5 >> moved.txt; cp moved.txt new; mv new moved.txt\n"
    )
    lab.snapshot("--capture", capture, "--", "sh", "-c", script)
    before = lab.packed("code")
    after = {"log.txt": "1\n2\n", "count.txt": "2\n", "table.txt": "9\n", "moved.txt": "1\n5\n"}
    for name, text in after.items():
        assert before[f"{lab.project}/{name}"] == sha("1\n"), name
        assert (lab.project / name).read_text() == "1\n", "the folder stays as it was"
        assert lab.results()[name] == text
    lab.verify()


@CAPTURES
@pytest.mark.parametrize(
    ("how", "after"),
    [
        ("echo 2 >> DATA", "1\n2\n"),
        ("sed -i s/1/7/ DATA", "7\n"),
        ("cat DATA > /dev/null; echo 3 > DATA", "3\n"),
        ("cp DATA copy; mv copy DATA; echo 4 >> DATA", "1\n4\n"),
        ("echo 2 >> link.txt", "1\n2\n"),
        ("echo 2 >> folder/data.txt", "1\n2\n"),
    ],
)
def test_data_outside_the_project_is_packed_as_it_was(
    lab: Lab, capture: str, how: str, after: str
) -> None:
    data = lab.write("../elsewhere/data.txt", "1\n")
    (lab.project / "link.txt").symlink_to(data)
    (lab.project / "folder").symlink_to(data.parent)
    script = f"{how.replace('DATA', str(data))}; cat {data} > seen.txt"
    made = lab.snapshot("--capture", capture, "--", "sh", "-c", script)
    assert lab.packed("data")[str(data)] == sha("1\n")
    assert lab.results()["seen.txt"] == after
    assert data.read_text() == after, "the run's own doing stays"
    said = [text for text in made["warnings"] if "changed files outside the project" in text]
    assert said and "/else" in said[0]
    lab.verify()


def test_data_outside_that_the_run_removes(lab: Lab) -> None:
    data = lab.write("../elsewhere/data.txt", "1\n")
    lab.snapshot("--", "sh", "-c", f"cat {data} > seen.txt; rm {data}")
    assert not data.exists()
    assert lab.packed("data")[str(data)] == sha("1\n")
    lab.verify()


def test_a_file_elsewhere_that_was_left_alone_is_not_named(lab: Lab) -> None:
    data = lab.write("../elsewhere/data.txt", "1\n")
    made = lab.snapshot("--", "sh", "-c", f"cat < {data} 3<> {data} > seen.txt")
    assert not [text for text in made["warnings"] if "changed files" in text]
    lab.verify()


def test_links_into_and_out_of_the_project(lab: Lab) -> None:
    data = lab.write("../elsewhere/deep/data.txt", "out\n")
    lab.write("../elsewhere/other.txt", "name matters\n")
    lab.write("in/inner.txt", "in\n")
    (lab.project / "a").symlink_to("in/inner.txt")
    (lab.project / "b").symlink_to(lab.project / "in")
    (lab.project / "c").symlink_to(data.parent.parent)
    (lab.folder / "back").symlink_to(lab.project)
    (lab.project / "d").symlink_to("../back/in/inner.txt")
    (lab.project / "nowhere").symlink_to("/nonexistent/x")
    script = "cat a b/inner.txt c/deep/data.txt d > all.txt; ls c >> all.txt; readlink a b nowhere >> all.txt"
    lab.snapshot("--", "sh", "-c", script)
    assert lab.results()["all.txt"].startswith("in\nin\nout\nin\ndeep\nother.txt\n")
    assert str(data) in lab.packed("data")
    lab.verify()
    assert os.readlink(lab.project / "nowhere") == "/nonexistent/x"


def test_temporary_files_leave_no_trace(lab: Lab) -> None:
    """/tmp, /dev/shm, and TMPDIR (which is the author's own and not given to the run)."""
    name = f"repro-test-{os.getpid()}"
    lab.write("../tmp/x", "")
    script = (
        'echo "${TMPDIR:-none}" > o.txt\n'
        f"for d in /tmp /var/tmp /dev/shm; do mkdir $d/{name}; echo $d > $d/{name}/f\n"
        f"cat $d/{name}/f >> o.txt; rm -r $d/{name}; done\n"
        't=$(mktemp); echo x > "$t"; cat "$t" >> o.txt; rm "$t"\n'
    )
    made = lab.snapshot("--", "sh", "-c", script, env={"TMPDIR": str(lab.folder / "tmp")})
    assert lab.results() == {"o.txt": "none\n/tmp\n/var/tmp\n/dev/shm\nx\n"}
    assert not [text for text in made["warnings"] if "outside" in text or "temporary" in text]
    assert not [path for path in lab.packed("data", "code", "system") if name in path]
    lab.verify()
