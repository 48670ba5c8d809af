"""The overlay over a project, what it is refused for, and where it goes instead."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from repro.errors import RuntimeUnavailable
from repro.model.observation import Change
from repro.observe import kernel, overlay, probe
from repro.observe.capture import overlay_changes
from repro.observe.host import tracer_support
from repro.primitives.files import remove_tree
from repro.primitives.forked import fork
from tests.unit.observe.recording_sample import Lab, changes, tree


def test_an_overlay_works_here_and_leaves_nothing(tmp_path: Path) -> None:
    root, scratch = tmp_path / "r", tmp_path / "s"
    root.mkdir()
    scratch.mkdir()
    (root / "a").write_text("x")
    before = tree(root)
    reason = overlay.reason_against(str(root), str(scratch))
    if reason is not None:
        pytest.skip(reason)
    assert tree(root) == before
    assert list(scratch.iterdir()) == []
    assert str(root) not in Path("/proc/self/mountinfo").read_text()


def entered(root: Path, upper: Path, work: Path, name: str) -> None:
    """Write a file through the overlay in a forked child."""
    pid = fork()
    if pid == 0:
        try:
            overlay.enter(str(root), str(upper), str(work))
            (root / name).write_text(Path("/proc/self/mountinfo").read_text())
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("refused", [False, True])
def test_one_step_after_the_other_over_the_same_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    """A volatile mount, which waits for no disk, must not forbid the next step's."""
    root, upper, work = (tmp_path / name for name in ("r", "u", "w"))
    for folder in (root, upper, work):
        folder.mkdir()
    (root / "old").write_text("x")
    if (reason := overlay.reason_against(str(root), str(tmp_path))) is not None:
        pytest.skip(reason)
    mount = kernel.mount

    def old_kernel(
        source: str, target: str, kind: str | None, flags: int, data: str | None
    ) -> None:
        if data is not None and "volatile" in data:
            raise OSError(errno.EINVAL, "Invalid argument")
        mount(source, target, kind, flags, data)

    if refused:
        monkeypatch.setattr(kernel, "mount", old_kernel)
    entered(root, upper, work, "one")
    entered(root, upper, work, "two")
    assert tree(root).keys() == {"old"}
    said = [(upper / name).read_text() for name in ("one", "two")]
    assert ["volatile" in each for each in said] == [not refused] * 2
    remove_tree(work)
    assert not work.exists()


def test_mounts_in_the_project_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert overlay.mounts_below(str(tmp_path)) == []
    assert "proc" in overlay.mounts_below("")


def test_a_project_with_a_mount_in_it_is_recorded_in_place(tmp_path: Path) -> None:
    """In a process with a mount namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    lab = Lab(tmp_path, {"in": "1", "data/x": "hidden by the mount"})
    code = f"""
import sys
sys.path[:0] = {[each for each in sys.path if each]!r}
from pathlib import Path
from repro.observe import kernel
kernel.unshare(kernel.CLONE_NEWNS)
kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE, None)
root = {str(lab.root)!r}
kernel.mount("none", root + "/data", "tmpfs", 0, None)
Path(root, "data/m").write_text("mounted")
from repro.model.step import Step
from repro.observe.recorder import RecordRequest, record
from repro.observe.capture import restore
seen = record(RecordRequest(
    root=root, steps=(Step(name="s", argv=("/bin/sh", "-c", "cat data/m; echo n > data/n")),),
    environment={{"PATH": "/usr/bin:/bin"}}, scratch={str(lab.scratch)!r}))
