"""Fetch what a registry serves: bounded in size, checked by hash, kept in an unnamed file."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import urlsplit

import requests

from repro import __version__
from repro.errors import RemoteError, StorageError
from repro.pin.pip_settings import PipSettings, folder_of, is_local, shown
from repro.primitives.texts import human_size, printable

_PIECE = 1 << 18
_AGENT = f"repro/{__version__} (provenance; reproducibility of analyses)"
_MISSING = (404, 410)


class Unreachable(RemoteError):
    """The service did not answer, or answered that it cannot now."""

    slug = "network"
    temporary = True


class Fetcher:
    """Reads URLs with one set of settings. A host that did not answer is asked no more."""

    def __init__(self, settings: PipSettings) -> None:
        self._session = requests.Session()
        self._session.headers["User-Agent"] = _AGENT
        self._session.max_redirects = 5
        if settings.certificates:
            self._session.verify = settings.certificates
        if settings.proxy:
            self._session.proxies = {"http": settings.proxy, "https": settings.proxy}
        self._timeout = settings.timeout
        self._dead: set[str] = set()

    def text(self, url: str, accept: str, limit: int) -> tuple[bytes, str, str] | None:
        """Body, media type and the URL it came from in the end; None when there is none.

        Raises Unreachable, RemoteError on any other answer or more than ``limit`` bytes.
        """
        response = self._get(url, accept)
        if response is None:
            return None
        with response:
            body = b"".join(self._pieces(response, limit))
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            return body, kind, response.url

    def file(self, url: str, sha256: str | None, limit: int) -> BinaryIO:
        """A file's bytes, in an unnamed temporary file at its beginning.

        ``sha256`` None is for files of this machine only. Raises Unreachable, RemoteError
        (missing, too large, another hash), StorageError.
        """
        if is_local(url):
            return _checked(_local(url, limit), sha256, url)
        if sha256 is None:
            raise RemoteError(f"the index names no sha256 for {_name(url)}", slug="no-hash")
        response = self._get(url, "*/*")
        if response is None:
            raise RemoteError(f"{_name(url)} is not there, although it is listed")
        with response:
            return _checked(self._pieces(response, limit), sha256, url)

    def unproved(self, url: str, limit: int) -> BinaryIO | None:
        """A file of which no hash is known, as ``file`` gives it; None when it is not there.

        For who proves the bytes in another way. Raises Unreachable, RemoteError, StorageError.
        """
        response = self._get(url, "*/*")
        if response is None:
            return None
        with response:
            return _checked(self._pieces(response, limit), None, url)

    def _get(self, url: str, accept: str) -> requests.Response | None:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise RemoteError(f"{printable(shown(url), 100)} is no http address")
        if parts.netloc in self._dead:
            raise Unreachable(f"{parts.hostname} did not answer")
        try:
            # identity: what is counted and hashed is what was sent.
            response = self._session.get(
                url,
                headers={"Accept": accept, "Accept-Encoding": "identity"},
                stream=True,
                timeout=self._timeout,
            )
        except (requests.RequestException, ValueError) as error:
            self._dead.add(parts.netloc)
            raise Unreachable(
                f"{parts.hostname} does not answer: {type(error).__name__}",
                hint="check the network and pip's settings, or use --offline",
            ) from None
        if response.status_code in _MISSING:
            response.close()
            return None
        if response.status_code != 200:
            response.close()
            raise Unreachable(f"{parts.hostname} answers {response.status_code}")
        return response

    def _pieces(self, response: requests.Response, limit: int) -> Iterator[bytes]:
        total = 0
        try:
            for piece in response.iter_content(_PIECE):
                total += len(piece)
                if total > limit:
                    raise RemoteError(f"{_name(response.url)} is over {human_size(limit)}")
                yield piece
        except requests.RequestException as error:
            raise Unreachable(f"the download broke off: {type(error).__name__}") from None
        expected = response.headers.get("Content-Length", "")
        if expected.isdecimal() and "Content-Encoding" not in response.headers:
            if total < int(expected):
                raise Unreachable(f"{_name(response.url)} was cut off")


def _local(url: str, limit: int) -> Iterator[bytes]:
    try:
        with folder_of(url).open("rb") as stream:
            total = 0
            while piece := stream.read(_PIECE):
                total += len(piece)
                if total > limit:
                    raise RemoteError(f"{_name(url)} is over {human_size(limit)}")
                yield piece
    except OSError as error:
        raise RemoteError(f"{_name(url)} cannot be read: {error.strerror}") from None


def _checked(pieces: Iterator[bytes], sha256: str | None, url: str) -> BinaryIO:
    running = hashlib.sha256()
    spool = tempfile.TemporaryFile()
    try:
        for piece in pieces:
            running.update(piece)
            spool.write(piece)
        spool.seek(0)
    except OSError as error:
        spool.close()
        raise StorageError(f"no room for a download: {error.strerror}", hint="set TMPDIR") from None
    except BaseException:
        spool.close()
        raise
    if sha256 is not None and running.hexdigest() != sha256:
        spool.close()
        raise RemoteError(
            f"{_name(url)} does not have the hash that its index names",
            details=[f"expected sha256:{sha256}, found sha256:{running.hexdigest()}"],
            slug="download-digest",
        )
    return spool


def _name(url: str) -> str:
    return printable(urlsplit(url).path.rpartition("/")[2] or url, 100)
