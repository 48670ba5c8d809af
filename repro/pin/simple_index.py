"""A package index as pip reads it: the simple API in JSON (PEP 691) or HTML (PEP 503)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from packaging.utils import canonicalize_name

from repro.errors import RemoteError
from repro.pin.download import Fetcher
from repro.pin.pip_settings import PipSettings, folder_of, is_local
from repro.primitives.frozen import frozen

_JSON = "application/vnd.pypi.simple.v1+json"
_ACCEPT = f"{_JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_PAGE_LIMIT = 64 << 20
_HEX = re.compile(r"[0-9a-f]{64}")


@frozen
class IndexFile:
    """A file of an index: ``sha256`` in hexadecimal where the index says it; ``index`` is whose."""

    filename: str
    url: str
    index: str
    sha256: str | None = None


def index_files(
    settings: PipSettings, fetcher: Fetcher, name: str
) -> tuple[list[IndexFile], RemoteError | None]:
    """What all of pip's places offer for a distribution, in the order of pip.

    Also the first error of a place that could not be asked: what is not found may be there.
    """
    found: list[IndexFile] = []
    failed: RemoteError | None = None
    project = canonicalize_name(name)
    for root in settings.indexes:
        try:
            found += _of_index(root, project, fetcher)
        except RemoteError as error:
            failed = failed or error
    for place in settings.links:
        if is_local(place):
            found += _of_folder(place, project)
    return found, failed


def _of_index(root: str, project: str, fetcher: Fetcher) -> Iterator[IndexFile]:
    if is_local(root):
        page = folder_of(f"{root.rstrip('/')}/{project}") / "index.html"
        if page.is_file():
            if page.stat().st_size > _PAGE_LIMIT:
                raise RemoteError("a page of a local index is too large")
            yield from _of_html(page.read_bytes(), page.resolve().as_uri(), root, local=True)
        return
    answer = fetcher.text(f"{root}/{project}/", _ACCEPT, _PAGE_LIMIT)
    if answer is None:
        return
    body, kind, url = answer
    if kind == _JSON or kind.endswith("json"):
        yield from _of_json(body, url, root)
    else:
        yield from _of_html(body, url, root, local=False)


def _of_folder(place: str, project: str) -> Iterator[IndexFile]:
    folder = folder_of(place)
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.endswith(".whl") and canonicalize_name(path.name.partition("-")[0]) == project:
            yield IndexFile(filename=path.name, url=path.resolve().as_uri(), index=place)


def _of_json(body: bytes, url: str, root: str) -> Iterator[IndexFile]:
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise RemoteError("the index's answer is no JSON", slug="index") from None
    files = document.get("files") if isinstance(document, dict) else None
    for item in files if isinstance(files, list) else []:
        if not isinstance(item, dict) or not isinstance(item.get("filename"), str):
            continue
        hashes = item.get("hashes")
        sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
        target = item.get("url")
        if isinstance(target, str) and not is_local(joined := _joined(url, target)):
            yield IndexFile(
                filename=item["filename"],
                url=joined,
                index=root,
                sha256=_hexadecimal(sha256),
            )


class _Links(HTMLParser):
    """The targets of all anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def _of_html(body: bytes, url: str, root: str, *, local: bool) -> Iterator[IndexFile]:
    parser = _Links()
    try:
        parser.feed(body.decode("utf-8", "replace"))
    except (AssertionError, ValueError):
        raise RemoteError("the index's answer is no HTML", slug="index") from None
    for link in parser.found:
        target, fragment = urldefrag(_joined(url, link))
        if is_local(target) and not local:
            continue  # a page from elsewhere does not choose files of this machine
        algorithm, _, value = fragment.partition("=")
        yield IndexFile(
            filename=unquote(target.rpartition("/")[2]),
            url=target,
            index=root,
            sha256=_hexadecimal(value) if algorithm == "sha256" else None,
        )


def _joined(base: str, link: str) -> str:
    """An address on a page, absolute; empty (which is no address) when it is none."""
    try:
        return urljoin(base, link)
    except ValueError:
        return ""


def _hexadecimal(value: object) -> str | None:
    return value if isinstance(value, str) and _HEX.fullmatch(value) else None