restore(seen, root)
print(seen.capture, seen.steps[0].tail, [path for path, _ in seen.changes])
print([limit for limit in seen.limits if "mounted in the project at data" in limit] != [])
print(sorted(path.name for path in Path(root, "data").iterdir()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.stdout.splitlines() == ["in-place ('mounted',) ['data/n']", "True", "['m']"]


def test_memory_is_used_where_the_scratch_folder_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = overlay.reason_against

    def only_memory(root: str, scratch: str) -> str | None:
        if scratch.startswith("/dev/shm/"):
            return real(root, scratch)
        return "upper folders may not lie here"

    before = set(os.listdir("/dev/shm"))
    lab = Lab(tmp_path, {"in": "1"})
    if real(str(lab.root), "/dev/shm") is not None:
        pytest.skip("no overlay with its upper folder in /dev/shm")
    monkeypatch.setattr(overlay, "reason_against", only_memory)
    seen = lab.sh("cat in > out")
    assert seen.capture == "overlay" and seen.upper.startswith("/dev/shm/")
    assert any("kept in memory" in limit for limit in seen.limits)
    assert changes(seen) == {"out": Change.CREATED}
    lab.close()
    assert set(os.listdir("/dev/shm")) <= before | {
        name for name in os.listdir("/dev/shm") if not name.startswith("repro-record-")
    }


def test_without_any_overlay_the_run_is_in_place_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay, "reason_against", lambda root, scratch: "no such luck")
    lab = Lab(tmp_path, {"in": "1"})
    seen = lab.sh("cat in > out")
    assert seen.capture == "in-place"
    assert any("in place" in limit and "no such luck" in limit for limit in seen.limits)
    with pytest.raises(RuntimeUnavailable) as caught:
        lab.sh("true", capture="overlay")
    assert caught.value.slug == "no-overlay"
    lab.close()
    assert list(lab.scratch.iterdir()) == []


def test_a_scratch_folder_on_an_overlay_is_told_or_works(tmp_path: Path) -> None:
    reason = overlay.reason_against(str(tmp_path), str(tmp_path))
    assert reason is None or reason


def test_preparing_hides_and_seeds(tmp_path: Path) -> None:
    root, upper = tmp_path / "r", tmp_path / "u"
    for path in ("r/a/b", "r/c", "u"):
        (tmp_path / path).mkdir(parents=True)
    for path in ("a/x", "a/b/y", "c/z", "old"):
        (root / path).write_text("1")
    (root / "a").chmod(0o750)
    hide = ("a/b", "a/b/y", "c", "old", "gone/x")
    overlay.prepare(str(root), str(upper), hide, {"c/new": b"n", "old": b"s"})
    found = tree(upper)
    whiteouts = {name for name, what in found.items() if what.startswith("0o20")}
    assert whiteouts == {"a/b", "c/z"}
    assert (upper / "a").stat().st_mode & 0o777 == 0o750
    assert (upper / "c/new").read_bytes() == b"n" and (upper / "old").read_bytes() == b"s"
    assert (upper / "old").stat().st_mode & 0o777 == 0o644
    seed = {"c/new": b"n", "old": b"s"}
    assert overlay_changes(str(root), str(upper), frozenset(hide), seed, {}) == []


def test_locked_trees_are_removed(tmp_path: Path) -> None:
    deep = tmp_path / "t/a/b"
    deep.mkdir(parents=True)
    (deep / "f").write_text("x")
    (tmp_path / "t/link").symlink_to(tmp_path)
    for folder in (deep, deep.parent, tmp_path / "t"):
        folder.chmod(0)
    mode = tmp_path.stat().st_mode
    remove_tree(tmp_path / "t")
    assert list(tmp_path.iterdir()) == []
    assert tmp_path.stat().st_mode == mode


def test_the_doctor_is_told_of_each_way() -> None:
    support = tracer_support()
    assert set(support) == {"notify", "strace", "overlay"}


def test_the_probe_agrees_with_a_recording(tmp_path: Path) -> None:
    reason = probe.reason_against_notify()
    lab = Lab(tmp_path, {"in": "1"})
    seen = lab.sh("cat in")
    assert (seen.tracer == "notify") == (reason is None)
    lab.close()


def test_the_probe_tells_what_it_met(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise OSError(1, "seccomp: Operation not permitted")

    monkeypatch.setattr("repro.observe.kernel.install_listener", refused)
    assert "not permitted" in (probe.reason_against_notify() or "")
    monkeypatch.undo()
    monkeypatch.setattr("repro.observe.kernel.Peek.text_at", lambda *_: None)
    assert "memory" in (probe.reason_against_notify() or "")
    monkeypatch.undo()
    monkeypatch.setattr("platform.machine", lambda: "s390x")
    assert "s390x" in (probe.reason_against_notify() or "")
