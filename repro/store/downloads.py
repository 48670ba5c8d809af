"""This user's cache of downloaded files, under the sha256 that was declared for each."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from repro.errors import ProjectError, StorageError
from repro.model.remote_input import RemoteInput
from repro.primitives.digest import Digest
from repro.primitives.fetch import Progress, download
from repro.primitives.files import private_folder
from repro.primitives.texts import human_size, printable

_HINT = "set REPRO_CACHE to a folder that only you can write"
_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Downloads:
    """Files below ``root`` named by their sha256; parts of unfinished ones beside them.

    A file is in its place only after its digest was found right, and the digest is found
    again whenever it is taken out: a cache that was changed is noticed.
    """

    def __init__(self, root: Path, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._root = root
        self._sleep = sleep

    def bring(self, wanted: RemoteInput, target: Path, progress: Progress) -> bool:
        """Write the file to ``target`` (which must not exist); whether it was in the cache.

        Raises ProjectError (another digest, too large, no such file), RemoteError (the
        network), StorageError. Nothing is left at ``target`` then.
        """
        if urlsplit(wanted.url).scheme == "file":
            self._from_file(wanted, target)
            return False
        with self._locked(wanted.digest) as part:
            kept = self._root / wanted.digest.hex
            if kept.is_file() and _copy(kept, target) == wanted.digest:
                with contextlib.suppress(OSError):
                    os.utime(kept)  # used: the cache's limit takes what was not
                return True
            target.unlink(missing_ok=True)
            kept.unlink(missing_ok=True)
            self._download(wanted, part, progress)
            os.replace(part, kept)
        if _copy(kept, target) != wanted.digest:
            target.unlink(missing_ok=True)
            raise StorageError(f"{kept} changed while it was copied", hint=_HINT)
        return False

    def _download(self, wanted: RemoteInput, part: Path, progress: Progress) -> None:
        """Once from where an earlier attempt stopped, and once more from the start if that
        gave other bytes: the file may have changed in between."""
        resumed = part.stat().st_size > 0
        download(wanted.url, part, most=wanted.most, progress=progress, sleep=self._sleep)
        found = Digest.of_path(part)
        if found != wanted.digest and resumed:
            os.truncate(part, 0)
            download(wanted.url, part, most=wanted.most, progress=progress, sleep=self._sleep)
            found = Digest.of_path(part)
        if found != wanted.digest:
            size = part.stat().st_size
            part.unlink()
            raise wrong_digest(wanted, found, size)

    def _from_file(self, wanted: RemoteInput, target: Path) -> None:
        source = Path(unquote(urlsplit(wanted.url).path))
        try:
            if not source.is_file():
                raise ProjectError(
                    f"{printable(wanted.url)} is not a file of this machine",
                    hint="correct `url` in repro.yml, or bring the file there",
                    slug="remote-file",
                )
            size = source.stat().st_size
            if size > wanted.most:
                raise ProjectError(
                    f"{printable(wanted.url)} has {human_size(size)}, and at most "
                    f"{human_size(wanted.most)} are allowed",
                    hint="set `max_size` of this input in repro.yml, such as 50GB",
                    slug="remote-size",
                )
            found = _copy(source, target)
        except OSError as error:
            raise ProjectError(
                f"{printable(wanted.url)} cannot be read: {error.strerror}", slug="remote-file"
            ) from None
        if found != wanted.digest:
            target.unlink(missing_ok=True)
            raise wrong_digest(wanted, found, size)

    @contextlib.contextmanager
    def _locked(self, digest: Digest) -> Iterator[Path]:
        """The part file of a digest, for one process at a time."""
        part = self._root / f"{digest.hex}.part"
        try:
            private_folder(self._root)
            while True:
                fd = os.open(part, _OPEN, 0o600)
                fcntl.flock(fd, fcntl.LOCK_EX)
                # Another process may have moved or removed the file while this one waited.
                with contextlib.suppress(FileNotFoundError):
                    if os.fstat(fd).st_ino == os.lstat(part).st_ino:
                        break
                os.close(fd)
        except OSError as error:
            raise StorageError(
                f"the cache {self._root} cannot be used: {error.strerror}", hint=_HINT
            ) from None
        try:
            yield part
        finally:
            with contextlib.suppress(OSError):
                if part.stat().st_size == 0:
                    part.unlink()
            os.close(fd)


def wrong_digest(wanted: RemoteInput, found: Digest, size: int) -> ProjectError:
    """The error for bytes that are not those declared."""
    return ProjectError(
        f"{printable(wanted.url)} is not the file that repro.yml names",
        hint="if the new file is the right one, write its sha256 into inputs.remote; else find "
        "the old one",
        details=[
            f"declared sha256 {wanted.digest.hex}",
            f"found    sha256 {found.hex} ({human_size(size)})",
        ],
        slug="remote-digest",
    )


def _copy(source: Path, target: Path) -> Digest:
    """Copy the bytes; the digest of what was written."""
    try:
        with source.open("rb") as read, target.open("xb") as write:

            def chunks() -> Iterator[bytes]:
                while chunk := read.read(1 << 20):
                    write.write(chunk)
                    yield chunk

            return Digest.of_stream(chunks())
    except BaseException:
        with contextlib.suppress(OSError):
            target.unlink()
        raise
