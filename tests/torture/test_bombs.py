"""P7, P8, P9, P22, P27, P30: bombs at the real limits, growth, configs that steer, inert output."""

from __future__ import annotations

import html.parser
import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from repro.errors import ArchiveError
from repro.image.unpack import unpack_layer
from repro.model.oci import LAYER_GZIP, LAYER_PLAIN, LAYER_ZSTD
from repro.primitives.digest import Digest
from repro.primitives.files import remove_tree
from repro.primitives.tarformat import END, Header, render
from repro.primitives.tarread import Limits
from tests.hostile.cases_json import LISTS, LONG, WIDE
from tests.hostile.cases_recording import sealed
from tests.hostile.parts import USIZE, Change, Parts, claims, layer, replace, set_key
from tests.hostile.tarbits import link, member
from tests.torture.test_store import clear_line, repro
from tests.workflows.lab import Lab

pytestmark = pytest.mark.torture
Figure = Callable[[str], None]
MEMORY = 512 << 20


def zeros(size: int) -> Iterator[bytes]:
    yield render(Header(b"zeros", size=size))
    for _ in range(size >> 20):
        yield bytes(1 << 20)
    yield END


def packed(size: int, gz: bool) -> bytes:
    if gz:
        out = bytearray()
        tool = zlib.compressobj(9, wbits=31)
        for piece in zeros(size):
            out += tool.compress(piece)
        return bytes(out + tool.flush())
    tool = zstandard.ZstdCompressor(level=3).compressobj()
    return b"".join([*(tool.compress(piece) for piece in zeros(size)), tool.flush()])


def bombs() -> dict[str, Change]:
    three = 3 << 30

    def raw(data: bytes, media: str, claimed: int) -> Change:
        # The diff_id is wrong as well: what counts is where it stops.
        return layer(b"x", lambda _: data, media, number=-1, size=claimed)

    big_zstd, big_gzip = packed(three, False), packed(256 << 20, True)
    return {
        "zstd bomb that says its size": raw(big_zstd, LAYER_ZSTD, three + 1536),
        "zstd bomb that says little": raw(big_zstd, LAYER_ZSTD, 4096),
        "zstd bomb just below what may be said": raw(big_zstd, LAYER_ZSTD, 1 << 30),
        "gzip bomb that says little": raw(big_gzip, LAYER_GZIP, 4096),
        "a claim of 100 GB": lambda p: p.edit(
            p.image, set_key("layers", 0, "annotations", USIZE, to=str(100 << 30))
        ),
        "manifest of 64 MB": lambda p: p.edit(
            p.image, set_key("annotations", to={"x": "y" * (64 << 20)})
        ),
        "a million objects": replace(claims, WIDE),
        "millions of numbers": replace(claims, LONG),
        "200,000 lists in lists": replace(claims, LISTS),
        "an output of half a terabyte": sealed("outputs", 0, "size", to=1 << 39),
    }


def measured(lab: Lab, path: Path, cache: Path) -> tuple[int, int, float, str, int]:
    """Exit, peak bytes, seconds, the line, bytes left on disk of a verify."""
    program = (
        "import resource,subprocess,sys\n"
        "done=subprocess.run(sys.argv[1:],capture_output=True,text=True)\n"
        "sys.stderr.write(done.stderr)\n"
        "print(done.returncode,resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, sys.executable, "-m", "repro", "verify", "-q", path],
        env={**lab.env, "REPRO_CACHE": str(cache)}, capture_output=True, text=True, timeout=120,
        cwd=lab.project,
    )  # fmt: skip
    took = time.monotonic() - started
    code, peak = map(int, done.stdout.split())
    used = subprocess.run(["du", "-s", "-B1", cache], capture_output=True, text=True).stdout
    return code, peak << 10, took, clear_line(done), int(used.split()[0]) if used else 0


