"""``repro export``."""

from __future__ import annotations

from pathlib import Path

import typer

from repro.cli import context
from repro.cli.render import observer_for

HELP = """Write an archive's image in the forms that other tools take.

\b
  repro export paper.repro --docker image.tar     (any `docker load`, old ones too)
  repro export paper.repro --oci-dir layout       (skopeo, umoci, buildah)
  repro export paper.repro --rootfs root          (chroot, systemd-nspawn, runc)
  repro export paper.repro --apptainer paper.def --docker image.tar
  repro export paper.repro --dockerfile Dockerfile
  repro export paper.repro --devcontainer desk    (VS Code and others: Reopen in Container)
  repro export paper.repro --env folder           (pylock.toml, requirements.txt, apt.txt …)
"""


_ENV_HELP = "A folder of lists that package managers install the same environment from."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export", help=HELP)(export)


def export(
    archive: str = typer.Argument(..., help="The archive, ARCHIVE:TAG, or oci://…"),
    docker: Path | None = typer.Option(None, "--docker", help="A tar for `docker load`."),
    oci_dir: Path | None = typer.Option(None, "--oci-dir", help="An OCI layout folder."),
    rootfs: Path | None = typer.Option(None, "--rootfs", help="All layers merged in a folder."),
    apptainer: Path | None = typer.Option(None, "--apptainer", help="A definition file."),
    dockerfile: Path | None = typer.Option(None, "--dockerfile", help="A recipe to read."),
    env: Path | None = typer.Option(None, "--env", help=_ENV_HELP),
    devcontainer: Path | None = typer.Option(
        None, "--devcontainer", help="A new folder: project, image and .devcontainer for editors."
    ),
    insecure: bool = typer.Option(False, "--insecure", help="Plain HTTP for oci://."),
    json_: bool = typer.Option(False, "--json", help="Print one JSON document."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Only the places."),
) -> None:
    """Export (help text: HELP)."""
    from repro.workflows.export import ExportRequest
    from repro.workflows.export import export as write
    from repro.workflows.names import local_archive

    observer = observer_for(quiet=quiet)
    path, tag = local_archive(archive, context.environ(), insecure=insecure, observer=observer)
    places = _lists(path, tag, env) if env is not None else []
    forms = (docker, oci_dir, rootfs, apptainer, dockerfile)
    places += [] if env is not None and not any(forms) else write(
        ExportRequest(
            archive=path, tag=tag, environ=context.environ(), docker=docker, oci_dir=oci_dir,
            rootfs=rootfs, apptainer=apptainer, dockerfile=dockerfile, devcontainer=devcontainer,
        ),
        observer,
    )  # fmt: skip
    if json_:
        context.print_json({"schema": "repro.export/1", "written": [str(p) for p in places]})
        return
    for place in places:
        print(place)


def _lists(path: Path, tag: str | None, folder: Path) -> list[Path]:
    """What `repro extract --locks` writes, in one go with other forms."""
    from repro.workflows.locks import write_locks

    lists = write_locks(path, tag, folder, force=None)
    return [*(folder / each.name for each in lists), folder / "lock.json"]
