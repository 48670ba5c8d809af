"""A peer: Debian's docker engine."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path


class Docker:
    """Debian's docker engine without network rights, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "docker"
        self.daemon: subprocess.Popen[bytes] | None = None
        self.client: list[str] = []

    def start(self, archive: Path) -> str | None:
        """None when an image of the archive is loaded, else why not."""
        return self.begin() or self._load(archive)

    def begin(self) -> str | None:
        """None when the engine runs, else why not."""
        program = "/usr/sbin/dockerd"
        if os.getuid() != 0 or not os.path.exists(program):
            return "needs root and Debian's docker.io"
        self.folder.mkdir()
        sock = self.folder / "sock"
        self.client = ["/usr/bin/docker", "-H", f"unix://{sock}"]
        with (self.folder / "log").open("wb") as log:
            self.daemon = subprocess.Popen(
                [program, "--bridge=none", "--iptables=false", "--ip-forward=false",
                 "--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec"),
                 "-p", str(self.folder / "pid"), "-H", f"unix://{sock}"],
                stdout=log, stderr=log,
            )  # fmt: skip
        for _ in range(100):
            if subprocess.run([*self.client, "info"], capture_output=True).returncode == 0:
                break
            time.sleep(0.2)
        else:
            return "the engine did not start"
        return None

    def _load(self, archive: Path) -> str | None:
        script = (
            f"mkdir x && tar xf {archive} -C x && for f in x/blobs/sha256/*; do "
            "zstd -dfq $f -o $f.t 2>/dev/null && mv $f.t $f; done; tar c -C x . | "
            f"{' '.join(self.client)} load"
        )
        done = subprocess.run(["sh", "-c", script], cwd=self.folder, capture_output=True, text=True)
        if done.returncode != 0 or "Loaded image" not in done.stdout:
            return f"docker load failed: {done.stderr[-100:]}"
        self.image = done.stdout.split("Loaded image:", 1)[1].split()[0]
        return None

    def argv(self, *command: str) -> list[str]:
        """The image's recorded command, or another."""
        return [*self.client, "run", "--rm", "--network", "none", self.image, *command]

    def stop(self) -> None:
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait(30)
