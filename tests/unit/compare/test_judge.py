from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from repro.compare.judge import judge, judge_folders
from repro.compare.memory import MemoryOutput
from repro.model.outcome import Outcome
from repro.model.ports import OutputFile
from repro.model.verdict import Verdict
from repro.primitives.digest import Digest

TABLE = b"a,b\n1,2.5\n"


def side(**files: bytes) -> dict[str, OutputFile]:
    return {name.replace("_", "."): MemoryOutput(data) for name, data in files.items()}


def outcomes(verdict: Verdict) -> dict[str, str]:
    return {output.path: output.outcome.value for output in verdict.outputs}


def test_every_path_of_either_side_gets_an_outcome() -> None:
    found = judge(
        side(a_csv=TABLE, b_txt=b"x", c_txt=b"1"),
        side(a_csv=TABLE, b_txt=b"y", d_txt=b"2"),
        rules={},
    )
    assert outcomes(found) == {
        "a.csv": "identical", "b.txt": "different", "c.txt": "missing", "d.txt": "unexpected",
    }  # fmt: skip
    assert [output.path for output in found.outputs] == sorted(outcomes(found))
    assert found.outcome is Outcome.MISSING
    assert not found.reproduced


def test_an_unexpected_output_warns_but_does_not_decide() -> None:
    found = judge(side(a_txt=b"x"), side(a_txt=b"x", b_txt=b"y"), rules={})
    assert found.reproduced
    assert found.warnings == ("b.txt was written by the rerun but not recorded",)


def test_with_declared_outputs_others_are_not_looked_at() -> None:
    found = judge(side(a_txt=b"x"), side(a_txt=b"x", b_txt=b"y"), rules={}, declared=True)
    assert outcomes(found) == {"a.txt": "identical"}
    assert not found.warnings


def test_rules_and_the_reviewer_reach_the_comparator() -> None:
    new = b"a,b\n1,2.6\n"
    old_side, new_side = side(a_csv=TABLE), side(a_csv=new)
    assert not judge(old_side, new_side, rules={}).reproduced
    sealed = judge(old_side, new_side, rules={"a.csv": (True, {"rtol": "0.1"})})
    assert sealed.outcome is Outcome.CLOSE
    assert sealed.outputs[0].comparison.tolerance["from"] == "repro.yml"
    own = judge(old_side, new_side, rules={}, reviewer_options={"rtol": "0.1"})
    assert own.reproduced
    assert own.outputs[0].comparison.tolerance["from"] == "reviewer"


def test_the_bar_decides() -> None:
    old, new = side(a_csv=TABLE), side(a_csv=b"a,b\n1,2.5000000000001\n")
    assert judge(old, new, rules={}).reproduced
    assert not judge(old, new, rules={}, required=Outcome.EQUIVALENT).reproduced


def test_an_output_that_is_not_required_does_not_decide() -> None:
    found = judge(
        side(a_txt=b"x", b_txt=b"1"), side(a_txt=b"x", b_txt=b"2"), rules={"b.txt": (False, {})}
    )
    assert found.reproduced
    assert outcomes(found)["b.txt"] == "different"


def test_nothing_required_is_no_success() -> None:
    found = judge({}, {}, rules={})
    assert not found.reproduced
    assert found.outcome is Outcome.UNDECIDED
    found = judge(side(a_txt=b"x"), side(a_txt=b"x"), rules={"a.txt": (False, {})})
    assert not found.reproduced
    assert "no output is required" in found.warnings[0]


def test_a_copied_input_is_flagged() -> None:
    inputs = {
        hashlib.sha256(TABLE).hexdigest(): "data/in.csv",
        hashlib.sha256(b"").hexdigest(): "e",
    }
    found = judge(
        side(a_csv=TABLE, b_txt=b""), side(a_csv=TABLE, b_txt=b""), rules={}, input_digests=inputs
    )
    assert [output.copied_from for output in found.outputs] == ["data/in.csv", None]
    assert "same bytes as the input data/in.csv" in found.warnings[0]


def test_links_are_compared_by_target() -> None:
    def link(target: bytes) -> dict[str, OutputFile]:
        return {"l": MemoryOutput(target, link=True)}

    assert judge(link(b"a"), link(b"a"), rules={}).outcome is Outcome.IDENTICAL
    found = judge(link(b"a"), link(b"b"), rules={})
    assert found.outcome is Outcome.DIFFERENT
    assert found.outputs[0].comparison.differences[0].new == "b"
    kind = judge(link(b"a"), {"l": MemoryOutput(b"a")}, rules={})
    assert kind.outcome is Outcome.DIFFERENT
    assert kind.outputs[0].comparison.summary == "a link became a file"


class Unreadable:
    link = False
    size = 3
    digest = Digest.of(b"abc")

    def open(self) -> BinaryIO:
        raise PermissionError(13, "Permission denied")


def test_what_cannot_be_read_is_undecided() -> None:
    found = judge({"a.txt": MemoryOutput(b"x")}, {"a.txt": Unreadable()}, rules={})
    assert found.outcome is Outcome.UNDECIDED
    assert "Permission denied" in found.outputs[0].comparison.notes[0]


def test_a_name_from_a_stranger_is_escaped_in_warnings() -> None:
    found = judge({}, {"a\x1b[31m\n": MemoryOutput(b"x")}, rules={})
    assert "\x1b" not in "".join(found.warnings)


def test_two_folders(tmp_path: Path) -> None:
    for name, text in (("a", "1.0"), ("b", "1.00")):
        folder = tmp_path / name
        (folder / "sub").mkdir(parents=True)
        (folder / "sub/t.csv").write_text(f"x,y\n{text},2\n")
        (folder / "same.bin").write_bytes(b"\0\1")
        (folder / f"only_{name}").write_text("x")
        os.symlink("/nowhere/" + name, folder / "link")
        os.mkfifo(folder / "pipe")
    found = judge_folders(str(tmp_path / "a"), str(tmp_path / "b"))
    assert outcomes(found) == {
        "link": "different",
        "only_a": "missing",
        "only_b": "unexpected",
        "pipe": "undecided",
        "same.bin": "identical",
        "sub/t.csv": "equivalent",
    }
    assert not found.reproduced


def test_a_path_only_in_the_second_folder_is_no_success(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text("1")
    assert judge_folders(str(tmp_path / "a"), str(tmp_path / "b")).reproduced
    (tmp_path / "b/y").write_text("1")
    assert not judge_folders(str(tmp_path / "a"), str(tmp_path / "b")).reproduced


def test_two_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1.0\n")
    (tmp_path / "b.csv").write_text("x\n1.5\n")
    found = judge_folders(str(tmp_path / "a.csv"), str(tmp_path / "b.csv"))
    assert outcomes(found) == {"b.csv": "different"}
    os.mkfifo(tmp_path / "pipe")
    found = judge_folders(str(tmp_path / "a.csv"), str(tmp_path / "pipe"))
    assert found.outcome is Outcome.UNDECIDED


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_undecided(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text(name)
    (tmp_path / "b/x").chmod(0)
    found = judge_folders(str(tmp_path / "a"), str(tmp_path / "b"))
    assert outcomes(found) == {"x": "undecided"}
