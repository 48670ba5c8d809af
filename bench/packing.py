"""A layer written, a second snapshot, an archive unpacked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from ground import Ground
from measure import REPRO, Row, quiet, rounds, timed


def packing(ground: Ground) -> Iterator[Row]:
    tree = ground.python.parent.parent / "lib"
    code = (
        "import os, sys, time, tempfile\n"
        "from pathlib import Path\n"
        "from repro.image.build import build_layer\n"
        "from repro.image.plan import PlannedLayer\n"
        "from repro.model.entry import EntryType, FileEntry, LayerKind\n"
        "from repro.primitives.files import walk\n"
        "root = sys.argv[1]\n"
        "start = time.perf_counter()\n"
        "entries = tuple(FileEntry(path=f'/{p}', type=EntryType.FILE, kind=LayerKind.PACKAGES,\n"
        "    origin='x', source=f'{root}/{p}', size=s.st_size)\n"
        "    for p, s in walk(root) if (s.st_mode & 0o170000) == 0o100000)\n"
        "with tempfile.TemporaryDirectory(dir=sys.argv[2]) as blobs:\n"
        "    build_layer(PlannedLayer(kind=LayerKind.PACKAGES, name='all', entries=entries),\n"
        "                Path(blobs), clamp=1577836800)\n"
        "    print(time.perf_counter() - start)\n"
    )

    def ours() -> float:
        return ground.seconds(code, str(tree), str(ground.folder))

    pipe = (
        f"tar cf - -C {tree} . | tee >(sha256sum >/dev/null) | zstd -q -3 | "
        f"tee {ground.folder}/peer.zst | sha256sum >/dev/null; sync {ground.folder}/peer.zst"
    )

    def peer() -> float:
        return timed(lambda: quiet(["bash", "-c", pipe], ground.folder, dict(os.environ)))

    size = sum(p.stat().st_size for p in tree.rglob("*") if p.is_file() and not p.is_symlink())
    yield Row(
        f"packing {size // 1_000_000} MB of packages into a layer", "<= 1.2",
        rounds(ground.count, {"tar | sha256sum | zstd -3 | sha256sum": peer, "repro": ours}),
    )  # fmt: skip


def again(ground: Ground) -> Iterator[Row]:
    """A second snapshot after one changed line, and an archive unpacked into an empty cache."""
    project = ground.folder / "again"
    project.mkdir()
    archive = ground.folder / "again.repro"
    script = project / "work.py"
    command = [str(ground.python), "work.py"]
    counter = iter(range(1 << 30))

    def bare() -> float:
        script.write_text(
            f"import matplotlib, numpy, pandas\nopen('out', 'w').write('{next(counter)}')\n"
        )
        return timed(lambda: quiet(command, project, ground.env))

    def snapshot() -> float:
        bare()
        take = [*REPRO, "snapshot", "-q", "--no-self-test", "-o", str(archive), "--", *command]
        return timed(lambda: quiet(take, project, ground.env))

    yield Row("a second snapshot after one changed line (no self-test)", "< 1 s beyond the run",
              rounds(ground.count, {"bare run": bare, "repro snapshot": snapshot}))  # fmt: skip
    blobs = ground.folder / "again-blobs"
    quiet(["sh", "-c", f"mkdir {blobs} && tar xf {archive} -C {blobs}"], ground.folder, ground.env)
    listed = json.loads((blobs / "manifest.json").read_text())[0]["Layers"]
    files = " ".join(str(blobs / name) for name in listed)
    pipe = f"rm -rf plain && for f in {files}; do mkdir -p plain/x && zstd -dcq $f | tar xf - -C plain/x; done"
    code = (
        "import os, shutil, sys, time\n"
        "from pathlib import Path\n"
        "from repro.store.archive import Archive\n"
        "from repro.store.cache import Cache\n"
        "shutil.rmtree(sys.argv[2], ignore_errors=True)\n"
        "with Archive.open(Path(sys.argv[1])) as archive:\n"
        "    start = time.perf_counter()\n"
        "    Cache(Path(sys.argv[2])).layers(archive, archive.version(None))\n"
        "    print(time.perf_counter() - start)\n"
    )

    def ours() -> float:
        return ground.seconds(code, str(archive), str(ground.folder / "cold"))

    size = archive.stat().st_size // 1_000_000
    yield Row(
        f"an archive of {size} MB unpacked into an empty cache, every digest checked", "<= 1.3",
        rounds(ground.count, {
            "zstd -d | tar x": lambda: timed(lambda: quiet(["bash", "-c", pipe], ground.folder, ground.env)),
            "repro": ours,
        }),
    )  # fmt: skip
