"""What the events of a run say about a path."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from repro.model.observation import Access
from repro.observe.ledger import MAX_ARGUMENTS, Ledger, interpreters
from repro.observe.notifier import plain_path

W, RW, RO = os.O_WRONLY, os.O_RDWR, os.O_RDONLY
CREATE, TRUNCATE, EXCLUSIVE, APPEND = os.O_CREAT, os.O_TRUNC, os.O_EXCL, os.O_APPEND


def opened(path: Path, *all_flags: int, ledger: Ledger | None = None) -> Access | None:
    ledger = ledger or Ledger()
    for flags in all_flags:
        existed = ledger.existed(str(path))
        ledger.opened(str(path), flags, 7, lambda existed=existed: existed)  # type: ignore[misc]
    return next((each for each in ledger.accesses() if each.path == str(path)), None)


@pytest.mark.parametrize(
    ("flags", "read_first", "written"),
    [
        ((RO,), True, False),
        ((W | TRUNCATE,), False, True),
        ((W | CREATE | TRUNCATE,), False, True),
        ((RW | TRUNCATE,), False, True),
        ((RW,), True, True),
        ((W | APPEND,), True, True),
        ((W | CREATE | APPEND,), True, True),
        ((RO | CREATE,), True, False),
        ((W | CREATE | TRUNCATE, RO), False, True),
        ((RO, W | TRUNCATE), True, True),
        ((W | CREATE | TRUNCATE, RW), False, True),
    ],
)
def test_a_file_that_is_there(
    tmp_path: Path, flags: tuple[int, ...], read_first: bool, written: bool
) -> None:
    path = tmp_path / "f"
    path.write_text("x")
    seen = opened(path, *flags)
    assert seen is not None
    assert (seen.read_first, seen.written) == (read_first, written)


def test_an_exclusive_creation_of_what_is_there_fails_and_is_no_access(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("x")
    assert opened(path, W | CREATE | EXCLUSIVE) is None


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "f"
    assert opened(path, RO) is None
    assert opened(path, W) is None
    made = opened(path, W | CREATE | TRUNCATE)
    assert made is not None
    assert made.written and not made.read and not made.read_first


def test_what_the_run_made_is_not_read_as_an_input(tmp_path: Path) -> None:
    path = tmp_path / "f"
    ledger = Ledger()
    ledger.opened(str(path), W | CREATE, 0, lambda: False)
    path.write_text("made")
    seen = opened(path, RO, ledger=ledger)
    assert seen is not None
    assert seen.written and not seen.read


def test_a_nameless_file_says_nothing_of_its_folder(tmp_path: Path) -> None:
    assert opened(tmp_path, RW | os.O_TMPFILE) is None


def test_folders_are_listed_not_read(tmp_path: Path) -> None:
    seen = opened(tmp_path, RO)
    assert seen is not None
    assert seen.listed and not seen.read


def test_hidden_files_and_all_below_hidden_folders_were_not_there(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for name in ("old", "out/old", "kept"):
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to("out")
    hidden = frozenset({str(tmp_path / "old"), str(tmp_path / "out")})
    for name in ("old", "out/old", "out", "out/../old", "link/old"):
        assert opened(tmp_path / name, RO, ledger=Ledger(hidden=hidden)) is None, name
        assert not Ledger(hidden=hidden).existed(f"{tmp_path}/{name}")
    assert Ledger(hidden=hidden).existed(f"{tmp_path}/kept")


def test_hidden_and_odd_spellings(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "old").write_text("x")
    ledger = Ledger(hidden=frozenset({str(tmp_path / "old")}))
    ledger.opened(f"{tmp_path}/d/../old", RO, None, lambda: True)
    assert ledger.accesses() == ()


def test_seeded_files_count_as_there_and_read(tmp_path: Path) -> None:
    path = tmp_path / "runner.py"
    seen = opened(path, RO, ledger=Ledger(seeded=frozenset({str(path)})))
    assert seen is not None
    assert seen.read_first


def test_devices_and_proc_are_left_out_but_a_gpu_is_said() -> None:
    ledger = Ledger()
    for path in ("/proc/self/maps", "/sys/x", "/dev/null", "/dev/nvidia0"):
        ledger.opened(path, RO, None, lambda: True)
        ledger.wrote(path, None)
        ledger.read(path, None)
    assert ledger.accesses() == ()
    assert any("GPU" in remark for remark in ledger.remarks)


def test_a_rename_of_a_folder_reads_what_is_in_it() -> None:
    ledger = Ledger()
    ledger.moved("/p/old", "/p/new", 3, True, ["/p/old/a"])
    seen = {each.path: each for each in ledger.accesses()}
    assert seen["/p/old"].written and seen["/p/new"].written
    assert seen["/p/old/a"].read_first and not seen["/p/new"].read


def test_first_reader_and_writer_stay() -> None:
    ledger = Ledger()
    for process in (2, 5):
        ledger.read("/x/a", process)
        ledger.wrote("/x/b", process)
    a, b = ledger.accesses()
    assert (a.first_reader, b.first_writer) == (2, 2)


def test_accesses_are_sorted_by_bytes() -> None:
    ledger = Ledger()
    for name in ("/b", "/\udcff", "/é", "/a"):
        ledger.read(name, None)
    assert [each.path for each in ledger.accesses()] == ["/a", "/b", "/é", "/\udcff"]


def executable(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    path.chmod(0o755)
    return str(path)


def test_the_interpreters_of_scripts_and_the_loader_of_a_program(tmp_path: Path) -> None:
    second = executable(tmp_path / "second", b"#! /bin/sh -e\n")
    first = executable(tmp_path / "first", b"#!%s\n" % os.fsencode(second))
    found = list(interpreters(first, str))
    assert found[:2] == [second, "/bin/sh"]
    assert "ld" in found[2].rpartition("/")[2]


def test_scripts_that_run_in_a_ring_end(tmp_path: Path) -> None:
    path = executable(tmp_path / "ring", b"#!%s\n" % os.fsencode(tmp_path / "ring"))
    assert len(list(interpreters(path, str))) <= 4


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF\x02" + b"\xff" * 70, b"#!", b"#!x"])
def test_broken_heads_name_nothing(tmp_path: Path, content: bytes) -> None:
    assert list(interpreters(executable(tmp_path / "x", content), str)) == []


def test_the_loader_of_a_32_bit_program(tmp_path: Path) -> None:
    name = b"/lib/ld-linux.so.2\0"
    head = bytearray(52)
    head[:5] = b"\x7fELF\x01"
    struct.pack_into("<I", head, 28, 52)
    struct.pack_into("<HH", head, 42, 32, 1)
    program = struct.pack("<8I", 3, 84, 0, 0, len(name), 0, 0, 0)
    path = executable(tmp_path / "x", bytes(head) + program + name)
    assert list(interpreters(path, str)) == ["/lib/ld-linux.so.2"]


def test_a_script_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    ledger = Ledger()
    path = executable(tmp_path / "s", b"#!/bin/sh\n")
    assert ledger.startable(path, str)[1] == "/bin/sh"  # type: ignore[index]
    os.unlink(path)
    executable(tmp_path / "s", b"#!/usr/bin/env python3\n")
    assert ledger.startable(path, str)[1] == "/usr/bin/env"  # type: ignore[index]


def test_what_is_no_program_is_not_startable(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    ledger = Ledger()
    assert ledger.startable(str(tmp_path / "plain"), str) is None
    assert ledger.startable(str(tmp_path), str) is None
    assert ledger.startable(str(tmp_path / "none"), str) is None


def test_set_uid_programs_of_others_are_said(tmp_path: Path) -> None:
    path = executable(tmp_path / "sudo", b"#!/bin/sh\n")
    os.chmod(path, 0o4755)
    own, other = Ledger(user=os.geteuid()), Ledger(user=os.geteuid() + 1)
    own.startable(path, str)
    other.startable(path, str)
    assert not own.remarks
    assert any("set-uid" in remark for remark in other.remarks)


def test_long_argument_lists_end_in_dots() -> None:
    ledger = Ledger()
    ledger.executed(("/bin/sh",), ("a",) * 100, "/", 1, None)
    assert len(ledger.programs[0].argv) == MAX_ARGUMENTS + 1
    assert ledger.programs[0].argv[-1] == "..."


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        (b"/a/b", "/a/b"), (b"/a//b/", "/a/b"), (b"/./a/./b/.", "/a/b"), (b"//", "/"),
        (b"/a/../b", "/a/../b"), (b"/a/.b", "/a/.b"), (b"/\xff", "/\udcff"), (b"/a\n/b", "/a\n/b"),
    ],
)  # fmt: skip
def test_plain_paths_keep_dotdot(raw: bytes, plain: str) -> None:
    assert plain_path(raw) == plain
