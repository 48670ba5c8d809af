"""Paths in source text that hold on one machine only."""

from __future__ import annotations

import re
from collections.abc import Callable

from repro.primitives.frozen import frozen
from repro.primitives.texts import printable
from repro.project.finding import RISK, STOPS, Finding

_MEND = "put the file into the project and write its path relative to the project"
_ROOTS = re.compile(
    r"/(?:home|Users|root|mnt|media|data\d*|scratch|work|srv|Volumes|projects?|gpfs|lustre|nfs"
    r"|cluster|storage|export)/[^/\s]"
)
_SYSTEM = re.compile(
    r"/(?:dev|proc|sys|usr|bin|sbin|lib|lib64|etc|tmp|var|opt|run|nix|boot)(?:/|$)"
)
_HOME = re.compile(r"(?:~[A-Za-z0-9_-]*|\$HOME|\$\{HOME\})(?:/|$)")
_DRIVE = re.compile(r"(?:[A-Z]:/|[A-Za-z]:\\)[\w .\\/-]|\\\\[\w.-]+\\\w")


@frozen
class Here:
    """This machine as an audit may know it: the project, the home folder, what exists."""

    root: str
    home: str
    exists: Callable[[str], bool]


def path_finding(
    text: str, here: Here, *, reads: bool, opens: bool, path: str, line: int | None
) -> Finding | None:
    """What is wrong with the text as a path, if anything.

    ``opens``: it is given to something that takes a path, so any absolute path counts;
    otherwise only what begins as people's data does. ``reads``: it must be there.
    """
    if not text or "\n" in text or len(text) > 1000:
        return None
    shown = printable(text, 80)

    def found(code: str, level: str, said: str) -> Finding:
        return Finding(code=code, level=level, text=said, mend=_MEND, path=path, line=line)

    if _DRIVE.match(text):
        level = STOPS if reads else RISK
        return found("absolute-path", level, f"{shown} is a path of a Windows machine")
    if _HOME.match(text) and (opens or "/" in text):
        place = _HOME.sub(lambda _: here.home + "/", text, count=1)
        own = text.startswith(("~/", "$")) or text == "~"
        if own and reads and not _computed(text) and not here.exists(place):
            return found("home-path", STOPS, f"reads {shown}, which is not on this machine")
        return found("home-path", RISK, f"{shown} lies in one person's home folder")
    if not text.startswith("/") or text.startswith("//") or _SYSTEM.match(text):
        return None
    if text == here.root or text.startswith(here.root + "/"):
        return found("absolute-path", RISK, f"{shown} names the project by where it lies here")
    if not (opens or _ROOTS.match(text)) or text == "/":
        return None
    if reads and not _computed(text) and not here.exists(text):
        return found("absolute-path", STOPS, f"reads {shown}, which is not on this machine")
    if text.startswith((here.home + "/", "/home/", "/Users/")):
        return found("home-path", RISK, f"{shown} lies in one person's home folder")
    return found("absolute-path", RISK, f"{shown} is an absolute path outside the project")


def _computed(text: str) -> bool:
    """Whether a part is filled in at run time, or a pattern: then nothing can be looked up."""
    return re.search(r"[{}*?$%\[]", text.removeprefix("${HOME}").removeprefix("$HOME")) is not None
