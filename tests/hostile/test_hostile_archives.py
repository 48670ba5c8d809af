"""Archives made by mutating a real one: each is refused in one line that says where.

The table is in cases_*.py; every archive goes to inspect, verify and extract as the command
line calls them. None of them starts anything of the image, and nothing is written outside.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "unit" / "store"))

from archive_sample import make_archive

import repro.workflows.verify as verifying
from repro.errors import ArchiveError, ReproError
from repro.model.ports import Seal
from repro.primitives.files import walk
from repro.store.archive import Archive
from repro.store.cache import Cache
from repro.workflows.extract import extract
from repro.workflows.inspect import inspect
from repro.workflows.reporting import Reports, VerifyRequest, verify_and_report
from tests.hostile.cases_image import IMAGE, LATE
from tests.hostile.cases_json import JSON
from tests.hostile.cases_layers import LAYERS
from tests.hostile.cases_outer import OUTER
from tests.hostile.cases_recording import RECORDING_CASES
from tests.hostile.parts import Change, Parts

Row = tuple[Change, str, str]
"""How a real archive is changed; what the refusal says; which commands must refuse it:
(i)nspect, (v)erify, e(x)tract, extract --(r)esults. Large rows are read once, by inspect: all
commands open an archive in the same way."""
_LARGE = ("image: one manifest under 20 tags", "image: ten thousand layers")
_EVERY = "ivxr"
TABLE: dict[str, Row] = {
    **{f"outer: {name}": (*case, _EVERY) for name, case in OUTER.items()},
    **{f"image: {name}": (*case, _EVERY) for name, case in IMAGE.items()},
    **{f"image: {name}": row for name, row in LATE.items()},
    **JSON,
    **LAYERS,
    **RECORDING_CASES,
}
TABLE |= {name: (*TABLE[name][:2], "I") for name in _LARGE}
SECONDS = 10.0


class Untouchable:
    """A sandbox that must never be asked to run anything."""

    name, rank = "untouchable", 1

    def __init__(self) -> None:
        self.ran: list[object] = []

    def seal(self, *_: object) -> Seal:
        return Seal(engine=self.name, version="1", enforced=(), not_enforced={})

    def run(self, request: object) -> Any:
        self.ran.append(request)
        raise RuntimeError("the rerun began")


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("honest")
    make_archive(folder / "honest.repro", folder / "work")
    return folder / "honest.repro"


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Untouchable:
    made = Untouchable()
    monkeypatch.setattr(verifying, "choose", lambda *_: made)
    return made


def commands(path: Path, box: Path) -> dict[str, Callable[[], object]]:
    """The commands as the command line calls them; what they write is below ``box``."""
    environ = {"REPRO_CACHE": str(box / "cache")}

    def verify() -> None:
        machine = os.uname().machine
        request = VerifyRequest(archive=path, tag=None, environ=environ, machine=machine)
        verify_and_report(request, Reports())

    def take(name: str) -> Callable[[], object]:
        return lambda: extract(
            path, None, box / name, results=name == "results", force=True, environ=environ
        )

    return {
        "i": lambda: inspect(path, None),
        "v": verify,
        "x": take("project"),
        "r": take("results"),
    }


def picture(folder: Path, without: Path) -> dict[str, tuple[int, ...]]:
    """Everything below a folder but for one place: mode, size, times."""
    inside = str(without.relative_to(folder))
    return {
        path: (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino)
        for path, status in walk(str(folder))
        if path != inside and not path.startswith(inside + "/")
    }


def check_line(error: ReproError) -> None:
    """What a person sees of it: one line, short, without a control character."""
    line = f"error[{error.slug}]: {error.message}"
    assert len(line) <= 200, line
    assert line.isprintable()
    assert error.exit_code == 4


def check_refusals(case: Row, path: Path, box: Path) -> None:
    for letter, command in commands(path, box).items():
        if case[2] == "I" and letter != "i":
            continue
        if letter in case[2].lower():
            with pytest.raises(ArchiveError) as error:
                command()
            assert case[1] in error.value.message
            check_line(error.value)
        else:
            try:
                command()
            except ArchiveError as also:
                check_line(also)
            except RuntimeError as began:
                assert str(began) == "the rerun began"


@pytest.mark.parametrize("name", TABLE)
def test_hostile_archives(name: str, honest: Path, tmp_path: Path, sandbox: Untouchable) -> None:
    case = TABLE[name]
    parts = Parts(honest)
    case[0](parts)
    box = tmp_path / "around" / "box"
    box.mkdir(parents=True)
    path = tmp_path / "bad.repro"
    parts.write(path)
    (tmp_path / "around" / "evil").write_text("untouched")
    # Of the processor: a machine may be busy with other things.
    before, started = picture(tmp_path, box), time.process_time()
    check_refusals(case, path, box)
    assert time.process_time() - started < SECONDS
    assert picture(tmp_path, box) == before
    if "v" in case[2]:
        assert not sandbox.ran
    assert not list(box.glob("cache/layers/.unpack-*"))
    assert not list(box.glob("cache/runs/*"))


def test_the_table_is_long_and_has_no_row_twice() -> None:
    rows = [(case[0], name) for name, case in TABLE.items()]
    assert len(rows) >= 400
    refused: dict[str, int] = {letter: 0 for letter in _EVERY}
    for _, _, letters in TABLE.values():
        for letter in letters.lower():
            refused[letter] += 1
    assert all(count >= 100 for count in refused.values()), refused
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1 << 20


def everything(path: Path, cache: Path) -> None:
    """All that a verify reads before anything runs."""
    with Archive.open(path) as archive:
        version = archive.version(None)
        archive.recording(version)
        archive.lock_json(version)
        archive.verify_small(version)
        Cache(cache).layers(archive, version)
        archive.results(version)
        list(archive.file_digests(version, kinds=("code", "data")))


def test_the_parts_put_together_again_are_the_archive(
    honest: Path, tmp_path: Path, sandbox: Untouchable
) -> None:
    path = tmp_path / "same"
    Parts(honest).write(path)
    assert path.read_bytes() == honest.read_bytes()
    everything(path, tmp_path / "cache")
    done = commands(path, tmp_path)
    assert done["i"]()
    with pytest.raises(RuntimeError, match="the rerun began"):
        done["v"]()
    assert len(sandbox.ran) == 1
    done["x"](), done["r"]()
    assert (tmp_path / "results" / "results" / "fit.csv").is_file()
    assert (tmp_path / "project" / "analysis.py").read_bytes() == b"print(1)\n"


def test_swapping_the_file_changes_nothing_that_is_open(honest: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.repro"
    path.write_bytes(honest.read_bytes())
    with Archive.open(path) as archive:
        os.replace(honest.parent / "work" / os.listdir(honest.parent / "work")[0], path)
        archive.verify()
        Cache(tmp_path / "cache").layers(archive, archive.version(None))


def test_a_file_cut_while_it_is_open(honest: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.repro"
    path.write_bytes(honest.read_bytes())
    with Archive.open(path) as archive:
        os.truncate(path, path.stat().st_size // 3)
        with pytest.raises(ReproError) as error:
            archive.verify()
        assert error.value.slug == "archive-truncated"