def test_bombs(shell_lab: Lab, tmp_path: Path, figure: Figure) -> None:
    for name, change in bombs().items():
        parts = Parts(shell_lab.archive)
        change(parts)
        path = tmp_path / "bad.repro"
        parts.write(path)
        code, peak, took, line, left = measured(shell_lab, path, tmp_path / "cache")
        figure(f"P8  {name}: exit {code}, peak {peak >> 20} MB, {took:.1f} s, "
               f"{left >> 20} MB left in the cache: {line[:90]}")  # fmt: skip
        assert code in (3, 4) and len(line) <= 200
        assert peak < MEMORY and took < 60
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def test_time_grows_with_entries_no_faster(tmp_path: Path, rounds: int, figure: Figure) -> None:
    counts = [1_000, 10_000, 100_000]
    times = []
    for count in counts:
        raw = b"".join(member(b"d%d/f%d" % (n // 100, n)) for n in range(count)) + END
        times.append(unpacked_in(raw, tmp_path / str(count)))
    power = math.log(times[-1] / times[0]) / math.log(counts[-1] / counts[0])
    figure("P9  entries " + ", ".join(f"{c}: {t:.2f} s" for c, t in zip(counts, times, strict=True))
           + f"; growth n^{power:.2f}")  # fmt: skip
    assert power < 1.2


def test_time_grows_with_depth_and_links_no_faster(tmp_path: Path, figure: Figure) -> None:
    depths = {}
    for depth in (10, 100, 250):
        deep = b"".join(member(b"/".join([b"d%d" % n] + [b"d"] * depth) + b"/f") for n in range(40))
        depths[depth] = unpacked_in(deep + END, tmp_path / f"deep{depth}")
    many = member(b"f") + b"".join(link(b"l%d" % n, b"f", b"1") for n in range(60_000)) + END
    linked = unpacked_in(many, tmp_path / "links")
    with pytest.raises(ArchiveError):
        too_deep = member(b"/".join([b"d"] * 1900) + b"/f")
        unpacked_in(too_deep + END, tmp_path / "too-deep")
    more = member(b"f") + b"".join(link(b"l%d" % n, b"f", b"1") for n in range(70_000)) + END
    try:
        unpacked_in(more, tmp_path / "more")
        told = "unpacked"
    except ArchiveError as error:
        told = error.message
    power = math.log(depths[250] / depths[10]) / math.log(25)
    figure("P9  depth " + ", ".join(f"{d}: {t:.3f} s" for d, t in depths.items())
           + f" (n^{power:.2f}), 1900 refused; 60,000 links {linked:.1f} s; 70,000: {told}")  # fmt: skip
    assert power < 1.2


def unpacked_in(raw: bytes, folder: Path) -> float:
    """Seconds of the processor to unpack a tar; all of it is removed again."""
    folder.mkdir()
    started = time.process_time()
    try:
        unpack_layer(io.BytesIO(raw), LAYER_PLAIN, folder, Digest.of(raw), limits=Limits())
        return time.process_time() - started
    finally:
        remove_tree(folder)
        assert not folder.exists()


STEERING = {
    "LD_PRELOAD": "/repro-evil.so", "LD_LIBRARY_PATH": "/repro-evil", "LD_AUDIT": "/repro-evil.so",
    "PYTHONPATH": "/repro-evil", "PYTHONHOME": "/repro-evil", "BASH_ENV": "/repro-evil",
    "ENV": "/repro-evil", "PATH": "/repro-evil:/usr/bin:/bin", "GCONV_PATH": "/repro-evil",
    "REPRO_CACHE": "/repro-evil", "TMPDIR": "/repro-evil", "DOCKER_HOST": "tcp://repro-evil",
    "--bind": "/", "HOME": "/repro-evil",
}  # fmt: skip


def test_an_environment_does_not_steer_the_host(
    shell_lab: Lab, tmp_path: Path, figure: Figure
) -> None:
    """Every process on the host side is traced: none gets a variable of the recording."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    parts = Parts(shell_lab.archive)
    document = parts.json(claims(parts))
    parts.edit(claims(parts), set_key("environment", to={**document["environment"], **STEERING}))
    path = tmp_path / "a.repro"
    parts.write(path)
    trace = tmp_path / "trace"
    done = repro(
        shell_lab, "verify", "-q", str(path),
        before=[strace, "-f", "-qq", "-v", "-s", "4096", "-e", "trace=execve", "-o", str(trace)],
        env={"REPRO_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert "Traceback" not in done.stderr and done.returncode in (0, 1, 5), done.stderr
    calls = [line for line in trace.read_text().splitlines() if "execve(" in line]
    outer = [line for line in calls if re.search(r"bwrap|python", line.split(", [", 1)[0])]
    steered = [line for line in outer if "repro-evil" in line.rpartition("], [")[2]]
    figure(f"P27 {len(STEERING)} variables that steer programs: exit {done.returncode}, "
           f"{len(outer)} processes on the host side, {len(steered)} got one of them")  # fmt: skip
    assert outer and not steered
    assert not os.path.lexists("/repro-evil")


NASTY = "\x1b[2J\x1b]0;owned\x07\u202e<script>alert(1)</script>\n\r\"'&\x00\udcff"


class Tags(html.parser.HTMLParser):
    """Which tags and attributes a page really has."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [tag, *(name for name, _ in attrs if name.startswith("on"))]


def test_output_is_inert(shell_lab: Lab, tmp_path: Path, figure: Figure) -> None:
    parts = Parts(shell_lab.archive)
    nasty = NASTY.replace("\x00", "")
    for change in (
        sealed("title", to=nasty), sealed("name", to=nasty), sealed("steps", 0, "name", to=nasty),
        lambda p: p.edit(p.part("application/vnd.repro.recording.v1+json", 1), lambda d: d.update(
            warnings=[nasty], not_observed=[nasty], created=nasty, left_out=[{"path": nasty, "reason": nasty}],
            host={"cpu": nasty, "kernel": nasty}, message=nasty,
            git={"commit": nasty, "branch": nasty, "changed": [nasty], "changed_count": 1})),
    ):  # fmt: skip
        change(parts)
    path = tmp_path / "a.repro"
    parts.write(path)
    report = tmp_path / "report.html"
    printed = 0
    for words in (
        ["inspect", str(path)], ["inspect", "--left-out", "--pins", "--layers", str(path)],
        ["inspect", "--json", str(path)], ["log", str(path)], ["log", "--json", str(path)],
        ["verify", str(path), "--report", str(report), "--junit", str(tmp_path / "j.xml"),
         "--markdown", str(tmp_path / "m.md")],
        ["verify", "--json", str(path)],
    ):  # fmt: skip
        done = repro(shell_lab, *words, env={"REPRO_CACHE": str(tmp_path / "cache")})
        assert done.returncode in (0, 1), done.stderr
        text = done.stdout + done.stderr
        printed += len(text)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text), words
        if "--json" in words:
            json.loads(done.stdout)
    page = report.read_text(errors="surrogateescape")
    tags = Tags()
    tags.feed(page)
    scripts = page.count("<script>alert(1)")
    figure(f"P30 {printed} characters on the terminal without a control character, JSON valid, "
           f"{scripts} scripts of the archive among {len(tags.found)} tags of the report")  # fmt: skip
    assert scripts == 0 and "\x1b" not in page and "\u202e" not in page
    assert not [tag for tag in tags.found if tag.startswith("on") or tag == "iframe"]
