"""Where measuring happens: a folder, an environment of packages, the peers installed."""

from __future__ import annotations

import subprocess
import sys
from functools import cached_property
from pathlib import Path

from measure import ROOT, say


class Ground:
    """Shared by all groups; ``count`` is the number of rounds. Only what a group needs is made."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self.env = {
            "PATH": f"{folder}/env/bin:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8",
            "REPRO_CACHE": str(folder / "cache"), "PYTHONPYCACHEPREFIX": str(folder / "pyc"),
            "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT),
        }  # fmt: skip

    @cached_property
    def python(self) -> Path:
        """The Python of the analyses' environment, made for the first group that asks."""
        say("making the environment of the analyses")
        subprocess.run([sys.executable, "-m", "venv", self.folder / "env"], check=True)
        python = self.folder / "env/bin/python"
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(ROOT / "examples/requirements.txt")], check=True)
        return python

    @cached_property
    def reprozip(self) -> str | None:
        """ReproZip in an environment of its own, made likewise; why not, if not."""
        say("installing ReproZip")
        subprocess.run([sys.executable, "-m", "venv", self.folder / "rz"], check=True)
        done = subprocess.run(
            [self.folder / "rz/bin/pip", "install", "-q", "--disable-pip-version-check", "reprozip"],
            capture_output=True, text=True,
        )  # fmt: skip
        return None if done.returncode == 0 else done.stderr.strip().splitlines()[-1][:100]

    def seconds(self, code: str, *words: str, cwd: Path | None = None) -> float:
        """What a program in repro's own Python prints: the seconds that it measured itself."""
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env=self.env, cwd=cwd, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return float(done.stdout)
