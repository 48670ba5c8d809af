"""The author's folder under an overlay, in the recorded program's own mount namespace.

mount_namespaces(7), user_namespaces(7), Documentation/filesystems/overlayfs.rst. Works as
root with a plain mount namespace, as an ordinary user inside an own user namespace.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import signal
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from repro.observe import kernel
from repro.primitives.files import fresh_folder, is_whiteout, remove_tree, walk
from repro.primitives.forked import fork, let_interruptions_end_it
from repro.primitives.texts import printable

Stamp = tuple[int, int, int]
_MAX_COPY = 256 << 20


def enter(root: str, upper: str, work: str) -> None:
    """Mount the overlay over ``root`` for this process (and its children) alone.

    To be called in a forked child with one thread. Raises OSError where the machine
    forbids it.
    """
    uid, gid = os.getuid(), os.getgid()
    options = "redirect_dir=nofollow,metacopy=off"
    if os.geteuid() == 0 and _plain_namespace():
        pass
    else:
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
        options = "userxattr"
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE, None)
    # Folders by descriptor: no path has to be escaped for the option string.
    folders = [os.open(path, os.O_PATH | os.O_DIRECTORY) for path in (root, upper, work)]
    lower_fd, upper_fd, work_fd = (f"/proc/self/fd/{fd}" for fd in folders)
    data = f"lowerdir={lower_fd},upperdir={upper_fd},workdir={work_fd},{options}"
    _ready_again(work)
    try:
        # What the run wrote is read at once and never after a crash: without this the end of
        # the run waits until all that is unwritten in that file system is on the disk.
        kernel.mount("repro", root, "overlay", 0, f"{data},volatile")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        kernel.mount("repro", root, "overlay", 0, data)  # before Linux 5.10
    for fd in folders:
        os.close(fd)


@contextlib.contextmanager
def held(root: str, upper: str, work: str) -> Iterator[int]:
    """One overlay for several programs at once: the number of a process that holds it.

    Two mounts of one upper folder at a time are undefined (overlayfs.rst). Raises OSError.
    """
    said, telling = os.pipe()
    waiting, ending = os.pipe()
    pid = fork()
    if pid == 0:
        try:
            os.setsid()
            let_interruptions_end_it()
            kernel.die_with_parent()
            os.close(said)
            os.close(ending)
            enter(root, upper, work)
            os.write(telling, b"+")
            os.read(waiting, 1)
        except BaseException as error:
            os.write(telling, str(error).encode("utf-8", "replace")[:500] or b"failed")
        os._exit(0)
    os.close(telling)
    os.close(waiting)
    try:
        words = os.read(said, 500)
        if words != b"+":
            raise OSError(errno.EPERM, words.decode("utf-8", "replace") or "no overlay")
        yield pid
    finally:
        os.close(said)
        os.close(ending)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def join(holder: int) -> None:
    """See what ``holder`` sees; what this process mounts stays its own. Raises OSError.

    To be called in a forked child with one thread.
    """
    place = f"/proc/{holder}/ns"
    if os.stat(f"{place}/user").st_ino != os.stat("/proc/self/ns/user").st_ino:
        kernel.enter_namespace(f"{place}/user", kernel.CLONE_NEWUSER)
    kernel.enter_namespace(f"{place}/mnt", kernel.CLONE_NEWNS)
    kernel.unshare(kernel.CLONE_NEWNS)


def _ready_again(work: str) -> None:
    """Take back what forbids a second mount after a volatile one (overlayfs.rst, "Volatile
    mount"): it guards against a crash in between, which ends a recording anyway."""
    own = os.path.join(work, "work")
    with contextlib.suppress(OSError):
        os.chmod(own, 0o700)  # the kernel makes it for itself alone
        remove_tree(Path(own, "incompat", "volatile"))


def _plain_namespace() -> bool:
    """Whether a mount namespace is to be had without a user namespace (real root)."""
    try:
        kernel.unshare(kernel.CLONE_NEWNS)
    except OSError:
        return False
    return True


def prepare(
    root: str, upper: str, hide: Iterable[str], seed: Mapping[str, bytes]
) -> Mapping[str, Stamp]:
    """Put whiteouts for hidden paths and the seeded files into an empty upper folder.

    Also what overlayfs could not copy up by itself (``_foreign``): the stamps of those files.
    """
    copied = {} if os.geteuid() == 0 else dict(_foreign(root, upper, frozenset(hide)))
    for path in sorted(hide, key=len):
        _hide(root, upper, path, seed)
    for path, content in seed.items():
        _folders(root, upper, path)
        place = Path(upper, path)
        place.unlink(missing_ok=True)
        place.write_bytes(content)
        place.chmod(0o644)
    return copied


def _foreign(root: str, upper: str, hidden: frozenset[str]) -> Iterator[tuple[str, Stamp]]:
    """Copy writable files and folders of another owner or group (a shared folder's).

    A user namespace maps one user and one group; to change such a file, overlayfs would
    have to give its copy an owner that is not mapped, and fails with EOVERFLOW.
    """
    uid, gid = os.getuid(), os.getgid()
    for path, status in walk(root):
        if (status.st_uid, status.st_gid) == (uid, gid) or is_below(path, hidden):
            continue
        source, target = os.path.join(root, path), os.path.join(upper, path)
        if not os.access(source, os.R_OK | os.W_OK, follow_symlinks=False):
            continue
        if stat.S_ISDIR(status.st_mode):
            _folders(root, upper, path + "/")
        elif stat.S_ISREG(status.st_mode) and status.st_size <= _MAX_COPY:
            _folders(root, upper, path)
            shutil.copy2(source, target)
            yield path, stamp(os.lstat(target))


def stamp(status: os.stat_result) -> Stamp:
    """What changes when a file is written."""
    return status.st_size, status.st_mtime_ns, status.st_ino


def is_below(path: str, folders: Collection[str]) -> bool:
    """Whether the relative path or one of its parents is among ``folders``."""
    while path:
        if path in folders:
            return True
        path = path.rpartition("/")[0]
    return False


def _hide(root: str, upper: str, path: str, seed: Mapping[str, bytes]) -> None:
    """A whiteout for ``path``, unless a folder above it has one; shorter paths come first."""
    place = os.path.join(root, path)
    if not os.path.lexists(place):
        return
    parts = path.split("/")
    if any(_is_whiteout(os.path.join(upper, *parts[:count])) for count in range(1, len(parts) + 1)):
        return
    if any(each.startswith(path + "/") for each in seed):
        # The folder itself has to stay for what is placed in it.
        for name in sorted(os.listdir(place)):
            _hide(root, upper, f"{path}/{name}", seed)
        return
    _folders(root, upper, path)
    os.mknod(os.path.join(upper, path), stat.S_IFCHR, os.makedev(0, 0))


def _is_whiteout(path: str) -> bool:
    try:
        return is_whiteout(os.lstat(path))
    except OSError:
        return False


def _folders(root: str, upper: str, path: str) -> None:
    """The parents of ``path`` in the upper folder, with the modes of the project's own."""
    parts = path.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        folder = "/".join(parts[:count])
        place = os.path.join(upper, folder)
        if os.path.isdir(place):
            continue
        os.mkdir(place)
        try:
            os.chmod(place, stat.S_IMODE(os.lstat(os.path.join(root, folder)).st_mode) | 0o700)
        except FileNotFoundError:
            os.chmod(place, 0o755)


def reason_against(root: str, scratch: str) -> str | None:
    """None when an overlay over ``root`` with its upper folder below ``scratch`` works.

    Tried by doing, in a forked child. An overlay does not show what is mounted below.
    """
    below = mounts_below(root)
    if below:
        return f"another file system is mounted in the project at {printable(below[0])}"
    folder = fresh_folder(Path(scratch), "probe-")
    try:
        upper, work = os.path.join(folder, "u"), os.path.join(folder, "w")
        os.mkdir(upper)
        os.mkdir(work)
        read, write = os.pipe()
        pid = fork()
        if pid == 0:
            said = b""
            try:
                enter(root, upper, work)
                probe = os.path.join(root, ".repro-probe")
                os.close(os.open(probe, os.O_CREAT | os.O_WRONLY, 0o600))
                os.unlink(probe)
            except BaseException as error:
                said = str(error).encode("utf-8", "replace")[:500] or b"failed"
            os.write(write, said)
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as stream:
            said = stream.read()
        os.waitpid(pid, 0)
    finally:
        remove_tree(folder)
    return said.decode("utf-8", "replace") or None


def mounts_below(root: str) -> list[str]:
    """Mount points below ``root``, relative to it (proc_pid_mountinfo(5))."""
    found = set()
    with open("/proc/self/mountinfo", "rb") as stream:
        for line in stream:
            point = re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), line.split()[4])
            path = os.fsdecode(point)
            if path.startswith(root + "/"):
                found.add(path[len(root) + 1 :])
    return sorted(found)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
