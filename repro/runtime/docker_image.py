"""Layer folders as an image that ``docker load`` takes, and a container's changes back.

Docker has no way to run a folder: what runs is a copy in its own store. The tar files are made
and read here (docker's image specification 1.2; docker-cp(1)); nothing that comes back is
written outside the writable layer, and no link in it is followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, Any

from repro.errors import RerunFailed
from repro.primitives.files import is_opaque, is_whiteout, open_inside, walk
from repro.primitives.texts import printable

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_DIR = os.O_RDONLY | os.O_DIRECTORY
_CHUNK = 1 << 20


def write_image(
    out: IO[bytes], folders: Sequence[str], *, name: str, uid: int, machine: str, scratch: str
) -> None:
    """An image of these layer folders, lowest first, as a stream for ``docker load``.

    Everything in it belongs to ``uid``. Each layer is written to a file in ``scratch`` first,
    as a tar tells a member's size before its bytes.
    """
    diff_ids, layers = [], []
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for number, folder in enumerate(folders):
            with tempfile.TemporaryFile(dir=scratch) as spool:
                _write_layer(spool, folder, uid)
                size = spool.tell()
                diff_ids.append(f"sha256:{_sum(spool)}")
                layers.append(f"{number}/layer.tar")
                spool.seek(0)
                archive.addfile(_member(layers[-1], size), spool)
        config = json.dumps({
            "architecture": _ARCHITECTURES.get(machine, machine), "os": "linux", "config": {},
            "created": "1970-01-01T00:00:00Z",
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created_by": "repro"} for _ in diff_ids],
        }).encode()  # fmt: skip
        place = f"{hashlib.sha256(config).hexdigest()}.json"
        manifest = json.dumps([{"Config": place, "RepoTags": [name], "Layers": layers}]).encode()
        for path, data in ((place, config), ("manifest.json", manifest)):
            archive.addfile(_member(path, len(data)), io.BytesIO(data))


def _sum(stream: IO[bytes]) -> str:
    stream.seek(0)
    digest = hashlib.sha256()
    while piece := stream.read(_CHUNK):
        digest.update(piece)
    return digest.hexdigest()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def _write_layer(out: IO[bytes], folder: str, uid: int) -> None:
    with tarfile.open(
        fileobj=out, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8",
        errors="surrogateescape",
    ) as archive:  # fmt: skip
        first: dict[tuple[int, int], str] = {}
        for path, status in walk(folder):
            place = f"{folder}/{path}"
            if is_whiteout(status):
                parent, _, leaf = path.rpartition("/")
                name = f"{parent}/{_WHITEOUT}{leaf}" if parent else f"{_WHITEOUT}{leaf}"
                archive.addfile(_owned(tarfile.TarInfo(name), uid))
                continue
            member = _entry(path, place, status, first)
            if member is None:
                continue  # a socket or a FIFO of an earlier step: no image holds one
            _owned(member, uid)
            if member.isreg():
                with open(place, "rb") as stream:
                    archive.addfile(member, stream)
            else:
                archive.addfile(member)
            if member.isdir() and is_opaque(place):
                archive.addfile(_owned(tarfile.TarInfo(f"{path}/{_OPAQUE}"), uid))


def _owned(member: tarfile.TarInfo, uid: int) -> tarfile.TarInfo:
    member.uid = member.gid = uid
    return member


def _entry(
    path: str, place: str, status: os.stat_result, first: dict[tuple[int, int], str]
) -> tarfile.TarInfo | None:
    member = tarfile.TarInfo(path)
    member.mode = stat.S_IMODE(status.st_mode) & 0o1777
    member.mtime = status.st_mtime
    if stat.S_ISDIR(status.st_mode):
        member.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(status.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(place)
    elif stat.S_ISREG(status.st_mode):
        key = status.st_dev, status.st_ino
        if status.st_nlink > 1 and key in first:
            member.type, member.linkname = tarfile.LNKTYPE, first[key]
        else:
            member.size = status.st_size
            first[key] = path
    else:
        return None
    return member


def changes(listed: bytes) -> tuple[list[str], list[str]]:
    """What ``docker diff`` lists: (made or changed, topmost only; removed).

    Raises RerunFailed for a name with a line break, which that list cannot tell.
    """
    made: list[str] = []
    gone: list[str] = []
    whole = "\0"  # a folder that is new: all below it comes with it
    for line in listed.splitlines():
        kind, path = line[:2], os.fsdecode(line[2:])
        if kind not in (b"A ", b"C ", b"D ") or not path.startswith("/"):
            raise RerunFailed(
                "a file that the run made has a line break in its name",
                hint="docker cannot say what changed then: use another engine",
                slug="engine-words",
            )
        if kind == b"D ":
            gone.append(path)
        elif not path.startswith(whole):
            made.append(path)
            whole = f"{path}/" if kind == b"A " else "\0"
    parents = {path.rpartition("/")[0] for path in (*made, *gone)}
    return [path for path in made if path not in parents or path in _new(listed)], gone


def _new(listed: bytes) -> set[str]:
    return {os.fsdecode(line[2:]) for line in listed.splitlines() if line[:2] == b"A "}


def take_back(stream: IO[bytes], path: str, upper: str, *, folders: bool) -> None:
    """Put what ``docker cp CONTAINER:path -`` gives into the writable layer.

    Without ``folders`` a folder is left as it is: only its attributes changed.
    """
    root = os.open(upper, _DIR)
    try:
        above = path.rpartition("/")[0].strip("/")
        with tarfile.open(
            fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape"
        ) as archive:
            for member in archive:
                if member.isdir() and not folders:
                    return
                _put(archive, member, above, root)
    finally:
        os.close(root)


def _put(archive: tarfile.TarFile, member: tarfile.TarInfo, above: str, root: int) -> None:
    parts = _parts(f"{above}/{member.name}")
    if not parts:
        return
    parent = _parent(root, parts)
    try:
        leaf = parts[-1]
        if member.isdir():
            if not _is_folder(leaf, parent):
                _remove(leaf, parent)
                os.mkdir(leaf, 0o755, dir_fd=parent)
            return
        _remove(leaf, parent)
        if member.issym():
            os.symlink(member.linkname, leaf, dir_fd=parent)
        elif member.islnk():
            source = _parts(f"{above}/{member.linkname}")
            at = _parent(root, source)
            try:
                os.link(source[-1], leaf, src_dir_fd=at, dst_dir_fd=parent, follow_symlinks=False)
            finally:
                os.close(at)
        elif member.isreg():
            _write(archive, member, leaf, parent)
    finally:
        os.close(parent)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, leaf: str, parent: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    fd = os.open(leaf, flags, member.mode & 0o777, dir_fd=parent)
    source = archive.extractfile(member)
    with open(fd, "wb") as out:
        while source is not None and (piece := source.read(_CHUNK)):
            out.write(piece)
        out.flush()
        os.utime(fd, (member.mtime, member.mtime))


def _parent(root: int, parts: Sequence[str]) -> int:
    """The folder of an entry below the writable layer, made where it is missing."""
    at = "."
    for part in parts[:-1]:
        fd = open_inside(root, at, _DIR)
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=fd)
        finally:
            os.close(fd)
        at = f"{at}/{part}"
    return open_inside(root, at, _DIR)


def _parts(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise RerunFailed(f"docker gave a path that leads outside: {printable(path, 100)}")
    return parts


def take_away(path: str, upper: str, layers: Sequence[str]) -> None:
    """What the run removed: gone from the writable layer, and hidden where the image has it."""
    parts = _parts(path)
    root = os.open(upper, _DIR)
    try:
        parent = _parent(root, parts)
        try:
            _remove(parts[-1], parent)
            if any(os.path.lexists(f"{layer}/{'/'.join(parts)}") for layer in layers):
                os.mknod(parts[-1], stat.S_IFCHR | 0o600, os.makedev(0, 0), dir_fd=parent)
        finally:
            os.close(parent)
    finally:
        os.close(root)


def _remove(name: str, parent: int) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        fd = os.open(name, _DIR | os.O_NOFOLLOW, dir_fd=parent)
        try:
            for each in _names(fd):
                _remove(each, fd)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=parent)


def _is_folder(name: str, parent: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    return False


def _names(fd: int) -> Iterator[str]:
    with os.scandir(fd) as entries:
        yield from [entry.name for entry in entries]


def parsed(text: bytes) -> dict[str, Any]:
    """The one document that ``docker inspect`` prints; empty when it is none."""
    with contextlib.suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, list) and found and isinstance(found[0], dict):
            return found[0]
    return {}
