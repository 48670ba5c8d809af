"""P38: readers of strangers' bytes, fed with mutations of real ones.

Only documented errors may come out, in bounded time and memory. A seed makes a run the same;
REPRO_FUZZ_SECONDS (20 for each target) makes it longer.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "unit" / "store"))

from archive_sample import make_archive

from repro.cli.inspect_lines import archive_lines, left_out_lines, pin_lines
from repro.errors import ReproError
from repro.image.unpack import unpack_layer
from repro.model.circumstances import check_shape
from repro.model.lock import Lock
from repro.model.oci import LAYER_GZIP, LAYER_PLAIN, LAYER_ZSTD, ImageConfig, Manifest
from repro.model.recording import Claims, Recording
from repro.primitives.canonical import dump, load
from repro.primitives.digest import Digest
from repro.primitives.tarread import Limits
from repro.store.archive import Archive
from repro.store.catalog import read_index
from repro.store.results import read_results
from repro.workflows.expectation import expectation
from repro.workflows.inspect import inspect
from repro.workflows.selection import step_writers
from tests.hostile.cases_members import MEMBERS, STREAMS
from tests.hostile.parts import Parts, circumstances, claims
from tests.hostile.tarbits import FILE, folder, link, member, pax
from tests.workflows.lab import Lab

pytestmark = pytest.mark.torture
SECONDS = float(os.environ.get("REPRO_FUZZ_SECONDS", "20"))
SLOWEST = 10.0
LEAST = 200
MEMORY = 512 << 10  # kB
Figure = Callable[[str], None]


class Budget:
    """Runs a target on inputs until the time is over; what was slowest."""

    def __init__(self) -> None:
        self.end = time.monotonic() + SECONDS
        self.count = self.refused = 0
        self.slowest = 0.0

    def go(self, work: Callable[[], object]) -> None:
        started = time.monotonic()
        try:
            work()
        except ReproError as error:
            self.refused += 1
            assert len(error.message) <= 200 and error.message.isprintable(), error.message
            assert error.exit_code in (3, 4)
        self.count += 1
        self.slowest = max(self.slowest, time.monotonic() - started)
        assert self.slowest < SLOWEST

    def told(self, what: str) -> str:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return (
            f"P38 {what}: {self.count} inputs, {self.refused} refused, 0 crashes, slowest "
            f"{self.slowest:.2f} s, peak of the process {peak >> 10} MB"
        )


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, cut, doubled or moved."""
    raw = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        if not raw:
            break
        at = chance.randrange(len(raw))
        kind = chance.randrange(6)
        if kind == 0:
            raw[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            raw[at] = chance.choice((0, 0x20, 0x2E, 0x2F, 0x30, 0x37, 0x39, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            del raw[at : at + chance.choice((1, 2, 512, 1024))]
        elif kind == 3:
            raw[at:at] = raw[at : at + chance.choice((1, 8, 512))]
        elif kind == 4:
            raw[at : at + 12] = chance.choice(
                (b"77777777777\0", b"\x80" + bytes(10) + b"\xff", b"0" * 12)
            )
        else:
            other = chance.randrange(len(raw))
            raw[at : at + 512] = raw[other : other + 512]
    return bytes(raw)


def summed(block: bytes) -> bytes:
    """A header with its checksum made right, so that what lies behind it is reached."""
    raw = block[:148] + b" " * 8 + block[156:]
    return raw[:148] + b"%06o\0 " % sum(raw) + raw[156:]


def with_sums(data: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.3:
        return data
    blocks = [data[at : at + 512] for at in range(0, len(data), 512)]
    return b"".join(summed(b) if b[257:262] == b"ustar" and len(b) == 512 else b for b in blocks)


@pytest.fixture(scope="module")
def corpus(shell_lab: Lab) -> list[bytes]:
    """Real layers' beginnings, and the rows of the hostile table."""
    found = [raw + bytes(1024) for raw, _ in MEMBERS.values()] + [
        raw for raw, _ in STREAMS.values()
    ]
    with Archive.open(shell_lab.archive) as archive:
        for layer in archive.version(None).layers:
            with archive.open_blob(layer.descriptor) as stream:
                plain = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
                found.append(plain.read(40_960))
    honest = b"".join(
        (folder(b"d/"), FILE, member(b"d/g", b"x" * 700), link(b"s", b"d/g"), link(b"h", b"f", b"1"),
         pax((b"path", b"n" * 200)) + FILE, member(b"d/.wh.x"), member(b"e/.wh..wh..opq"))
    ) + bytes(1024)  # fmt: skip
    return [raw for raw in found if len(raw) < 1 << 17] + [honest] * len(found) * 3


def test_tar_reader(corpus: list[bytes], chance: random.Random, figure: Figure) -> None:
    budget = Budget()
    packs = ((LAYER_PLAIN, bytes), (LAYER_ZSTD, zstandard.compress), (LAYER_GZIP, None))
    import gzip

    while time.monotonic() < budget.end:
        raw = with_sums(mutated(chance.choice(corpus), chance), chance)
        media, pack = packs[chance.choice((0, 0, 0, 1, 2))]
        packed = (pack or gzip.compress)(raw)
        if media != LAYER_PLAIN and chance.random() < 0.5:
            packed = mutated(packed, chance)
        with tempfile.TemporaryDirectory() as name:
            top = Path(name) / "in"
            top.mkdir()
            budget.go(
                lambda: unpack_layer(
                    io.BytesIO(packed),
                    media,
                    top,
                    Digest.of(raw),
                    limits=Limits(plain=len(raw)),
                )
            )
            assert os.listdir(name) == ["in"]
    figure(budget.told("tar reader (plain, zstd, gzip)"))
    assert budget.count > 300
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 * MEMORY


SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=20),
    st.sampled_from(["", "..", "/", "\0", "a/../b", "\x1b[2J", "\ud800", "nan", "1e999", "9" * 30]),
)  # fmt: skip
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here] if here else []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        found += paths(inner, (*here, key))
    return found


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(document))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copy


