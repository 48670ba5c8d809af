"""Work done as a user without root's rights, also when the tests run as root."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

NOBODY = 65534
USERS = [None, NOBODY] if os.geteuid() == 0 else [None]
"""Who a test runs as: None is whoever runs the tests."""

Answer = TypeVar("Answer")
_PR_SET_DUMPABLE = 4


def as_user(uid: int | None, work: Callable[[], Answer]) -> Answer:
    """What ``work`` gives, or raises, in a child process of this user.

    A fork, not a new interpreter: the one that runs the tests may lie in a closed folder.
    """
    if uid is None:
        return work()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _answer(uid, work, write)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        data = stream.read()
    os.waitpid(pid, 0)
    done, answer = pickle.loads(data)  # noqa: S301 - our own child's
    if not done:
        raise answer
    return answer  # type: ignore[no-any-return]


def _answer(uid: int, work: Callable[[], object], write: int) -> None:
    said: tuple[bool, object]
    try:
        if uid != os.getuid():
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        # Changing the user made /proc/self root's; a login does not do that.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        said = True, work()
    except BaseException as error:
        traceback.print_exc()
        said = False, error
    with os.fdopen(write, "wb") as out:
        out.write(pickle.dumps(said))
    os._exit(0)


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder that every user reaches; pytest closes its own at each start."""
    made = Path(tempfile.mkdtemp(prefix="repro-test-", dir="/var/tmp"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        for folder, names, _ in os.walk(made):
            for name in names:
                # The kernel leaves a folder without any right in an overlay's work folder.
                if not os.path.islink(f"{folder}/{name}"):
                    os.chmod(f"{folder}/{name}", 0o700)
        shutil.rmtree(made)


def given(folder: Path, uid: int | None) -> Path:
    """``folder`` and all in it, owned by this user."""
    if uid is not None:
        for each in (folder, *folder.rglob("*")):
            os.lchown(each, uid, uid)
    return folder
