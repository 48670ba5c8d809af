"""What ``repro doctor`` looks at for the sandbox: each check with its mend."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repro.errors import RuntimeUnavailable
from repro.primitives.texts import human_size
from repro.runtime.choose import all_engines
from repro.runtime.launcher import find_launcher
from repro.runtime.seccomp import AUDIT

_SYSCTL = Path("/proc/sys")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One finding: ``mend`` is a command or a sentence, None when nothing is to be done."""

    name: str
    ok: bool
    text: str
    mend: str | None = None


def checks() -> list[Check]:
    """All checks, in the order in which a person would mend them."""
    return [*_kernel(), *_namespaces(), *_launcher(), *_engines(), *_limits(), _disk()]


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


def _namespaces() -> Iterator[Check]:
    for name, bad, mend in (
        ("user/max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=10000"),
        ("kernel/unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ):
        try:
            value = (_SYSCTL / name).read_text().strip()
        except OSError:
            continue
        wrong = value == bad and os.geteuid() != 0
        yield Check(
            name=name.replace("/", "."), ok=not wrong, text=value, mend=mend if wrong else None
        )


def _launcher() -> Iterator[Check]:
    try:
        found = find_launcher()
    except RuntimeUnavailable as error:
        yield Check(name="bwrap", ok=False, text=error.message, mend=error.hint)
        return
    note = "" if found.version >= (0, 12) else "; CVE-2026-87766 does not apply: the image is "
    note += "" if found.version >= (0, 12) else "mounted below a trusted layer"
    yield Check(name="bwrap", ok=True, text=f"{found.text} ({found.source}){note}")


def _engines() -> Iterator[Check]:
    for engine in all_engines():
        reason = engine.usable()
        yield Check(
            name=f"engine {engine.name}", ok=reason is None, text=reason or "a sandbox starts"
        )


def _limits() -> Iterator[Check]:
    yield Check(
        name="limits",
        ok=True,
        text="time only: memory, cpu, processes and disk are not limited by this version",
    )
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
