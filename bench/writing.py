"""An environment of about a gigabyte written by repro and by its peers; how large each makes it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from dockerd import Docker
from ground import Ground
from measure import REPRO, Row, quiet, rounds, say, timed
from peers import (
    ReproZip,
    compressed_19,
    docker_build,
    engine,
    layers_size,
    packed_files,
    squashed,
    tree_of,
)

BIG = (
    "numpy", "scipy", "pandas", "scikit-learn", "matplotlib", "statsmodels", "numba", "pyarrow",
)  # fmt: skip
"""With the interpreter about a gigabyte."""
_IMPORTS = "numpy, scipy, pandas, sklearn, matplotlib, statsmodels, numba, pyarrow"


class Project:
    """A script that imports an environment's packages, and its snapshot."""

    def __init__(self, ground: Ground, python: Path, imports: str, name: str) -> None:
        self.ground = ground
        self.root = ground.folder / name
        self.root.mkdir()
        (self.root / "work.py").write_text(f"import {imports}\nopen('out', 'w').write('1')\n")
        self.argv = [str(python), "work.py"]
        self.archive = ground.folder / f"{name}.repro"

    def snapshot(self, *words: str, scope: str = "--full") -> float:
        """Seconds to pack and write, with nothing packed before: the phases as repro tells them."""
        cache = self.ground.folder / "empty-cache"
        shutil.rmtree(cache, ignore_errors=True)
        take = [*REPRO, "snapshot", "--no-self-test", scope, *words, "-o", str(self.archive)]
        done = subprocess.run(
            [*take, "--", *self.argv], cwd=self.root, stdin=subprocess.DEVNULL,
            env={**self.ground.env, "REPRO_CACHE": str(cache)}, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(done.stderr[-2000:])
        return sum(_seconds(done.stderr, phase) for phase in ("pack", "write"))


def _seconds(said: str, phase: str) -> float:
    match = re.search(rf"ok  {phase} .*  (?:(\d+)m)?([\d.]+)s$", said, re.MULTILINE)
    if match is None:
        raise SystemExit(f"repro told no seconds of {phase}:\n{said}")
    return 60 * int(match.group(1) or 0) + float(match.group(2))


def writing(ground: Ground) -> Iterator[Row]:
    """The same files by every side, but ReproZip, which packs only what it saw being read."""
    python = _environment(ground)
    project = Project(ground, python, _IMPORTS, "big-project")
    say("a first snapshot, for the list of files")
    project.snapshot()
    files = ground.folder / "files.list"
    files.write_text("".join(f"{path}\0" for path in packed_files(project.archive)))
    zst = ground.folder / "peer.zst"
    pipe = (
        f"tar c -P --null -T {files} | tee >(sha256sum >/dev/null) | zstd -q -3 -T2 | "
        f"tee {zst} | sha256sum >/dev/null; sync {zst}"
    )

    def by_tar() -> float:
        return timed(lambda: quiet(["bash", "-c", pipe], ground.folder, dict(os.environ)))

    found = rounds(ground.count, {
        "tar | tee >(sha256sum) | zstd -3 -T2 | sha256sum": by_tar, "repro": project.snapshot,
    })  # fmt: skip
    notes = [
        "repro: the phases pack and write, with a sha256 of each file and the packed layers kept "
        "beside the archive; both sides end with the file synced; docker and ReproZip once"
    ]
    say("docker build, docker save | gzip")
    tree = tree_of(packed_files(project.archive), ground.folder / "tree")
    with engine(ground) as (docker, reason):
        if docker is None:
            notes.append(reason)
        else:
            found["docker build + docker save | gzip"] = timed(lambda: _saved(docker, tree))
    zipped = ReproZip(ground, project.root, project.argv)
    if zipped.reason is None:
        found["reprozip pack"] = zipped.pack(ground.folder / "big.rpz")
        size = (ground.folder / "big.rpz").stat().st_size // 1_000_000
        notes.append(f"ReproZip's {size} MB hold only what was read")
    else:
        notes.append(f"ReproZip: {zipped.reason}")
    plain = layers_size(project.archive)
    yield Row(f"writing an environment of {plain:.0f} MB", "<= 0.8", found, "; ".join(notes))


def _saved(docker: Docker, tree: Path) -> None:
    docker_build(docker, tree)
    script = f"{' '.join(docker.client)} save peer | gzip > {tree.parent}/peer.tar.gz"
    quiet(["sh", "-c", script], tree.parent, dict(os.environ))


def _environment(ground: Ground) -> Path:
    say("making an environment of a gigabyte")
    place = ground.folder / "big"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    pip = [str(place / "bin/python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, *BIG], check=True)
    return place / "bin/python"


def sizes(ground: Ground) -> Iterator[Row]:
    """Megabytes of the same files in each form (the examples' environment)."""
    project = Project(ground, ground.python, "matplotlib, numpy, pandas", "small-project")
    found: dict[str, float | None] = {}
    project.snapshot()
    found["repro"] = project.archive.stat().st_size / 1e6
    files = packed_files(project.archive)
    tree = tree_of(files, ground.folder / "small-tree")
    image = ground.folder / "image"
    found["squashfs -comp zstd"] = squashed(tree, image, "-comp", "zstd")
    found["squashfs -comp gzip, as in a SIF"] = squashed(tree, image, "-comp", "gzip")
    notes = [] if found["squashfs -comp zstd"] else ["no mksquashfs here"]
    with engine(ground) as (docker, reason):
        if docker is None:
            notes.append(reason)
        else:
            docker_build(docker, tree)
            found["docker save | zstd -19"] = compressed_19(docker, ground.folder / "peer.zst")
    zipped = ReproZip(ground, project.root, project.argv)
    if zipped.reason is None:
        zipped.pack(ground.folder / "small.rpz")
        found["reprozip pack, read files only"] = (ground.folder / "small.rpz").stat().st_size / 1e6
    else:
        notes.append(f"ReproZip: {zipped.reason}")
    project.snapshot("--small")
    found["repro --small"] = project.archive.stat().st_size / 1e6
    say("the same with traced files only")
    project.snapshot(scope="--minimal")
    found["repro --minimal"] = project.archive.stat().st_size / 1e6
    plain = sum(os.lstat(path).st_size for path in files) / 1e6
    yield Row(
        f"an archive of {plain:.0f} MB in {len(files)} files", "smaller than the others at -3",
        found, "; ".join(notes), unit="MB",
    )  # fmt: skip
