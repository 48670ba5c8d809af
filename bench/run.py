"""Measure repro beside its peers, in interleaved rounds, and print one Markdown table.

    python bench/run.py [--rounds N] [--write]

Ratios within one run are what counts: two shared cores give no stable seconds. Each line
says what is measured and what stands beside it; a peer that is absent is named.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPRO = [str(Path(sys.executable).with_name("repro"))]
"""The installed script, as a user starts it."""
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
MARK = f"0.2{os.getpid():09d}"
"""How long the analysis of the start-up rows sleeps: nobody else sleeps as long."""


@dataclass(frozen=True)
class Row:
    """One line of the table: medians in seconds, and their ratio to the first side."""

    what: str
    aim: str
    sides: dict[str, float | None]
    note: str = ""


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def quiet(argv: list[str], cwd: Path, env: dict[str, str]) -> None:
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SystemExit(f"{argv} ended with {done.returncode}:\n{done.stderr.decode()[-2000:]}")


def until_it_runs(argv: list[str], env: dict[str, str]) -> float:
    """Seconds until a program that sleeps for MARK seconds is seen running; then to its end.

    Seen from outside in /proc, in the same way for every side: at most some milliseconds late.
    """
    known = set(os.listdir("/proc"))
    started = time.perf_counter()
    running = subprocess.Popen(
        argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    seen = None
    while seen is None and running.poll() is None:
        for pid in filter(str.isdigit, set(os.listdir("/proc")) - known):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if words[:2] == [b"sleep", MARK.encode()]:
                    seen = time.perf_counter() - started
        time.sleep(0.001)
    said = running.communicate()[1]
    if seen is None or running.returncode != 0:
        raise SystemExit(f"{argv} ended with {running.returncode}:\n{said.decode()[-2000:]}")
    return seen


def rounds(count: int, sides: dict[str, Callable[[], float]]) -> dict[str, float | None]:
    """Medians over interleaved rounds; one round to warm up is not counted."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(count + 1):
        for name, call in sides.items():
            seconds = call()
            if number:
                found[name].append(seconds)
    return {name: statistics.median(values) for name, values in found.items()}


