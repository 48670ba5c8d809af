"""What the author's folder held before the run, judged against what the run made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from repro.compare.memory import MemoryOutput
from repro.model.ports import OutputFile
from repro.model.project import OutputRule
from repro.model.step import Step
from repro.model.verdict import Verdict
from repro.workflows.own_results import own_facts, own_results, own_warnings

NOTEBOOK = Step(name="nb", argv=("python",), notebook="x.ipynb")


def found(root: Path, made: dict[str, bytes], **options: object) -> Verdict:
    files: dict[str, OutputFile] = {path: MemoryOutput(data) for path, data in made.items()}
    compare = options.get("compare", {})
    assert isinstance(compare, dict)
    rules = {path: OutputRule(pattern=path, compare=compare) for path in made}
    in_place = options.get("in_place", ())
    assert isinstance(in_place, tuple)
    return own_results(str(root), files, rules, in_place, (NOTEBOOK,))


def notebook(text: str) -> bytes:
    stream = [{"output_type": "stream", "name": "stdout", "text": text}] if text else []
    cell = {"cell_type": "code", "metadata": {}, "source": "f()", "outputs": stream,
            "execution_count": 1 if text else None}  # fmt: skip
    return json.dumps(
        {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    ).encode()


def test_only_what_lay_there_is_judged(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1.5\n")
    (tmp_path / "same.txt").write_text("same")
    (tmp_path / "other.txt").write_text("no output")
    verdict = found(tmp_path, {"a.csv": b"x\n1.6\n", "same.txt": b"same", "new.txt": b"new"})
    assert [(o.path, o.outcome.value) for o in verdict.outputs] == [
        ("a.csv", "different"), ("same.txt", "identical"),
    ]  # fmt: skip
    lines = list(own_warnings(verdict))
    assert len(lines) == 1
    assert lines[0].startswith("your a.csv differs from what this run made")
    facts = own_facts(verdict, anonymous=False)
    assert facts["compared"] == 2 and facts["outcomes"] == {"different": 1, "identical": 1}
    assert [entry["path"] for entry in facts["differing"]] == ["a.csv"]
    assert own_facts(verdict, anonymous=True)["differing"] is None


def test_a_declared_tolerance_counts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1.50001\n")
    made = {"a.csv": b"x\n1.5\n"}
    assert list(own_warnings(found(tmp_path, made)))
    assert not list(own_warnings(found(tmp_path, made, compare={"rtol": "1e-3"})))


def test_what_was_read_first_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("1\n")
    assert found(tmp_path, {"log.txt": b"1\n2\n"}, in_place=("log.txt",)).outputs == ()


def test_a_notebooks_stored_outputs(tmp_path: Path) -> None:
    judge: Callable[[bytes], Verdict] = lambda made: found(  # noqa: E731
        tmp_path, {"x.ipynb": made}, in_place=("x.ipynb",)
    )
    place = tmp_path / "x.ipynb"
    place.write_bytes(notebook("slope 3.2\n"))
    assert list(own_warnings(judge(notebook("slope 3.3\n"))))
    assert not list(own_warnings(judge(notebook("slope 3.2\n"))))
    place.write_bytes(notebook(""))
    assert judge(notebook("slope 3.3\n")).outputs == (), "nothing was stored"


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"\x80\x04K\x01.")
    lines = list(own_warnings(found(tmp_path, {"m.pkl": b"\x80\x04K\x02."})))
    assert len(lines) == 1 and "your m.pkl" in lines[0]


def test_names_are_made_harmless(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2Jb\n.txt").write_text("1")
    lines = list(own_warnings(found(tmp_path, {"a\x1b[2Jb\n.txt": b"2"})))
    assert "\x1b" not in lines[0] and "\n" not in lines[0]
