"""The fallback tracer: strace(1)'s text turned into the same ledger entries."""

from __future__ import annotations

import codecs
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from repro.observe.ledger import Ledger
from repro.observe.notifier import plain_path

CALLS = (
    "open,openat,openat2,creat,execve,execveat,rename,renameat,renameat2,link,linkat,symlink,"
    "symlinkat,unlink,unlinkat,rmdir,mknod,mknodat,truncate,connect,clone,clone3,fork,vfork,chdir"
)
_LINE = re.compile(r"^(\d+)\s+(.*)$", re.DOTALL)
_CALL = re.compile(r"^(\w+)\((.*)\)\s*=\s*(-?\d+|\?)(.*)$", re.DOTALL)
_TEXT = r'"((?:[^"\\]|\\.)*)"(?:\.\.\.)?'
_FOLDER = r"(?:AT_FDCWD|-?\d+)(?:<((?:[^<>\\]|\\.)*)>)?"
_FLAGS = {
    "O_WRONLY": os.O_WRONLY, "O_RDWR": os.O_RDWR, "O_CREAT": os.O_CREAT, "O_TRUNC": os.O_TRUNC,
    "O_EXCL": os.O_EXCL, "O_TMPFILE": os.O_TMPFILE,
}  # fmt: skip


def find_strace(environ_path: str) -> str | None:
    """strace's absolute path on a PATH, or None."""
    return shutil.which("strace", path=environ_path)


def command(strace: str, log: str, program: str, argv: tuple[str, ...]) -> list[str]:
    """The command line that traces ``program`` into ``log``."""
    words = [strace, "-f", "-y", "-qq", "-s", "4096", "-o", log]
    if _knows_bpf(strace):
        words.append("--seccomp-bpf")
    return [*words, "-e", f"trace={CALLS}", "-e", "signal=none", "--", program, *argv[1:]]


def _knows_bpf(strace: str) -> bool:
    done = subprocess.run([strace, "--help"], capture_output=True, stdin=subprocess.DEVNULL)
    return b"--seccomp-bpf" in done.stdout


class StraceReader:
    """Reads one log into a ledger. ``locate`` finds programs that the run itself made."""

    def __init__(self, ledger: Ledger, cwd: str, locate: Callable[[str], str] = str) -> None:
        self._ledger = ledger
        self._locate = locate
        self._start = cwd
        self._cwd: dict[int, str] = {}
        self._numbers: dict[int, int] = {}
        self._started = False
        self.lost = 0

    def read(self, log: Path) -> None:
        """Take every call of the log, in order."""
        for pid, text in _joined(log):
            match = _CALL.match(text)
            if match is None:
                continue
            name, arguments, result = match.group(1), match.group(2), match.group(3)
            try:
                self._take(pid, name, arguments, result)
            except (ValueError, UnicodeError):
                self.lost += 1

    def _take(self, pid: int, name: str, arguments: str, result: str) -> None:
        failed = result.startswith("-") or result == "?"
        if name in ("clone", "clone3", "fork", "vfork"):
            if not failed:
                child = int(result)
                self._cwd[child] = self._cwd.get(pid, self._start)
                if pid in self._numbers:
                    self._numbers[child] = self._numbers[pid]
        elif name == "connect":
            self._connect(pid, arguments)
        elif not failed:
            self._file(pid, name, arguments)

    def _file(self, pid: int, name: str, arguments: str) -> None:
        paths = list(self._paths(pid, arguments))
        if not paths:
            self.lost += 1
            return
        number = self._numbers.get(pid)
        if name == "chdir":
            self._cwd[pid] = paths[0]
        elif name in ("execve", "execveat"):
            needed = self._ledger.startable(paths[0], self._locate)
            if needed is not None:
                words = tuple(_text(word) for word in re.findall(_TEXT, arguments)[1:])
                cwd = self._cwd.get(pid, self._start)
                self._numbers[pid] = self._ledger.executed(needed, words, cwd, pid, number)
        elif name.startswith(("open", "creat")):
            flags = sum(bit for flag, bit in _FLAGS.items() if flag in arguments)
            if name == "creat":
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            path = paths[0]
            self._ledger.opened(path, flags, number, lambda: self._ledger.existed(path))
        elif name.startswith("rename") and len(paths) > 1:
            self._ledger.moved(paths[0], paths[1], number, self._ledger.existed(paths[0]))
        elif name.startswith("link") and len(paths) > 1:
            if self._ledger.existed(paths[0]):
                self._ledger.read(paths[0], number)
            self._ledger.wrote(paths[1], number)
        else:
            self._changed(name, paths[-1], arguments, number)

    def _changed(self, name: str, path: str, arguments: str, number: int | None) -> None:
        if name in ("unlink", "unlinkat", "rmdir"):
            self._ledger.removed(path, number)
            return
        self._ledger.wrote(path, number)
        text = re.search(_TEXT, arguments)
        if name.startswith("symlink") and text is not None:
            self._ledger.links.made(path, _text(text.group(1)))

    def _paths(self, pid: int, arguments: str) -> Iterator[str]:
        """The paths that a call names, absolute, each with the folder before it."""
        pattern = re.compile(rf"(?:{_FOLDER},\s*)?{_TEXT}", re.DOTALL)
        for match in pattern.finditer(arguments.split(", [", 1)[0]):
            raw = _bytes(match.group(2))
            if not raw.startswith(b"/"):
                folder = match.group(1)
                base = _bytes(folder) if folder else os.fsencode(self._cwd.get(pid, self._start))
                raw = base + b"/" + raw
            yield plain_path(raw)

    def _connect(self, pid: int, arguments: str) -> None:
        number = self._numbers.get(pid)
        unix = re.search(rf"sun_path=@?{_TEXT}", arguments)
        if unix:
            self._ledger.connected(number, "unix", _text(unix.group(1)), None)
            return
        port = re.search(r"sin6?_port=htons\((\d+)\)", arguments)
        address = re.search(r'inet_(?:addr\(|pton\(AF_INET6, )"([^"]+)"', arguments)
        if port and address:
            family = "inet6" if ":" in address.group(1) else "inet"
            self._ledger.connected(number, family, address.group(1), int(port.group(1)))


def _joined(log: Path) -> Iterator[tuple[int, str]]:
    """Whole calls: an unfinished line and its resumption put together."""
    pending: dict[int, str] = {}
    with log.open(encoding="latin-1") as stream:
        for line in stream:
            match = _LINE.match(line.rstrip("\n"))
            if match is None:
                continue
            pid, text = int(match.group(1)), match.group(2)
            if text.endswith("<unfinished ...>"):
                pending[pid] = text[: -len("<unfinished ...>")].rstrip()
                continue
            resumed = re.match(r"<\.\.\. \w+ resumed>(.*)$", text, re.DOTALL)
            if resumed:
                text = pending.pop(pid, "") + resumed.group(1)
            yield pid, text


def _bytes(text: str) -> bytes:
    return codecs.escape_decode(text.encode("latin-1"))[0]


def _text(text: str) -> str:
    return os.fsdecode(_bytes(text))


def support(environ: Mapping[str, str]) -> str | None:
    """None when strace works here, else why not."""
    strace = find_strace(environ.get("PATH", "/usr/bin:/bin"))
    if strace is None:
        return "strace is not installed"
    done = subprocess.run(
        [strace, "-f", "-o", "/dev/null", "-e", "trace=openat", "--", "/bin/sh", "-c", ":"],
        capture_output=True, stdin=subprocess.DEVNULL, timeout=20,
    )  # fmt: skip
    return None if done.returncode == 0 else done.stderr.decode("utf-8", "replace").strip()[:200]
