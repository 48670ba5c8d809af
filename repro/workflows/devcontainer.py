"""``repro export --devcontainer``: a folder that editors open inside the archive's image.

Development Containers Specification (containers.dev), devcontainer.json reference. The editor
runs ``initializeCommand`` on the person's own machine and replaces ``${…}`` in every text: what
comes from the archive may hold neither.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from repro.errors import UsageError
from repro.model.limits import Limits
from repro.model.recording import Claims
from repro.primitives.texts import printable

FOLDER = ".devcontainer"
IMAGE = f"{FOLDER}/image.tar"
"""Where the image lies for `docker load`, below the folder that is opened."""
_PLAIN = re.compile(r"/[^\x00-\x1f,\"'\\$]*")
_EXTENSIONS = (
    (re.compile(r"python[0-9.]*"), "ms-python.python"),
    (re.compile(r"Rscript|R"), "REditorSupport.r"),
    (re.compile(r"julia"), "julialang.language-julia"),
)


def devcontainer(claims: Claims, image: str) -> str:
    """The text of devcontainer.json. ``image`` is the name under which docker loads it.

    Raises UsageError when the project's path cannot be written into a mount.
    """
    if not _PLAIN.fullmatch(claims.root):
        raise UsageError(
            f"{printable(claims.root, 80)} cannot be a mount's target",
            hint="a path with commas, quotes, backslashes, $ or control characters cannot be "
            "written into devcontainer.json",
        )
    document: dict[str, Any] = {
        "name": re.sub(r"[^\w .:-]", "_", claims.name)[:80],
        "image": image,
        "initializeCommand": ["docker", "load", "--quiet", "--input", IMAGE],
        "workspaceMount": f"source=${{localWorkspaceFolder}},target={claims.root},type=bind",
        "workspaceFolder": claims.root,
        "overrideCommand": True,
        "runArgs": ["--network=none", "--cap-drop=ALL"],
        "securityOpt": ["no-new-privileges"],
    }
    if needs := _requirements(claims.limits):
        document["hostRequirements"] = needs
    if extensions := _extensions(claims):
        document["customizations"] = {"vscode": {"extensions": extensions}}
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _requirements(limits: Limits) -> Mapping[str, object]:
    found: dict[str, object] = {}
    if limits.cpus is not None:
        found["cpus"] = max(1, math.ceil(limits.cpus))
    if limits.memory is not None:
        found["memory"] = str(limits.memory)
    return found


def _extensions(claims: Claims) -> list[str]:
    programs = [step.argv[0].rpartition("/")[2] for step in claims.steps]
    found = [name for form, name in _EXTENSIONS if any(map(form.fullmatch, programs))]
    if any(step.notebook for step in claims.steps):
        found.append("ms-toolsai.jupyter")
    return found