class Bench:
    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self.python = folder / "env/bin/python"
        self.env = {
            "PATH": f"{folder}/env/bin:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8",
            "REPRO_CACHE": str(folder / "cache"), "PYTHONPYCACHEPREFIX": str(folder / "pyc"),
            "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        self.reprozip = self._prepare()

    def _prepare(self) -> str | None:
        """The analyses' environment, and ReproZip in one of its own; why not, if not."""
        say("making the environment of the analyses")
        subprocess.run([sys.executable, "-m", "venv", self.folder / "env"], check=True)
        pip = [str(self.python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(ROOT / "examples/requirements.txt")], check=True)
        say("installing ReproZip")
        subprocess.run([sys.executable, "-m", "venv", self.folder / "rz"], check=True)
        done = subprocess.run(
            [self.folder / "rz/bin/pip", "install", "-q", "--disable-pip-version-check", "reprozip"],
            capture_output=True, text=True,
        )  # fmt: skip
        return None if done.returncode == 0 else done.stderr.strip().splitlines()[-1][:100]

    def rows(self, only: str | None) -> Iterator[Row]:
        groups: dict[str, Callable[[], Iterator[Row]]] = {
            "recording": self.recording, "packing": lambda: iter([self.packing()]),
            "again": self.again, "starting": self.starting,
        }  # fmt: skip
        for name, group in groups.items():
            if only in (None, name):
                yield from group()

    def recording(self) -> Iterator[Row]:
        book = self.folder / "book"
        shutil.copytree(ROOT / "examples/notebook", book)
        (book / ".repro").mkdir()
        shutil.copy(ROOT / "templates/notebook_runner.py", book / ".repro/notebook.py")
        notebook = [str(self.python), ".repro/notebook.py", "paper.ipynb"]
        yield self._recorded("recording a pandas/matplotlib notebook", "<= 1.08", book, notebook)
        storm = self.folder / "storm"
        storm.mkdir()
        script = (
            "i=0; while [ $i -lt 500 ]; do echo $i | /bin/cat > out; /bin/true; i=$((i+1)); done"
        )
        command = ["/bin/sh", "-c", script]
        yield self._recorded("recording 1,000 processes of a shell", "<= 1.8", storm, command)

    def _recorded(self, what: str, aim: str, cwd: Path, argv: list[str]) -> Row:
        sides: dict[str, Callable[[], float]] = {
            "bare": lambda: timed(lambda: quiet(argv, cwd, self.env)),
            "repro": lambda: self._record(cwd, argv),
        }
        note = ""
        if self.reprozip is None:
            trace = [str(self.folder / "rz/bin/reprozip"), "trace", "--overwrite",
                     "--dont-identify-packages", "-d", str(self.folder / "trace"), *argv]  # fmt: skip
            sides["reprozip trace"] = lambda: timed(lambda: quiet(trace, cwd, self.env))
        else:
            note = f"ReproZip: {self.reprozip}"
        return Row(what, aim, rounds(self.count, sides), note)

    def _record(self, cwd: Path, argv: list[str]) -> float:
        """Seconds of a recorded run: start of the recorder, overlay, and ledger included."""
        code = (
            "import json, os, sys, time, tempfile\n"
            "from repro.model.step import Step\n"
            "from repro.observe.recorder import RecordRequest, record\n"
            "argv, cwd, scratch = json.loads(sys.argv[1])\n"
            "start = time.perf_counter()\n"
            "seen = record(RecordRequest(root=cwd, steps=(Step(name='s', argv=tuple(argv)),),\n"
            "              environment=dict(os.environ), scratch=scratch))\n"
            "spent = time.perf_counter() - start\n"
            "assert seen.steps[-1].exit == 0 and seen.tracer == 'notify', seen\n"
            "print(spent)\n"
        )
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            done = subprocess.run(
                [sys.executable, "-c", code, json.dumps([argv, str(cwd), scratch])],
                env=self.env, cwd=cwd, capture_output=True, text=True, check=True,
            )  # fmt: skip
        return float(done.stdout)

    def packing(self) -> Row:
        tree = self.folder / "env/lib"
        code = (
            "import os, sys, time, tempfile\n"
            "from pathlib import Path\n"
            "from repro.image.build import build_layer\n"
            "from repro.image.plan import PlannedLayer\n"
            "from repro.model.entry import EntryType, FileEntry, LayerKind\n"
            "from repro.primitives.files import walk\n"
            "root = sys.argv[1]\n"
            "start = time.perf_counter()\n"
            "entries = tuple(FileEntry(path=f'/{p}', type=EntryType.FILE, kind=LayerKind.PACKAGES,\n"
            "    origin='x', source=f'{root}/{p}', size=s.st_size)\n"
            "    for p, s in walk(root) if (s.st_mode & 0o170000) == 0o100000)\n"
            "with tempfile.TemporaryDirectory(dir=sys.argv[2]) as blobs:\n"
            "    build_layer(PlannedLayer(kind=LayerKind.PACKAGES, name='all', entries=entries),\n"
            "                Path(blobs), clamp=1577836800)\n"
            "    print(time.perf_counter() - start)\n"
        )

        def ours() -> float:
            done = subprocess.run(
                [sys.executable, "-c", code, str(tree), str(self.folder)],
                env=self.env, capture_output=True, text=True, check=True,
            )  # fmt: skip
            return float(done.stdout)

        pipe = (
            f"tar cf - -C {tree} . | tee >(sha256sum >/dev/null) | zstd -q -3 | "
            f"tee {self.folder}/peer.zst | sha256sum >/dev/null; sync {self.folder}/peer.zst"
        )

        def peer() -> float:
            return timed(lambda: quiet(["bash", "-c", pipe], self.folder, dict(os.environ)))

        size = sum(p.stat().st_size for p in tree.rglob("*") if p.is_file() and not p.is_symlink())
        return Row(
            f"packing {size // 1_000_000} MB of packages into a layer", "<= 1.2",
            rounds(self.count, {"tar | sha256sum | zstd -3 | sha256sum": peer, "repro": ours}),
        )  # fmt: skip

    def again(self) -> Iterator[Row]:
        """A second snapshot after one changed line, and an archive unpacked into an empty cache."""
        project = self.folder / "again"
        project.mkdir()
        archive = self.folder / "again.repro"
        script = project / "work.py"
        command = [str(self.python), "work.py"]
        counter = iter(range(1 << 30))

        def bare() -> float:
            script.write_text(
                f"import matplotlib, numpy, pandas\nopen('out', 'w').write('{next(counter)}')\n"
            )
            return timed(lambda: quiet(command, project, self.env))

        def snapshot() -> float:
            bare()
            take = [*REPRO, "snapshot", "-q", "--no-self-test", "-o", str(archive), "--", *command]
            return timed(lambda: quiet(take, project, self.env))

        yield Row("a second snapshot after one changed line (no self-test)", "< 1 s beyond the run",
                  rounds(self.count, {"bare run": bare, "repro snapshot": snapshot}))  # fmt: skip
        blobs = self.folder / "again-blobs"
        quiet(["sh", "-c", f"mkdir {blobs} && tar xf {archive} -C {blobs}"], self.folder, self.env)
        listed = json.loads((blobs / "manifest.json").read_text())[0]["Layers"]
        files = " ".join(str(blobs / name) for name in listed)
        pipe = f"rm -rf plain && for f in {files}; do mkdir -p plain/x && zstd -dcq $f | tar xf - -C plain/x; done"
        code = (
            "import os, shutil, sys, time\n"
            "from pathlib import Path\n"
            "from repro.store.archive import Archive\n"
            "from repro.store.cache import Cache\n"
            "shutil.rmtree(sys.argv[2], ignore_errors=True)\n"
            "with Archive.open(Path(sys.argv[1])) as archive:\n"
            "    start = time.perf_counter()\n"
            "    Cache(Path(sys.argv[2])).layers(archive, archive.version(None))\n"
            "    print(time.perf_counter() - start)\n"
        )

        def ours() -> float:
            done = subprocess.run(
                [sys.executable, "-c", code, str(archive), str(self.folder / "cold")],
                env=self.env, capture_output=True, text=True, check=True,
            )  # fmt: skip
            return float(done.stdout)

        size = archive.stat().st_size // 1_000_000
        yield Row(
            f"an archive of {size} MB unpacked into an empty cache, every digest checked", "<= 1.3",
            rounds(self.count, {
                "zstd -d | tar x": lambda: timed(lambda: quiet(["bash", "-c", pipe], self.folder, self.env)),
                "repro": ours,
            }),
        )  # fmt: skip

    def starting(self) -> Iterator[Row]:
        """With a warm cache: the whole command up to the analysis, and the sandbox alone."""
        project = self.folder / "tiny"
        project.mkdir()
        archive = self.folder / "tiny.repro"
        quiet([*REPRO, "snapshot", "-q", "-o", str(archive), "--", "sh", "-c",
               f"echo 1 > out; exec sleep {MARK}"], project, self.env)  # fmt: skip
        docker = Docker(self.folder)
        reason = docker.start(archive)
        note = "" if reason is None else f"docker: {reason}"
        try:
            yield self._first_instruction(archive, docker, reason is None, note)
            yield self._sandbox(archive, docker, reason is None, note)
            yield self.whole()
        finally:
            docker.stop()

    def _first_instruction(self, archive: Path, docker: Docker, peer: bool, note: str) -> Row:
        """From the command to the analysis: process start, digests, report of the steps so far."""
        verify = [*REPRO, "verify", "-q", str(archive)]
        sides: dict[str, Callable[[], float]] = {}
        if peer:
            sides["docker run"] = lambda: until_it_runs(docker.argv(), dict(os.environ))
        sides["repro verify"] = lambda: until_it_runs(verify, self.env)
        size = archive.stat().st_size // 1_000_000
        return Row(f"warm cache, from the command to the analysis ({size} MB)", "<= 0.5",
                   rounds(max(self.count, 5), sides), note)  # fmt: skip

    def _sandbox(self, archive: Path, docker: Docker, peer: bool, note: str) -> Row:
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
            done = subprocess.run(
                [sys.executable, "-c", code, str(archive), str(self.folder)],
                env=self.env, capture_output=True, text=True, check=True,
            )  # fmt: skip
            return float(done.stdout)

        sides: dict[str, Callable[[], float]] = {}
        if peer:
            sides["docker run"] = lambda: timed(
                lambda: quiet(docker.argv("/bin/true"), self.folder, dict(os.environ))
            )
        sides["repro"] = ours
        found = rounds(max(self.count, 5), sides)
        return Row("the sandbox alone: choosing the engine, /bin/true sealed", "", found, note)

    def whole(self) -> Row:
        help_ = [*REPRO, "--help"]
        archive = str(self.folder / "tiny.repro")
        return Row(
            "the command line: --help; inspect", "0.25 s; 0.3 s",
            rounds(
                max(self.count, 5),
                {
                    "python -c pass": lambda: timed(
                        lambda: quiet([sys.executable, "-c", "pass"], self.folder, self.env)
                    ),
                    "repro --help": lambda: timed(lambda: quiet(help_, self.folder, self.env)),
                    "repro inspect": lambda: timed(
                        lambda: quiet([*REPRO, "inspect", archive], self.folder, self.env)
                    ),
                },
            ),
        )  # fmt: skip


class Docker:
    """Debian's docker engine without network rights, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "docker"
        self.daemon: subprocess.Popen[bytes] | None = None
        self.client: list[str] = []

    def start(self, archive: Path) -> str | None:
        """None when an image of the archive is loaded, else why not."""
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


def say(text: str) -> None:
    print(f".. {text}", file=sys.stderr, flush=True)


def table(rows: list[Row]) -> str:
    lines = ["| what | aim (ratio) | measured (median) | ratio to the first |", "|---|---|---|---|"]
    for row in rows:
        first = next(iter(row.sides.values()))
        shown = " · ".join(f"{name} {value:.3f} s" for name, value in row.sides.items() if value)
        ratios = " · ".join(
            f"{name} {value / first:.2f}"
            for name, value in list(row.sides.items())[1:]
            if value and first
        )
        note = f" ({row.note})" if row.note else ""
        cells = (row.what, row.aim, shown + note, ratios)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def merged(old: str, new: str) -> str:
    """The new table, and of the old one the rows that were not measured again."""
    lines = new.splitlines()
    names = {line.split("|")[1] for line in lines if line.startswith("|")}
    kept = [
        line
        for line in old.splitlines()
        if line.startswith("|") and line.split("|")[1] not in names
    ]
    end = max(number for number, line in enumerate(lines) if line.startswith("|")) + 1
    return "\n".join([*lines[:end], *kept, *lines[end:]])


def facts(count: int) -> str:
    return (
        f"Python {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} cores "
        f"shared, {count} rounds; written {time.strftime('%Y-%m-%d')}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="recording, packing, again or starting")
    parser.add_argument("--write", action="store_true", help="update bench/README.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="repro-bench-", dir="/var/tmp") as name:
        bench = Bench(Path(name), options.rounds)
        rows = []
        for row in bench.rows(options.only):
            say(row.what)
            rows.append(row)
    text = table(rows) + "\n\n" + facts(options.rounds)
    print(text)
    if options.write:
        path = ROOT / "bench/README.md"
        before, _, rest = path.read_text().partition(BEGIN)
        text = merged(rest.partition(END)[0], text)
        path.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
