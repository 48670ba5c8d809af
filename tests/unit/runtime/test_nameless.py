from __future__ import annotations

import mmap
import os
from pathlib import Path

from repro.runtime.nameless import removed_files, shared_memory, written_to

SIZE = 30 << 20
OWN = [os.getpid()]


def test_a_removed_file_that_is_open_counts_once(tmp_path: Path) -> None:
    before = removed_files(OWN)
    with (tmp_path / "x").open("wb") as stream:
        stream.write(b"x" * SIZE)
        stream.flush()
        assert removed_files(OWN) == before, "it has a name"
        (tmp_path / "x").unlink()
        os.fsync(stream.fileno())  # blocks are given late
        again = os.dup(stream.fileno())
        found = removed_files(OWN)
        os.close(again)
    assert found[0] == before[0] and SIZE <= found[1] - before[1] < 2 * SIZE


def test_memory_behind_a_descriptor_alone() -> None:
    before = removed_files(OWN)
    fd = os.memfd_create("repro-test")
    try:
        os.write(fd, b"x" * SIZE)
        found = removed_files(OWN)
    finally:
        os.close(fd)
    assert found[1] == before[1] and SIZE <= found[0] - before[0] < 2 * SIZE


def test_shared_anonymous_memory() -> None:
    before = shared_memory(OWN)
    with mmap.mmap(-1, SIZE) as page:
        page.write(b"x" * SIZE)
        found = shared_memory(OWN)
    assert SIZE <= found - before < 2 * SIZE


def test_plain_files_among_the_outputs(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        log.write(b"x" * SIZE)
        log.flush()
        os.fsync(log.fileno())
        reading, writing = os.pipe()
        assert SIZE <= written_to([log.fileno(), log.fileno(), writing]) < 2 * SIZE
        os.close(reading)
        os.close(writing)
    assert written_to([]) == 0


def test_a_process_that_is_gone_holds_nothing() -> None:
    assert removed_files([0, 1 << 22]) == (0, 0) and shared_memory([1 << 22]) == 0
