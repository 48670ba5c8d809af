"""The recorder as an ordinary user, also when the tests run as root."""

from __future__ import annotations

import ctypes
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from repro.model.observation import Change
from repro.model.step import Step
from repro.observe.capture import restore
from repro.observe.overlay import reason_against
from tests.unit.observe.recording_sample import Lab, changes, compiled, got, need, tree

NOBODY = 65534
Answer = TypeVar("Answer")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that an ordinary user reaches (pytest's own are closed to others)."""
    made = Path(tempfile.mkdtemp(dir="/var/tmp"))
    if os.geteuid() == 0:
        os.chown(made, NOBODY, NOBODY)
    yield made
    shutil.rmtree(made)


def as_user(work: Callable[[], Answer]) -> Answer:
    """What ``work`` gives in a process without root's rights."""
    if os.geteuid() != 0:
        return work()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        said: tuple[bool, object]
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            # Changing the user made /proc/self root's; a login does not do that.
            ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
            said = True, work()
        except BaseException:
            said = False, traceback.format_exc()
        with os.fdopen(write, "wb") as out:
            pickle.dump(said, out)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        done, answer = pickle.load(stream)  # noqa: S301 - our own child's
    os.waitpid(pid, 0)
    assert done, answer
    return answer  # type: ignore[no-any-return]


def needs_overlay(folder: Path) -> None:
    def ask() -> str | None:
        for name in ("r", "s"):
            (folder / name).mkdir()
        return reason_against(str(folder / "r"), str(folder / "s"))

    reason = as_user(ask)
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(f"no overlay for ordinary users: {reason}")


@pytest.mark.parametrize("capture", ["overlay", "in-place"])
def test_a_whole_recording(folder: Path, capture: str) -> None:
    if capture == "overlay":
        needs_overlay(folder)

    def work() -> None:
        lab = Lab(folder, {"in.csv": "1\n", "old": "o", "d/a": "a", "d/b": "b"})
        before = tree(lab.root)
        seen = lab.sh(
            "cat in.csv > out; test ! -e old; rm -r d; mkdir d; echo n > d/a; id -u > who",
            hide=("old",), seed={"s/seed": b"1"}, capture=capture,
        )  # fmt: skip
        assert (seen.tracer, seen.capture) == ("notify", capture)
        assert changes(seen) == {
            "out": Change.CREATED, "who": Change.CREATED, "d/a": Change.CHANGED,
            "d/b": Change.DELETED,
        }  # fmt: skip
        assert Path(seen.upper, "who").read_text() == f"{os.getuid()}\n"
        assert got(seen, lab.root / "in.csv").read_first
        restore(seen, str(lab.root))
        assert tree(lab.root) == before
        lab.close()
        assert list(lab.scratch.iterdir()) == []

    as_user(work)


def test_a_program_that_may_be_executed_but_not_read_is_said(folder: Path) -> None:
    """Its memory is closed to others (execve(2), PR_SET_DUMPABLE)."""
    source = '#include <fcntl.h>\nint main(){return open("in.csv", 0) < 0;}'
    if os.geteuid() != 0:
        pytest.skip("another user's program needs root to make")
    program = Path(compiled(folder, source))
    program.chmod(0o711)

    def work() -> tuple[int, tuple[str, ...], tuple[str, ...]]:
        lab = Lab(folder, {"in.csv": "1\n"})
        seen = lab.run(str(program))
        answer = seen.steps[0].exit, seen.limits, tuple(each.exe for each in seen.processes)
        lab.close()
        return answer

    status, limits, programs = as_user(work)
    assert status == 0
    assert programs == (str(program),)
    assert [limit for limit in limits if "could not be read" in limit and "program" in limit]


def test_a_set_uid_program_is_said(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("a set-uid program of root needs root to make")
    program = folder / "su"
    shutil.copy(os.path.realpath("/usr/bin/id"), program)
    program.chmod(0o4755)

    def work() -> tuple[tuple[str, ...], tuple[str, ...]]:
        lab = Lab(folder)
        seen = lab.run(str(program), "-u")
        answer = seen.limits, seen.steps[0].tail
        lab.close()
        return answer

    limits, tail = as_user(work)
    assert tail == (str(NOBODY),)
    assert any("set-uid" in limit for limit in limits)


def test_a_folder_that_belongs_to_a_group(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("files of others need root to make")
    needs_overlay(folder)
    lab = Lab(folder, {"shared": "1\n", "hid/old": "o", "alone": "x"})
    os.chown(lab.scratch, NOBODY, NOBODY)
    lab.root.chmod(0o777)
    for name in ("shared", "hid", "hid/old", "alone"):
        (lab.root / name).chmod(0o777 if name == "hid" else 0o666)
    before = tree(lab.root)

    def work() -> dict[str, Change]:
        seen = lab.sh("echo 2 >> shared; test ! -e hid/old; cat alone", hide=("hid",))
        assert seen.capture == "overlay"
        found = changes(seen)
        lab.close()
        return found

    assert as_user(work) == {"shared": Change.CHANGED}
    assert tree(lab.root) == before


def test_a_file_that_nobody_may_read_is_no_trouble_in_an_overlay(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("root's files need root to make")
    needs_overlay(folder)
    lab = Lab(folder, {"in.csv": "1\n", "secret": "s"})
    (lab.root / "secret").chmod(0o600)
    os.chown(lab.scratch, NOBODY, NOBODY)
    os.chown(lab.root, NOBODY, NOBODY)

    def work() -> dict[str, Change]:
        seen = lab.sh("cat secret || cat in.csv > out")
        found = changes(seen)
        lab.close()
        return found

    assert as_user(work) == {"out": Change.CREATED}


def test_steps_at_once_share_one_overlay(folder: Path) -> None:
    needs_overlay(folder)
    wait = "n=0; until [ -e {0} ]; do sleep 0.01; n=$((n+1)); [ $n -lt 3000 ] || exit 9; done"

    def work() -> tuple[dict[str, Change], list[int]]:
        lab = Lab(folder, {"in.csv": "1\n"})
        steps = [
            Step(name=own, argv=("/bin/sh", "-ec", f"echo > {meet}/{own}; {wait.format(there)}; "
                                 f"cat in.csv > {own}"))
            for own, other in (("a", "b"), ("b", "a"))
            for meet in [folder] for there in [folder / other]
        ]  # fmt: skip
        seen = lab.record(*steps, jobs=2, capture="overlay")
        found = changes(seen), [step.exit for step in seen.steps]
        lab.close()
        return found

    assert as_user(work) == ({"a": Change.CREATED, "b": Change.CREATED}, [0, 0])


def test_root_without_the_administrators_capability(tmp_path: Path) -> None:
    """As in a container: the overlay needs an own user namespace, the filter perhaps
    NO_NEW_PRIVS.
    """
    if os.geteuid() != 0:
        pytest.skip("root's capabilities need root")
    setpriv = need("setpriv")
    lab = Lab(tmp_path, {"in.csv": "1\n"})
    code = f"""
import sys
sys.path[:0] = {[each for each in sys.path if each]!r}
from repro.model.step import Step
from repro.observe.recorder import RecordRequest, record
seen = record(RecordRequest(
    root={str(lab.root)!r},
    steps=(Step(name="s", argv=("/bin/sh", "-c", "cat in.csv > out; id -u")),),
    environment={{"PATH": "/usr/bin:/bin"}}, scratch={str(lab.scratch)!r}))
print(seen.tracer, seen.steps[0].tail, [path for path, _ in seen.changes])
print([each.path for each in seen.accesses if each.path.endswith("in.csv")])
print(seen.capture == "overlay" or seen.limits)
"""
    words = [setpriv, "--bounding-set=-sys_admin", sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.stdout.splitlines()[:2] == ["notify ('0',) ['out']", f"['{lab.root}/in.csv']"], done
    assert done.stdout.splitlines()[2] != "()"
    assert not (lab.root / "out").exists() or "in place" in done.stdout