def documents(folder: Path) -> dict[str, tuple[Any, Callable[[Any], object]]]:
    """Real documents and what reads each."""
    make_archive(folder / "a.repro", folder / "work", circumstances=FULL)
    parts = Parts(folder / "a.repro")

    def told(value: Any) -> None:
        check_shape(value)
        found = Recording(
            claims=Claims.parse(parts.json(claims(parts))), claims_digest=Digest.of(b""),
            circumstances=value,
        )  # fmt: skip
        expectation(found, {"analysis"}, 0)
        step_writers(found)

    return {
        "claims": (parts.json(claims(parts)), Claims.parse),
        "circumstances": (parts.json(circumstances(parts)), told),
        "manifest": (parts.json(parts.image), Manifest.parse),
        "config": (parts.json(parts.config), ImageConfig.parse),
        "index": (parts.json("index.json"), lambda v: read_index(dump(v))),
        "lock": (LOCK, Lock.parse),
    }


FULL = {
    "created": "2024-05-06T07:08:09Z", "host": {"cpu": "x", "kernel": "6", "distribution": "Debian 12"},
    "tracer": "t", "capture": "c", "scope": "packages", "not_observed": ["x"],
    "steps": [{"name": "analysis", "seconds": "1.5", "peak_memory": 5}],
    "processes": [{"number": 1, "parent": None, "exe": "/bin/sh", "argv": ["python3", "analysis.py"], "cwd": "/"}],
    "files": [{"path": "/home/ada/paper/empty", "role": "w", "writer": 1}],
    "git": {"commit": "ab", "branch": "main", "changed_count": 1, "changed": [" M x"]},
    "left_out": [{"path": "x", "reason": "y"}], "warnings": ["w"], "in_place": ["x"],
    "self_test": {"outcome": "identical", "outputs": {}}, "left_out_count": 1,
    "remote_inputs": [{"path": "a", "url": "https://x", "sha256": "0" * 64, "size": 1, "placed": True}],
}  # fmt: skip
LOCK = {"schema": "repro.lock/1", "skipped": {"pip": "no"}, "packages": [
    {"source": "pip", "name": "n", "version": "1", "purl": "pkg:pypi/n@1", "grade": "url+hash",
     "url": "https://x", "hash": "sha256:0", "facts": {"a": "b"}}]}  # fmt: skip


