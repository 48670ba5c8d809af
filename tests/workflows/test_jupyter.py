"""`repro run --jupyter` and `repro container jupyter`, with a small server in the image."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from repro.model.recording import Claims
from repro.model.step import Step
from repro.workflows.jupyter import interpreters
from tests.workflows.lab import Lab, need_an_engine

SERVER = """
import os, socketserver, sys
from http.server import BaseHTTPRequestHandler
options = dict(word.split("=", 1) for word in sys.argv if "=" in word)
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        said = self.path.rpartition("token=")[2] == os.environ["JUPYTER_TOKEN"]
        self.send_response(200 if said else 403)
        self.end_headers()
        if said:
            folder = options["--ServerApp.root_dir"]
            open(folder + "/mine.txt", "w").write("kept")
            self.wfile.write(repr([folder, os.getcwd(), os.environ.get("MPLBACKEND")]).encode())
    def log_message(self, *words): pass
    def address_string(self): return "?"
print("a line for the log", flush=True)
socketserver.ThreadingUnixStreamServer(options["--ServerApp.sock"], Answer).serve_forever()
"""
FAILING = "import sys\nsys.exit('no such option')\n"
CODE = (
    "import runpy, sys, http.server, socketserver, importlib.util\n"
    "import jupyter_server\n"
    "open(jupyter_server.__path__[0] + '/__main__.py').read()\n"
    "open('out.txt', 'w').write('1')\n"
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, layer_cache: Path) -> Lab:
    """An archive with the server; nothing changes it."""
    need_an_engine()
    lab = Lab(tmp_path_factory.mktemp("desk"), layer_cache)
    with_server(lab, SERVER)
    return lab


def with_server(lab: Lab, server: str) -> None:
    lab.write("lib/jupyter_server/__init__.py", "")
    lab.write("lib/jupyter_server/__main__.py", server)
    lab.write("run.py", CODE)
    lab.write(
        "repro.yml",
        f"run: {os.path.realpath(sys.executable)} -B run.py\noutputs: [out.txt]\n"
        f"environment: {{variables: {{PYTHONPATH: {lab.project}/lib}}}}\n",
    )
    lab.snapshot()


@contextmanager
def serving(lab: Lab, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command while it serves, and the address that it printed."""
    running = subprocess.Popen(
        [sys.executable, "-m", "repro", *words], cwd=lab.project, env=lab.env, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        url = running.stdout.readline().strip()
        if not url:
            pytest.fail(running.communicate(timeout=20)[1])
        yield running, url
    finally:
        running.kill()
        running.communicate()


def got(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


def ended(running: subprocess.Popen[str], number: int = signal.SIGINT) -> str:
    running.send_signal(number)
    said = running.communicate(timeout=30)[1]
    assert running.returncode == 0, said
    return said


def closed(url: str) -> bool:
    host, port = url.split("/")[2].split(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError:
        return True
    return False


def test_served_from_the_sealed_image_and_kept(desk: Lab) -> None:
    kept = desk.folder / "kept"
    with serving(desk, "run", "--jupyter", str(desk.archive), "--out", str(kept)) as (running, url):
        assert re.fullmatch(r"http://127(\.\d+){3}:\d+/\?token=[0-9a-f]{48}", url)
        folder, cwd, backend = eval(got(url))  # our own server's list
        assert (folder, backend) == (str(desk.project), None)
        assert cwd.startswith("/dev/shm/")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            got(url.partition("?")[0])
        said = ended(running)
    assert closed(url)
    assert "Ctrl-C ends it" in said and "Existing Jupyter Server" in said
    # Not among the declared outputs, and kept all the same.
    assert (kept / "mine.txt").read_text() == "kept"


def test_a_container_keeps_it_in_its_layer(desk: Lab) -> None:
    desk.repro("container", "create", str(desk.archive), "--name", "desk")
    try:
        with serving(desk, "container", "jupyter", "desk") as (running, url):
            got(url)
            ended(running, signal.SIGTERM)
        assert closed(url)
        changed = desk.repro("container", "diff", "desk").stdout
        assert f"A {desk.project}/mine.txt" in changed and "shm" not in changed
    finally:
        desk.repro("container", "rm", "-f", "desk")


def test_killed_nothing_is_left(desk: Lab) -> None:
    with serving(desk, "run", "-q", "--jupyter", str(desk.archive)) as (running, url):
        got(url)
        running.kill()
        running.wait()
        deadline = time.monotonic() + 5
        mark = f"--ServerApp.root_dir={desk.project}"
        while time.monotonic() < deadline and mark in _commands():
            time.sleep(0.05)
        assert mark not in _commands() and closed(url)


def _commands() -> str:
    return subprocess.run(["ps", "-e", "-o", "args"], capture_output=True, text=True).stdout


def test_a_server_that_fails_shows_its_words(lab: Lab) -> None:
    with_server(lab, FAILING)
    said = lab.repro("run", "--jupyter", str(lab.archive), status=5).stderr
    assert "error[jupyter]" in said and "no such option" in said


def test_without_a_server_in_the_image_and_before_anything_runs(lab: Lab) -> None:
    lab.snapshot("--", "sh", "-c", "echo 1 > out")
    run = ("run", "--jupyter", str(lab.archive))
    said = lab.repro(*run, status=2).stderr
    assert "holds no Jupyter server" in said and "pip install jupyterlab" in said
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port} cannot be had" in lab.repro(*run, "--port", port, status=2).stderr
    assert "not an empty folder" in lab.repro(*run, "--out", str(lab.folder), status=2).stderr
    lab.repro(*run, "--shell", status=2)
    lab.repro("run", "--port", "8888", str(lab.archive), status=2)


def test_the_analysis_s_own_interpreter_comes_first() -> None:
    steps = [Step(name="a", argv=(name,)) for name in ("/v/bin/python3.12", "Rscript", "python")]
    claims = Claims(name="p", root="/p", steps=tuple(steps), environment={}, outputs=())
    assert interpreters(claims) == ("/v/bin/python3.12", "python", "python3")
