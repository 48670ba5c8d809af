"""An archive read by programs that know nothing of repro: tar, sha256sum, skopeo, podman, dockerd."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.real
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# What podman says where the machine's cgroups or resource limits, not the archive, are at fault.
MACHINE = ("cgroup", "setrlimit", "systemd")


def unavailable(reason: str) -> None:
    """Skip at home; in CI every reader must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str, *folders: str) -> str:
    """The path of a program; /usr/sbin may not be in an ordinary user's PATH."""
    path = os.pathsep.join([*folders, os.environ.get("PATH", os.defpath), "/usr/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        unavailable(f"{name} is not installed")
    assert found is not None
    return found


def call(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command's text; its stderr in the failure when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@dataclass(frozen=True)
class Packed:
    """The archive of examples/c-awk and what `repro inspect --json` says of it."""

    file: Path
    project: Path
    said: dict[str, Any]

    @property
    def digest(self) -> str:
        return str(self.said["archive"]["digest"])

    @property
    def outputs(self) -> dict[str, str]:
        return {entry["path"]: entry["sha256"] for entry in self.said["outputs"]}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    for name in ("make", "cc", "awk"):
        program(name)
    home = tmp_path_factory.mktemp("readers")
    project = home / "c-awk"
    shutil.copytree(EXAMPLES / "c-awk", project)
    file = home / "c-awk.repro"
    env = {**os.environ, "REPRO_CACHE": str(home / "cache")}
    repro = (sys.executable, "-m", "repro")
    call(*repro, "snapshot", "-q", "-C", str(project), "-o", str(file), env=env)
    said = json.loads(call(*repro, "inspect", "--json", str(file), env=env).stdout)
    assert set(said["outputs"][0]) >= {"path", "sha256"}
    assert len(said["outputs"]) == 3
    return Packed(file, project, said)


@pytest.fixture(scope="module")
def unpacked(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive unpacked by GNU tar."""
    folder = tmp_path_factory.mktemp("tar")
    call(program("tar"), "--warning=all", "-xf", str(packed.file), "-C", str(folder))
    return folder


def test_gnu_tar_and_sha256sum(packed: Packed, unpacked: Path) -> None:
    call("sha256sum", "-c", "--strict", "SHA256SUMS", cwd=unpacked)
    blobs = sorted((unpacked / "blobs" / "sha256").iterdir())
    assert len(blobs) > len(packed.said["layers"])
    listed = "".join(f"{blob.name}  {blob}\n" for blob in blobs)
    call("sha256sum", "-c", "--strict", "-", input=listed)
    outer = {"oci-layout", "index.json", "manifest.json", "README", "SHA256SUMS", "blobs"}
    assert {entry.name for entry in unpacked.iterdir()} == outer


def test_recorded_results_with_tar_and_jq(packed: Packed, unpacked: Path, tmp_path: Path) -> None:
    jq = program("jq")

    def blob(digest: str) -> str:
        return str(unpacked / "blobs" / digest.replace(":", "/"))

    kind = "application/vnd.repro.recording.v1+json"
    pick = f'.manifests[] | select(.artifactType == "{kind}") | .digest'
    manifest = call(jq, "-r", pick, str(unpacked / "index.json")).stdout.strip()
    layers = call(jq, "-r", '.layers[] | "\\(.mediaType) \\(.digest)"', blob(manifest)).stdout
    for media, digest in (line.split() for line in layers.splitlines()):
        if ".tar" in media:
            call("tar", "-xf", blob(digest), "-C", str(tmp_path))
    found = {
        str(path.relative_to(tmp_path)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert {path: sha for path, sha in found.items() if path in packed.outputs} == packed.outputs


def test_skopeo_sees_the_same_image(packed: Packed) -> None:
    skopeo = program("skopeo")
    image = f"oci-archive:{packed.file}:latest"
    seen = json.loads(call(skopeo, "inspect", image).stdout)
    assert seen["Layers"] == [layer["digest"] for layer in packed.said["layers"]]
    raw = call(skopeo, "inspect", "--config", "--raw", image).stdout
    assert "sha256:" + hashlib.sha256(raw.encode()).hexdigest() == packed.digest
    config = json.loads(raw)
    assert config["rootfs"]["diff_ids"] == [layer["diff_id"] for layer in packed.said["layers"]]
    old = call(skopeo, "inspect", "--config", "--raw", f"docker-archive:{packed.file}").stdout
    assert old == raw


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name: podman refuses a runroot of more than 50 characters."""
    folder = Path(tempfile.mkdtemp(prefix="repro-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_podman_loads_it(packed: Packed, short: Path, tmp_path: Path) -> None:
    store = [
        program("podman"), "--root", str(short / "root"), "--runroot", str(short / "run"),
        "--storage-driver", "vfs",
    ]  # fmt: skip
    info = subprocess.run([*store, "info"], capture_output=True, text=True, timeout=120)
    if info.returncode != 0:
        reason = f"podman cannot run here: {info.stderr.strip()}"
        if any(word in info.stderr for word in MACHINE):
            pytest.skip(reason)
        unavailable(reason)
    name = call(*store, "load", "-i", str(packed.file)).stdout.strip().rpartition(": ")[2]
    assert name.endswith("repro/c-awk:latest")
    image = json.loads(call(*store, "image", "inspect", name).stdout)[0]
    assert "sha256:" + image["Id"].removeprefix("sha256:") == packed.digest
    assert image["Config"]["WorkingDir"] == str(packed.project)
    ran = subprocess.run(
        [*store, "run", "--name", "rerun", "--network", "none", "--cgroups=disabled", name],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    try:
        if ran.returncode != 0 and any(word in ran.stderr for word in MACHINE):
            pytest.skip(f"loaded with the right id; `podman run` refused: {ran.stderr.strip()}")
        assert ran.returncode == 0, ran.stderr
        assert copied_out([*store, "cp"], "rerun", packed, tmp_path) == packed.outputs
    finally:
        subprocess.run([*store, "rm", "-f", "rerun"], capture_output=True, timeout=120)


def copied_out(copy: list[str], container: str, packed: Packed, folder: Path) -> dict[str, str]:
    """The outputs in a stopped container and their sha256, taken by the engine's own `cp`."""
    found = {}
    for number, path in enumerate(packed.outputs):
        target = folder / f"output-{number}"
        call(*copy, f"{container}:{packed.project / path}", str(target))
        found[path] = hashlib.sha256(target.read_bytes()).hexdigest()
    return found


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A dockerd of our own without any network, and the client's command line for it."""
    if os.geteuid() != 0:
        pytest.skip("dockerd needs root")
    # A client of docker 25 refuses to talk to the daemon of docker 20: take the distribution's.
    client, daemon = program("docker", "/usr/bin"), program("dockerd")
    home = tmp_path_factory.mktemp("docker")
    socket = Path(os.path.join("/run", f"repro-test-{os.getpid()}.sock"))  # at most 107 bytes
    log = (home / "log").open("wb")
    running = subprocess.Popen(
        [daemon, "--bridge=none", "--iptables=false", "--ip-forward=false",
         "--data-root", str(home / "data"), "--exec-root", str(home / "exec"),
         "-p", str(home / "pid"), "-H", f"unix://{socket}"],
        stdout=log, stderr=log,
    )  # fmt: skip
    try:
        command = [client, "-H", f"unix://{socket}"]
        if not answers(command, running):
            unavailable(f"dockerd does not start:\n{(home / 'log').read_text()[-2000:]}")
        yield command
    finally:
        running.terminate()
        running.wait(timeout=60)
        log.close()
        socket.unlink(missing_ok=True)
        shutil.rmtree(home / "data", ignore_errors=True)


def answers(command: list[str], running: subprocess.Popen[bytes]) -> bool:
    """Whether the daemon answers before a minute is over."""
    end = time.monotonic() + 60
    while time.monotonic() < end and running.poll() is None:
        if subprocess.run([*command, "version"], capture_output=True).returncode == 0:
            return True
        time.sleep(0.3)
    return False


def recipe(packed: Packed, folder: Path, docker: list[str]) -> str:
    """The commands for older docker as the archive's own README gives them."""
    text = (folder / "README").read_text()
    begin = text.index("mkdir x; tar xf FILE")
    end = text.index("| docker load", begin) + len("| docker load")
    lines = text[begin:end].replace("FILE", str(packed.file))
    return lines.replace("| docker load", "| " + " ".join([*docker, "load"]))


def test_dockerd_reruns_it_by_the_readme(
    packed: Packed, unpacked: Path, docker: list[str], tmp_path: Path
) -> None:
    program("zstd")
    script = recipe(packed, unpacked, docker)
    assert script.count("\n") == 2, script
    loaded = call("sh", "-c", script, cwd=tmp_path).stdout.strip()
    name = loaded.rpartition(": ")[2]
    assert name == "repro/c-awk:latest"
    image = json.loads(call(*docker, "image", "inspect", name).stdout)[0]
    assert image["Id"] == packed.digest
    diff_ids = [layer["diff_id"] for layer in packed.said["layers"]]
    assert image["RootFS"]["Layers"] == diff_ids

    call(*docker, "create", "--name", "before", "--network", "none", name)
    for path in packed.outputs:  # else the rerun below would prove nothing
        source = f"before:{packed.project / path}"
        copied = subprocess.run([*docker, "cp", source, str(tmp_path / "no")], capture_output=True)
        assert copied.returncode != 0
    call(*docker, "run", "--name", "rerun", "--network", "none", name)
    assert copied_out([*docker, "cp"], "rerun", packed, tmp_path) == packed.outputs
    changed = call(*docker, "diff", "rerun").stdout.splitlines()
    added = {line[2:] for line in changed if line.startswith("A ")}
    assert {str(packed.project / path) for path in packed.outputs} <= added
    assert all(path.startswith((str(packed.project), "/tmp")) for path in added)
