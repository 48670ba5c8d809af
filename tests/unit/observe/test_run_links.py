"""What is read through symbolic links that the run itself made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.observe.run_links import RunLinks
from tests.unit.observe.recording_sample import Lab, access, got, need


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path, {"in.csv": "1\n"})
    (made.folder / "outside").mkdir()
    (made.folder / "outside" / "data").write_text("far away\n")
    yield made
    made.close()


@pytest.fixture(params=["notify", "strace"])
def tracer(request: pytest.FixtureRequest) -> str:
    if request.param == "strace":
        need("strace")
    return str(request.param)


@pytest.fixture(params=["overlay", "in-place"])
def capture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_what_lies_behind_a_link_of_the_run_is_an_input(
    lab: Lab, tracer: str, capture: str
) -> None:
    seen = lab.sh(
        "ln -s ../outside/data link; cat link > out; rm link", tracer=tracer, capture=capture
    )
    assert Path(seen.upper, "out").read_text() == "far away\n"
    assert got(seen, lab.folder / "outside" / "data").read_first
    own = access(seen, lab.root / "link")
    assert own is None or not own.read_first


def test_links_to_folders_that_are_moved_and_replaced(lab: Lab, tracer: str) -> None:
    """``ln -sf`` makes a link of another name and renames it; a folder is moved with its links."""
    seen = lab.sh(
        "mkdir work; ln -sf /nowhere work/far; ln -sfn ../../outside work/far; mv work done; "
        "cat done/far/data",
        tracer=tracer,
    )
    assert seen.steps[0].tail == ("far away",)
    assert got(seen, lab.folder / "outside" / "data").read_first
    assert access(seen, lab.root / "done" / "far" / "data") is None


def test_a_link_that_could_not_be_made_leads_nowhere(lab: Lab, tracer: str) -> None:
    seen = lab.sh("ln -s ../outside/data in.csv 2> said || true; cat in.csv", tracer=tracer)
    assert seen.steps[0].tail == ("1",)
    assert got(seen, lab.root / "in.csv").read_first
    assert access(seen, lab.folder / "outside" / "data") is None


def test_a_removed_link_leads_nowhere(lab: Lab, tracer: str) -> None:
    seen = lab.sh("ln -s ../outside/data x; rm x; echo own > x; cat x", tracer=tracer)
    assert seen.steps[0].tail == ("own",)
    assert access(seen, lab.folder / "outside" / "data") is None


def test_what_was_looked_for_before_the_link_was_there(lab: Lab, tracer: str) -> None:
    place = lab.folder / "shared"
    seen = lab.sh(f"cat {place} || ln -s outside/data {place}; cat {place}; rm {place}",
                  tracer=tracer)  # fmt: skip
    assert got(seen, lab.folder / "outside" / "data").read_first
    assert not got(seen, place).read_first


def test_a_program_behind_a_link(lab: Lab, tracer: str) -> None:
    script = lab.folder / "outside" / "tool"
    script.write_text("#!/bin/sh\necho tool\n")
    script.chmod(0o755)
    seen = lab.sh("ln -s ../outside/tool t; ./t", tracer=tracer)
    assert seen.steps[0].tail == ("tool",)
    assert got(seen, script).read_first


def test_links_in_links_and_rings() -> None:
    links = RunLinks()
    assert not links
    assert links.behind("/a/b") is None
    links.made("/a/one", "two/x")
    links.made("/a/two", "/far/")
    links.made("/a/ring", "ring")
    assert links
    assert links.behind("/a/one/file") == "/far/x/file"
    assert links.behind("/a/one") == "/far/x"
    assert links.behind("/a/onerous") is None
    assert links.behind("/a/ring/file") is None
    links.moved("/a", "/b")
    assert links.behind("/a/one") is None
    assert links.behind("/b/one") == "/far/x"
    links.removed("/b")
    assert not links
