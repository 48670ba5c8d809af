"""A small OCI registry in a thread that can be told to misbehave (distribution-spec 1.1)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

Fault = Callable[["Handler"], bool]
"""Looks at a request before it is served; True when it has answered by itself."""


class State:
    """What the registry holds, what it was asked, and how it misbehaves."""

    def __init__(self) -> None:
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: dict[str, bytearray] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[Fault] = []
        self.knows_referrers = True
        self.ranges = True
        self.mounts = True
        self.page = 1000
        self.user: tuple[str, str] | None = None
        self.token = False
        self.tokens_given = 0
        self.refresh = "refresh-me"
        self.port = 0

    def times(self, start: str) -> int:
        return sum(line.startswith(start) for line in self.asked)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status: int, code: str, **headers: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
        self.reply(status, body, **headers)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _serve(self) -> None:
        state = self.state
        state.asked.append(f"{self.command} {self.path}")
        state.headers.append({k.lower(): v for k, v in self.headers.items()})
        for fault in list(state.faults):
            if fault(self):
                return
        parts = urlsplit(self.path)
        if parts.path == "/token":
            self._token(parts.query)
            return
        if not self._allowed():
            return
        match = re.fullmatch(r"/v2/(.+)/(blobs|manifests|tags|referrers)/(.*)", parts.path)
        if match is None:
            self.reply(200 if parts.path == "/v2/" else 404)
            return
        name, kind, rest = match.groups()
        if "/blobs/uploads" in parts.path:
            name, rest = parts.path[4:].split("/blobs/uploads/", 1)
            self._upload(name, rest, parse_qs(parts.query))
        else:
            getattr(self, f"_{kind}")(name, rest, parse_qs(parts.query))

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = _serve

    def _allowed(self) -> bool:
        state = self.state
        given = self.headers.get("Authorization", "")
        if state.user is None:
            return True
        if state.token:
            if given == f"Bearer t{state.tokens_given}":
                return True
            self.body()
            scope = "repository:x:pull"
            realm = f"http://127.0.0.1:{state.port}/token"
            self.error(
                401, "UNAUTHORIZED",
                WWW_Authenticate=f'Bearer realm="{realm}",service="here",scope="{scope}"',
            )  # fmt: skip
            return False
        if given == "Basic " + base64.b64encode(":".join(state.user).encode()).decode():
            return True
        self.body()
        self.error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="here"')
        return False

    def _token(self, query: str) -> None:
        state = self.state
        assert state.user is not None
        given = self.headers.get("Authorization", "")
        fields = parse_qs(self.body().decode())
        wanted = "Basic " + base64.b64encode(":".join(state.user).encode()).decode()
        if given != wanted and fields.get("refresh_token") != [state.refresh]:
            self.error(401, "UNAUTHORIZED")
            return
        state.tokens_given += 1
        self.reply(200, json.dumps({"token": f"t{state.tokens_given}", "expires_in": 300}).encode())

    def _blobs(self, name: str, digest: str, _: Any) -> None:
        data = self.state.blobs.get((name, digest))
        if data is None:
            self.error(404, "BLOB_UNKNOWN")
            return
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match and self.state.ranges:
            at = int(match.group(1))
            end = min(int(match.group(2) or len(data) - 1), len(data) - 1)
            part = data[at : end + 1]
            self.reply(206, part, Content_Range=f"bytes {at}-{end}/{len(data)}")
        else:
            self.reply(200, data)

    def _upload(self, name: str, session: str, query: dict[str, list[str]]) -> None:
        state = self.state
        if self.command == "POST":
            self.body()
            mount, source = query.get("mount"), query.get("from")
            if mount and source and state.mounts and (source[0], mount[0]) in state.blobs:
                state.blobs[(name, mount[0])] = state.blobs[(source[0], mount[0])]
                self.reply(201, Location=f"/v2/{name}/blobs/{mount[0]}")
                return
            session = uuid.uuid4().hex
            state.uploads[session] = bytearray()
            self.reply(202, Location=f"/v2/{name}/blobs/uploads/{session}?s=1", Range="0-0")
            return
        data = self.body()
        if session not in state.uploads:
            self.error(404, "BLOB_UPLOAD_UNKNOWN")
            return
        held = state.uploads[session]
        where = f"/v2/{name}/blobs/uploads/{session}?s={len(held)}"
        if self.command == "GET":
            self.reply(204, Location=where, Range=f"0-{max(len(held) - 1, 0)}")
        elif self.command == "PATCH":
            start = int(self.headers.get("Content-Range", "0-0").split("-")[0])
            if start != len(held):
                self.error(416, "BLOB_UPLOAD_INVALID", Location=where)
                return
            held += data
            self.reply(202, Location=where, Range=f"0-{len(held) - 1}")
        else:
            held += data
            digest = query["digest"][0]
            if f"sha256:{hashlib.sha256(held).hexdigest()}" != digest:
                self.error(400, "DIGEST_INVALID")
                return
            state.blobs[(name, digest)] = bytes(state.uploads.pop(session))
            self.reply(201, Location=f"/v2/{name}/blobs/{digest}")

    def _manifests(self, name: str, wanted: str, _: Any) -> None:
        state = self.state
        if self.command == "PUT":
            data = self.body()
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            kind = self.headers["Content-Type"]
            state.manifests[(name, wanted)] = state.manifests[(name, digest)] = (kind, data)
            subject = json.loads(data).get("subject")
            noted = {"OCI_Subject": subject["digest"]} if subject and state.knows_referrers else {}
            self.reply(201, Docker_Content_Digest=digest, **noted)
            return
        found = state.manifests.get((name, wanted))
        if found is None:
            self.error(404, "MANIFEST_UNKNOWN")
            return
        digest = f"sha256:{hashlib.sha256(found[1]).hexdigest()}"
        self.reply(200, found[1], Content_Type=found[0], Docker_Content_Digest=digest)

    def _tags(self, name: str, _: str, query: dict[str, list[str]]) -> None:
        tags = sorted(
            t for n, t in self.state.manifests if n == name and not t.startswith("sha256:")
        )
        last = query.get("last", [""])[0]
        rest = [tag for tag in tags if tag > last]
        page = rest[: self.state.page]
        more = {}
        if len(rest) > len(page):
            more = {"Link": f'</v2/{name}/tags/list?last={page[-1]}>; rel="next"'}
        self.reply(200, json.dumps({"name": name, "tags": page}).encode(), **more)

    def _referrers(self, name: str, digest: str, _: Any) -> None:
        if not self.state.knows_referrers:
            self.error(404, "NOT_FOUND")
            return
        found = []
        for (owner, key), (kind, data) in sorted(self.state.manifests.items()):
            document = json.loads(data)
            if owner == name and key.startswith("sha256:"):
                if (document.get("subject") or {}).get("digest") == digest:
                    found.append(
                        {
                            "mediaType": kind, "digest": key, "size": len(data),
                            "artifactType": document.get("artifactType"),
                        }
                    )  # fmt: skip
        index = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": found,
        }
        self.reply(200, json.dumps(index).encode(), Content_Type=index["mediaType"])  # type: ignore[arg-type]


@contextlib.contextmanager
def running() -> Iterator[State]:
    """A registry on a free port of 127.0.0.1."""
    state = State()
    handler = type("Own", (Handler,), {"state": state})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
