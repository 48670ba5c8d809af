"""The schedule of a probe and the class of each output, over a sandbox made of Python."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from repro.compare.memory import MemoryOutput
from repro.errors import RuntimeUnavailable
from repro.model.guise import GUISES
from repro.model.ports import SandboxRequest, SandboxResult, Seal
from repro.model.recording import Claims, Output
from repro.model.stability import (
    AxisTried,
    OutputClass,
    Probe,
    Spot,
    Stability,
    recorded_classes,
)
from repro.model.step import Cost, Step
from repro.primitives.canonical import dump
from repro.primitives.digest import Digest
from repro.primitives.events import Event, silent
from repro.project.config import read_config
from repro.project.variation_files import Source
from repro.workflows.probe_axes import Variation
from repro.workflows.probe_clock import moved
from repro.workflows.probe_places import spots_for
from repro.workflows.probe_proposals import proposals
from repro.workflows.probing import ProbeRequest, probe

Program = Callable[[SandboxRequest], object]
COUNTER = itertools.count()


class PythonSandbox:
    """Each program writes its value into the file of its name; an exception is exit 1."""

    name = "python"
    guises = GUISES

    def __init__(self, **programs: Program) -> None:
        self.programs = programs
        self.requests: list[SandboxRequest] = []

    def seal(self, network: str = "none", limits: object = None) -> Seal:
        return Seal(engine="python", version="0", enforced={})

    def run(self, request: SandboxRequest) -> SandboxResult:
        self.requests.append(request)
        folder = Path(request.upper) / "p"
        folder.mkdir(exist_ok=True)
        try:
            for name, program in self.programs.items():
                (folder / f"{name}.txt").write_text(f"{program(request)}\n")
        except ZeroDivisionError:
            os.write(request.stderr, b"ZeroDivisionError\n")
            return SandboxResult(exit=1, cost=Cost(wall=0.1))
        return SandboxResult(exit=0, cost=Cost(wall=0.1))


SEED = Variation(
    axis="hash-seed", usual="0", varied="4242", variables={"PYTHONHASHSEED": "4242"}, held="held"
)
HOST = Variation(axis="host-name", usual="repro", varied="b", guise={"host": "b"})
THREADS = Variation(axis="threads", usual="2", varied="1", variables={"OMP_NUM_THREADS": "1"})
MOVED = Variation(axis="clock", usual="now", varied="later", variables=moved(None))
ASKING = Source(
    path="ask.py", flows=lambda result: None,
    spots=(Spot(axis="clock", path="ask.py", line=1, text="now", mend="drop it"),),
)  # fmt: skip
CLOCK = AxisTried(axis="clock", state="not varied", why="it cannot be")


def seed(request: SandboxRequest) -> str:
    return request.environment["PYTHONHASHSEED"]


def claims(*names: str, compare: dict[str, object] | None = None) -> Claims:
    return Claims(
        name="p", root="/p", steps=(Step(name="s", argv=("x",)),),
        environment={"PYTHONHASHSEED": "0"},
        outputs=tuple(
            Output(path=f"{name}.txt", size=0, digest=Digest.of(b""), compare=compare or {})
            for name in names
        ),
    )  # fmt: skip


def probed(
    sandbox: PythonSandbox, tmp_path: Path, baseline: dict[str, object],
    variations: Sequence[Variation] = (SEED, HOST, THREADS), events: list[Event] | None = None,
    compare: dict[str, object] | None = None, sources: Sequence[Source] = (),
) -> Probe:  # fmt: skip
    return probe(
        ProbeRequest(
            sandbox=sandbox, layers=["/l"], claims=claims(*sandbox.programs, compare=compare),
            baseline={f"{n}.txt": MemoryOutput(f"{v}\n".encode()) for n, v in baseline.items()},
            seconds=0.1, runs=tmp_path / "runs", sources=sources, rest=0,
            choices=[*variations, *(() if MOVED in variations else (CLOCK,))],
        ),
        silent if events is None else events.append,
    )  # fmt: skip


def classes(found: Probe) -> dict[str, str]:
    return {output.path: output.sentence() for output in found.outputs}


def test_nothing_varies_in_two_reruns(tmp_path: Path) -> None:
    sandbox = PythonSandbox(a=lambda request: 1)
    found = probed(sandbox, tmp_path, {"a": 1})
    assert classes(found) == {"a.txt": "deterministic"}
    assert found.reruns == len(sandbox.requests) == 2
    together = sandbox.requests[1]
    assert together.environment["PYTHONHASHSEED"] == "4242"
    assert (together.guise.host, together.environment["OMP_NUM_THREADS"]) == ("b", "1")
    assert {axis.axis: axis.state for axis in found.axes}["clock"] == "not varied"
    assert found.proposals == ()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == []


def test_each_axis_alone_when_all_together_differ(tmp_path: Path) -> None:
    sandbox = PythonSandbox(
        a=lambda request: 1, b=seed, c=lambda request: request.guise.host,
        d=lambda request: (seed(request), request.guise.host),
    )  # fmt: skip
    found = probed(sandbox, tmp_path, {"a": 1, "b": "0", "c": "repro", "d": ("0", "repro")})
    assert classes(found) == {
        "a.txt": "deterministic",
        "b.txt": "varies with hash seed",
        "c.txt": "varies with host name",
        "d.txt": "varies with hash seed, host name",
    }
    # Unvaried, together, three alone, unvaried once more.
    assert found.reruns == 6


def test_what_differs_only_together(tmp_path: Path) -> None:
    def both(request: SandboxRequest) -> bool:
        return seed(request) == "4242" and request.guise.host == "b"

    found = probed(PythonSandbox(a=both), tmp_path, {"a": False})
    assert classes(found)["a.txt"].startswith("varies with hash seed, host name, number of threads")
    assert classes(found)["a.txt"].endswith("(together, with none alone)")


def test_chance_is_no_axis(tmp_path: Path) -> None:
    sandbox = PythonSandbox(a=lambda request: next(COUNTER), b=seed)
    found = probed(sandbox, tmp_path, {"a": -1, "b": "0"})
    assert classes(found) == {"a.txt": "nondeterministic", "b.txt": "varies with hash seed"}


def test_chance_that_shows_late(tmp_path: Path) -> None:
    # Differs from the fourth rerun on: an axis would be blamed without the second look.
    sandbox = PythonSandbox(a=lambda request: len(sandbox.requests) >= 4, b=seed)
    found = probed(sandbox, tmp_path, {"a": False, "b": "0"})
    assert classes(found) == {"a.txt": "nondeterministic", "b.txt": "varies with hash seed"}


def test_addresses(tmp_path: Path) -> None:
    sandbox = PythonSandbox(
        a=lambda request: 7 if request.guise.fixed_addresses else next(COUNTER),
        b=lambda request: next(COUNTER),
    )
    found = probed(sandbox, tmp_path, {"a": -1, "b": -1})
    assert classes(found) == {"a.txt": "varies with address layout", "b.txt": "nondeterministic"}


def test_a_clock_that_stands_still_is_no_address(tmp_path: Path) -> None:
    # Moves between the first reruns, and no longer between the last ones.
    sandbox = PythonSandbox(a=lambda request: min(len(sandbox.requests), 2))
    found = probed(sandbox, tmp_path, {"a": 0})
    assert classes(found) == {"a.txt": "nondeterministic"}


def test_a_run_that_fails_under_one_axis(tmp_path: Path) -> None:
    sandbox = PythonSandbox(a=lambda request: 1 // (request.guise.host != "b"), b=seed)
    found = probed(sandbox, tmp_path, {"a": 1, "b": "0"})
    assert classes(found) == {"a.txt": "deterministic", "b.txt": "varies with hash seed"}
    states = {axis.axis: axis for axis in found.axes}
    assert states["host-name"].state == "failed"
    assert "ZeroDivisionError" in states["host-name"].why
    assert states["hash-seed"].state == "varied"
    assert any("everything varied at once" in limit for limit in found.limits)


def test_a_run_that_fails_under_another_clock_says_nothing_of_the_date(tmp_path: Path) -> None:
    """libfaketime may be at fault; and such a run is given an end, should it hang."""
    sandbox = PythonSandbox(a=lambda request: 1 // ("LD_PRELOAD" not in request.environment))
    found = probed(sandbox, tmp_path, {"a": 1}, (SEED, MOVED), sources=[ASKING])
    assert classes(found) == {"a.txt": "deterministic"}
    states = {axis.axis: axis for axis in found.axes}
    assert states["clock"].state == "not varied"
    assert "with libfaketime the run failed" in states["clock"].why
    assert "ZeroDivisionError" in states["clock"].why
    assert any("the date was the same" in limit for limit in found.limits)
    for request in sandbox.requests:
        assert (request.timeout is not None) == ("LD_PRELOAD" in request.environment)


def test_what_shows_a_moved_date_varies_with_the_clock(tmp_path: Path) -> None:
    sandbox = PythonSandbox(a=lambda request: "LD_PRELOAD" in request.environment, b=seed)
    found = probed(sandbox, tmp_path, {"a": False, "b": "0"}, (SEED, MOVED), sources=[ASKING])
    assert classes(found) == {"a.txt": "varies with clock", "b.txt": "varies with hash seed"}
    spots = {output.path: [spot.where for spot in output.spots] for output in found.outputs}
    assert spots == {"a.txt": ["ask.py:1"], "b.txt": []}
    assert not any("the date was the same" in limit for limit in found.limits)
    rule = next(each for each in found.proposals if "    required: false" in each.lines)
    assert rule.outputs == ("a.txt",)


def test_what_no_varied_rerun_showed_is_undecided(tmp_path: Path) -> None:
    """Every rerun with something varied fails: one unvaried rerun makes nothing deterministic."""

    def only_as_usual(request: SandboxRequest) -> int:
        return 1 // (seed(request) == "0" and request.guise.host != "b")

    found = probed(PythonSandbox(a=only_as_usual), tmp_path, {"a": 1}, (SEED, HOST))
    assert classes(found) == {"a.txt": "undecided"}
    assert {axis.axis: axis.state for axis in found.axes}["hash-seed"] == "failed"


def test_a_second_look_that_fails_is_said(tmp_path: Path) -> None:
    sandbox = PythonSandbox(a=seed, b=lambda request: 1 // (len(sandbox.requests) < 6))
    found = probed(sandbox, tmp_path, {"a": "0", "b": 1})
    assert classes(found)["a.txt"] == "varies with hash seed"
    assert any("nothing varied, once more" in limit for limit in found.limits)


def test_addresses_that_cannot_be_held_are_said(tmp_path: Path) -> None:
    """A container forbids personality(2): the probe goes on, and chance stays chance."""

    def refuses(request: SandboxRequest) -> int:
        if request.guise.fixed_addresses:
            raise RuntimeUnavailable("this machine cannot be varied: Operation not permitted")
        return next(COUNTER)

    found = probed(PythonSandbox(a=refuses), tmp_path, {"a": -1})
    assert classes(found) == {"a.txt": "nondeterministic"}
    assert any("addresses" in limit and "not permitted" in limit for limit in found.limits)


def test_a_run_that_fails_unvaried_decides_nothing(tmp_path: Path) -> None:
    found = probed(PythonSandbox(a=lambda request: 1 // 0), tmp_path, {"a": 1})
    assert classes(found) == {"a.txt": "undecided"}
    assert "nothing varied" in found.limits[0]


def test_a_file_that_comes_and_goes(tmp_path: Path) -> None:
    sandbox = PythonSandbox(a=lambda request: 1)
    found = probed(sandbox, tmp_path, {"a": 1, "gone": 2})
    assert classes(found) == {"a.txt": "deterministic", "gone.txt": "nondeterministic"}


def test_rounding_has_its_tolerance(tmp_path: Path) -> None:
    def value(request: SandboxRequest) -> str:
        return "x 1.00000000001" if "OMP_NUM_THREADS" in request.environment else "x 1.0"

    found = probed(PythonSandbox(a=value), tmp_path, {"a": "x 1.0"})
    assert classes(found) == {"a.txt": "varies with number of threads"}
    assert found.outputs[0].worst == "different"
    assert '    OMP_NUM_THREADS: "1"' in found.proposals[0].lines
    close = probed(PythonSandbox(a=value), tmp_path, {"a": "x 1.0"}, compare={"rtol": "1e-6"})
    assert classes(close) == {"a.txt": "varies with number of threads"}
    assert (close.outputs[0].worst, close.outputs[0].max_rel) == ("close", "1e-11")
    assert close.proposals == ()


def test_it_says_before_how_long(tmp_path: Path) -> None:
    events: list[Event] = []
    probed(PythonSandbox(a=lambda request: 1), tmp_path, {"a": 1}, events=events)
    texts = [event.text for event in events]
    assert texts[0].startswith("2 to 9 sealed reruns, about ")
    assert "1 of at most 9 · nothing varied · all the same" in texts


def test_the_document_is_sealed_and_read_again(tmp_path: Path) -> None:
    found = probed(PythonSandbox(b=seed), tmp_path, {"b": "0"})
    document = found.to_json()
    assert b'"schema":"repro.probe/1"' in dump(document)
    again = recorded_classes({"probe": document})
    assert again["b.txt"] == found.outputs[0]
    for broken in (
        None,
        {},
        {"schema": "repro.probe/2"},
        {"schema": "repro.probe/1", "outputs": 3},
    ):
        assert recorded_classes({"probe": broken}) == {}
    document["outputs"].append({"path": 3})
    document["outputs"][0]["places"] = [{"axis": 1}, "x", {"axis": "a", "path": "b", "text": "",
                                        "mend": "", "line": -1}]  # fmt: skip
    assert recorded_classes({"probe": document})["b.txt"].spots == ()


ALL = [
    OutputClass(path='a "b".csv', stability=Stability.VARIES, axes=("threads",), worst="different",
                max_rel="3e-12"),
    OutputClass(path="k.csv", stability=Stability.VARIES, axes=("blas-kernel",), worst="different"),
    OutputClass(path="s.txt", stability=Stability.VARIES, axes=("hash-seed",), worst="different",
                spots=(Spot(axis="hash-seed", path="a.py", line=3, text="a set", mend="sort it"),)),
    OutputClass(path="t.txt", stability=Stability.NONDETERMINISTIC, worst="different"),
    OutputClass(path="n.txt", stability=Stability.VARIES, axes=("threads",), worst="close"),
    OutputClass(path="d.txt", stability=Stability.DETERMINISTIC),
]  # fmt: skip


@pytest.mark.parametrize("declared", [False, True])
def test_every_proposal_is_a_repro_yml(tmp_path: Path, declared: bool) -> None:
    kernel = Variation(axis="blas-kernel", usual="SkylakeX", varied="Haswell")
    axes = [SEED.tried(), THREADS.tried(), kernel.tried()]
    found = proposals(replace(claims("a"), declared=declared), ALL, axes)
    lines = [proposal for proposal in found if proposal.lines]
    assert len(lines) == 4
    assert len({proposal.lines for proposal in lines}) == 4
    for proposal in lines:
        place = tmp_path / "repro.yml"
        place.write_text("\n".join(proposal.lines) + "\n")
        config = read_config(place)
        assert config.variables or config.outputs
    text = "\n".join("\n".join(proposal.lines) for proposal in found)
    assert "    compare: {rtol: 1e-10}" in text
    assert '    OPENBLAS_CORETYPE: "Haswell"' in text
    assert ('  - "**"' in text) != declared
    whys = {proposal.why: proposal.outputs for proposal in found}
    assert whys["a.py:3 (a set): sort it"] == ("s.txt",)
    assert any(why.startswith("hash seed: held already") for why in whys)
    assert not {"n.txt", "d.txt"} & {path for each in found for path in each.outputs}


def test_the_line_that_flows_into_an_output() -> None:
    def spot(line: int, axis: str = "random", path: str = "a.py") -> Spot:
        return Spot(axis=axis, path=path, line=line, text="x", mend="y")

    def into(*lines: int) -> Callable[[str], frozenset[tuple[int | None, int]] | None]:
        return lambda result: frozenset((None, n) for n in lines) if result == "a.txt" else None

    def wheres(path: str, kinds: Sequence[str], *sources: Source) -> list[str]:
        return [found.where for found in spots_for(path, kinds, sources)]

    spots = (spot(1), spot(2, "clock"), spot(3), spot(3, "clock"))
    named = Source(path="a.py", spots=spots, flows=into(3))
    other = Source(path="b.py", spots=(spot(7, path="b.py"),), flows=into())
    unnamed = replace(other, flows=lambda result: None)
    assert wheres("out/a.txt", ["random", "clock"], named, unnamed) == ["a.py:3"]
    assert wheres("a.txt", ["process"], named, unnamed) == []
    # A source that names the result, without a line that flows into it, is not suspected,
    # unless its flow is only guessed at.
    nothing = replace(named, flows=into(9))
    assert wheres("a.txt", ["random"], nothing, unnamed) == ["b.py:7"]
    assert wheres("a.txt", ["random"], replace(nothing, exact=False), unnamed) == [
        "a.py:1", "a.py:3",
    ]  # fmt: skip
    assert len(spots_for("c.txt", ["random", "clock"], [named, unnamed])) == 4
    # A notebook writes its results into itself.
    book = replace(unnamed, path="b.ipynb", spots=(spot(1, path="b.ipynb"),))
    assert wheres("b.ipynb", ["random"], named, unnamed, book) == ["b.ipynb:1"]
