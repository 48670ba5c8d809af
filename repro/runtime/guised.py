"""What of a guise is no option of the launcher: processors and the layout of addresses.

Both are inherited from the thread that starts the launcher (sched_setaffinity(2),
personality(2)), so they are set for the moment of the start and set back.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from repro.errors import RuntimeUnavailable
from repro.model.guise import Guise

_ADDR_NO_RANDOMIZE = 0x0040000
_ASK = 0xFFFFFFFF


@contextlib.contextmanager
def in_guise(guise: Guise) -> Iterator[None]:
    """Whatever this thread starts meanwhile has these processors and this layout.

    Raises RuntimeUnavailable when the kernel refuses.
    """
    with contextlib.ExitStack() as stack:
        try:
            if guise.cpus:
                before = os.sched_getaffinity(0)
                os.sched_setaffinity(0, guise.cpus)
                stack.callback(os.sched_setaffinity, 0, before)
            if guise.fixed_addresses:
                usual = _personality(_ASK)
                _personality(usual | _ADDR_NO_RANDOMIZE)
                stack.callback(_personality, usual)
        except OSError as error:
            raise RuntimeUnavailable(f"this machine cannot be varied: {error.strerror}") from None
        yield


def processor_files(guise: Guise, folder: str) -> list[str]:
    """The launcher's options under which /proc names the guise's processors alone.

    Libraries count processors there (glibc's sysconf without /sys, R's detectCores). The
    files are written into ``folder``, which is ours.
    """
    words: list[str] = []
    for name, chosen in (("stat", _stat), ("cpuinfo", _cpuinfo)) if guise.cpus else ():
        place = Path(folder) / name
        with contextlib.suppress(OSError):
            place.write_text(chosen(Path(f"/proc/{name}").read_text(), guise.cpus))
            words += ["--ro-bind", str(place), f"/proc/{name}"]
    return words


def _stat(text: str, cpus: tuple[int, ...]) -> str:
    kept = []
    for line in text.splitlines(keepends=True):
        match = re.match(r"cpu(\d+) ", line)
        if match is None or int(match.group(1)) in cpus:
            kept.append(line)
    return "".join(kept)


def _cpuinfo(text: str, cpus: tuple[int, ...]) -> str:
    kept = []
    for block in text.split("\n\n"):
        match = re.match(r"processor\s*:\s*(\d+)", block)
        if match is None or int(match.group(1)) in cpus:
            kept.append(block)
    return "\n\n".join(kept)


def _personality(value: int) -> int:
    import ctypes  # not before it is needed: docs/decisions/0005

    libc = ctypes.CDLL(None, use_errno=True)
    libc.personality.argtypes = (ctypes.c_ulong,)
    found: int = libc.personality(value)
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found
