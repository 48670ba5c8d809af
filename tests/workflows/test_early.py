"""An archive that is opened before the options are known: used when it is the one, else let go."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from repro.cli.context import machine
from repro.errors import ArchiveError
from repro.primitives.events import Event, silent
from repro.workflows.opened import Early
from tests.workflows.lab import Lab


@pytest.fixture
def packed(lab: Lab) -> Lab:
    lab.write("a.sh", "echo 1 > out.txt\n")
    lab.snapshot("--", "sh", "a.sh")
    return lab


def root(lab: Lab) -> Path:
    return Path(lab.env["REPRO_CACHE"])


def early(lab: Lab, *words: str) -> Early:
    return Early(words, machine(), root(lab))


def test_the_one_that_is_wanted_is_handed_over(packed: Lab) -> None:
    guess = early(packed, "-q", str(packed.archive), "--rtol", "1e-3")
    seen: list[Event] = []
    with guess.opened(packed.archive, None, machine(), root(packed), seen.append) as opened:
        assert opened.observer == seen.append
        assert opened.layers()
        guess.close()
        assert opened.archive.verify() > 0
    # It is handed out once.
    with guess.opened(packed.archive, None, machine(), root(packed), silent) as other:
        assert other is not opened


def wanted(lab: Lab) -> Sequence[tuple[Path, str | None, Path]]:
    return [(lab.archive, "v1", root(lab)), (lab.archive, None, root(lab) / "other"),
            (lab.folder / "b.repro", None, root(lab))]  # fmt: skip


@pytest.mark.parametrize("number", range(3))
def test_another_is_opened_anew(packed: Lab, number: int) -> None:
    (packed.folder / "b.repro").write_bytes(packed.archive.read_bytes())
    guess = early(packed, str(packed.archive))
    before = guess._opened
    assert before is not None
    path, tag, cache = wanted(packed)[number]
    tag = tag and before.version.tag
    with guess.opened(path, tag, machine(), cache, silent) as opened:
        assert opened is not before
        assert opened.layers()
    guess.close()
    with pytest.raises((OSError, ValueError)):
        before.archive.verify()


@pytest.mark.parametrize(
    "words", [[], ["--json"], ["nowhere.repro"], ["A", "A"], ["--", "A"], ["-A"], ["oci://a/b"]]
)
def test_no_guess(packed: Lab, words: list[str]) -> None:
    guess = early(packed, *(str(packed.archive) if word == "A" else word for word in words))
    assert guess._opened is None
    guess.close()


def test_what_is_wrong_is_said_when_it_is_opened_for_good(packed: Lab) -> None:
    bad = packed.folder / "bad.repro"
    bad.write_bytes(packed.archive.read_bytes()[:5000])
    guess = early(packed, str(bad))
    with pytest.raises(ArchiveError):
        guess.opened(bad, None, machine(), root(packed), silent)


def test_a_refused_line_leaves_nothing_held(packed: Lab) -> None:
    said = packed.repro("verify", str(packed.archive), "--require", "perfect", status=2).stderr
    assert "--require takes" in said
    assert packed.repro("verify", "--help", str(packed.archive)).stdout.startswith("Usage")
    for name in os.listdir(root(packed) / "layers"):
        place = root(packed) / "layers" / name
        if place.is_file():
            with place.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_last_line_is_the_same(packed: Lab) -> None:
    one = packed.repro("verify", str(packed.archive)).stdout
    other = packed.repro("verify", str(packed.archive), env={"HOME": ""}).stdout
    assert "IDENTICAL" in one and one == other


def test_without_a_home_the_command_says_it(packed: Lab) -> None:
    gone = {"REPRO_CACHE": "", "XDG_CACHE_HOME": "", "HOME": ""}
    said = packed.repro("verify", str(packed.archive), status=3, env=gone).stderr
    assert said.count("neither HOME nor REPRO_CACHE is set") == 1
    assert packed.repro("verify", "--help", env=gone).stdout.startswith("Usage")
