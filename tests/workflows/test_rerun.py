"""Collecting what a rerun wrote, from a writable layer that the run could shape."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repro.errors import RerunFailed
from repro.model.limits import Limits
from repro.model.ports import SandboxRequest, SandboxResult, Seal
from repro.model.recording import Claims, Output
from repro.model.step import Cost, Step
from repro.primitives.digest import Digest
from repro.workflows.rerun import Terms, collect, how_it_ended, rerun, step_text


def claims(*outputs: str, declared: bool = False, steps: int = 1) -> Claims:
    return Claims(
        name="p", root="/home/a/p", environment={"A": "1"}, declared=declared,
        steps=tuple(Step(name=f"s{n}", argv=("make", str(n)), cwd="sub") for n in range(steps)),
        outputs=tuple(Output(path=path, size=0, digest=Digest.of(b"")) for path in outputs),
        exclude=("skip/**",),
    )  # fmt: skip


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    (tmp_path / "home/a/p").mkdir(parents=True)
    return tmp_path


def put(upper: Path, path: str, text: str = "x") -> None:
    place = upper / "home/a/p" / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def test_files_and_links_of_the_project(upper: Path) -> None:
    put(upper, "a.txt", "hello")
    put(upper, "__pycache__/b.pyc")
    put(upper, "skip/c.txt")
    (upper / "tmp").mkdir()
    (upper / "tmp/elsewhere").write_text("no")
    (upper / "home/a/p/link").symlink_to("/etc/passwd")
    os.mkfifo(upper / "home/a/p/pipe")
    produced, notes = collect(upper, claims())
    assert sorted(produced) == ["a.txt", "link"]
    assert produced["link"].link
    with produced["link"].open() as stream:
        assert stream.read() == b"/etc/passwd"
    with produced["a.txt"].open() as stream:
        assert stream.read() == b"hello"
    assert "pipe" in notes[0]


def test_declared_outputs_only(upper: Path) -> None:
    put(upper, "a.txt")
    put(upper, "b.txt")
    assert sorted(collect(upper, claims("b.txt", declared=True))[0]) == ["b.txt"]


def test_nothing_written(tmp_path: Path) -> None:
    assert collect(tmp_path, claims()) == ({}, ())


@pytest.mark.parametrize("level", ["home", "home/a", "home/a/p"])
def test_a_link_in_the_way_is_not_followed(tmp_path: Path, level: str) -> None:
    secret = tmp_path / "secret"
    (secret / "a/p").mkdir(parents=True)
    (secret / "p").mkdir()
    for folder in (secret, secret / "a/p", secret / "p"):
        (folder / "key").write_text("private")
    upper = tmp_path / "upper"
    (upper / level).parent.mkdir(parents=True)
    (upper / level).symlink_to(secret)
    with pytest.raises(RerunFailed):
        collect(upper, claims())


class FakeSandbox:
    """Writes one file per step, and ends as it is told."""

    name = "fake"

    def __init__(self, *exits: int) -> None:
        self.exits = list(exits)
        self.requests: list[SandboxRequest] = []

    def seal(self, network: str = "none") -> Seal:
        return Seal(engine="fake", version="0", enforced={})

    def run(self, request: SandboxRequest) -> SandboxResult:
        self.requests.append(request)
        number = len(self.requests)
        put(Path(request.upper), f"out{number}.txt")
        os.write(request.stdout, f"step {number}\n".encode())
        return SandboxResult(exit=self.exits.pop(0), cost=Cost(wall=1.5, peak_memory=number * 10))


def test_steps_share_one_layer_in_order(tmp_path: Path) -> None:
    sandbox = FakeSandbox(0, 0)
    done = rerun(sandbox, ["/l"], claims(steps=2), tmp_path, Terms(timeout=9))
    assert [request.argv for request in sandbox.requests] == [("make", "0"), ("make", "1")]
    assert {request.cwd for request in sandbox.requests} == {"/home/a/p/sub"}
    assert {request.upper for request in sandbox.requests} == {str(tmp_path / "upper")}
    assert {request.timeout for request in sandbox.requests} == {9}
    assert {request.network for request in sandbox.requests} == {"none"}
    assert sorted(done.produced) == ["out1.txt", "out2.txt"]
    assert (done.exit, done.seconds, done.usage.peak_memory) == (0, 3.0, 20)
    assert done.tail == ("step 2",)


def test_a_failing_step_is_the_last(tmp_path: Path) -> None:
    sandbox = FakeSandbox(0, 7, 0)
    done = rerun(sandbox, ["/l"], claims(steps=3), tmp_path, Terms())
    assert (done.exit, len(sandbox.requests)) == (7, 2)
    assert how_it_ended(done.steps[-1]) == "exited with status 7"


def test_step_texts() -> None:
    assert step_text(Step(name="a", argv=("make", "all"))) == "make all"
    assert step_text(Step(name="a", argv=("sh", "-e", "-c", "a | b"))) == "a | b"
    assert (
        step_text(Step(name="a", argv=("p", "r"), notebook="x\n.ipynb")) == "notebook x\\x0a.ipynb"
    )


class Hungry:
    """A sandbox in which a step used 41 MB."""

    def run(self, request: SandboxRequest) -> SandboxResult:
        return SandboxResult(
            exit=0, timed_out=False, reached=None, cost=Cost(wall=0.1, peak_memory=41_000_000)
        )


@pytest.mark.parametrize(("limit", "said"), [(20_000_000, 1), (50_000_000, 0), (None, 0)])
def test_more_memory_than_allowed_is_never_silent(
    tmp_path: Path, limit: int | None, said: int
) -> None:
    found = rerun(
        Hungry(),
        [],
        claims(),
        tmp_path,
        Terms(limits=Limits(memory=limit)),  # type: ignore[arg-type]
    )
    assert len([note for note in found.notes if "above its limit" in note]) == said
