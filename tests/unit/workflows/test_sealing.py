from __future__ import annotations

import pytest

from repro.errors import RuntimeUnavailable
from repro.model.oci import oci_architecture
from repro.model.step import Step
from repro.workflows.sealing import command_of, seconds_text


def test_one_step_is_the_command_itself() -> None:
    assert command_of((Step(name="a", argv=("make", "all")),), "/p") == ("make", "all")


def test_several_steps_become_a_script() -> None:
    steps = (Step(name="a", argv=("python", "a b.py")), Step(name="b", argv=("x",), cwd="sub"))
    assert command_of(steps, "/p q") == (
        "/bin/sh", "-e", "-c",
        "cd '/p q' && python 'a b.py'\ncd '/p q/sub' && x",
    )  # fmt: skip


def test_architectures() -> None:
    assert oci_architecture("x86_64") == "amd64"
    assert oci_architecture("aarch64") == "arm64"
    with pytest.raises(RuntimeUnavailable):
        oci_architecture("s390x")


def test_seconds_are_text() -> None:
    assert seconds_text(1.23456) == "1.235"
    assert seconds_text(None) is None
