"""A registry on this machine: repro pull and push beside skopeo copy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

from ground import Ground
from measure import REPRO, Row, quiet, rounds, timed
from peers import registry
from writing import Project


def pulling(ground: Ground) -> Iterator[Row]:
    """Every digest is checked by both sides; both write to disk, into empty folders."""
    project = Project(ground, ground.python, "matplotlib, numpy, pandas", "pulled-project")
    project.snapshot()
    size = project.archive.stat().st_size // 1_000_000
    with registry(ground.folder / "registry") as host:
        if host is None:
            yield Row(f"pulling {size} MB from a registry", "<= 1.3", {}, "no docker-registry here")
            return
        ref = f"{host}/bench/paper:v1"
        quiet(
            [*REPRO, "push", "-q", "--insecure", str(project.archive), f"oci://{ref}"],
            ground.folder, ground.env,
        )  # fmt: skip
        yield Row(
            f"pulling {size} MB from a registry on this machine", "<= 1.3",
            rounds(ground.count, _pulls(ground, ref)),
        )  # fmt: skip
        yield Row(
            f"pushing {size} MB to it",
            "<= 1.3",
            rounds(ground.count, _pushes(ground, host, project)),
        )


def _pulls(ground: Ground, ref: str) -> dict[str, Callable[[], float]]:
    sides: dict[str, Callable[[], float]] = {}
    copy, back = ground.folder / "copy", ground.folder / "back.repro"

    def by_skopeo() -> float:
        shutil.rmtree(copy, ignore_errors=True)
        command = [
            "skopeo",
            "copy",
            "-q",
            "--src-tls-verify=false",
            f"docker://{ref}",
            f"dir:{copy}",
        ]
        return timed(lambda: quiet(command, ground.folder, dict(os.environ)))

    def ours() -> float:
        back.unlink(missing_ok=True)
        cache = ground.folder / "empty-cache"
        shutil.rmtree(cache, ignore_errors=True)
        command = [*REPRO, "pull", "-q", "--insecure", f"oci://{ref}", "-o", str(back)]
        env = {**ground.env, "REPRO_CACHE": str(cache)}
        return timed(lambda: quiet(command, ground.folder, env))

    if shutil.which("skopeo"):
        sides["skopeo copy"] = by_skopeo
    sides["repro pull"] = ours
    return sides


def _pushes(ground: Ground, host: str, project: Project) -> dict[str, Callable[[], float]]:
    """Each time to a name that the registry has never seen, so that every blob is asked about.

    skopeo is no peer here: it remembers where a registry has a blob and has it mounted.
    """
    number = iter(range(1 << 30))

    def ours() -> float:
        place = f"oci://{host}/r{next(number)}/paper:v1"
        command = [*REPRO, "push", "-q", "--insecure", str(project.archive), place]
        return timed(lambda: quiet(command, ground.folder, ground.env))

    return {"repro push": ours}
