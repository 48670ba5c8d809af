"""An OCI bundle's config.json for one run (OCI runtime-spec 1.0, config.md, config-linux.md)."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from repro.errors import RuntimeUnavailable
from repro.model.ports import SandboxRequest
from repro.primitives.texts import printable
from repro.runtime.profile import profile
from repro.runtime.rootfs import proc_lists

_EXECVP = "/bin:/usr/bin"  # without PATH
_ROOT_OF_SETUP = 65534
"""The host's user who is root inside while runc sets the container up: nobody."""


def check_words(request: SandboxRequest, engine: str) -> None:
    """Raises RuntimeUnavailable when a word is not UTF-8: JSON cannot hold it, and an engine
    would run another one."""
    pairs = [word for pair in request.environment.items() for word in pair]
    for word in (*request.argv, request.cwd, *pairs):
        try:
            word.encode()
        except UnicodeEncodeError:
            raise RuntimeUnavailable(
                f"{engine} takes only words that are UTF-8, and {printable(word, 60)!r} is not",
                hint="use the engine bubblewrap for this archive",
                slug="engine-words",
            ) from None


def environment(request: SandboxRequest) -> dict[str, str]:
    """The recorded variables, and PWD as bubblewrap sets it."""
    return {**request.environment, "PWD": request.cwd}


def programs(request: SandboxRequest) -> list[str]:
    """Where execvp(3) looks for the command, in this order."""
    first = request.argv[0]
    if "/" in first:
        return [first]
    folders = request.environment.get("PATH", _EXECVP).split(":")
    return [f"{folder}/{first}" for folder in folders if folder]


def half_of_memory() -> int:
    """Bytes that a tmpfs takes without being told: /dev/shm where an engine would give less."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def id_maps(uid: int, *, with_root: bool) -> list[dict[str, int]]:
    """The user inside is the one outside (0 in the carrier's own namespace).

    ``with_root``: a root inside exists as well, for an engine that sets up as root; nothing
    of the host is mapped to it but nobody.
    """
    own = {"containerID": uid, "hostID": 0, "size": 1}
    return [{"containerID": 0, "hostID": _ROOT_OF_SETUP, "size": 1}, own] if with_root else [own]


def bundle(request: SandboxRequest, root: str, machine: str, *, with_root: bool) -> bytes:
    """config.json: no capability, our filter, the carrier's /proc masked, a /dev of its own.

    There is no pid namespace in it: the carrier's is used, whose process 1 is ours, so that
    the command is an ordinary process and a signal ends it as it does anywhere.
    """
    uid = request.guise.uid
    read_only, hidden = proc_lists()
    kinds = ["user", "mount", "ipc", "uts", "cgroup"]
    kinds += ["network"] if request.network == "none" else []
    maps = id_maps(request.guise.uid, with_root=with_root)
    document = {
        "ociVersion": "1.0.2",
        "hostname": request.guise.host,
        "process": {
            "terminal": False,
            "user": {"uid": uid, "gid": uid, "umask": _umask()},
            "args": list(request.argv),
            "env": [f"{name}={value}" for name, value in environment(request).items()],
            "cwd": request.cwd,
            "noNewPrivileges": True,
            "capabilities": {},
        },
        "root": {"path": root, "readonly": False},
        "mounts": _mounts(),
        "linux": {
            "uidMappings": maps,
            "gidMappings": maps,
            "namespaces": [{"type": kind} for kind in kinds],
            "maskedPaths": hidden,
            "readonlyPaths": read_only,
            "seccomp": profile(machine),
        },
    }
    return json.dumps(document).encode()


def _mounts() -> list[dict[str, Any]]:
    return [
        _place("/proc", "bind", "/proc", "rbind", "nosuid", "nodev", "noexec"),
        _place("/dev", "tmpfs", "tmpfs", "nosuid", "noexec", "strictatime", "mode=755"),
        _place("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance",
               "ptmxmode=0666", "mode=0620"),
        _place("/dev/shm", "tmpfs", "shm", "nosuid", "nodev", "mode=1777"),
    ]  # fmt: skip


def _place(where: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": where, "type": kind, "source": source, "options": list(options)}


def _umask() -> int:
    """The caller's, as a run by bubblewrap has it (proc(5); umask(2) would change it)."""
    with contextlib.suppress(OSError, StopIteration, ValueError):
        with open("/proc/self/status", encoding="utf-8", errors="replace") as stream:
            line = next(line for line in stream if line.startswith("Umask:"))
        return int(line.split()[1], 8)
    return 0o022
