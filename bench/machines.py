"""The same small analysis in a virtual machine, a docker container, and a sealed rerun."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from dockerd import Docker
from ground import Ground
from measure import ANALYSIS, BEGUN, REPRO, Row, Seen, around, quiet, share, watched

INIT = f"""#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
/bin/mount -t proc none /proc 2>/dev/null
cd '@CWD@' && sh -c '{ANALYSIS}'
"""
"""The first process of the virtual machine; its end is the machine's (panic=-1, -no-reboot)."""


def machines(ground: Ground) -> Iterator[Row]:
    """Start, memory and disk of each."""
    project = ground.folder / "guest"
    project.mkdir()
    archive = ground.folder / "guest.repro"
    quiet([*REPRO, "snapshot", "-q", "-o", str(archive), "--", "sh", "-c", ANALYSIS],
          project, ground.env)  # fmt: skip
    sides: dict[str, Callable[[], Seen]] = {}
    disk: dict[str, float | None] = {}
    notes = []
    machine = Machine(ground.folder)
    reason = machine.prepare(archive, project, ground.env)
    if reason is None:
        name = f"qemu ({machine.accelerator})"
        sides[name] = lambda: watched(machine.argv(), ground.env, ground.folder, share)
        disk[name] = machine.size() / 1e6
    else:
        notes.append(f"virtual machine: {reason}")
    docker = Docker(ground.folder)
    reason = docker.start(archive)
    if reason is None:
        sides["docker run"] = lambda: watched(
            docker.argv(), dict(os.environ), ground.folder, lambda pid: around(pid) + shims()
        )
        disk["docker run"] = docker_disk(docker) / 1e6
    else:
        notes.append(f"docker: {reason}")
    run = [*REPRO, "run", "-q", str(archive)]
    sides["repro run"] = lambda: watched(run, ground.env, ground.folder, around)
    try:
        found = {
            name: [look() for _ in range(ground.count + 1)][1:] for name, look in sides.items()
        }
    finally:
        docker.stop()
    disk["repro run"] = (archive.stat().st_size + used(Path(ground.env["REPRO_CACHE"]))) / 1e6
    note = "; ".join(notes)
    medians = {name: statistics.median(s.start for s in seen) for name, seen in found.items()}
    yield Row("from the command to the analysis's first word", "", dict(medians), note)
    memory = {n: statistics.median(s.memory for s in seen) / 1e6 for n, seen in found.items()}
    daemon = "docker: client and shim, its engine's daemons not counted"
    yield Row("memory around the sleeping analysis (Pss)", "", dict(memory),
              "; ".join([*notes, daemon]), "MB")  # fmt: skip
    yield Row("disk: what must lie there to run it", "", disk,
              "; ".join([*notes, "repro: the archive and its unpacked layers; qemu: kernel and "
                         "initramfs without qemu itself"]), "MB")  # fmt: skip


class Machine:
    """Debian's cloud kernel under qemu, with the archive's own root file system as initramfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "machine"
        self.kernel: Path | None = None
        self.initramfs = self.folder / "initramfs"
        self.accelerator = "kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"

    def prepare(self, archive: Path, cwd: Path, env: dict[str, str]) -> str | None:
        """None when it can be booted, else why not."""
        for tool in ("qemu-system-x86_64", "cpio"):
            if shutil.which(tool) is None:
                return f"needs {tool} (apt install qemu-system-x86 cpio)"
        self.folder.mkdir()
        self.kernel = _kernel(self.folder)
        if self.kernel is None:
            return "no kernel: apt-get download linux-image-cloud-amd64 failed"
        root = self.folder / "root"
        quiet([*REPRO, "export", "-q", str(archive), "--rootfs", str(root)], self.folder, env)
        for name in ("proc", "dev"):
            (root / name).mkdir(exist_ok=True)
        (root / "init").write_text(INIT.replace("@CWD@", str(cwd)))
        (root / "init").chmod(0o755)
        pack = f"find . -print0 | cpio -0 -o -H newc --quiet > {self.initramfs}"
        quiet(["sh", "-c", pack], root, env)
        return self._boots(env)

    def _boots(self, env: dict[str, str]) -> str | None:
        said = b""
        for accelerator in dict.fromkeys((self.accelerator, "tcg")):
            self.accelerator = accelerator
            # A nested KVM may take a machine and never run it.
            patience = 20 if accelerator == "kvm" else 300
            try:
                done = subprocess.run(
                    self.argv(), env=env, capture_output=True, stdin=subprocess.DEVNULL,
                    timeout=patience,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                said = b"it ran into its time limit"
                continue
            if BEGUN.encode() in done.stdout:
                return None
            said = done.stderr or done.stdout
        return f"it does not boot: {said.decode(errors='replace')[-100:]!r}"

    def argv(self) -> list[str]:
        """Boots, runs, and ends."""
        return [
            "qemu-system-x86_64", "-accel", self.accelerator, "-m", "512", "-nodefaults",
            "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
            "-kernel", str(self.kernel), "-initrd", str(self.initramfs),
            "-append", "console=ttyS0 quiet panic=-1 rdinit=/init",
        ]  # fmt: skip

    def size(self) -> int:
        """Bytes of kernel and initramfs."""
        assert self.kernel is not None
        return self.kernel.stat().st_size + self.initramfs.stat().st_size


def _kernel(folder: Path) -> Path | None:
    """One of the system, or of Debian's package, unpacked and not installed."""
    for place in sorted(Path("/boot").glob("vmlinuz-*")):
        return place
    script = (
        "set -e; name=$(apt-cache depends linux-image-cloud-amd64 | "
        "sed -n 's/.*Depends: \\(linux-image-[0-9].*\\)/\\1/p' | head -1); "
        'apt-get download -qq "$name"; dpkg-deb -x linux-image-*.deb kernel'
    )
    subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True)
    return next(iter((folder / "kernel/boot").glob("vmlinuz-*")), None)


def docker_disk(docker: Docker) -> int:
    """Bytes of the engine's data folder with the one image."""
    return used(docker.folder / "data")


def used(folder: Path) -> int:
    """Bytes on the disk below a folder."""
    done = subprocess.run(["du", "-s", "-B1", folder], capture_output=True, text=True)
    return int(done.stdout.split()[0])


def shims() -> int:
    """Memory of docker's shims: one process for each container."""
    found = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if Path(f"/proc/{name}/comm").read_text().startswith("containerd-shim"):
                found += share(int(name))
        except OSError:
            continue
    return found
