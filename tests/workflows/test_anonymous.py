"""An anonymous archive: it reruns, and no byte of it says who made it or where."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repro.errors import ProjectError
from repro.project.identity import Person
from repro.workflows.preparing import SnapshotRequest
from repro.workflows.snapshot import snapshot
from tests.workflows.every_byte import members_with
from tests.workflows.lab import Lab

SCRIPT = """import os, sys
data = open(os.path.expanduser("~/data/big.csv")).read()
open("out.txt", "w").write(data + open("in.txt").read())
"""
RUN = ("--", "sh", "-c", "tool; .venv/bin/python a.py")


class Author:
    """Somebody with a home folder, a project deep in it, data and a tool beside it."""

    def __init__(self, lab: Lab, user: str, below: str = "papers/2026") -> None:
        self.user = user
        self.home = lab.folder / "home" / user
        self.lab = lab
        lab.project = self.home / below / "ants"
        lab.archive = lab.folder / f"{len(user)}.repro"
        for path, text in {
            "a.py": SCRIPT, "in.txt": "1\n", f"{self.home}/data/big.csv": "3,4\n",
            f"{self.home}/bin/tool": "#!/bin/sh\necho tool > tool.txt\n",
        }.items():  # fmt: skip
            place = lab.project / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            place.chmod(0o755)
        if not (lab.project / ".venv").exists():
            made = [_system_python(), "-m", "venv", "--without-pip", str(lab.project / ".venv")]
            subprocess.run(made, check=True)
        lab.env |= {
            "HOME": str(self.home), "USER": user, "LOGNAME": user,
            "PATH": f"{self.home}/bin:/usr/local/bin:/usr/bin:/bin",
        }  # fmt: skip

    def refused(self, *words: str) -> list[str]:
        """The places that a refusal names."""
        self.lab.archive.unlink(missing_ok=True)
        done = self.lab.repro(
            "snapshot", "--anonymous", "--json", "-o", str(self.lab.archive), *words, status=3
        )
        error = json.loads(done.stdout)["error"]
        assert error["slug"] == "identity" and not self.lab.archive.exists(), error
        return [str(line) for line in error["details"]]

    def anonymous(self, *words: str) -> dict[str, Any]:
        """A snapshot that reproduces and holds nothing of this person."""
        self.lab.archive.unlink(missing_ok=True)
        made = self.lab.snapshot("--anonymous", *words)
        assert (
            members_with(self.lab.archive, self.user, str(self.lab.folder / "home" / self.user))
            == []
        )
        return made


def _system_python() -> str:
    path = shutil.which("python3", path="/usr/bin:/bin")
    if path is None:
        pytest.skip("no python3 of the system")
    return path


@pytest.fixture
def ann(lab: Lab) -> Author:
    return Author(lab, "annsmith")


def test_no_byte_tells_and_it_reruns(ann: Author) -> None:
    ann.anonymous(*RUN)
    ann.lab.verify()
    seen = ann.lab.inspect()
    assert seen["root"] == "/home/repro/ants"
    assert seen["anonymous"]["root"] == "/home/repro/ants" and seen["anonymous"]["left"] == []
    assert seen["git"] is None
    assert "annsmith" not in json.dumps({**seen, "archive": None})
    assert "anonymous" in ann.lab.repro("inspect", str(ann.lab.archive)).stdout


def test_two_authors_make_the_same_archive(lab: Lab) -> None:
    first = Author(lab, "annsmith").anonymous(*RUN)
    second = Author(lab, "bo-lee", below="x").anonymous(*RUN)
    assert first["archive"]["digest"] == second["archive"]["digest"]


def test_the_folder_is_as_it_was(ann: Author) -> None:
    def state() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in sorted(ann.home.rglob("*")) if p.is_file()}

    before = state()
    ann.anonymous(*RUN)
    assert state() == before


def test_a_start_line_and_settings_of_an_environment_are_mapped(ann: Author) -> None:
    tool = ann.lab.project / ".venv/bin/shown"
    tool.write_text(
        f"#!{ann.lab.project}/.venv/bin/python\nimport sys\nopen('p.txt','w').write('x')\n"
    )
    tool.chmod(0o755)
    made = ann.anonymous("--", "sh", "-c", ".venv/bin/shown")
    assert made["self_test"]["outcome"] == "identical"
    assert ann.lab.inspect()["anonymous"]["rewritten"] >= 1


def test_what_files_and_results_tell_is_refused_by_line(ann: Author) -> None:
    (ann.lab.project / "notes.md").write_text("# Ants\n\nby AnnSmith\n")
    (ann.lab.project / "b.py").write_text(
        f"x = 1\ny = '{ann.home}/data'\nz = '{ann.lab.project}'\n"
    )
    named = ann.refused("--", "sh", "-c", "pwd > where.txt")
    assert named == [
        "b.py:2: home path", "b.py:3: project path", "notes.md:3: user name",
        "where.txt:1: project path",
    ]  # fmt: skip
    assert ann.refused("--exclude", "b.py", "--", "sh", "-c", "cat in.txt > o") == [
        "notes.md:3: user name"
    ]
    ann.anonymous("--exclude", "b.py", "--exclude", "notes.md", "--", "sh", "-c", "cat in.txt > o")


def test_what_is_let_pass_is_said_and_recorded(ann: Author) -> None:
    (ann.lab.project / "notes.md").write_text("by AnnSmith\n")
    done = ann.lab.repro(
        "snapshot", "--anonymous", "--allow", "notes.md", "-o", str(ann.lab.archive),
        "--", "sh", "-c", "cat in.txt > o",
    )  # fmt: skip
    assert "notes.md:1: user name (allowed)" in done.stderr
    assert ann.lab.inspect()["anonymous"]["left"] == ["notes.md:1: user name"]


def test_command_lines_names_and_messages(ann: Author) -> None:
    assert ann.refused("--", "sh", "-c", ": annsmith; cat in.txt > o") == [
        "recorded steps: user name"
    ]
    assert ann.refused("--name", "annsmith", *RUN) == [
        "the name annsmith: user name (give another: --name)"
    ]
    assert ann.refused("-m", "for annsmith", *RUN) == ["message: user name"]
    (ann.home / "data" / "x annsmith.csv").write_text("1")
    named = ann.refused("--", "sh", "-c", "cat ~/data/x*.csv > o")
    assert named == ["/home/repro/data/x annsmith.csv: user name in its name"]


def test_a_folder_elsewhere_that_is_named_like_the_user(ann: Author) -> None:
    scratch = ann.lab.folder / "scratch" / "annsmith"
    scratch.mkdir(parents=True)
    (scratch / "d.csv").write_text("5\n")
    ann.lab.env["R_LIBS"] = str(scratch)
    ann.anonymous("--", "sh", "-c", "cat $R_LIBS/d.csv > o")


def test_git_is_not_in_it_and_its_author_is_looked_for(ann: Author) -> None:
    project = ann.lab.project
    (ann.home / ".gitconfig").write_text("[user]\n name = Ann Q. Smith\n email = aqs@example.edu\n")

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=project, check=True, capture_output=True, text=True,
            env={**os.environ, "HOME": str(ann.home)},
        )  # fmt: skip
        return done.stdout.strip()

    git("init", "-q")
    git("add", "in.txt")
    git("commit", "-qm", "x")
    ann.anonymous(*RUN)
    assert members_with(ann.lab.archive, git("rev-parse", "HEAD")) == []
    (project / "CITATION.cff").write_text(
        "authors:\n- name: Ann Q. Smith\n  mail: aqs@example.edu\n"
    )
    assert ann.refused(*RUN) == ["CITATION.cff:2: full name", "CITATION.cff:3: mail address"]


def test_programs_of_an_environment_find_their_files(ann: Author) -> None:
    """Paths that were compiled into a program, in a home longer and one shorter than the new."""
    compiler = shutil.which("cc")
    if compiler is None:
        if os.environ.get("CI"):
            pytest.fail("no C compiler")
        pytest.skip("no C compiler")
    _program(ann, compiler)
    ann.anonymous("--", "sh", "-c", "~/env/bin/prog > o")
    assert ann.lab.results()["o"] == "shared by all\n"


def test_a_home_shorter_than_the_new_one(lab: Lab, tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    short = Path(f"/tmp/h{os.getpid() % 100:02d}")
    if compiler is None or short.exists():
        pytest.skip("no C compiler, or no room for a home")
    lab.folder = short
    try:
        ann = Author(lab, "annsmith")
        ann.home = short
        lab.env["HOME"] = str(short)
        _program(ann, compiler)
        lab.archive = tmp_path / "s.repro"
        lab.snapshot("--anonymous", "--", "sh", "-c", "~/env/bin/prog > o")
        assert members_with(lab.archive, "annsmith", f"{short}/env") == []
        lab.verify()
    finally:
        shutil.rmtree(short)


def _program(author: Author, compiler: str) -> None:
    env = author.home / "env"
    for folder in ("bin", "lib", "share", "conda-meta"):
        (env / folder).mkdir(parents=True)
    (env / "conda-meta/history").write_text(f"# cmd: {env}/bin/conda create\n")
    (env / "share/text").write_text("shared by all\n")
    source = author.lab.folder / "prog.c"
    source.write_text(
        f'#include <stdio.h>\nint main(void) {{ int c; FILE *f = fopen("{env}/share/text", "r");\n'
        "if (!f) return 3; while ((c = getc(f)) != EOF) putchar(c); return 0; }\n"
    )
    subprocess.run([compiler, "-o", str(env / "bin/prog"), str(source)], check=True)
    source.unlink()


def test_an_anonymous_version_beside_others(ann: Author) -> None:
    ann.lab.snapshot(*RUN)
    done = ann.lab.repro(
        "snapshot", "--anonymous", "--tag", "v2", "-o", str(ann.lab.archive), *RUN, status=3
    )
    assert "not anonymous" in done.stderr
    ann.anonymous("--tag", "v1", *RUN)
    ann.lab.snapshot("--anonymous", "--tag", "v2", *RUN)
    assert members_with(ann.lab.archive, "annsmith") == []


def test_a_failed_anonymous_archive_tells_nothing_either(ann: Author) -> None:
    script = ann.lab.project / "b.sh"
    script.write_text("cat in.txt > o\ntest ! -e /home/repro/ants || exit 7\n")
    ann.lab.repro(
        "snapshot",
        "--anonymous",
        "--keep",
        "-o",
        str(ann.lab.archive),
        "--",
        "sh",
        "b.sh",
        status=5,
    )
    assert members_with(Path(f"{ann.lab.archive}.failed"), "annsmith") == []


def test_others_are_told_what_tells(ann: Author) -> None:
    (ann.lab.project / "notes.md").write_text("by AnnSmith\n")
    done = ann.lab.repro("snapshot", "-o", str(ann.lab.archive), *RUN)
    line = next(line for line in done.stderr.splitlines() if "[identity]" in line)
    assert "notes.md" in line and "env:HOME" in line and "--anonymous" in line
    seen = ann.lab.inspect()
    assert seen["anonymous"] is None
    assert seen["identity"]["files"] == [{"path": "notes.md", "line": 1, "kind": "user name"}]
    assert {"root", "env:HOME", "env:PATH"} <= {each["name"] for each in seen["identity"]["values"]}


def test_the_host_name(lab: Lab, tmp_path: Path) -> None:
    lab.write("in.txt", "1\n")
    request = SnapshotRequest(
        root=lab.project, environ={**lab.env, "PATH": "/usr/bin:/bin"}, machine=platform.machine(),
        created="2026-11-24T00:00:00Z", clamp=0, output=lab.archive, anonymous=True,
        person=Person(user="ann-lee", host="fernwood7.example.edu"),
    )  # fmt: skip
    with pytest.raises(ProjectError) as refusal:
        snapshot(replace(request, command=("sh", "-c", "echo Fernwood7 > o")))
    assert refusal.value.exit_code == 3
    assert refusal.value.details == ("o:1: host name", "recorded steps: host name")
    lab.write("run.sh", "cat in.txt > o; cat /tmp/fernwood7.lock; true\n")
    with pytest.raises(ProjectError) as refusal:
        snapshot(replace(request, command=("sh", "run.sh")))
    assert refusal.value.details == ("run.sh:1: host name",)
    made = snapshot(replace(request, command=("sh", "run.sh"), allow=("run.sh",)))
    assert made.path == lab.archive
    holding = members_with(lab.archive, "fernwood7")
    assert len(holding) == 1 and holding[0].endswith("unpacked"), "the layer of what was let pass"
