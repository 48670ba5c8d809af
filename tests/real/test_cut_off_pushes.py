"""Pushes to Debian's docker-registry that are killed, and what others make of folded archives."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from real.test_docker_registry import serving
from real.test_readers import call, program
from unit.store.archive_sample import entries, file, make_archive
from unit.store.test_folding import add, changed, with_table

from repro.model.entry import LayerKind
from repro.remote import session, upload
from repro.remote.reference import Reference
from repro.store import folding
from repro.store.archive import Archive
from repro.workflows.export import ExportRequest, export
from repro.workflows.pull import pull
from repro.workflows.push import Pushed, push

pytestmark = pytest.mark.real
PIECE = 6 << 20


class _Dies:
    """A body whose process is killed when a part of it has been read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __len__(self) -> int:
        return len(self._data)

    def read(self, size: int = -1) -> bytes:
        if self._at > len(self._data) // 2:
            os.kill(os.getpid(), signal.SIGKILL)
        size = min(size if size > 0 else 1 << 16, 1 << 16)
        self._at += size
        return self._data[self._at - size : self._at]


def _push_and_die(archive: Path, place: Reference, environ: dict[str, str], where: str) -> None:
    sent = [0]
    real = session.Session.request

    def request(self: session.Session, method: str, *args: Any, **more: Any) -> Any:
        if method == "PATCH":
            sent[0] += 1
            if sent[0] == 4 and where == "between":
                os.kill(os.getpid(), signal.SIGKILL)
            if sent[0] == 4:
                data = more["body"]()
                more["body"] = lambda: _Dies(data)
        return real(self, method, *args, **more)

    session.Session.request = request  # type: ignore[method-assign]
    push(archive, None, place, environ, insecure=True)


@pytest.mark.parametrize("where", ["between", "inside"])
def test_a_killed_push_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setattr(upload, "PIECE", PIECE)
    big = file("/data/big.bin", os.urandom(32 << 20), LayerKind.DATA)
    archive = tmp_path / "big.repro"
    make_archive(archive, tmp_path / "work", files=[*entries(), big])
    environ = {"REPRO_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    (tmp_path / "registry").mkdir()
    with serving(tmp_path / "registry") as host:
        place = Reference.parse(f"oci://{host}/lab/big:v1")
        process = multiprocessing.get_context("fork").Process(
            target=_push_and_die, args=(archive, place, environ, where)
        )
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        done: Pushed = push(archive, None, place, environ, insecure=True)
        # A piece that broke off inside is why this registry throws the upload away (its state
        # names another offset): begun anew then, never taken for whole.
        assert done.resumed == (3 * PIECE if where == "between" else 0)
        assert done.resumed + done.bytes > 32 << 20
        got = pull(place, tmp_path / "back.repro", environ, insecure=True)
        assert got.digest == done.digest


def test_others_read_a_folded_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "LEAST", 100_000)
    path = tmp_path / "versions.repro"
    for number in (1, 2):
        add(path, tmp_path, f"v{number}", with_table(changed(number)))
    with Archive.open(path) as found:
        assert found.folded == {"v1"}
        configs = {each.tag: each.config_digest for each in found.versions}
    skopeo = program("skopeo")
    call(skopeo, "copy", f"oci-archive:{path}:v2", f"dir:{tmp_path}/two")
    call(skopeo, "copy", f"docker-archive:{path}", f"dir:{tmp_path}/docker")
    layout = tmp_path / "one"
    export(ExportRequest(archive=path, tag="v1", environ={}, oci_dir=layout))
    call(skopeo, "copy", f"oci:{layout}:v1", f"dir:{tmp_path}/v1")
    for folder, tag in (("two", "v2"), ("docker", "v2"), ("v1", "v1")):
        manifest = json.loads((tmp_path / folder / "manifest.json").read_text())
        if folder != "docker":  # it is written anew there
            assert manifest["config"]["digest"] == str(configs[tag])
    plain = tmp_path / "v1.tar"
    export(ExportRequest(archive=path, tag="v1", environ={}, docker=plain))
    call(skopeo, "copy", f"docker-archive:{plain}", f"dir:{tmp_path}/plain")
    with tempfile.TemporaryDirectory(prefix="r-", dir="/tmp") as short:
        podman = [
            program("podman"), "--root", f"{short}/root", "--runroot", f"{short}/run",
            "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs",
        ]  # fmt: skip
        info = subprocess.run([*podman, "info"], capture_output=True, text=True)
        if info.returncode != 0:
            pytest.skip(f"read by skopeo; podman cannot run here: {info.stderr.strip()}")
        loaded = call(*podman, "load", "-i", str(path))
        assert "v2" in loaded.stdout and "v1" not in loaded.stdout
