from __future__ import annotations

from pathlib import Path

import pytest

from repro.errors import ProjectError
from repro.model.limits import Limits
from repro.model.remote_input import RemoteInput
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
    assert config.limits == Limits(cpus=4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("outputz: [a]", "outputz"),
        ("run: make\nsteps: [make]", "not both"),
        ("outputs: [{path: ../up}]", "inside the project"),
        ("outputs: [/etc/passwd]", "inside the project"),
        ("outputs: [{path: a, compare: {rtoll: 1}}]", "rtoll"),
        ("steps: [{name: a, run: x, needs: [b]}, {name: b, run: y, needs: [a]}]", "each other"),
        ("jobs: 0", "from 1 to 256"),
        ("jobs: true", "from 1 to 256"),
        ("jobs: '4'", "from 1 to 256"),
        ("steps: [{name: a, run: x, needs: [c]}]", "which is no step"),
        ("steps: [{name: a, run: x}, {name: a, run: y}]", "two steps"),
        ("run: ''", "must be a command"),
        ("run: 'echo \"x'", "quotation"),
        ("resources: {time: soon}", "no duration"),
        ("resources: {time: 0}", "no duration"),
        ("version: 2", "version 1"),
        ("name: 'a b'", "letters"),
        ("environment: {variables: {'A-B': 1}}", "not a variable"),
        ("inputs: {remote: [{url: x}]}", "cannot be fetched"),
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


SHA = "492d5ea496056f1a6a6592241032fab764c321596317930b4fa0e1e8bc3b7470"


def remote(folder: Path, text: str) -> tuple[RemoteInput, ...]:
    return read_config(write(folder, f"inputs: {{remote: [{text}]}}")).remote


def test_remote_inputs(tmp_path: Path) -> None:
    found = remote(
        tmp_path,
        f"{{url: 'https://a.org/b?c=d', sha256: {SHA.upper()}, path: ./data//b.nc, max_size: 2GB}}, "
        f"{{url: 'file:///a/b%20c', sha256: 'sha256:{SHA}', path: c}}",
    )
    assert [(r.url, r.path, r.digest.hex) for r in found] == [
        ("https://a.org/b?c=d", "data/b.nc", SHA), ("file:///a/b%20c", "c", SHA),
    ]  # fmt: skip
    assert [r.most for r in found] == [2_000_000_000, 10_000_000_000]
    assert read_config(write(tmp_path, "run: make")).remote == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", "must hold url"),
        ("{url: 'https://a.org', path: b}", "sha256: is missing"),
        ("{url: 'https://a.org', path: b, sha256: 1234}", "64 hexadecimal digits"),
        ("{url: 'https://a.org', path: b, sha256: " + "0123456701234567" * 4 + "}", "in quotes"),
        ("{path: b, sha256: SHA}", "must be a URL"),
        ("{url: 'ftp://a.org/b', path: b, sha256: SHA}", "cannot be fetched"),
        ("{url: 'file://host/b', path: b, sha256: SHA}", "cannot be fetched"),
        ("{url: 'https://me:pw@a.org/b', path: b, sha256: SHA}", "password"),
        ("{url: 'https://[a.org', path: b, sha256: SHA}", "remote[0].url"),
        ("{url: 'https://a.org/b c', path: b, sha256: SHA}", "without blanks"),
        ("{url: 'https://a.org', path: ../b, sha256: SHA}", "inside the project"),
        ("{url: 'https://a.org', path: /b, sha256: SHA}", "inside the project"),
        ("{url: 'https://a.org', path: b/, sha256: SHA}", "file's path"),
        ("{url: 'https://a.org', path: ., sha256: SHA}", "no file of its own"),
        ("{url: 'https://a.org', path: b, sha256: SHA, max_size: big}", "no size"),
        ("{url: 'https://a.org', path: b, sha256: SHA, max_size: 0}", "no size"),
        ("{url: 'https://a.org', path: b, sha: SHA}", "did you mean `sha256`"),
    ],
)
def test_wrong_remote_inputs(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ProjectError) as caught:
        remote(tmp_path, text.replace("SHA", SHA))
    assert expected in f"{caught.value.message} {caught.value.hint}"
    assert "inputs.remote" in caught.value.message


def test_two_remote_inputs_at_one_path(tmp_path: Path) -> None:
    one = f"{{url: 'https://a.org', path: b, sha256: {SHA}}}"
    with pytest.raises(ProjectError, match="no file of its own"):
        remote(tmp_path, f"{one}, {one.replace('path: b', 'path: ./b')}")
