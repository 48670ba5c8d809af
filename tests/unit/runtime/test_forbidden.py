"""Machines that forbid a part of the sandbox: made from namespaces, told with the mend."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.errors import RuntimeUnavailable
from repro.runtime.base import without_mend
from repro.runtime.checks import Check, checks
from repro.runtime.choose import all_engines, choose
from tests.other_user import NOBODY, as_user

NEWUSER, NEWNS = 0x10000000, 0x00020000
MS_BIND, MS_REC, MS_PRIVATE, MS_RDONLY = 0x1000, 0x4000, 0x40000, 1
libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount(source: str, target: str, kind: str | None, flags: int = 0, data: str = "") -> None:
    kind_bytes = None if kind is None else kind.encode()
    checked(libc.mount(source.encode(), target.encode(), kind_bytes, flags, data.encode()))


def in_a_machine(spoil: Callable[[], None], folder: Path | None = None) -> tuple[str, list[Check]]:
    """The first engine's reason, and the doctor's checks, where ``spoil`` took something away."""
    engine = all_engines()[0]
    uid, gid = os.getuid(), os.getgid()

    def work() -> tuple[str, list[Check]]:
        checked(libc.unshare(NEWUSER | NEWNS))
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        spoil()
        tempfile.tempdir = None if folder is None else str(folder)
        return engine.usable() or "", checks()

    probe = as_user(uid, lambda: libc.unshare(NEWUSER))
    if probe != 0 or engine.usable() is not None:
        if os.environ.get("CI"):
            pytest.fail("no user namespaces here to make such a machine with")
        pytest.skip("no user namespaces here to make such a machine with")
    return as_user(uid, work)


def told(spoil: Callable[[], None], folder: Path | None = None) -> tuple[str, str]:
    """The reason and the mend; the doctor's engine line says the same."""
    reason, found = in_a_machine(spoil, folder)
    text, mend = without_mend(reason)
    (line,) = [check for check in found if check.name == f"engine {all_engines()[0].name}"]
    assert (line.ok, line.text) == (False, text)
    assert line.mend
    return text, mend or ""


def test_a_spoiled_machine_is_possible() -> None:
    """The cases below differ from this one only by what they take away."""
    assert in_a_machine(lambda: None)[0] == ""


@pytest.mark.parametrize("kind", ["user", "pid", "net", "mnt", "ipc"])
def test_no_namespaces(kind: str) -> None:
    _, mend = told(lambda: limit(kind))
    assert "max_user_namespaces" in mend


def limit(kind: str) -> None:
    Path(f"/proc/sys/user/max_{kind}_namespaces").write_text("0")


def test_the_doctor_names_the_switch() -> None:
    _, found = in_a_machine(lambda: limit("user"))
    (line,) = [check for check in found if check.name == "user.max_user_namespaces"]
    assert (line.ok, line.text) == (False, "0")
    assert "sysctl" in (line.mend or "")


def test_a_container_that_hides_parts_of_proc() -> None:
    """As docker does without ``systempaths=unconfined``: a fresh /proc is refused then."""
    _, mend = told(lambda: mount("/dev/null", "/proc/kallsyms", None, MS_BIND))
    assert "unmask=ALL" in mend


def test_a_folder_on_an_overlay(tmp_path: Path) -> None:
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()

    def spoil() -> None:
        options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
        mount("overlay", f"{tmp_path}/merged", "overlay", 0, f"{options},userxattr")

    text, mend = told(spoil, tmp_path / "merged")
    assert "overlay" in text
    assert "REPRO_CACHE" in mend


@pytest.mark.parametrize(("flags", "options"), [(MS_RDONLY, ""), (0, "nr_inodes=2")])
def test_a_disk_that_takes_nothing(tmp_path: Path, flags: int, options: str) -> None:
    reason, _ = in_a_machine(
        lambda: mount("none", str(tmp_path), "tmpfs", flags, options), tmp_path
    )
    assert "Read-only file system" in reason or "No space left" in reason


def test_every_check_that_fails_has_a_mend() -> None:
    for found in (checks(), in_a_machine(lambda: limit("user"))[1]):
        assert all(check.mend for check in found if not check.ok)
        assert not any(check.mend for check in found if check.ok)
        assert all(check.text for check in found)


def test_no_user_namespaces_for_any_engine() -> None:
    """Who has no rights and no namespaces is told why of every engine, and what to do."""

    def work() -> tuple[str, tuple[str, ...]]:
        checked(libc.unshare(NEWUSER | NEWNS))
        limit("user")
        # By the same filter's way, also where the sysctl cannot be written.
        with pytest.raises(RuntimeUnavailable) as caught:
            choose()
        return caught.value.hint or "", tuple(caught.value.details)

    if all_engines()[0].usable() is not None:
        pytest.skip("no user namespaces here to make such a machine with")
    hint, details = as_user(NOBODY if os.geteuid() == 0 else None, lambda: as_user(None, work))
    assert "doctor" in hint
    assert [line.partition(":")[0] for line in details] == [e.name for e in all_engines()]
    reasons = dict(line.split(": ", 1) for line in details)
    assert "max_user_namespaces" in reasons["bubblewrap"]
    for name in ("crun", "podman"):
        assert "user namespace" in reasons[name] or "not installed" in reasons[name]
