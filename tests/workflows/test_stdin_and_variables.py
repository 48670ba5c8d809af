"""What reaches a run beside its files: standard input and variables, recorded and given again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from repro.errors import RerunFailed
from repro.model.step import Step
from repro.workflows.rerun import recorded_stdin
from tests.workflows.lab import Lab

SORT = ("--", "sh", "-c", "sort -r > sorted.txt")


def test_the_file_of_stdin_is_recorded_and_given_again(lab: Lab) -> None:
    numbers = lab.write("../numbers.txt", "1\n2\n3\n")
    lab.write("keep.txt", "x")
    lab.snapshot("--stdin", str(numbers), *SORT)
    assert lab.results() == {"sorted.txt": "3\n2\n1\n"}
    assert str(numbers) in lab.packed("data")
    numbers.write_text("9\n")
    lab.verify()
    lab.repro("run", "-q", str(lab.archive), "--out", str(lab.folder / "again"))
    assert (lab.folder / "again/sorted.txt").read_text() == "3\n2\n1\n"
    other = lab.repro("run", "-q", str(lab.archive), "--", "cat")
    assert other.stdout == "", "another command has the caller's stdin"


def test_a_stdin_inside_the_project_and_behind_a_link(lab: Lab) -> None:
    lab.write("data/numbers.txt", "1\n2\n")
    (lab.project / "link.txt").symlink_to("data/numbers.txt")
    # Changed by the run: what it read was the state before.
    lab.snapshot("--stdin", "link.txt", "--", "sh", "-c", "cat > o.txt; echo 3 >> data/numbers.txt")
    assert lab.results() == {"o.txt": "1\n2\n", "data/numbers.txt": "1\n2\n3\n"}
    lab.verify()


def test_every_step_reads_it_from_the_start(lab: Lab) -> None:
    numbers = lab.write("../numbers.txt", "1\n2\n")
    lab.write("repro.yml", "steps: ['cat > a.txt', 'cat > b.txt']\n")
    lab.snapshot("--stdin", str(numbers))
    assert lab.results() == {"a.txt": "1\n2\n", "b.txt": "1\n2\n"}
    lab.verify()


def test_the_image_command_gives_it_too(lab: Lab) -> None:
    """Whoever runs the image with another engine gets the same input."""
    numbers = lab.write("../num bers.txt", "1\n2\n")
    lab.snapshot("--stdin", str(numbers), *SORT)
    folder = lab.folder / "tar"
    folder.mkdir()
    subprocess.run(["tar", "-xf", lab.archive, "-C", folder], check=True)
    (manifest,) = json.loads((folder / "manifest.json").read_text())
    config = json.loads((folder / manifest["Config"]).read_text())
    (lab.project / "sorted.txt").unlink(missing_ok=True)
    subprocess.run(config["config"]["Cmd"], cwd="/", check=True)
    assert (lab.project / "sorted.txt").read_text() == "2\n1\n"


@pytest.mark.parametrize("name", ["nothing.txt", ".", "/dev/null"])
def test_what_cannot_travel_is_refused(lab: Lab, name: str) -> None:
    done = lab.repro("snapshot", "--stdin", name, *SORT, status=3)
    assert "error[stdin]" in done.stderr and "save the input to a file" in done.stderr


def test_a_stdin_that_was_left_out_is_named(lab: Lab) -> None:
    lab.write(".env", "KEY=1\n")
    done = lab.repro("snapshot", "--stdin", ".env", *SORT, status=5)
    assert "error[" in done.stderr and "as its stdin" in done.stderr
    assert not list(lab.project.glob("*.repro"))


def test_a_link_in_a_layer_is_not_followed(tmp_path: Path) -> None:
    """A hostile archive must not read a file of this machine."""
    secret = tmp_path / "secret"
    secret.write_text("private")
    layer = tmp_path / "layer"
    (layer / "p").mkdir(parents=True)
    (layer / "p/in").symlink_to(secret)
    (layer / "q").symlink_to(tmp_path)
    for stdin in ("/p/in", "/q/secret", "/p", "/nothing"):
        step = Step(name="s", argv=("cat",), stdin=stdin)
        with pytest.raises(RerunFailed), recorded_stdin([str(layer)], step):
            pass


def test_variables_of_the_shell_by_name_alone(lab: Lab) -> None:
    script = 'echo "$SEED,$SIZE,$MODE,$OTHER" > o.txt'
    lab.write("repro.yml", "environment: {pass: [SIZE], variables: {MODE: fast}}\n")
    shell = {"SEED": "7", "SIZE": "a b", "OTHER": "no"}
    lab.snapshot("--env", "SEED", "--env", "MODE=slow", "--", "sh", "-c", script, env=shell)
    assert lab.results() == {"o.txt": "7,a b,slow,\n"}
    said = lab.inspect()["environment"]
    assert (said["SEED"], said["SIZE"], said["MODE"]) == ("7", "a b", "slow")
    assert "OTHER" not in said
    lab.verify()


@pytest.mark.parametrize(
    ("word", "status", "slug"),
    [
        ("NOT_SET_HERE", 3, "variable"),
        ("MY_API_KEY", 3, "secret-variable"),
        ("GITHUB_TOKEN", 3, "secret-variable"),
        ("not-a-name", 2, "not a variable's name"),
    ],
)
def test_variables_that_are_refused(lab: Lab, word: str, status: int, slug: str) -> None:
    env = {"MY_API_KEY": "k3y", "GITHUB_TOKEN": "k3y"}
    done = lab.repro("snapshot", "--env", word, *SORT, status=status, env=env)
    assert slug in done.stderr and "k3y" not in done.stderr + done.stdout


def test_a_secret_may_be_said_out_loud(lab: Lab) -> None:
    lab.snapshot("--env", "KEYBOARD_TOKEN=qwerty", "--", "sh", "-c", "echo $KEYBOARD_TOKEN > o.txt")
    assert lab.results() == {"o.txt": "qwerty\n"}