@pytest.mark.parametrize("kind", ["claims", "circumstances", "manifest", "config", "index", "lock"])
def test_documents(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, figure: Figure
) -> None:
    document, read = documents(tmp_path)[kind]
    every = paths(document)
    budget = Budget()
    budget.end = time.monotonic() + SECONDS / 3

    @seed(int(request.config.getoption("--seed", 1)))
    @settings(
        max_examples=max(200, int(SECONDS * 20)), deadline=None, phases=[Phase.generate, Phase.shrink], database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(path=st.sampled_from(every), value=VALUE)
    def fuzz(path: tuple[Any, ...], value: Any) -> None:
        # However busy the machine is: the strategies alone may take the time to be made.
        if time.monotonic() < budget.end or budget.count < LEAST:
            found = changed(document, path, value)
            budget.go(lambda: read(load(json.dumps(found).encode(), kind)))

    fuzz()
    figure(budget.told(f"{kind}, by hypothesis"))
    assert budget.count >= LEAST


def test_json_loader(tmp_path: Path, chance: random.Random, figure: Figure) -> None:
    raws = [dump(document) for document, _ in documents(tmp_path).values()]
    budget = Budget()
    budget.end = time.monotonic() + SECONDS / 3
    while time.monotonic() < budget.end:
        raw = mutated(chance.choice(raws), chance)
        budget.go(lambda: load(raw, "it"))
    figure(budget.told("JSON loader"))


def test_whole_archives(tmp_path: Path, chance: random.Random, figure: Figure) -> None:
    """A document changed inside an archive with honest digests, shown as inspect shows it."""
    docs = documents(tmp_path)
    budget = Budget()
    values: list[Any] = [
        "",
        "..",
        "/",
        "\0",
        "\x1b[2J\n",
        None,
        5,
        -1,
        [],
        {},
        [[]],
        "nan",
        "\u202e",
        True,
    ]
    while time.monotonic() < budget.end:
        kind = chance.choice(("claims", "circumstances"))
        document = changed(
            docs[kind][0], chance.choice(paths(docs[kind][0])), chance.choice(values)
        )
        parts = Parts(tmp_path / "a.repro")
        parts.put((claims if kind == "claims" else circumstances)(parts), dump(document))
        path = tmp_path / "m.repro"
        parts.write(path)

        def show() -> None:
            found = inspect(path, None, contents=True)
            for line in (*archive_lines(found), *pin_lines(found["pins"]), *left_out_lines(found)):
                assert "\x1b" not in line and "\n" not in line and "\u202e" not in line
            with Archive.open(path) as archive:
                archive.results(archive.version(None))

        budget.go(show)
    figure(budget.told("recordings in whole archives, shown as text"))


def test_results(tmp_path: Path, chance: random.Random, figure: Figure) -> None:
    documents(tmp_path)
    parts = Parts(tmp_path / "a.repro")
    from repro.model.oci import RECORDING

    raw = zstandard.ZstdDecompressor().stream_reader(
        io.BytesIO(parts.members[parts.part(RECORDING, 2)]), read_across_frames=True
    ).read()  # fmt: skip
    outputs = Claims.parse(parts.json(claims(parts))).outputs
    budget = Budget()
    budget.end = time.monotonic() + SECONDS / 3
    while time.monotonic() < budget.end:
        packed = zstandard.compress(with_sums(mutated(raw, chance), chance))
        budget.go(lambda: read_results(io.BytesIO(packed), outputs))
    figure(budget.told("recorded results"))
