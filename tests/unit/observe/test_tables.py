"""System call numbers against the kernel's own headers, and the filter as a machine."""

from __future__ import annotations

import errno
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from repro.observe.kernel import listener_program
from repro.observe.tables import (
    AARCH64,
    ARCHITECTURES,
    I386,
    IO_URING_SETUP,
    SECCOMP_CALL,
    SIGNATURES,
    X86_64,
)

HEADERS = {
    "x86_64": (X86_64, "unistd_64.h", r"__NR_"),
    "i386": (I386, "unistd_32.h", r"__NR_"),
    "aarch64": (AARCH64, "asm-generic/unistd.h", r"__NR(?:3264)?_"),
}
ALLOW, NOTIFY = 0x7FFF0000, 0x7FC00000


def header(name: str) -> Path:
    found = sorted(
        Path("/usr/include").rglob(name),
        # Debian 13 has the headers of every machine.
        key=lambda path: ("/x86_64-linux-gnu/" not in str(path), path),
    )
    if not found:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is missing (linux-libc-dev)")
        pytest.skip(f"{name} is not installed")
    return found[0]


@pytest.mark.parametrize("machine", list(HEADERS))
def test_the_numbers_are_the_kernels(machine: str) -> None:
    table, name, prefix = HEADERS[machine]
    text = header(name).read_text()
    numbers = {
        call: int(value)
        for call, value in re.findall(rf"^#define {prefix}(\w+)\s+(\d+)$", text, re.MULTILINE)
    }
    for call, number in table.items():
        assert numbers.get(call) == number, call
    assert numbers["io_uring_setup"] == IO_URING_SETUP
    if machine in SECCOMP_CALL:
        assert numbers["seccomp"] == SECCOMP_CALL[machine]


def test_every_call_of_a_table_has_a_signature() -> None:
    for tables in ARCHITECTURES.values():
        for _, table in tables:
            assert set(table) <= set(SIGNATURES)


def answer(program: bytes, arch: int, number: int) -> int:
    """Run the filter as the kernel does (the four instructions that it uses)."""
    code = [struct.unpack_from("HBBI", program, at) for at in range(0, len(program), 8)]
    at = value = 0
    while True:
        operation, true, false, operand = code[at]
        at += 1
        if operation == 0x20:
            value = {0: number, 4: arch}[operand]
        elif operation == 0x15:
            at += true if value == operand else false
        else:
            assert operation == 0x06
            return operand


@pytest.mark.parametrize("machine", list(ARCHITECTURES))
def test_the_filter_notifies_the_calls_of_the_tables_and_no_others(machine: str) -> None:
    program = listener_program(machine)
    tables: Mapping[int, Mapping[str, int]] = dict(ARCHITECTURES[machine])
    for arch, table in tables.items():
        watched = set(table.values())
        for number in range(600):
            expected = NOTIFY if number in watched else ALLOW
            if number == IO_URING_SETUP:
                expected = 0x00050000 | errno.ENOSYS
            assert answer(program, arch, number) == expected, (hex(arch), number)
    assert answer(program, 0x12345678, 257) == ALLOW
