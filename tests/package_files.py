"""Wheels, Debian packages and an index that serves them, made in the test."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import lzma
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import zstandard

JSON = "application/vnd.pypi.simple.v1+json"


def row(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def wheel_files(
    name: str, version: str, files: Mapping[str, bytes], *, tag: str = "py3-none-any"
) -> dict[str, bytes]:
    """The members of a wheel, RECORD included."""
    info = f"{name}-{version}.dist-info"
    found = dict(files)
    found[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nText\n".encode()
    )
    found[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nTag: {tag}\n".encode()
    record = "".join(row(path, data) for path, data in found.items()) + f"{info}/RECORD,,\n"
    found[f"{info}/RECORD"] = record.encode()
    return found


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tarred(files: Mapping[str, bytes | str]) -> bytes:
    """A tar as dpkg-deb writes it; text values are symlinks."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in files.items():
            item = tarfile.TarInfo(name)
            if isinstance(data, str):
                item.type, item.linkname = tarfile.SYMTYPE, data
                archive.addfile(item)
            else:
                item.size = len(data)
                archive.addfile(item, io.BytesIO(data))
    return out.getvalue()


def ar(members: Mapping[str, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, data in members.items():
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        out += head + data + b"\n" * (len(data) % 2)
    return out


_PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": lambda data: gzipped(data),
    ".xz": lzma.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


def gzipped(data: bytes) -> bytes:
    tool = zlib.compressobj(wbits=31)
    return tool.compress(data) + tool.flush()


def control(name: str, version: str = "1.0-1", architecture: str = "all") -> bytes:
    return (
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
        "Maintainer: Somebody <somebody@example.org>\nDescription: a test\n"
    ).encode()


def deb(
    files: Mapping[str, bytes | str],
    *,
    name: str = "tool",
    conffiles: str = "",
    suffix: str = ".xz",
) -> bytes:
    inside: dict[str, bytes | str] = {"./control": control(name)}
    if conffiles:
        inside["./conffiles"] = conffiles.encode()
    return ar(
        {
            "debian-binary": b"2.0\n",
            f"control.tar{suffix}": _PACK[suffix](tarred(inside)),
            f"data.tar{suffix}": _PACK[suffix](tarred(files)),
        }
    )


class Index:
    """A simple API at ``url``; ``files`` by name, ``status`` answers everything else with it.

    ``requests`` are the paths that were asked for.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.hashes: dict[str, str | None] = {}
        self.html = False
        self.status: int | None = None
        self.requests: list[str] = []
        self.url = ""
        self.prefix = "/files/"

    def add(self, filename: str, data: bytes, *, hashed: str | None = "") -> None:
        self.files[filename] = data
        self.hashes[filename] = sha256(data) if hashed == "" else hashed

    def answer(self, path: str) -> tuple[int, str, bytes]:
        self.requests.append(path)
        if self.status is not None:
            return self.status, "text/plain", b"no"
        if path.startswith("/simple/"):
            return self._page(path.split("/")[2])
        name = path.rpartition("/")[2]
        if name in self.files:
            return 200, "application/octet-stream", self.files[name]
        return 404, "text/plain", b"nothing"

    def _page(self, project: str) -> tuple[int, str, bytes]:
        names = [n for n in self.files if n.partition("-")[0].lower().replace("_", "-") == project]
        if not names:
            return 404, "text/plain", b"nothing"
        if self.html:
            links = "".join(
                f'<a href="../../files/{name}#sha256={self.hashes[name]}">{name}</a>\n'
                for name in names
            )
            return 200, "text/html", f"<html><body>{links}</body></html>".encode()
        listed: list[dict[str, Any]] = [
            {
                "filename": name,
                "url": f"../../files/{name}",
                "hashes": {"sha256": self.hashes[name]} if self.hashes[name] else {},
            }
            for name in names
        ]
        return 200, JSON, json.dumps({"files": listed, "name": project}).encode()


@contextmanager
def serving(index: Index) -> Iterator[Index]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = index.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_port}/simple"
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
