"""What of a processor numeric libraries choose their code by, and which kernels it can run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

_AVX512 = ("avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl")
KERNELS: Mapping[str, tuple[str, ...]] = {
    "Sapphirerapids": ("avx2", "fma", *_AVX512, "avx512_bf16", "amx_tile"),
    "Cooperlake": ("avx2", "fma", *_AVX512, "avx512_bf16"),
    "SkylakeX": ("avx2", "fma", *_AVX512),
    "Zen": ("avx2", "fma"),
    "Haswell": ("avx2", "fma"),
    "Sandybridge": ("avx",),
    "Nehalem": ("sse4_2",),
    "NEOVERSEN1": ("asimd", "atomics", "asimdhp", "asimddp"),
    "ARMV8": ("asimd",),
}
"""OpenBLAS's kernels by the names of OPENBLAS_CORETYPE, the most demanding first, with the flags
of /proc/cpuinfo without which they end in an illegal instruction (OpenBLAS, dynamic.c)."""

FEATURES = (
    "sse4_2", "avx", "avx2", "fma", *_AVX512, "avx512_bf16", "avx512_vnni", "avx512ifma",
    "avx512vbmi", "avx512_vbmi2", "avx512_bitalg", "avx512_vpopcntdq", "avx512_fp16",
    "amx_tile", "asimd", "asimdhp", "asimddp", "atomics", "sve", "sve2",
)  # fmt: skip
"""Flags that change which code NumPy, glibc's libm and BLAS libraries run."""

_NUMPY: Mapping[str, tuple[str, ...]] = {
    "avx2": ("AVX2", "X86_V3"),
    "fma": ("FMA3", "X86_V3"),
    "avx512f": ("AVX512F", "AVX512CD", "AVX512_SKX", "X86_V4"),
    "avx512vl": ("AVX512_SKX", "X86_V4"),
    "avx512_vnni": ("AVX512_CLX",),
    "avx512vbmi": ("AVX512_CNL",),
    "avx512_vbmi2": ("AVX512_ICL",),
    "avx512_fp16": ("AVX512_SPR",),
}
"""Names of NPY_DISABLE_CPU_FEATURES, those before NumPy 2.4 and those since; NumPy passes over
the ones it does not know."""
_NUMPY_ORDER = (
    "AVX2", "FMA3", "X86_V3", "AVX512F", "AVX512CD", "AVX512_SKX", "X86_V4", "AVX512_CLX",
    "AVX512_CNL", "AVX512_ICL", "AVX512_SPR",
)  # fmt: skip
_ABOVE = {
    "X86_V3": ("X86_V4", "AVX512F", "AVX512CD", "AVX512_SKX", "AVX512_CLX", "AVX512_CNL",
               "AVX512_ICL", "AVX512_SPR"),
    "AVX512F": ("AVX512_CLX", "AVX512_CNL", "AVX512_ICL", "AVX512_SPR"),
}  # fmt: skip
_GLIBC: Mapping[str, tuple[str, ...]] = {
    "avx2": ("AVX2", "AVX2_Usable"),
    "fma": ("FMA", "FMA_Usable"),
    "avx512f": ("AVX512F", "AVX512F_Usable"),
    "avx512vl": ("AVX512VL", "AVX512VL_Usable"),
}
"""Names of the tunable glibc.cpu.hwcaps, since glibc 2.33 and before; unknown ones do nothing."""


def flags(root: Path = Path("/")) -> frozenset[str]:
    """The first processor's flags; none where /proc does not say."""
    try:
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def can_run(kernel: str, known: Collection[str]) -> bool | None:
    """Whether a processor with these flags runs OpenBLAS's ``kernel``; None: not known here."""
    needed = KERNELS.get(kernel)
    return None if needed is None else set(needed) <= set(known)


_FAMILIES = (
    ("Haswell", "Zen"),
    ("SkylakeX", "Cooperlake", "Sapphirerapids"),
    ("Sandybridge",),
    ("Nehalem",),
    ("NEOVERSEN1",),
    ("ARMV8",),
)
"""Kernels that share most of their code; what other people's machines have comes first."""


def other_kernels(used: str | None, known: Collection[str]) -> tuple[str, ...]:
    """Kernels that this processor runs and that are other code than ``used``, one a family."""
    return tuple(
        family[0] for family in _FAMILIES if used not in family and can_run(family[0], known)
    )


def without(features: Collection[str]) -> dict[str, str]:
    """The variables under which NumPy and glibc do as if the processor lacked ``features``."""
    numpy = {name for feature in features for name in _NUMPY.get(feature, ())}
    for lower, higher in _ABOVE.items():
        if lower in numpy:
            numpy.update(higher)
    glibc = [f"-{name}" for feature in sorted(features) for name in _GLIBC.get(feature, ())]
    found = {}
    if numpy:
        listed = " ".join(name for name in _NUMPY_ORDER if name in numpy)
        found["NPY_DISABLE_CPU_FEATURES"] = listed
    if glibc:
        found["GLIBC_TUNABLES"] = f"glibc.cpu.hwcaps={','.join(glibc)}"
    return found
