"""Facts of this machine, and which ways of recording work on it."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path

from repro.observe import overlay, strace
from repro.observe.probe import reason_against_notify
from repro.observe.processor import FEATURES

_NUMERICS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE",
    "NPY_DISABLE_CPU_FEATURES", "GLIBC_TUNABLES",
)  # fmt: skip


def host_facts(
    root: Path = Path("/"), environ: Mapping[str, str] | None = None
) -> dict[str, object]:
    """What may explain a difference between two machines; JSON without floats.

    ``memory`` is in bytes; ``features`` are the processor's that numeric libraries choose
    their code by. Never the host's name, the user's, or an address.
    """
    values = os.environ if environ is None else environ
    model, features = _processor(root)
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "distribution": _distribution(root),
        "cpu": model,
        "features": features,
        "cores": os.cpu_count() or 0,
        "memory": _memory(root),
        "libc": " ".join(platform.libc_ver()).strip() or "unknown",
        "locale": values.get("LC_ALL") or values.get("LANG") or "",
        "container": _container(root),
        "virtual": _virtual(root),
        "gpu": _gpu(root),
        "numerics": {name: values[name] for name in _NUMERICS if name in values},
    }


def tracer_support() -> dict[str, str]:
    """Per way of recording: an empty text, or why it does not work here; tried by doing."""
    with tempfile.TemporaryDirectory(prefix="repro-doctor-") as folder:
        project, scratch = os.path.join(folder, "p"), os.path.join(folder, "s")
        os.mkdir(project)
        os.mkdir(scratch)
        return {
            "notify": reason_against_notify() or "",
            "strace": strace.support(os.environ) or "",
            "overlay": overlay.reason_against(project, scratch) or "",
        }


def _distribution(root: Path) -> str:
    try:
        text = (root / "etc/os-release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return fields.get("PRETTY_NAME", "unknown").strip('"')


def _processor(root: Path) -> tuple[str, list[str]]:
    try:
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown", []
    model = "unknown"
    flags: set[str] = set()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "CPU part") and model == "unknown":
            model = value.strip()
        if key.strip() in ("flags", "Features") and not flags:
            flags = set(value.split())
    return model, [name for name in FEATURES if name in flags]


def _memory(root: Path) -> int:
    try:
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return 0


def _virtual(root: Path) -> bool:
    """Whether a hypervisor is below (x86 tells by a processor flag)."""
    try:
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(
        line.startswith("flags") and " hypervisor" in f" {line} " for line in text.splitlines()
    )


def _gpu(root: Path) -> list[str]:
    """Device files of graphics processors, and NVIDIA's driver version where there is one."""
    found = [
        f"/{path.relative_to(root)}"
        for pattern in ("dev/nvidia[0-9]*", "dev/kfd", "dev/dri/renderD*")
        for path in sorted(root.glob(pattern))
    ]
    try:
        text = (root / "proc/driver/nvidia/version").read_text(encoding="utf-8", errors="replace")
        found.append(text.split("\n", 1)[0].strip())
    except OSError:
        pass
    return found


def _container(root: Path) -> str:
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    return "none seen"
