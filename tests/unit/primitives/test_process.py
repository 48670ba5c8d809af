from __future__ import annotations

import ctypes
import os
import threading

from repro.primitives.process import run, subreaper
from tests.other_user import as_user


def is_subreaper() -> bool:
    found = ctypes.c_int()
    ctypes.CDLL(None).prctl(37, ctypes.byref(found), 0, 0, 0)
    return bool(found.value)


def test_orphans_become_ours() -> None:
    def work() -> list[bool]:
        seen = [is_subreaper()]
        read, write = os.pipe()
        with subreaper():
            seen.append(is_subreaper())
            child = os.fork()
            if child == 0:
                orphan = os.fork()
                if orphan:
                    os.write(write, str(orphan).encode())
                os._exit(0)
            os.waitpid(child, 0)
            orphan = int(os.read(read, 100))
            seen.append(os.waitpid(orphan, 0)[0] == orphan)
        return [*seen, is_subreaper()]

    assert as_user(os.getuid(), work) == [False, True, True, False]


def test_the_last_of_several_threads_puts_it_back() -> None:
    def work() -> list[bool]:
        inside, leave = threading.Event(), threading.Event()

        def first() -> None:
            with subreaper():
                inside.set()
                leave.wait()

        thread = threading.Thread(target=first)
        thread.start()
        inside.wait()
        seen = []
        with subreaper():
            leave.set()
            thread.join()
            seen.append(is_subreaper())
        return [*seen, is_subreaper()]

    assert as_user(os.getuid(), work) == [True, False]


def test_what_it_was_before_stays() -> None:
    def work() -> bool:
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
        with subreaper():
            pass
        return is_subreaper()

    assert as_user(os.getuid(), work)


def test_a_command_to_its_end() -> None:
    environment = {"PATH": "/usr/bin:/bin", "A": "b"}
    done = run(["sh", "-c", "echo $A; echo e >&2; cat; exit 3"], cwd="/",
               environment=environment, timeout=60)  # fmt: skip
    assert (done.exit, done.stdout, done.stderr) == (3, b"b\n", b"e\n")
    assert run(["/no/such"], cwd="/", environment={}, timeout=60).exit == 127
    assert run(["sleep", "600"], cwd="/", environment=environment, timeout=0.05).exit == 124
