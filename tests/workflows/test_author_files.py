"""A snapshot tells its author which of the results in the folder are not what the code makes."""

from __future__ import annotations

from repro.store.archive import Archive
from tests.workflows.lab import Lab


def test_stale_results_are_named_and_kept(lab: Lab) -> None:
    lab.write("in.txt", "1\n")
    lab.write("stale.txt", "an older result\n")
    lab.write("fresh.txt", "1\n")
    lab.write("log.txt", "0\n")
    script = "cat in.txt in.txt > stale.txt; cat in.txt > fresh.txt; echo 1 >> log.txt"
    made = lab.snapshot("--", "sh", "-c", script)
    lines = [line for line in made["warnings"] if line.startswith("your ")]
    assert len(lines) == 1
    assert lines[0].startswith("your stale.txt differs from what this run made")
    with Archive.open(lab.archive) as archive:
        facts = archive.recording(archive.version(None)).circumstances["author_results"]
    assert [entry["path"] for entry in facts["differing"]] == ["stale.txt"]
    assert facts["outcomes"]["identical"] >= 1
    assert (lab.project / "stale.txt").read_text() == "an older result\n"


def test_hidden_results_are_compared_too(lab: Lab) -> None:
    lab.write("in.txt", "1\n")
    lab.write("Makefile", "out.txt: in.txt\n\tcat in.txt in.txt > out.txt\n")
    lab.write("out.txt", "by hand\n")
    done = lab.repro(
        "snapshot", "-o", str(lab.archive), "--fresh", "out.txt", "--", "make"
    )  # fmt: skip
    assert "your out.txt differs from what this run made" in done.stderr
    lab.write("out.txt", "1\n1\n")
    done = lab.repro("snapshot", "-o", str(lab.archive), "--", "make")
    assert "your out.txt" not in done.stderr
