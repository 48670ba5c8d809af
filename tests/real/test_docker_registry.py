"""Push and pull with Debian's docker-registry: open, with passwords, with tokens."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from real.test_readers import call, program, unavailable
from unit.store.archive_sample import entries, file, make_archive

from repro.model.oci import Descriptor
from repro.primitives.aside import in_threads
from repro.primitives.digest import Digest
from repro.remote.registry import Registry
from repro.remote.session import Session

pytestmark = pytest.mark.real
USER, PASSWORD = "ada", "l0velace"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(folder: Path, auth: str = "") -> Iterator[str]:
    """The real server on a free port; its host and port."""
    server = program("docker-registry")
    port = free_port()
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: "
        f"{folder}/data}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n{auth}"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [server, "serve", str(folder / "config.yml")], stdout=log, stderr=log
        )
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        else:
            pytest.fail((folder / "log").read_text())
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


class Machine:
    """A user's home with repro."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            "PATH": "/usr/sbin:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8",
            "REPRO_CACHE": str(folder / "cache"),
        }  # fmt: skip
        make_archive(folder / "paper.repro", folder / "work")

    def login(self, host: str, password: str = PASSWORD) -> None:
        pair = base64.b64encode(f"{USER}:{password}".encode()).decode()
        (self.folder / ".docker").mkdir(exist_ok=True)
        (self.folder / ".docker/config.json").write_text(
            json.dumps({"auths": {host: {"auth": pair}}})
        )

    def repro(self, *words: str, status: int = 0) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "repro", *words, "--json", "--insecure"],
            env={**self.environ, "PYTHONPATH": os.getcwd()}, cwd=self.folder,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return dict(json.loads(done.stdout))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_there_and_back_and_read_by_others(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    with serving(tmp_path / "registry") as host:
        sent = machine.repro("push", "paper.repro", f"oci://{host}/lab/paper:v1")
        assert sent["blobs"]["sent"] > 5
        assert machine.repro("push", "paper.repro", f"oci://{host}/lab/paper:v1")["bytes"] == 0
        got = machine.repro("pull", f"oci://{host}/lab/paper:v1", "-o", "back.repro")
        assert got["archive"]["digest"] == sent["archive"]["digest"]
        mounted = machine.repro("copy", f"oci://{host}/lab/paper:v1", f"oci://{host}/x/y:v2")
        assert mounted["blobs"]["mounted"] > 5 and mounted["bytes"] == 0
        seen = machine.repro("ls", f"oci://{host}/x/y")
        assert [(each["tag"], each["repro"]) for each in seen["tags"]] == [("v2", True)]
        inspected = machine.repro("inspect", f"oci://{host}/x/y:v2")
        assert inspected["archive"]["digest"] == sent["archive"]["digest"]
        skopeo = program("skopeo")
        read = call(skopeo, "inspect", "--tls-verify=false", f"docker://{host}/lab/paper:v1")
        assert json.loads(read.stdout)["Digest"] == sent["archive"]["manifest"]
        call(
            skopeo, "copy", "--src-tls-verify=false", f"docker://{host}/lab/paper:v1",
            f"oci:{tmp_path}/layout:v1",
        )  # fmt: skip
        assert (tmp_path / "layout/index.json").exists()


def test_an_image_of_somebody_else_is_refused(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    with serving(tmp_path / "registry") as host:
        machine.repro("push", "paper.repro", f"oci://{host}/lab/paper:v1")
        skopeo = program("skopeo")
        call(
            skopeo, "copy", "--src-tls-verify=false", "--dest-tls-verify=false",
            f"docker://{host}/lab/paper:v1", f"docker://{host}/lab/bare:v1",
        )  # fmt: skip
        said = machine.repro("pull", f"oci://{host}/lab/bare:v1", status=4)
        assert "no recording" in said["error"]["message"]


def test_a_big_layer_in_pieces(machine: Machine, tmp_path: Path) -> None:
    big = file("/data/big.bin", os.urandom(40 << 20))
    make_archive(tmp_path / "big.repro", tmp_path / "work2", files=[*entries(), big])
    (tmp_path / "registry").mkdir()
    with serving(tmp_path / "registry") as host:
        sent = machine.repro("push", "big.repro", f"oci://{host}/lab/big:v1")
        assert sent["bytes"] > 40 << 20
        got = machine.repro("pull", f"oci://{host}/lab/big:v1", "-o", "back.repro")
        assert got["archive"]["digest"] == sent["archive"]["digest"]


def test_pushes_at_once_keep_each_others_artifacts(machine: Machine, tmp_path: Path) -> None:
    """docker-registry 2.8 has no referrers API and minds no condition."""
    subject = Digest.of(b"subject")
    (tmp_path / "registry").mkdir()
    with serving(tmp_path / "registry") as host:
        sent = machine.repro("push", "paper.repro", f"oci://{host}/lab/paper:v1")
        image = Digest.parse(sent["archive"]["manifest"])
        where = [
            Registry(Session(host, lambda: None, insecure=True), "lab/paper") for _ in range(6)
        ]
        # The server wants what an index names to be there.
        data = [where[0].manifest(str(each.digest)) for each in where[0].referrers(image)]
        named = [Descriptor(media_type=d.media_type, digest=d.digest, size=d.size) for _, d in data]
        ready = threading.Barrier(len(named))

        def one(at: int) -> None:
            ready.wait()
            where[at].add_referrers(subject, [named[at]])

        for _ in range(3):
            in_threads([partial(one, at) for at in range(len(named))], len(named))
            found = {each.digest for each in where[0].referrers(subject)}
            assert found == {each.digest for each in named} and len(named) > 2
            subject = Digest.of(str(subject).encode())


def test_passwords(machine: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    folder.mkdir()
    line = call(program("htpasswd"), "-Bbn", USER, PASSWORD).stdout
    (folder / "users").write_text(line)
    auth = f"auth: {{htpasswd: {{realm: here, path: {folder}/users}}}}\n"
    with serving(folder, auth) as host:
        said = machine.repro("push", "paper.repro", f"oci://{host}/lab/paper:v1", status=8)
        assert said["error"]["slug"] == "http-401"
        machine.login(host, "wrong")
        machine.repro("push", "paper.repro", f"oci://{host}/lab/paper:v1", status=8)
        machine.login(host)
        machine.repro("push", "paper.repro", f"oci://{host}/lab/paper:v1")
        machine.repro("pull", f"oci://{host}/lab/paper:v1", "-o", "back.repro")


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenServer:
    """The token endpoint of the distribution's specification, signing with openssl."""

    def __init__(self, folder: Path) -> None:
        self.key, self.certificate = folder / "key.pem", folder / "cert.pem"
        call(
            program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", "/CN=tokens", "-keyout", str(self.key), "-out", str(self.certificate),
        )  # fmt: skip
        self.asked: list[dict[str, list[str]]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                outer.asked.append(query)
                pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
                good = self.headers.get("Authorization") == f"Basic {pair}"
                body = json.dumps({"token": outer.token(query)} if good else {}).encode()
                self.send_response(200 if good else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self, query: dict[str, list[str]]) -> str:
        lines = self.certificate.read_text().split("-----")[2].split()
        now = int(time.time())
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        header = {"typ": "JWT", "alg": "RS256", "x5c": ["".join(lines)]}
        claims = {
            "iss": "issuer", "sub": USER, "aud": query["service"][0], "exp": now + 60,
            "nbf": now - 10, "iat": now, "jti": str(now), "access": access,
        }  # fmt: skip
        text = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
        signed = subprocess.run(
            [program("openssl"), "dgst", "-sha256", "-sign", str(self.key)],
            input=text.encode(), capture_output=True, check=True,
        )  # fmt: skip
        return f"{text}.{encoded(signed.stdout)}"


def test_tokens(machine: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    folder.mkdir()
    if shutil.which("openssl") is None:
        unavailable("openssl is not installed")
    tokens = TokenServer(folder)
    auth = (
        f"auth: {{token: {{realm: 'http://127.0.0.1:{tokens.port}/token', service: here, "
        f"issuer: issuer, rootcertbundle: {tokens.certificate}}}}}\n"
    )
    try:
        with serving(folder, auth) as host:
            machine.repro("push", "paper.repro", f"oci://{host}/lab/paper:v1", status=8)
            machine.login(host)
            sent = machine.repro("push", "paper.repro", f"oci://{host}/lab/paper:v1")
            mounted = machine.repro(
                "push", "paper.repro", f"oci://{host}/lab/two:v1", "--mount-from", "lab/paper"
            )
            assert mounted["blobs"]["mounted"] == sent["blobs"]["sent"]
            assert ["repository:lab/two:pull,push", "repository:lab/paper:pull"] in [
                query.get("scope") for query in tokens.asked
            ]
            got = machine.repro("pull", f"oci://{host}/lab/two:v1", "-o", "back.repro")
            assert got["archive"]["digest"] == sent["archive"]["digest"]
    finally:
        tokens.server.shutdown()
