from __future__ import annotations

from pathlib import Path

import pytest

from repro.errors import ProjectError
from repro.project.config import command_step, find_config, read_config


def write(folder: Path, text: str) -> Path:
    path = folder / "repro.yml"
    path.write_text(text)
    return path


def test_everything_at_once(tmp_path: Path) -> None:
    config = read_config(
        write(
            tmp_path,
            """
version: 1
name: fire-ants
steps:
  - {name: plot, run: "python plot.py > log.txt", needs: [fit], timeout: 30m}
  - {name: fit, run: python fit.py, cwd: src}
outputs:
  - results/table1.csv
  - {path: "figs/*.png", compare: {max_pixels: 0.1%, rtol: 1.0e-6}, required: false}
inputs: {exclude: [scratch/**]}
environment: {variables: {OMP_NUM_THREADS: 1}}
seed: {PYTHONHASHSEED: 7}
resources: {cpus: 4, time: 2h}
paper: {title: Ants}
""",
        )
    )
    assert [step.name for step in config.steps] == ["fit", "plot"]
    assert config.steps[0].argv == ("python", "fit.py")
    assert config.steps[0].cwd == "src"
    assert config.steps[1].argv == ("sh", "-e", "-c", "python plot.py > log.txt")
    assert config.steps[1].timeout == 1800
    assert config.outputs[1].compare == {"max_pixels": "0.1%", "rtol": "1e-06"}
    assert not config.outputs[1].required
    assert config.variables == {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}
    assert config.time_limit == 7200
    assert config.title == "Ants"
    assert any("resources.cpus" in note for note in config.notes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("outputz: [a]", "outputz"),
        ("run: make\nsteps: [make]", "not both"),
        ("outputs: [{path: ../up}]", "inside the project"),
        ("outputs: [/etc/passwd]", "inside the project"),
        ("outputs: [{path: a, compare: {rtoll: 1}}]", "rtoll"),
        ("steps: [{name: a, run: x, needs: [b]}, {name: b, run: y, needs: [a]}]", "each other"),
        ("steps: [{name: a, run: x, needs: [c]}]", "which is no step"),
        ("steps: [{name: a, run: x}, {name: a, run: y}]", "two steps"),
        ("run: ''", "must be a command"),
        ("run: 'echo \"x'", "quotation"),
        ("resources: {time: soon}", "no duration"),
        ("resources: {time: 0}", "no duration"),
        ("version: 2", "version 1"),
        ("name: 'a b'", "letters"),
        ("environment: {variables: {'A-B': 1}}", "not a variable"),
        ("inputs: {remote: [{url: x}]}", "not done by this version"),
        ("- a", "must hold fields"),
        ("a: [", "line"),
        ("run: !!python/object/apply:os.system [id]", "line"),
    ],
)
def test_wrong_field_is_named(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ProjectError) as caught:
        read_config(write(tmp_path, text))
    assert expected in caught.value.message + str(caught.value.hint)
    assert caught.value.exit_code == 3


def test_nearest_field_is_the_hint(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as caught:
        read_config(write(tmp_path, "outptus: [a]"))
    assert caught.value.hint == "did you mean `outputs`?"


def test_empty_and_absent(tmp_path: Path) -> None:
    assert find_config(tmp_path) is None
    path = write(tmp_path, "")
    assert find_config(tmp_path) == path
    assert read_config(path).steps == ()


def test_command_step() -> None:
    step = command_step(["/usr/bin/python3", "a.py"])
    assert step.name == "python3"
    assert step.argv == ("/usr/bin/python3", "a.py")
