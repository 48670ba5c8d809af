"""P1, P2: every flipped bit, every truncation and every extension of a real archive is seen."""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "unit" / "store"))

from archive_sample import make_archive

from repro.errors import ReproError
from repro.store.archive import Archive
from tests.hostile.parts import Parts
from tests.workflows.lab import Lab

pytestmark = pytest.mark.torture


def whole(path: Path) -> bool:
    """Whether every check that `repro verify` makes of the file passes."""
    try:
        with Archive.open(path) as archive:
            version = archive.version(None)
            archive.verify()
            archive.recording(version)
            archive.lock_json(version)
            archive.results(version)
        return True
    except ReproError as error:
        assert error.exit_code in (2, 4)
        assert len(f"error[{error.slug}]: {error.message}") <= 200 and error.message.isprintable()
        return False


def places(path: Path, chance: random.Random, rounds: int) -> Iterator[tuple[str, int]]:
    """Uniform positions, then some in each part that no uniform choice would meet."""
    size = path.stat().st_size
    for _ in range(rounds * 15):
        yield "anywhere", chance.randrange(size)
    parts = Parts(path)
    data = path.read_bytes()
    for what, name in (("index", "index.json"), ("manifest", parts.image), ("config", parts.config),
                       ("README", "README"), ("sums", "SHA256SUMS")):  # fmt: skip
        content = parts.members[name]
        start = data.index(content)
        header = start - 512
        for _ in range(rounds):
            yield what, start + chance.randrange(len(content))
            yield "header", header + chance.randrange(512)
            padding = -len(content) % 512
            if padding:
                yield "padding", start + len(content) + chance.randrange(padding)
    for _ in range(rounds):
        yield "end", size - 1 - chance.randrange(1024)


@pytest.mark.parametrize("kind", ["tiny", "shell_lab", "python_lab"])
def test_every_flipped_bit_is_seen(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, chance: random.Random, rounds: int,
    figure: Callable[[str], None],
) -> None:  # fmt: skip
    path = tmp_path / "a.repro"
    if kind == "tiny":
        make_archive(path, tmp_path / "work")
        rounds *= 8
    else:
        shutil.copy(request.getfixturevalue(kind).archive, path)
        rounds = max(1, rounds // (4 if kind == "python_lab" else 1))
    assert whole(path)
    counts: dict[str, int] = {}
    unseen = []
    fd = os.open(path, os.O_RDWR)
    try:
        for what, position in places(path, chance, rounds):
            before = os.pread(fd, 1, position)
            os.pwrite(fd, bytes([before[0] ^ 1 << chance.randrange(8)]), position)
            if whole(path):
                unseen.append((what, position))
            os.pwrite(fd, before, position)
            counts[what] = counts.get(what, 0) + 1
    finally:
        os.close(fd)
    assert whole(path)
    size = path.stat().st_size
    figure(f"P1  {kind}: {sum(counts.values())} bits flipped in {size} bytes "
           f"({', '.join(f'{n} {w}' for w, n in counts.items())}), {len(unseen)} unseen")  # fmt: skip
    assert not unseen


def test_every_cut_and_extension_is_seen(
    shell_lab: Lab, tmp_path: Path, chance: random.Random, rounds: int,
    figure: Callable[[str], None],
) -> None:  # fmt: skip
    data = shell_lab.archive.read_bytes()
    path = tmp_path / "a.repro"
    lengths = {chance.randrange(len(data)) for _ in range(rounds * 10)}
    lengths |= {len(data) - n for n in (1, 2, 511, 512, 513, 1023, 1024, 1025)}
    lengths |= set(range(max(0, len(data) - 512 * 40), len(data), 512))
    accepted = []
    path.write_bytes(data)
    for length in sorted(lengths, reverse=True):
        os.truncate(path, length)
        if whole(path):
            accepted.append(f"cut to {length}")
    extensions = [b"\0", b"x", bytes(512), bytes(1024), b"x" * 4096, data]
    for extra in extensions:
        path.write_bytes(data + extra)
        if whole(path):
            accepted.append(f"{len(extra)} more")
    figure(f"P2  {len(lengths)} cuts, {len(extensions)} extensions, {len(accepted)} accepted")
    assert not accepted
