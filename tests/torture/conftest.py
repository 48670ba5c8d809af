"""`make torture`: figures are collected and printed at the end; nothing of it runs otherwise."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.workflows.lab import Lab, need_an_engine

HERE = Path(__file__).parent
FIGURES: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("torture")
    group.addoption("--seed", type=int, default=1, help="seed of all random choices")
    group.addoption("--rounds", type=int, default=20, help="random moments, flips / 100 and so on")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "torture" in (config.getoption("-m") or ""):
        return
    ours = [item for item in items if HERE in item.path.parents]
    if ours:
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if HERE not in item.path.parents]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if FIGURES:
        seed = config.getoption("--seed", 1)
        terminalreporter.section(f"torture: figures (seed {seed})")
        for line in FIGURES:
            terminalreporter.write_line(line)


@pytest.fixture
def figure() -> Callable[[str], None]:
    """Notes a line that is printed at the end."""
    return FIGURES.append


@pytest.fixture(scope="session")
def rounds(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--rounds", 20))


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random choices that depend on the seed and on the test's name alone."""
    return random.Random(f"{request.config.getoption('--seed', 1)} {request.node.name}")


@pytest.fixture(scope="session")
def shell_lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A snapshot of a few commands: the smallest that is real."""
    return _lab(tmp_path_factory.mktemp("shell"), "sh", "-c", "cat in.txt > out.txt; ls >> out.txt")


@pytest.fixture(scope="session")
def python_lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A snapshot with an interpreter, its library and some megabytes of data, two versions."""
    folder = tmp_path_factory.mktemp("python")
    program = "open('out.txt','w').write(str(sum(open('data.bin','rb').read())))"
    made = random.Random(5).randbytes(3 << 20)
    (folder / "project").mkdir(parents=True)
    (folder / "project" / "data.bin").write_bytes(made)
    return _lab(folder, os.path.realpath(sys.executable), "-c", program)


def _lab(folder: Path, *command: str) -> Lab:
    need_an_engine()
    (folder / "project").mkdir(exist_ok=True)
    os.rename(folder / "project", folder / "held")
    lab = Lab(folder, folder / "cache")
    for each in (folder / "held").iterdir():
        os.rename(each, lab.project / each.name)
    lab.write("in.txt", "1 2\n")
    lab.repro("snapshot", "-q", "-o", str(lab.archive), "--", *command)
    return lab


@pytest.fixture
def nothing_left(figure: Callable[[str], None]) -> Iterator[str]:
    """A word for an environment variable; no process with it may live two seconds later."""
    word = f"REPRO_TORTURE_{os.getpid()}_{os.urandom(4).hex()}"
    yield word
    deadline = subprocess.run(["sleep", "2"], check=True)
    assert deadline.returncode == 0
    assert not marked(word)


def marked(word: str) -> list[str]:
    """Processes whose environment or command line has this word."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                text = (place / "environ").read_bytes() + (place / "cmdline").read_bytes()
            except OSError:
                continue
            if word.encode() in text:
                found.append(place.name)
    return found
