"""A person's terminal lent to a program by way of another one (pty(7)), which is the program's own.

The program never holds the person's terminal: it can neither type into it nor read what is not
meant for it, and Ctrl-C is the program's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import termios
import threading
import tty
from collections.abc import Iterator

_PIECE = 1 << 14


@contextlib.contextmanager
def lent(near: int, out: int) -> Iterator[int]:
    """The descriptor of a new terminal; meanwhile keys of ``near`` go there, its words to ``out``.

    ``near`` is a terminal. Call it in the main thread: it follows the window's size. Afterwards
    what the program wrote has been shown and the terminal is as it was.
    """
    master, slave = os.openpty()
    before = termios.tcgetattr(near)
    ends, over = os.pipe()
    handler = signal.signal(signal.SIGWINCH, lambda *_: _same_size(near, master))
    _same_size(near, master)
    thread = threading.Thread(target=_carry, args=(near, out, master, ends), daemon=True)
    tty.setraw(near, termios.TCSADRAIN)  # what was typed meanwhile is the program's
    thread.start()
    try:
        yield slave
    finally:
        os.close(slave)
        os.write(over, b".")
        thread.join(5)
        signal.signal(signal.SIGWINCH, handler)
        termios.tcsetattr(near, termios.TCSADRAIN, before)
        for fd in (master, ends, over):
            os.close(fd)


def _same_size(near: int, master: int) -> None:
    with contextlib.suppress(OSError):
        size = fcntl.ioctl(near, termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(master, termios.TIOCSWINSZ, size)


def _carry(near: int, out: int, master: int, ends: int) -> None:
    watched = {near, master, ends}
    while True:
        ready = select.select(list(watched), [], [])[0]
        if master in ready and not _pass_on(master, out):
            return
        if master not in ready and ends in ready:
            return  # the program has ended, and all that it wrote is shown
        if near in ready and not _pass_on(near, master):
            watched.discard(near)


def _pass_on(source: int, target: int) -> bool:
    """Once; False when there is no more (a terminal whose other side is closed gives EIO)."""
    try:
        data = os.read(source, _PIECE)
        while data:
            data = data[os.write(target, data) :]
            if not data:
                return True
    except OSError:
        pass
    return False
