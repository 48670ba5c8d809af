"""From a recorded run to the documents of an archive: config, circumstances, README."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from repro.model.observation import Closure, Observation
from repro.model.oci import LABEL_CLAIMS, LABEL_SCHEMA, SCHEMA, ImageConfig, Layer
from repro.model.recording import CIRCUMSTANCES_SCHEMA, Claims
from repro.model.step import Step
from repro.primitives.canonical import CLAMP_TEXT
from repro.primitives.digest import Digest
from repro.primitives.resources import template

_MAX_LISTED = 20_000


def image_config(
    claims: Claims,
    claims_digest: Digest,
    layers: Sequence[Layer],
    history: Sequence[str],
    architecture: str,
) -> ImageConfig:
    """The config whose digest is the archive's identity."""
    return ImageConfig(
        architecture=architecture,
        env=tuple(f"{name}={value}" for name, value in sorted(claims.environment.items())),
        cmd=command_of(claims.steps, claims.root),
        working_dir=claims.root,
        labels={LABEL_SCHEMA: str(SCHEMA), LABEL_CLAIMS: str(claims_digest)},
        diff_ids=tuple(layer.diff_id for layer in layers),
        history=tuple(history),
        created=CLAMP_TEXT,
    )


def command_of(steps: Sequence[Step], root: str) -> tuple[str, ...]:
    """One command for engines other than ours: the step itself, or a script of all steps."""
    if len(steps) == 1 and steps[0].cwd == "." and steps[0].stdin is None:
        return steps[0].argv
    lines = []
    for step in steps:
        folder = posixpath.normpath(posixpath.join(root, step.cwd))
        stdin = f" < {shlex.quote(step.stdin)}" if step.stdin is not None else ""
        lines.append(f"cd {shlex.quote(folder)} && {shlex.join(step.argv)}{stdin}")
    return ("/bin/sh", "-e", "-c", "\n".join(lines))


def circumstances(
    *,
    observation: Observation,
    closure: Closure,
    host: Mapping[str, object],
    created: str,
    version: str,
    git: Mapping[str, Any] | None,
    altered: Sequence[str],
    in_place: Sequence[str],
    warnings: Sequence[str],
    self_test: Mapping[str, Any],
) -> dict[str, Any]:
    """What varies between two honest snapshots: ``repro.circumstances/1`` (no floats)."""
    return {
        "schema": CIRCUMSTANCES_SCHEMA,
        "created": created,
        "tool": {"name": "repro", "version": version},
        "host": dict(host),
        "tracer": observation.tracer,
        "capture": observation.capture,
        "scope": closure.scope.value,
        "not_observed": list(observation.limits),
        "steps": [_step_cost(step) for step in observation.steps],
        "processes": [_process(process) for process in observation.processes[:_MAX_LISTED]],
        "processes_count": len(observation.processes),
        "files": _files(observation),
        "files_count": len(observation.accesses),
        "connections": [
            {"process": seen.process, "family": seen.family, "address": str(seen)}
            for seen in observation.connections[:_MAX_LISTED]
        ],
        "git": git,
        "environment_altered": list(altered),
        "in_place": list(in_place),
        "left_out": [
            {"path": left.path, "reason": left.reason} for left in closure.left_out[:_MAX_LISTED]
        ],
        "left_out_count": len(closure.left_out),
        "packages": [
            {"source": p.source, "name": p.name, "version": p.version} for p in closure.packages
        ],
        "warnings": list(warnings),
        "self_test": dict(self_test),
    }


def readme_text(name: str, digest: Digest, claims: Claims) -> str:
    """The README inside the archive: how to read and rerun it without repro."""
    outputs = "\n".join(
        f"  sha256 {output.digest.hex}  {_ascii(output.path)}" for output in claims.outputs[:200]
    )
    if len(claims.outputs) > 200:
        outputs += f"\n  ... and {len(claims.outputs) - 200} more, in claims.json"
    return (
        template("archive_README.txt")
        .replace("@NAME@", _ascii(name))
        .replace("@DIGEST@", str(digest))
        .replace("@ROOT@", _ascii(claims.root))
        .replace("@OUTPUTS@", outputs)
    )


def seconds_text(seconds: float | None) -> str | None:
    """Seconds as text with milliseconds: sealed documents hold no floats."""
    return None if seconds is None else f"{seconds:.3f}"


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii").replace("\n", "\\n")


def _step_cost(step: Any) -> dict[str, Any]:
    return {
        "name": step.name,
        "exit": step.exit,
        "seconds": seconds_text(step.cost.wall),
        "cpu_user": seconds_text(step.cost.cpu_user),
        "cpu_system": seconds_text(step.cost.cpu_system),
        "peak_memory": step.cost.peak_memory,
        "read_bytes": step.cost.read,
        "written_bytes": step.cost.written,
    }


def _process(process: Any) -> dict[str, Any]:
    return {
        "number": process.number,
        "parent": process.parent,
        "exe": process.exe,
        "argv": list(process.argv[:64]),
        "cwd": process.cwd,
        **({"step": process.step} if process.parent is None and process.step else {}),
    }


def _files(observation: Observation) -> list[dict[str, Any]]:
    """Files of interest per role: what a package's library folder holds is in the layers' TOC."""
    listed = []
    for access in observation.accesses[:_MAX_LISTED]:
        role = "".join(
            letter
            for letter, present in (
                ("r", access.read), ("w", access.written), ("x", access.executed),
                ("l", access.listed),
            )
            if present
        )  # fmt: skip
        entry: dict[str, Any] = {"path": access.path, "role": role}
        if access.first_reader is not None:
            entry["reader"] = access.first_reader
        if access.first_writer is not None:
            entry["writer"] = access.first_writer
        listed.append(entry)
    return listed
