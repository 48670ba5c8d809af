"""Which kernels a processor runs, and the variables that hide its features."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.observe.processor import FEATURES, KERNELS, can_run, flags, other_kernels, without

OLD = ("sse4_2",)
HASWELL = ("sse4_2", "avx", "avx2", "fma")
SKYLAKE = (*HASWELL, "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl")


@pytest.mark.parametrize(
    ("used", "known", "expected"),
    [
        ("SkylakeX", SKYLAKE, ("Haswell", "Sandybridge", "Nehalem")),
        ("Haswell", HASWELL, ("Sandybridge", "Nehalem")),
        ("Zen", HASWELL, ("Sandybridge", "Nehalem")),
        ("Nehalem", OLD, ()),
        ("Haswell", SKYLAKE, ("SkylakeX", "Sandybridge", "Nehalem")),
        ("Cooperlake", SKYLAKE, ("Haswell", "Sandybridge", "Nehalem")),
        (None, HASWELL, ("Haswell", "Sandybridge", "Nehalem")),
        ("ARMV8", ("asimd",), ()),
    ],
)
def test_only_kernels_that_run_here(
    used: str | None, known: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    found = other_kernels(used, known)
    assert found == expected
    assert all(can_run(name, known) for name in found)


def test_an_illegal_instruction_is_never_asked_for() -> None:
    assert can_run("SkylakeX", HASWELL) is False
    assert can_run("Cooperlake", SKYLAKE) is False
    assert can_run("Haswell", SKYLAKE) is True
    assert can_run("Katmai", SKYLAKE) is None
    needed = {flag for listed in KERNELS.values() for flag in listed}
    assert needed <= set(FEATURES)


def test_hiding_features() -> None:
    assert without([]) == {}
    assert without(["sse4_2"]) == {}
    only = without(["avx512f"])
    assert "X86_V4" in only["NPY_DISABLE_CPU_FEATURES"].split()
    assert "X86_V3" not in only["NPY_DISABLE_CPU_FEATURES"].split()
    assert only["GLIBC_TUNABLES"] == "glibc.cpu.hwcaps=-AVX512F,-AVX512F_Usable"
    both = without(["fma", "avx2"])
    # NumPy refuses to run X86_V4 code without X86_V3.
    assert {"X86_V3", "X86_V4", "AVX2", "FMA3"} <= set(both["NPY_DISABLE_CPU_FEATURES"].split())
    assert both["GLIBC_TUNABLES"].startswith("glibc.cpu.hwcaps=-AVX2,")


def test_flags(tmp_path: Path) -> None:
    assert flags(tmp_path) == frozenset()
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor : 0\nflags\t: fpu avx2 fma\n\nflags : x\n")
    assert flags(tmp_path) == {"fpu", "avx2", "fma"}
