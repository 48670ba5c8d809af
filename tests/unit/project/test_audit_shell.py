"""Shell, Makefiles: what they fetch or install, and where they point."""

from __future__ import annotations

import pytest

from repro.project.audit_paths import Here
from repro.project.audit_shell import audit_shell
from repro.project.finding import RISK, STOPS, Finding

HERE = Here(root="/p", home="/home/ada", exists=lambda path: False)


def audit(text: str, *, make: bool = False) -> tuple[Finding, ...]:
    return audit_shell(text, "a.sh", HERE, make=make).findings


@pytest.mark.parametrize(
    "line",
    [
        "curl -O https://a.org/b", "cd x && wget -q http://a.org", "for i in 1; do wget $u; done",
        "git clone https://a.org/b", "x=$(curl -s $u)", "pip install numpy", "python3 -m pip install x",
        "conda install -y x", "sudo apt-get install r-base", "aws s3 cp s3://a/b .", "ssh host ls",
        "rsync -a host:/data .", "scp me@host:/a .", "time /usr/bin/wget x", "xargs curl -O",
        "docker run x", "npm ci", "uv sync",
    ],
)  # fmt: skip
def test_network(line: str) -> None:
    found = audit(f"# first\n{line}\n")
    assert [(f.code, f.level, f.line) for f in found if f.code == "network"] == [
        ("network", STOPS, 2)
    ]


@pytest.mark.parametrize(
    "line",
    [
        "# curl x", "echo 'curl x'", "echo wget http://a.org", "curl --version", "ls curl", "mycurl x",
        "pip install --no-index x", "pip install -e .", "python fetch.py", "rsync -a data/ out/",
        "curl file:///tmp/x", "grep wget a.txt", "make ssh-keys",
    ],
)  # fmt: skip
def test_no_network(line: str) -> None:
    assert not [f for f in audit(line) if f.code == "network"]


def test_a_service_of_this_machine_is_a_risk() -> None:
    assert [f.level for f in audit("curl http://127.0.0.1:80/x")] == [RISK]


def test_continued_lines_have_the_first_number() -> None:
    assert [f.line for f in audit("a\nb \\\n  && curl x\n")] == [2]
    assert [f.line for f in audit("a\ncurl x \\")] == [2]


def test_only_recipes_of_a_makefile_are_shell() -> None:
    text = "curl: a\n\twget x\nwget = 1\nD = $(shell curl x)\nE = /home/bob/d\n"
    found = audit(text, make=True)
    assert [(f.line, f.code) for f in found] == [(2, "network"), (4, "network"), (5, "home-path")]


def test_paths() -> None:
    found = audit("cat ~/x $HOME/y /scratch/z /tmp/a /usr/bin/b ./home/c a/mnt/d\n")
    assert sorted(f.text.split()[0] for f in found) == ["$HOME/y", "/scratch/z", "~/x"]
    assert {f.level for f in found} == {RISK}
