"""Every comparator through the same cases, and the labelled set of pairs."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import tracemalloc
import zipfile
import zlib

import comparator_checks as checks
import pairs_archives
import pairs_databases
import pairs_office
import pairs_pickles
import pairs_r
import pairs_science
import pytest
from comparator_checks import compare
from comparator_pairs import PLOT, cases, chunk, gradient, png

from repro.compare.choose import choose, comparators
from repro.compare.memory import MemoryOutput
from repro.model.outcome import Outcome
from repro.model.verdict import Comparison

CASES = {
    **cases(),
    **pairs_archives.cases(),
    **pairs_office.cases(),
    **pairs_pickles.cases(),
    **pairs_r.cases(),
    **pairs_science.cases(),
    **pairs_databases.cases(),
}
BENIGN = [(n, label) for n, case in CASES.items() for label in case.benign]
CLOSE = [(n, label) for n, case in CASES.items() for label in case.close]
FAULTS = [(n, label) for n, case in CASES.items() for label in case.faults]


@pytest.mark.parametrize(("name", "label"), BENIGN)
def test_no_benign_pair_is_below_equivalent(name: str, label: str) -> None:
    checks.benign(CASES[name], label)


@pytest.mark.parametrize(("name", "label"), CLOSE)
def test_what_a_tolerance_covers_is_close(name: str, label: str) -> None:
    checks.close(CASES[name], label)


@pytest.mark.parametrize(("name", "label"), FAULTS)
def test_no_planted_fault_passes(name: str, label: str) -> None:
    checks.fault(CASES[name], label)


@pytest.mark.parametrize("name", CASES)
def test_the_same_bytes_are_identical(name: str) -> None:
    case = CASES[name]
    assert compare(case.path, case.base, case.base).outcome is Outcome.IDENTICAL


@pytest.mark.parametrize("name", CASES)
def test_the_order_of_the_sides_does_not_matter(name: str) -> None:
    checks.symmetry(CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_a_truncated_file_never_passes(name: str) -> None:
    checks.truncation(CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_a_changed_byte_never_raises(name: str) -> None:
    checks.noise(CASES[name])


def test_a_changed_byte_of_a_picture_is_seen() -> None:
    chance = random.Random(5)
    base = png(gradient(), width=40)
    for position in chance.sample(range(len(base)), 150):
        data = bytearray(base)
        data[position] ^= 1 << chance.randrange(8)
        assert not compare("p.png", base, bytes(data)).outcome.meets(Outcome.CLOSE)


@pytest.mark.parametrize("comparator", comparators(), ids=lambda c: c.name)
def test_hostile_bytes_are_survived(comparator: object) -> None:
    chance = random.Random(3)
    hostile = [
        b"",
        b"\0",
        b"\x89PNG\r\n\x1a\n",
        b"[" * 100_000,
        b'{"a":' * 20_000,
        b"<a>" * 50_000,
        b"a: " * 5_000,
        b"- " * 50_000,
        b'"' * 10_001,
        b"\xff\xfe" + b"a",
        b"\x93NUMPY\x01\0\xff\xff",
        b"%PDF-1.4\n1 0 obj\n%%EOF",
        b"PK\x03\x04" + bytes(60),
        b"\x1f\x8b\x08\x00",
        "é".encode("latin-1") * 20,
        b"\n" * 10_000,
        b"1" * 200_000,
        b"a,b\n" + b'"' + b"x" * 2_000_000,
        chance.randbytes(5000),
        PLOT[:60],
    ]
    for one in hostile:
        for two in (b"benign 1.5\n", hostile[-2], b"{}"):
            found = comparator.compare(  # type: ignore[attr-defined]
                MemoryOutput(one), MemoryOutput(two), {}
            )
            assert isinstance(found, Comparison)
            assert (found.outcome is Outcome.IDENTICAL) == (one == two)
            assert one == two or not found.outcome.meets(Outcome.CLOSE), (one[:40], found)


def _zip_bomb(fill: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(8):
            with archive.open(f"m{number}.txt", "w") as stream:
                for _ in range(66):
                    stream.write(fill * (1 << 20))
    return out.getvalue()


def _picture_bomb(fill: int) -> bytes:
    head = (60_000).to_bytes(4, "big") * 2 + bytes((8, 6, 0, 0, 0))
    body = zlib.compress(bytes([fill]) * (32 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("a.zip", _zip_bomb),
        ("a.png", lambda fill: _picture_bomb(fill[0])),
        ("a.gz", lambda fill: gzip.compress(fill * (200 << 20), mtime=0)),
        ("a.json", lambda fill: b"[" + b"[]," * 5_000_000 + b"0]" + fill),
    ],
)
def test_bombs_stay_within_bounds(path: str, make: object) -> None:
    pair = make(b"a"), make(b"b")  # type: ignore[operator]
    tracemalloc.start()
    found = compare(path, *pair)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # JSON is gone through to its end, which is malformed here.
    assert found.outcome is (Outcome.DIFFERENT if path == "a.json" else Outcome.UNDECIDED)
    assert peak < 400 << 20


def test_too_large_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    comparator = choose("a.csv", (b"a", b"a"), {})
    monkeypatch.setattr(type(comparator), "max_bytes", 10)
    found = comparator.compare(MemoryOutput(b"a" * 11), MemoryOutput(b"b" * 11), {})
    assert found.outcome is Outcome.UNDECIDED
    assert "too large to compare beyond bytes" in found.notes[0]


def test_a_crash_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    comparator = choose("a.csv", (b"a", b"a"), {})

    def crash(*rest: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(type(comparator), "_compare_files", crash)
    found = comparator.compare(MemoryOutput(b"a"), MemoryOutput(b"b"), {})
    assert found.outcome is Outcome.UNDECIDED
    assert "csv/1 failed: RecursionError" in found.notes[0]


def test_a_pickle_is_never_loaded(tmp_path: object) -> None:
    flag = os.path.join(str(tmp_path), "ran")
    bomb = b"\x80\x04cos\nmkdir\n(V" + flag.encode() + b"\ntR."
    for path in ("a.pkl", "a.npy", "a.bin", "a.txt", "a.npz"):
        assert not compare(path, bomb, bomb + b".").outcome.meets(Outcome.CLOSE)
    assert not os.path.exists(flag)


def test_names_and_ranks_are_distinct() -> None:
    names = [comparator.name for comparator in comparators()]
    assert len(set(names)) == len(names)
    assert names[-1] == "bytes/1"


def test_files_inside_files_stop() -> None:
    old, new = b"a,b\n1,2\n", b'a,b\n1,"2"\n'
    for _ in range(5):
        outs = []
        for data in (old, new):
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w") as archive:
                archive.writestr(zipfile.ZipInfo("t.zip"), data)
            outs.append(out.getvalue())
        old, new = outs
    found = compare("t.zip", old, new)
    assert found.outcome is Outcome.UNDECIDED
    assert any("files inside files" in note for note in found.notes)


def test_results_survive_json() -> None:
    for case in CASES.values():
        others = [*case.benign.values(), *case.faults.values()]
        for other in others[:2] if case.sealed else others:
            found = compare(case.path, case.base, other)
            shown = [found.summary, *found.removed, *found.notes]
            shown += [text for d in found.differences for text in (d.where, d.text, d.old, d.new)]
            assert json.loads(json.dumps(shown)) == shown
            numbers = found.numbers.to_json() if found.numbers else {}
            json.dumps(numbers, allow_nan=False)
