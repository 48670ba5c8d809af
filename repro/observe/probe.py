"""Whether seccomp user notification works here: tried by doing, never by version."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import platform
import select
import socket
import struct

from repro.observe import kernel
from repro.observe.notifier import ANSWER, CONTINUE, NOTICE, RECV, SEND
from repro.observe.tables import ARCHITECTURES, SECCOMP_CALL, SIGNATURES
from repro.primitives.forked import fork

_PATIENCE = 5000  # milliseconds
_PATH = b"/proc/self/status"


def reason_against_notify() -> str | None:
    """None when a child's open can be received, read and let go on; else why not."""
    machine = platform.machine()
    if machine not in SECCOMP_CALL:
        return f"no table of system calls for {machine}"
    ours, theirs = socket.socketpair()
    pid = fork()
    if pid == 0:
        ours.close()
        _child(theirs)
    theirs.close()
    try:
        with ours:
            said, extra, _, _ = ours.recvmsg(600, socket.CMSG_SPACE(4))
            if not extra:
                return said.decode("utf-8", "replace") or "the probe's child died"
            (listener,) = struct.unpack("i", extra[0][2][:4])
            try:
                ours.send(b"g")
                return _answer_one(int(listener), machine)
            finally:
                os.close(listener)
    finally:
        os.waitpid(pid, 0)


def _child(talk: socket.socket) -> None:
    """Install the listener, hand it over, open one file. Never returns."""
    try:
        listener = kernel.install_listener()
        rights = array.array("i", [listener])
        talk.sendmsg([b"L"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        os.close(listener)
        if talk.recv(1) == b"g":
            os.close(os.open(_PATH, os.O_RDONLY))
    except BaseException as error:
        with contextlib.suppress(OSError):
            talk.send(str(error).encode("utf-8", "replace")[:500] or b"failed")
    os._exit(0)


def _answer_one(listener: int, machine: str) -> str | None:
    poller = select.poll()
    poller.register(listener, select.POLLIN)
    if not poller.poll(_PATIENCE):
        return "the listener told of nothing"
    notice, answer = bytearray(NOTICE.size), bytearray(ANSWER.size)
    try:
        fcntl.ioctl(listener, RECV, notice, True)
        ident, tid, _, number, arch, _, *arguments = NOTICE.unpack_from(notice)
        tables = dict(ARCHITECTURES[machine])
        names = {value: name for name, value in tables[arch].items()}
        peek = kernel.Peek()
        path = peek.text_at(tid, arguments[SIGNATURES[names[number]].path])
        peek.close()
        ANSWER.pack_into(answer, 0, ident, 0, 0, CONTINUE)
        fcntl.ioctl(listener, SEND, answer, False)
    except OSError as error:
        return f"a call could not be answered: {error.strerror}"
    return None if path == _PATH else "the memory of a child cannot be read (Yama's ptrace_scope?)"
