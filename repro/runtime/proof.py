"""Engines that were seen to work since this machine started: tried once, not at each run.

Trying an engine sets a whole sandbox up, which takes as long as the start of a run. A proof
only spares that trial: the run itself is set up in full, and says what the machine forbids.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from repro.primitives.files import private_folder
from repro.runtime.base import Runtime

_SYSCTL = Path("/proc/sys")
SWITCHES = (
    "user/max_user_namespaces",
    "kernel/unprivileged_userns_clone",
    "kernel/apparmor_restrict_unprivileged_userns",
)
"""Below /proc/sys: what an administrator turns to forbid or to allow user namespaces."""
_BOOT = "kernel/random/boot_id"
_MOST = 16


class Proofs:
    """The proofs of this user in a file that only they can write.

    A proof holds for one boot, user, engine (as ``Runtime.identity`` tells it) and setting
    of ``SWITCHES``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def hold(self, engine: Runtime) -> bool:
        """Whether this very engine worked before, under the same conditions."""
        mark = _mark(engine)
        return mark is not None and mark in self._read()

    def keep(self, engine: Runtime) -> None:
        """Remember that it works; a disk that refuses is no error."""
        mark = _mark(engine)
        if mark is None:
            return
        lines = [mark, *(line for line in self._read() if line != mark)][:_MOST]
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            private_folder(self._path.parent)
            beside.touch(mode=0o600)  # whatever the umask is
            beside.write_text("".join(f"{line}\n" for line in lines))
            os.replace(beside, self._path)

    def _read(self) -> list[str]:
        try:
            return self._path.read_text(encoding="ascii", errors="replace").splitlines()[:_MOST]
        except OSError:
            return []


def _mark(engine: Runtime) -> str | None:
    identity = engine.identity()
    boot = _value(_BOOT)
    if identity is None or not boot:
        return None
    return _sum([identity, boot, str(os.geteuid()), *map(_value, SWITCHES)])


def _value(name: str) -> str:
    with contextlib.suppress(OSError):
        return (_SYSCTL / name).read_text().strip()
    return ""


def _sum(words: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()
