"""What `repro export --devcontainer` writes, against the fields that the specification names."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from unit.store.archive_sample import ROOT, make_archive

from repro.errors import UsageError
from repro.model.limits import Limits
from repro.model.recording import Claims
from repro.model.step import Step
from repro.workflows.devcontainer import devcontainer
from repro.workflows.export import ExportRequest, export

FIELDS = {
    "name": str, "image": str, "initializeCommand": list, "workspaceMount": str,
    "workspaceFolder": str, "overrideCommand": bool, "runArgs": list, "securityOpt": list,
    "hostRequirements": dict, "customizations": dict,
}  # fmt: skip
"""Of schemas/devContainer.base.schema.json of devcontainers/spec, with their types."""


def read(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    assert {name: type(value) for name, value in found.items()} == {
        name: FIELDS[name] for name in found
    }
    return found


def claims(root: str = "/home/a/paper", name: str = "paper", **more: Any) -> Claims:
    steps = more.pop("steps", (Step(name="a", argv=("python3", "a.py")),))
    return Claims(name=name, root=root, steps=steps, environment={}, outputs=(), **more)


def test_the_folder_opens_as_it_is(tmp_path: Path) -> None:
    archive, desk = tmp_path / "paper.repro", tmp_path / "desk"
    make_archive(archive, tmp_path / "work")
    environ = {"REPRO_CACHE": str(tmp_path / "cache")}
    request = ExportRequest(archive=archive, tag=None, environ=environ, devcontainer=desk)
    assert export(request) == [desk]
    found = read((desk / ".devcontainer/devcontainer.json").read_text())
    # The image that is loaded before is the one that is started.
    assert found["initializeCommand"][:2] == ["docker", "load"]
    with tarfile.open(desk / found["initializeCommand"][-1]) as tar:
        (entry,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert entry["RepoTags"] == [found["image"]]
    assert found["workspaceFolder"] == ROOT
    assert found["workspaceMount"] == f"source=${{localWorkspaceFolder}},target={ROOT},type=bind"
    assert "--network=none" in found["runArgs"]
    assert [path.name for path in desk.iterdir() if path.name != ".devcontainer"], "the project"
    with pytest.raises(UsageError):
        export(request)


@pytest.mark.parametrize("bad", ["${localEnv:HOME}", "a,type=bind", 'a"b', "a\nb", "a\\b", "a'b"])
def test_no_text_of_the_archive_acts(bad: str) -> None:
    with pytest.raises(UsageError):
        devcontainer(claims(root=f"/home/{bad}"), "repro/paper:latest")
    found = read(devcontainer(claims(name=bad), "repro/paper:latest"))
    assert re.fullmatch(r"[\w .:-]+", found["name"])


def test_what_the_analysis_needs() -> None:
    steps = (
        Step(name="a", argv=("/usr/bin/python3.11", ".repro/notebook.py", "a.ipynb"),
             notebook="a.ipynb"),
        Step(name="b", argv=("Rscript", "b.R")),
    )  # fmt: skip
    limits = Limits(memory=8_000_000_000, cpus=1.5)
    found = read(devcontainer(claims(steps=steps, limits=limits), "i:t"))
    assert found["hostRequirements"] == {"cpus": 2, "memory": "8000000000"}
    assert re.fullmatch(r"\d+([tgmk]b)?", found["hostRequirements"]["memory"])
    assert found["customizations"]["vscode"]["extensions"] == [
        "ms-python.python", "REditorSupport.r", "ms-toolsai.jupyter",
    ]  # fmt: skip
    assert "customizations" not in read(
        devcontainer(claims(steps=(Step(name="a", argv=("make",)),)), "i:t")
    )
