"""A verification with six outputs of every kind, for the tests of the reports."""

from __future__ import annotations

import base64
import json
import math
import struct
import zlib
from typing import Any

from repro.model.outcome import Outcome
from repro.model.ports import Seal
from repro.model.verdict import Comparison, Difference, Numbers, OutputVerdict, Verdict
from repro.report.jsondoc import verify_document

HOSTILE = 'figs/<img src=x onerror="document.title=1">\x1b[31m\u202egnp.\udcff.txt'


def picture(*, moved: bool = False, width: int = 480, height: int = 300) -> bytes:
    """A plot-like RGB PNG; ``moved`` shifts one of its points."""
    rows = [bytearray(b"\xff" * width * 3) for _ in range(height)]

    def dot(x: int, y: int, colour: bytes, size: int = 4) -> None:
        for dy in range(-size, size + 1):
            for dx in range(-size, size + 1):
                if (
                    dx * dx + dy * dy <= size * size
                    and 0 <= y + dy < height
                    and 0 <= x + dx < width
                ):
                    rows[y + dy][3 * (x + dx) : 3 * (x + dx) + 3] = colour

    for x in range(40, width - 20):
        rows[height - 30][3 * x : 3 * x + 3] = b"\x30\x30\x30"
        dot(x, int(height / 2 - 80 * math.sin(x / 60)), b"\x1f\x77\xb4", 1)
    for y in range(20, height - 30):
        rows[y][3 * 40 : 3 * 40 + 3] = b"\x30\x30\x30"
    for number in range(8):
        x = 70 + number * 48
        dot(x, int(height / 2 - 80 * math.sin(x / 60)) + (24 if moved and number == 4 else 6),
            b"\xd6\x27\x28", 5)  # fmt: skip

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    raw = b"".join(b"\0" + bytes(row) for row in rows)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )  # fmt: skip


def notebook(text: str, figure: bytes) -> bytes:
    outputs: list[dict[str, Any]] = [
        {"output_type": "stream", "name": "stdout", "text": text},
        {"output_type": "display_data", "metadata": {}, "data": {
            "image/png": base64.b64encode(figure).decode(), "text/plain": "<Figure>",
            "text/html": "<script>document.title = 'owned'</script>"}},
    ]  # fmt: skip
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "# Analysis"},
        {"cell_type": "code", "metadata": {}, "execution_count": 1,
         "source": "fit = model.fit(data)\nprint(fit.summary())", "outputs": outputs},
    ]  # fmt: skip
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def verdict() -> Verdict:
    def output(
        path: str, comparison: Comparison, required: bool = True, **rest: Any
    ) -> OutputVerdict:
        return OutputVerdict(
            path=path, required=required, comparison=comparison, old_digest="ab" * 32,
            new_digest="cd" * 32, old_size=5120, new_size=5131, **rest,
        )  # fmt: skip

    return Verdict(
        outputs=(
            output("figs/fig3.png", Comparison(
                outcome=Outcome.DIFFERENT, comparator="png/1",
                summary="0.11 % of pixels differ, by at most 255/255",
                differences=(Difference(where="columns 257-267, rows 88-117",
                                        text="0.11 % of pixels differ, by at most 255/255"),),
                notes=("0.11 % of the pixels are off by more than 2/255",))),
            output("results/table1.csv", Comparison(
                outcome=Outcome.IDENTICAL, comparator="bytes/1")),
            output("paper.ipynb", Comparison(
                outcome=Outcome.DIFFERENT, comparator="notebook/1",
                summary="2 cells, 1 differ", removed=("execution counts",),
                differences=(Difference(where="cell 2 stdout line 1", text="a number in the text differs",
                                        old="slope = 3.25", new="slope = 3.31"),))),
            output("results/model.npz", Comparison(
                outcome=Outcome.CLOSE, comparator="zip/1", summary="3 members",
                numbers=Numbers(n=40000, differ=12, max_abs="4.4e-16", max_rel="2.2e-16", max_ulp=1,
                                first="x.npy, [0, 3]"),
                tolerance={"rtol": "1e-06", "atol": "0", "from": "repro.yml"})),
            output(HOSTILE, Comparison(
                outcome=Outcome.DIFFERENT, comparator="text/1", summary="3 lines",
                differences=(Difference(where="line 2", text="text differs",
                                        old="<b>bold</b>\x1b[2J", new="</code></td><script>x()</script>"),)),
                copied_from="data/<i>raw</i>.csv"),
            output("model.pkl", Comparison(
                outcome=Outcome.UNDECIDED, comparator="opaque/1", summary="bytes differ (9 and 9)",
                notes=("not compared: a pickle runs code when it is loaded, so it never is; "
                       "write npz, csv or json",)), required=False),
            OutputVerdict(path="figs/fig4.pdf", required=True, comparison=Comparison(
                outcome=Outcome.MISSING, comparator="bytes/1", summary="not written by the rerun"),
                old_digest="ef" * 32, old_size=20480),
        ),
        warnings=("figs/extra.png was written by the rerun but not recorded",),
    )  # fmt: skip


def document() -> dict[str, Any]:
    return verify_document(
        verdict=verdict(),
        archive={
            "digest": "sha256:" + "3f9a81c2" * 8, "name": "fire-ants-1.0", "tag": "v1",
            "path": "/home/reviewer/fire ants-1.0.repro", "title": "Heat tolerance of fire ants",
            "created": "2026-11-02T10:11:12Z", "signatures": [], "packages": 287,
        },
        seal=Seal(
            engine="bubblewrap", version="0.11.0",
            enforced={"network": "own network namespace, no interface", "files": "read-only image"},
            not_enforced={"memory": "no cgroup may be delegated here"},
        ),
        run={
            "exit": 0, "seconds": 391.2, "author_seconds": 372.0, "peak_memory": 3_113_851_289,
            "author_peak_memory": 3_000_000_000, "cpu_seconds": 1500.0, "author_cpu_seconds": 1440.0,
            "read_bytes": 7_100_000, "author_read_bytes": None, "written_bytes": 0,
            "author_written_bytes": 1_200, "log_tail": ["fitting …", "done <b>\x1b[0m"],
            "steps": [["make", "all"], ["sh", "-e", "-c", "echo 'a b' > x"]],
        },
        tool_version="0.1.0",
        environment={
            "author": {"kernel": "6.1.0", "cpu": "Xeon E5", "cpus": 16, "locale": "C.UTF-8"},
            "reviewer": {"kernel": "6.8.0", "cpu": "EPYC 7B13", "cpus": 4, "locale": "C.UTF-8"},
        },
        hints=[{"code": "unseeded", "at": "plot.py:14",
                "text": "random numbers are drawn without a seed"}],
        not_checked=["signature: the archive is not signed"],
    )  # fmt: skip


def figures() -> dict[str, tuple[bytes | None, bytes | None]]:
    old, new = picture(), picture(moved=True)
    lines = [f"row {number}, {number * 1.5}" for number in range(40)]
    changed = [*lines[:20], "row 20, </pre><script>y()</script>\x1b[31m", *lines[21:], "more"]
    return {
        "figs/fig3.png": (old, new),
        "paper.ipynb": (notebook("slope = 3.25\n", old), notebook("slope = 3.31\n", new)),
        HOSTILE: ("\n".join(lines).encode(), "\n".join(changed).encode()),
    }


PARTIAL = {
    "only": ["figs/**", "a'b<i>"], "judged": 2, "recorded": 9, "steps": ["plot"],
    "steps_recorded": 3, "text": "partial: 2 of 9 outputs",
}  # fmt: skip
