"""What ``repro doctor`` looks at for the sandbox: each check with its mend."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from repro.errors import RuntimeUnavailable
from repro.model.limits import Limits
from repro.primitives.frozen import frozen
from repro.primitives.texts import human_size
from repro.runtime.base import without_mend
from repro.runtime.choose import all_engines
from repro.runtime.held import limits_sealed
from repro.runtime.launcher import SAFE, find_launcher
from repro.runtime.seccomp import AUDIT

_SYSCTL = Path("/proc/sys")


@frozen
class Check:
    """One finding: ``mend`` is a command or a sentence, None when nothing is to be done."""

    name: str
    ok: bool
    text: str
    mend: str | None = None


def checks() -> list[Check]:
    """All checks, in the order in which a person would mend them.

    The last word on the sandbox has ``engine``: there one is really set up, with its
    overlay, its filter and a fresh /proc.
    """
    return [
        *_kernel(), *_namespaces(), _filter(), _container(), *_launcher(), *_engines(),
        *_limits(), _disk(),
    ]  # fmt: skip


def _kernel() -> Iterator[Check]:
    release = platform.release()
    match = re.match(r"(\d+)\.(\d+)", release)
    version = tuple(map(int, match.groups())) if match else (0, 0)
    yield Check(
        name="kernel",
        ok=version >= (5, 11),
        text=f"Linux {release}",
        mend=None if version >= (5, 11) else "Linux 5.11 or newer (overlay without root)",
    )
    known = platform.machine() in AUDIT
    yield Check(
        name="processor",
        ok=known,
        text=platform.machine(),
        mend=None if known else "an x86-64 or aarch64 machine",
    )


_SWITCHES = (
    ("user/max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=10000", False),
    (
        "kernel/unprivileged_userns_clone", "0",
        "sudo sysctl kernel.unprivileged_userns_clone=1", True,
    ),
    (
        "kernel/apparmor_restrict_unprivileged_userns", "1",
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile "
        "that allows userns for this bwrap", True,
    ),
)  # fmt: skip
"""Below /proc/sys: the value that forbids user namespaces, its mend, whether root is exempt."""


def _namespaces() -> Iterator[Check]:
    for name, bad, mend, spares_root in _SWITCHES:
        try:
            value = (_SYSCTL / name).read_text().strip()
        except OSError:
            continue
        wrong = value == bad and not (spares_root and os.geteuid() == 0)
        yield Check(
            name=name.replace("/", "."), ok=not wrong, text=value, mend=mend if wrong else None
        )


def _filter() -> Check:
    """seccomp(2): the actions that the kernel knows."""
    try:
        known = (_SYSCTL / "kernel/seccomp/actions_avail").read_text().split()
    except OSError:
        known = []
    ok = {"errno", "allow"} <= set(known)
    return Check(
        name="system call filter",
        ok=ok,
        text="seccomp" if ok else "no seccomp filters",
        mend=None if ok else "a kernel with CONFIG_SECCOMP_FILTER",
    )


def _container() -> Check:
    """Only a remark: whether a container forbids the sandbox, ``engine`` tells."""
    marks = {"docker": "/.dockerenv", "podman": "/run/.containerenv"}
    inside = [name for name, mark in marks.items() if os.path.exists(mark)]
    return Check(
        name="container", ok=True, text=f"inside {inside[0]}" if inside else "not inside one"
    )


def _launcher() -> Iterator[Check]:
    try:
        found = find_launcher()
    except RuntimeUnavailable as error:
        text = " ".join((error.message, *error.details))
        yield Check(name="bwrap", ok=False, text=text, mend=error.hint)
        return
    text = f"{found.text}, {found.source}"
    if found.pinned:
        text += ", its sha256 is the pinned one"
    if found.version < SAFE:
        text += (
            "; CVE-2026-87766 does not apply: the image is mounted below a trusted layer, "
            "and nothing is made in it"
        )
    yield Check(name="bwrap", ok=True, text=text)


def _engines() -> Iterator[Check]:
    for engine in all_engines():
        reason = engine.usable()
        text, mend = without_mend(reason) if reason else ("a sandbox starts", None)
        yield Check(
            name=f"engine {engine.name}",
            ok=reason is None,
            text=text,
            mend=mend if reason is None or mend else "what the lines above name",
        )


def _limits() -> Iterator[Check]:
    """How the limits of a run are held here; tried by doing."""
    enforced, missing = limits_sealed(Limits(memory=1 << 30, cpus=1, pids=99, disk=1 << 30))
    for name in ("memory", "cpu", "pids limit", "disk"):
        # Without the size that was tried: it is no limit of this machine.
        held, lacking = enforced.get(name), missing.get(name, "")
        how = f"held by {held.partition(', ')[2]}" if held else lacking.partition(" is ")[2]
        yield Check(name=f"limit of {name.removesuffix(' limit')}", ok=True, text=how)
    yield Check(name="libc", ok=True, text=_libc())


def _libc() -> str:
    name = " ".join(platform.libc_ver()).strip()
    if name:
        return name
    return "musl" if not hasattr(ctypes.CDLL(None), "gnu_get_libc_version") else "glibc"


def _disk() -> Check:
    free = shutil.disk_usage(
        os.path.expanduser("~") if os.path.isdir(os.path.expanduser("~")) else "/"
    ).free
    return Check(
        name="free disk",
        ok=free > 2_000_000_000,
        text=human_size(free),
        mend=None if free > 2_000_000_000 else "free some space, or set REPRO_CACHE",
    )
