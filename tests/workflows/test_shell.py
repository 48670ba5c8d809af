"""`repro run --shell` on a real terminal (pty(7)): keys, Ctrl-C, jobs, size, end."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

from tests.workflows.lab import Lab


class Person:
    """Types into a command on a terminal of 77 columns, and reads what it shows."""

    def __init__(self, lab: Lab, *words: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(lab.project)
            os.execve(sys.executable, [sys.executable, "-m", "repro", *words], lab.env)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("4H", 33, 77, 0, 0))
        self.seen = ""

    def until(self, text: str, seconds: float = 30) -> str:
        """What is shown up to ``text``, which must come."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.fd], [], [], left)[0], self.seen
            try:
                piece = os.read(self.fd, 4096)
            except OSError:
                piece = b""
            assert piece, self.seen
            self.seen += piece.decode("utf-8", "replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def types(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def ended(self) -> int:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.fd, 4096).decode("utf-8", "replace")
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"it does not end: {self.seen}")


def test_a_shell_of_one_s_own(lab: Lab) -> None:
    lab.snapshot("--", "sh", "-c", "stty --version > /dev/null; echo 1 > out")
    person = Person(lab, "run", "--shell", str(lab.archive), "--out", str(lab.folder / "kept"))
    prompt = person.until("$ ")
    assert "job control turned off" not in prompt and "tty" not in prompt
    person.types("stty size; echo on $((40 + 2))\n")
    assert "33 77" in person.until("on 42\r\n")
    started = time.monotonic()
    person.types("sleep 60\n")
    time.sleep(0.5)
    person.types("\x03")  # ends the sleep, not the shell
    person.types("echo after $((1 + 1)) > kept.txt; cat kept.txt\n")
    person.until("after 2\r\n")
    assert time.monotonic() - started < 30
    person.types("sleep 60 & jobs; kill %1\n")
    person.until("Running")
    person.types("exit 3\n")
    assert person.ended() == 3, person.seen
    assert (lab.folder / "kept/kept.txt").read_text() == "after 2\n"


def test_the_terminal_is_as_it_was(lab: Lab) -> None:
    lab.snapshot("--", "sh", "-c", "echo 1 > out")
    outer, inner = os.openpty()
    before = termios.tcgetattr(inner)
    pid = os.fork()
    if pid == 0:
        for number in (0, 1, 2):
            os.dup2(inner, number)
        os.chdir(lab.project)
        words = [sys.executable, "-m", "repro", "run", "-q", "--shell", str(lab.archive)]
        os.execve(sys.executable, words, lab.env)
    seen, deadline = b"", time.monotonic() + 30
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        assert time.monotonic() < deadline, seen
        if select.select([outer], [], [], 0.05)[0]:
            seen += os.read(outer, 4096)
            if seen.endswith(b"$ "):
                os.write(outer, b"\x04")  # end of input: the shell ends
    assert termios.tcgetattr(inner) == before
    os.close(outer)
    os.close(inner)
