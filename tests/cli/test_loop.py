"""The loop as a person types it: snapshot, verify, inspect, extract, run, diff."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.workflows import lab as project_lab
from tests.workflows.lab import need_an_engine

SCRIPT = "mkdir -p out; while read a b; do echo $((a + b)); done < in.txt > out/sums.txt"


@pytest.fixture(scope="session", autouse=True)
def sandbox() -> None:
    need_an_engine()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


class Lab(project_lab.Lab):
    """A project with one input."""

    def __init__(self, folder: Path, cache: Path) -> None:
        super().__init__(folder, cache)
        self.write("in.txt", "1 2\n3 4\n")

    def json(self, *argv: str, status: int = 0) -> Any:
        return json.loads(self.repro(*argv, "--json", status=status).stdout)

    def snapshot(self, script: str = SCRIPT, *options: str, status: int = 0) -> Any:
        done = self.repro(
            "snapshot", "--json", "-o", str(self.archive), *options, "--", "sh", "-c", script,
            status=status,
        )  # fmt: skip
        return json.loads(done.stdout)


@pytest.fixture
def lab(tmp_path: Path, cache: Path) -> Lab:
    return Lab(tmp_path, cache)


def test_round(lab: Lab) -> None:
    made = lab.snapshot()
    assert made["archive"]["path"] == str(lab.archive)
    assert made["run"]["exit"] == 0 and made["run"]["seconds"] > 0
    assert [output["path"] for output in made["outputs"]] == ["out/sums.txt"]
    assert made["self_test"]["outcome"] == "identical"
    assert sorted(os.listdir(lab.project)) == ["in.txt"], "the folder stays as it was"
    report = lab.folder / "report.html"
    found = lab.json("verify", str(lab.archive), "--report", str(report))
    assert found["schema"] == "repro.verify/1"
    assert found["archive"]["digest"] == made["archive"]["digest"]
    assert found["verdict"] == "identical"
    assert found["seal"]["network"] is False
    assert [(o["path"], o["verdict"]) for o in found["outputs"]] == [("out/sums.txt", "identical")]
    assert "out/sums.txt" in report.read_text()
    shown = lab.json("inspect", str(lab.archive))
    assert shown["archive"]["digest"] == made["archive"]["digest"]
    assert [layer["diff_id"] for layer in shown["layers"]] == [
        layer["diff_id"] for layer in made["layers"]
    ]
    assert [version["tag"] for version in shown["versions"]] == ["latest"]


def test_different_results_end_with_one(lab: Lab) -> None:
    lab.snapshot("od -An -N4 -tu4 /dev/urandom > number.txt; echo same > same.txt")
    found = lab.json("verify", str(lab.archive), status=1)
    assert {o["path"]: o["verdict"] for o in found["outputs"]} == {
        "number.txt": "different", "same.txt": "identical",
    }  # fmt: skip
    codes = [hint["code"] for hint in found["hints"]]
    assert codes[0] == "random" and "unstable" in codes  # the line first, then the self-test


def test_unstable_results_are_told_at_the_snapshot(lab: Lab) -> None:
    script = "od -An -N4 -tu4 /dev/urandom > number.txt"
    made = lab.snapshot(script)
    assert made["self_test"]["outcome"] == "different"
    lab.archive.unlink()
    done = lab.repro(
        "snapshot", "--strict", "-o", str(lab.archive), "--", "sh", "-c", script, status=1
    )
    assert "error[unstable]" in done.stderr
    assert not lab.archive.exists()


def test_a_failing_command_leaves_the_old_archive(lab: Lab) -> None:
    lab.snapshot()
    before = lab.archive.read_bytes()
    done = lab.repro(
        "snapshot", "-o", str(lab.archive), "--", "sh", "-c", "echo last words; exit 9", status=5
    )
    assert "status 9" in done.stderr and "last words" in done.stderr
    assert lab.archive.read_bytes() == before


@pytest.mark.parametrize(
    ("argv", "status", "slug"),
    [
        (["--", "no-such-program-here"], 3, "command"),
        (["--", "true"], 3, "no-outputs"),
        (["paper.ipynb"], 3, "notebook"),
        ([], 3, "no-command"),
        (["--timeout", "0.3", "--", "sleep", "60"], 5, "run-failed"),
        (["-C", "nowhere", "--", "true"], 3, "project"),
        (["--tag", "a b", "--", "sh", "-c", "echo x > y"], 2, "usage"),
    ],
)
def test_bad_input(lab: Lab, argv: list[str], status: int, slug: str) -> None:
    done = lab.repro("snapshot", *argv, status=status)
    assert f"error[{slug}]" in done.stderr
    assert not list(lab.folder.glob("**/*.repro"))


def test_old_results_are_made_again(lab: Lab) -> None:
    (lab.project / "Makefile").write_text("out.txt: in.txt\n\tcp in.txt out.txt\n")
    (lab.project / "out.txt").write_text("1 2\n3 4\n")
    done = lab.repro("snapshot", "-o", str(lab.archive), "--", "make", status=3)
    assert "--fresh" in done.stderr
    lab.repro("snapshot", "-o", str(lab.archive), "--fresh", "out.txt", "--", "make")
    # The archive knows its outputs now: hidden without being told.
    lab.repro("snapshot", "-o", str(lab.archive), "--", "make")
    assert (lab.project / "out.txt").read_text() == "1 2\n3 4\n"


def test_a_copied_result_is_named(lab: Lab) -> None:
    (lab.project / "precomputed.csv").write_text("a,b\n1,2\n")
    lab.snapshot("cp precomputed.csv result.csv")
    found = lab.json("verify", str(lab.archive))
    assert found["outputs"][0]["copied_from"] == "precomputed.csv"


def test_in_place_output_keeps_the_input(lab: Lab) -> None:
    made = lab.snapshot("echo 5 6 >> in.txt")
    assert made["outputs"][0]["path"] == "in.txt"
    assert (lab.project / "in.txt").read_text() == "1 2\n3 4\n"
    assert lab.json("verify", str(lab.archive))["verdict"] == "identical"
    lab.repro("extract", str(lab.archive), str(lab.folder / "code"))
    assert (lab.folder / "code" / "in.txt").read_text() == "1 2\n3 4\n"


def test_write_back(lab: Lab) -> None:
    lab.snapshot(SCRIPT, "--write-back")
    assert (lab.project / "out" / "sums.txt").read_text() == "3\n7\n"


def test_declared_outputs_and_steps(lab: Lab) -> None:
    (lab.project / "repro.yml").write_text(
        "steps:\n"
        "  - {name: two, run: 'cat a.txt > b.txt', needs: [one]}\n"
        "  - {name: one, run: 'cat in.txt > a.txt'}\n"
        "outputs: [b.txt]\n"
    )
    lab.repro("snapshot", "-o", str(lab.archive))
    found = lab.json("verify", str(lab.archive))
    assert [o["path"] for o in found["outputs"]] == ["b.txt"]
    (lab.project / "repro.yml").write_text("run: 'echo x > y'\noutputs: [z]\n")
    done = lab.repro("snapshot", "-o", str(lab.archive), status=3)
    assert "error[output-missing]" in done.stderr


def test_extract_run_diff(lab: Lab) -> None:
    lab.snapshot()
    results = lab.folder / "results"
    lab.repro("extract", "--results", str(lab.archive), str(results))
    assert (results / "out/sums.txt").read_text() == "3\n7\n"
    done = lab.repro(
        "run", "-q", str(lab.archive), "--", "sh", "-c", "cat in.txt; exit 4", status=4
    )
    assert done.stdout == "1 2\n3 4\n"
    again = lab.folder / "again"
    lab.repro("run", str(lab.archive), "--out", str(again))
    assert lab.json("diff", str(results), str(again))["verdict"] == "identical"
    (again / "out/sums.txt").write_text("3\n8\n")
    (again / "more.txt").write_text("x")
    found = lab.json("diff", str(results), str(again), status=1)
    assert {o["path"]: o["verdict"] for o in found["outputs"]}["out/sums.txt"] == "different"
    assert "more.txt" in {o["path"] for o in found["outputs"]}
    lab.repro("diff", str(results), str(lab.archive), status=2)


def test_versions_in_one_file(lab: Lab) -> None:
    lab.snapshot("echo 1 > o.txt", "--tag", "v1")
    first = lab.archive.stat().st_size
    lab.snapshot("echo 2 > o.txt", "--tag", "v2")
    assert lab.archive.stat().st_size - first < first / 10
    shown = lab.json("inspect", str(lab.archive))
    assert [version["tag"] for version in shown["versions"]] == ["v1", "v2"]
    assert shown["archive"]["tag"] == "v2"
    for tag in ("v1", "v2"):
        assert lab.json("verify", f"{lab.archive}:{tag}")["verdict"] == "identical"
    done = lab.repro("snapshot", "-o", str(lab.archive), "--tag", "v1", "--", "true", status=2)
    assert "v1" in done.stderr
    found = lab.json("diff", f"{lab.archive}:v1", f"{lab.archive}:v2", status=1)
    assert found["outputs"][0]["path"] == "o.txt"


def test_damage_is_exit_four_and_one_line(lab: Lab) -> None:
    lab.snapshot()
    data = bytearray(lab.archive.read_bytes())
    flipped = lab.folder / "flipped.repro"
    for position in (100, 700, len(data) // 2, len(data) - 600):
        damaged = bytearray(data)
        damaged[position] ^= 1
        flipped.write_bytes(damaged)
        done = lab.repro("verify", str(flipped), status=4)
        first = next(line for line in done.stderr.splitlines() if line.startswith("error"))
        assert len(first) <= 260
    flipped.write_bytes(data[: len(data) // 3])
    lab.repro("inspect", str(flipped), status=4)
    flipped.write_bytes(b"PK\x03\x04 something else")
    lab.repro("verify", str(flipped), status=4)


def test_interruption_leaves_everything_as_it_was(lab: Lab) -> None:
    lab.snapshot()
    before = lab.archive.read_bytes()
    for delay in (0.2, 0.5, 0.8):
        process = subprocess.Popen(
            [sys.executable, "-m", "repro", "snapshot", "-q", "-o", str(lab.archive), "--",
             "sh", "-c", "sleep 0.31973; echo new > new.txt; sleep 30.31973"],
            cwd=lab.project, env=lab.env, stderr=subprocess.PIPE,
        )  # fmt: skip
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
        assert process.returncode in (130, -15), said
        assert lab.archive.read_bytes() == before
        assert sorted(os.listdir(lab.project)) == ["in.txt"]
    assert "31973" not in subprocess.run(["ps", "ax"], capture_output=True, text=True).stdout


def test_the_network_is_named_when_the_self_test_fails(lab: Lab) -> None:
    (lab.project / "get.py").write_text(
        "import socket\n"
        "with socket.socket() as talk:\n"
        "    talk.settimeout(0.2)\n"
        "    try:\n"
        "        talk.connect(('192.0.2.7', 80))\n"
        "    except OSError as error:\n"
        "        if error.errno == 101 and not __import__('os').path.exists('/root'):\n"
        "            raise\n"
        "open('got.txt', 'w').write('x')\n"
        "if socket.gethostname() == 'repro':\n"
        "    raise SystemExit('no download')\n"
    )
    done = lab.repro("snapshot", "-o", str(lab.archive), "--", sys.executable, "get.py", status=5)
    assert "error[self-test]" in done.stderr
    assert "wanted 192.0.2.7 port 80" in done.stderr
    assert not lab.archive.exists()
    lab.repro(
        "snapshot", "--keep", "-o", str(lab.archive), "--", sys.executable, "get.py", status=5
    )
    assert (lab.folder / "a.repro.failed").exists()


def test_init(lab: Lab) -> None:
    (lab.project / "fit.py").write_text("print(1)\n")
    lab.repro("init")
    assert "run: python fit.py" in (lab.project / "repro.yml").read_text()
    lab.repro("init", status=3)
    lab.repro("init", "--force")


def test_doctor(lab: Lab) -> None:
    found = lab.json("doctor")
    assert found["verify"] is True and found["snapshot"] is True
    assert all(check["mend"] for check in found["checks"] if not check["ok"] and check["mend"])


def test_odd_names_go_round(lab: Lab) -> None:
    root = os.fsencode(lab.project)
    for name in (b"caf\xe9.txt", b"new\nline.txt", b"n" * 200 + b".txt", b"-dash.txt"):
        with open(os.path.join(root, name), "wb") as stream:
            stream.write(name)
    os.mkfifo(os.path.join(root, b"pipe"))
    (lab.project / "empty").mkdir()
    lab.snapshot('mkdir out; for f in ./*.txt; do cat "$f" > "out/$f"; done')
    found = lab.json("verify", str(lab.archive))
    assert found["verdict"] == "identical"
    assert len(found["outputs"]) == 5
    shown = lab.json("inspect", str(lab.archive))
    assert any(left["path"].endswith("/pipe") for left in shown["left_out"])


def test_a_layer_changed_in_the_cache_gives_no_verdict(lab: Lab, tmp_path: Path) -> None:
    lab.snapshot()
    lab.env["REPRO_CACHE"] = str(tmp_path / "own-cache")
    lab.repro("verify", str(lab.archive))
    layers = tmp_path / "own-cache/layers"
    place = next(file for file in layers.rglob("*/bin/sh*") if file.is_file())
    was = place.stat()
    data = place.read_bytes()
    place.chmod(0o755)
    place.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(place, ns=(was.st_atime_ns, was.st_mtime_ns))
    refused = lab.repro("verify", str(lab.archive), status=3)
    assert "error[cache-changed]" in refused.stderr and "IDENTICAL" not in refused.stdout
    lab.repro("verify", str(lab.archive))
    assert place.read_bytes() == data
