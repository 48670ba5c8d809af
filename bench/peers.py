"""Peers that write and carry environments: docker build, ReproZip, squashfs, a registry."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from dockerd import Docker
from ground import Ground
from measure import quiet, say, timed


def packed_files(archive: Path) -> list[str]:
    """Absolute paths of the plain files and links in an archive's layers, for peers to pack."""
    from repro.store.archive import Archive

    found: set[str] = set()
    with Archive.open(archive) as opened:
        version = opened.version(None)
        for layer in version.layers:
            for entry in opened.file_list(version, layer.diff_id):
                path = "/" + str(entry["path"])
                if not entry.get("folder") and os.path.lexists(path):
                    found.add(path)
    return sorted(found)


def tree_of(files: list[str], place: Path) -> Path:
    """The same files below ``place``, as hard links where the disk is the same."""
    listed = place.with_name(f"{place.name}.list")
    listed.write_text("".join(f"{path[1:]}\0" for path in files))
    place.mkdir()
    quiet(
        ["sh", "-c", f"tar c -C / --null -T {listed} | tar x -C {place}"], place, dict(os.environ)
    )
    return place


@contextlib.contextmanager
def engine(ground: Ground) -> Iterator[tuple[Docker | None, str]]:
    """A running docker engine without images, or None and why not."""
    docker = Docker(ground.folder)
    reason = docker.begin()
    try:
        yield (None if reason else docker), (f"docker: {reason}" if reason else "")
    finally:
        docker.stop()


def docker_build(docker: Docker, tree: Path) -> None:
    """An image of the tree, nothing taken from a cache."""
    recipe = tree.parent / "Dockerfile"
    recipe.write_text("FROM scratch\nCOPY . /\n")
    quiet(
        [*docker.client, "build", "-q", "--no-cache", "-t", "peer", "-f", str(recipe), str(tree)],
        tree, {**os.environ, "DOCKER_BUILDKIT": "0"},
    )  # fmt: skip


class ReproZip:
    """A trace of one command; ``reason`` says why there is none."""

    def __init__(self, ground: Ground, cwd: Path, argv: list[str]) -> None:
        self.ground, self.reason = ground, ground.reprozip
        self.trace = ground.folder / f"trace-{cwd.name}"
        self.program = str(ground.folder / "rz/bin/reprozip")
        if self.reason is None:
            say("tracing with ReproZip")
            command = [self.program, "trace", "--overwrite", "--dont-identify-packages"]
            quiet([*command, "-d", str(self.trace), *argv], cwd, ground.env)

    def pack(self, target: Path) -> float:
        """Seconds to pack what was traced."""
        target.unlink(missing_ok=True)
        command = [self.program, "pack", "-d", str(self.trace), str(target)]
        return timed(lambda: quiet(command, self.ground.folder, self.ground.env))


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[str | None]:
    """Debian's docker-registry on a free port: ``host:port``, or None when it is not there."""
    server = shutil.which("docker-registry", path=f"{os.environ['PATH']}:/usr/sbin:/usr/bin")
    if server is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder.mkdir()
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: "
        f"{folder}/data}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
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
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def compressed_19(docker: Docker, target: Path) -> float:
    """Megabytes of ``docker save | zstd -19``."""
    script = f"{' '.join(docker.client)} save peer | zstd -q -19 -T0 -o {target} -f"
    quiet(["sh", "-c", script], target.parent, dict(os.environ))
    return target.stat().st_size / 1e6


def squashed(tree: Path, target: Path, *words: str) -> float | None:
    """Megabytes of a squashfs image; None without mksquashfs."""
    program = shutil.which("mksquashfs", path=f"{os.environ['PATH']}:/usr/sbin:/usr/bin")
    if program is None:
        return None
    command = [program, str(tree), str(target), "-noappend", "-quiet", "-no-progress", *words]
    quiet(command, tree, dict(os.environ))
    return target.stat().st_size / 1e6


def layers_size(archive: Path) -> float:
    """Plain megabytes of an archive's layers."""
    from repro.store.archive import Archive

    with Archive.open(archive) as opened:
        return sum(layer.uncompressed_size for layer in opened.version(None).layers) / 1e6
