"""From a command to the analysis, with a warm cache."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from dockerd import Docker
from ground import Ground
from measure import MARK, REPRO, Row, quiet, rounds, timed, until_it_runs


def starting(ground: Ground) -> Iterator[Row]:
    """With a warm cache: the whole command up to the analysis, and the sandbox alone."""
    project = ground.folder / "tiny"
    project.mkdir()
    archive = ground.folder / "tiny.repro"
    quiet([*REPRO, "snapshot", "-q", "-o", str(archive), "--", "sh", "-c",
           f"echo 1 > out; exec sleep {MARK}"], project, ground.env)  # fmt: skip
    docker = Docker(ground.folder)
    reason = docker.start(archive)
    note = "" if reason is None else f"docker: {reason}"
    try:
        yield _first_instruction(ground, archive, docker, reason is None, note)
        yield _sandbox(ground, archive, docker, reason is None, note)
        yield whole(ground)
    finally:
        docker.stop()


def _first_instruction(ground: Ground, archive: Path, docker: Docker, peer: bool, note: str) -> Row:
    """From the command to the analysis: process start, digests, report of the steps so far."""
    verify = [*REPRO, "verify", "-q", str(archive)]
    sides: dict[str, Callable[[], float]] = {}
    if peer:
        sides["docker run"] = lambda: until_it_runs(docker.argv(), dict(os.environ))
    sides["repro verify"] = lambda: until_it_runs(verify, ground.env)
    size = archive.stat().st_size // 1_000_000
    return Row(f"warm cache, from the command to the analysis ({size} MB)", "<= 0.5",
               rounds(max(ground.count, 5), sides), note)  # fmt: skip


def _sandbox(ground: Ground, archive: Path, docker: Docker, peer: bool, note: str) -> Row:
    """From the unpacked layers to the end of /bin/true: no start of Python, no digests."""
    code = (
        "import os, sys, time, tempfile\n"
        "from pathlib import Path\n"
        "from repro.model.ports import SandboxRequest\n"
        "from repro.runtime.choose import choose\n"
        "from repro.store.archive import Archive\n"
        "from repro.store.cache import Cache\n"
        "with Archive.open(Path(sys.argv[1])) as archive:\n"
        "    version = archive.version(None)\n"
        "    cache = Cache(Path(os.environ['REPRO_CACHE']))\n"
        "    layers = [str(p) for p in cache.layers(archive, version)]\n"
        "    with tempfile.TemporaryDirectory(dir=sys.argv[2]) as folder:\n"
        "        for name in ('upper', 'work'):\n"
        "            os.mkdir(f'{folder}/{name}')\n"
        "        start = time.perf_counter()\n"
        "        engine = choose(None)\n"
        "        engine.run(SandboxRequest(layers=layers, upper=f'{folder}/upper',\n"
        "            work=f'{folder}/work', argv=['/bin/true'], environment={}, cwd='/',\n"
        "            stdout=1, stderr=2))\n"
        "        print(time.perf_counter() - start)\n"
        "        os.chmod(f'{folder}/work/work', 0o700)\n"
    )

    def ours() -> float:
        return ground.seconds(code, str(archive), str(ground.folder))

    sides: dict[str, Callable[[], float]] = {}
    if peer:
        sides["docker run"] = lambda: timed(
            lambda: quiet(docker.argv("/bin/true"), ground.folder, dict(os.environ))
        )
    sides["repro"] = ours
    found = rounds(max(ground.count, 5), sides)
    return Row("the sandbox alone: choosing the engine, /bin/true sealed", "", found, note)


def whole(ground: Ground) -> Row:
    help_ = [*REPRO, "--help"]
    archive = str(ground.folder / "tiny.repro")
    return Row(
        "the command line: --help; inspect", "0.25 s; 0.3 s",
        rounds(
            max(ground.count, 5),
            {
                "python -c pass": lambda: timed(
                    lambda: quiet([sys.executable, "-c", "pass"], ground.folder, ground.env)
                ),
                "repro --help": lambda: timed(lambda: quiet(help_, ground.folder, ground.env)),
                "repro inspect": lambda: timed(
                    lambda: quiet([*REPRO, "inspect", archive], ground.folder, ground.env)
                ),
            },
        ),
    )  # fmt: skip
