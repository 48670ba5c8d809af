"""Download one file by HTTP into a file, going on where a broken connection stopped (RFC 9110)."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from repro import __version__
from repro.errors import ProjectError, RemoteError, StorageError
from repro.primitives.texts import human_size, printable

if TYPE_CHECKING:
    import requests

AGENT = f"repro/{__version__}"
"""Sent as User-Agent: some data services answer 403 to a library's own name."""

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there, and all of them where that is known."""

_CHUNK = 1 << 18
_TIMEOUT = (15.0, 60.0)
_TRIES = 4
_LONGEST_PAUSE = 60.0
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_MARGIN = 64 << 20


class TemporaryError(RemoteError):
    """The service or the connection failed in a way that may pass, after ``pause`` seconds
    where the service says so."""

    temporary = True
    pause: float | None = None


def download(
    url: str,
    part: Path,
    *,
    most: int,
    progress: Progress,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Bring ``url`` into ``part``; bytes that are there already are kept where the server allows.

    Whether the bytes are the right ones is the caller's to check: those of an earlier
    attempt are taken as they are. Tries again, with pauses, what may pass. Raises
    RemoteError (the service), ProjectError (more than ``most`` bytes), StorageError (disk).
    ``part`` stays as it is then, for the next attempt.
    """
    import requests

    with requests.Session() as session:
        session.headers.update({"User-Agent": AGENT, "Accept-Encoding": "identity"})
        failures = 0
        while True:
            before = _size(part)
            try:
                _attempt(session, url, part, most, progress)
                return
            except TemporaryError as error:
                # What brought something is no failure in a row.
                failures = 1 if _size(part) > before else failures + 1
                if failures >= _TRIES:
                    raise
                pause = 2.0 ** (failures - 1) if error.pause is None else error.pause
                sleep(min(pause, _LONGEST_PAUSE))


def _attempt(
    session: requests.Session, url: str, part: Path, most: int, progress: Progress
) -> None:
    start = _size(part)
    if start > most:
        raise _too_large(url, start, most)
    headers = {"Range": f"bytes={start}-"} if start else {}
    with _asked(session, url, headers) as answer:
        if answer.status_code == 416 and start:
            if _total_of(answer) == start:
                return
            # What is there is longer than the file: not a beginning of it.
            part.unlink()
            raise _temporary(url, "the file there is shorter than what was downloaded before")
        if answer.status_code not in (200, 206):
            raise _refused(url, answer)
        begin = start if answer.status_code == 206 else 0
        if answer.status_code == 206 and not _continues(answer, start):
            part.unlink()
            raise _temporary(url, "the server went on at another place than asked")
        _receive(answer, url, part, begin, most, progress)


def _receive(
    answer: requests.Response, url: str, part: Path, begin: int, most: int, progress: Progress
) -> None:
    length = _whole(answer.headers.get("Content-Length"))
    total = None if length is None else begin + length
    if total is not None and total > most:
        raise _too_large(url, total, most)
    if length is not None and shutil.disk_usage(part.parent).free < length + _MARGIN:
        raise StorageError(
            f"{printable(url)} has {human_size(length)}, more than is free in {part.parent}",
            hint="free some space, or set REPRO_CACHE to another disk",
        )
    with _opened(part, begin) as stream:
        there = begin
        for chunk in _chunks(answer, url):
            there += len(chunk)
            if there > most:
                raise _too_large(url, there, most)
            stream.write(chunk)
            progress(there, total)
    if total is not None and there < total:
        raise _temporary(url, f"the connection ended after {there} of {total} bytes")


@contextlib.contextmanager
def _opened(part: Path, begin: int) -> Iterator[BinaryIO]:
    try:
        with part.open("r+b" if begin else "wb") as stream:
            stream.truncate(begin)
            stream.seek(begin)
            yield stream
    except OSError as error:
        raise StorageError(
            f"{part} cannot be written: {error.strerror}",
            hint="free some space, or set REPRO_CACHE to another disk",
        ) from None


@contextlib.contextmanager
def _asked(
    session: requests.Session, url: str, headers: dict[str, str]
) -> Iterator[requests.Response]:
    import requests

    try:
        answer = session.get(url, headers=headers, stream=True, timeout=_TIMEOUT)
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
        requests.exceptions.TooManyRedirects,
        requests.exceptions.SSLError,
    ) as error:
        raise RemoteError(f"{printable(url)}: {printable(str(error), 300)}") from None
    except requests.exceptions.RequestException as error:
        raise _temporary(url, _reason(error)) from None
    with answer:
        yield answer


def _chunks(answer: requests.Response, url: str) -> Iterator[bytes]:
    """The body as it was sent. A broken connection is a TemporaryError."""
    import urllib3

    while True:
        try:
            chunk: bytes = answer.raw.read(_CHUNK, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _temporary(url, f"the connection broke ({_reason(error)})") from None
        if not chunk:
            return
        yield chunk


def _refused(url: str, answer: requests.Response) -> RemoteError:
    said = f"the server answers {answer.status_code} {printable(answer.reason or '', 60)}".rstrip()
    if answer.status_code in _AGAIN:
        error = _temporary(url, said)
        pause = _whole(answer.headers.get("Retry-After"))
        if pause is not None:
            error.pause = float(pause)
        return error
    return RemoteError(f"{printable(url)}: {said}", hint="is the address still right, and public?")


def _temporary(url: str, said: str) -> TemporaryError:
    return TemporaryError(f"{printable(url)}: {said}", hint="try again later: what arrived is kept")


def _too_large(url: str, size: int, most: int) -> ProjectError:
    return ProjectError(
        f"{printable(url)} has {human_size(size)} or more, and at most {human_size(most)} are allowed",
        hint="set `max_size` of this input in repro.yml, such as 50GB",
        slug="remote-size",
    )


def _reason(error: BaseException) -> str:
    """The innermost cause, in few words."""
    seen: BaseException = error
    for _ in range(10):
        inner = getattr(seen, "reason", None) or next(
            (arg for arg in seen.args if isinstance(arg, BaseException)), None
        )
        if not isinstance(inner, BaseException):
            break
        seen = inner
    text = re.sub(r"<[^>]*object at 0x[0-9a-f]+>:? ?", "", str(seen))
    return printable(text or type(seen).__name__, 200)


def _continues(answer: requests.Response, start: int) -> bool:
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return found is not None and int(found[1]) == start


def _total_of(answer: requests.Response) -> int | None:
    found = re.fullmatch(r"bytes \*/(\d+)", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\d{1,15}", text) else None


def _size(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0


def host_of(url: str) -> str:
    """The host of a URL, for people."""
    return printable(urlsplit(url).hostname or urlsplit(url).scheme, 80)
