"""The recording: what an archive claims (sealed) and how it came about (not sealed)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from repro.errors import ArchiveError
from repro.model.limits import NO_LIMITS, Limits
from repro.model.oci import mapping, sequence, text, texts, whole
from repro.model.step import Step
from repro.primitives.digest import Digest
from repro.primitives.frozen import frozen

CLAIMS_SCHEMA = "repro.claims/1"
CIRCUMSTANCES_SCHEMA = "repro.circumstances/1"


@frozen
class Output:
    """One recorded result: path relative to the project root, size in bytes, sha256.

    ``compare`` holds the sealed options of its rule as JSON without floats. A symlink
    that the run made is an output whose bytes are its target text (``link`` true).
    """

    path: str
    size: int
    digest: Digest
    required: bool = True
    compare: Mapping[str, object] = field(default_factory=dict)
    link: bool = False

    def to_json(self) -> dict[str, Any]:
        """The JSON form inside claims."""
        found: dict[str, Any] = {
            "path": self.path,
            "size": self.size,
            "sha256": self.digest.hex,
            "required": self.required,
        }
        if self.compare:
            found["compare"] = dict(self.compare)
        if self.link:
            found["link"] = True
        return found

    @classmethod
    def parse(cls, value: object) -> Output:
        """Read the JSON form. Raises ArchiveError."""
        fields = mapping(value, "claims.outputs[]")
        path = text(fields.get("path"), "claims output path")
        parts = path.split("/")
        if not path or path.startswith("/") or any(part in ("", ".", "..") for part in parts):
            raise ArchiveError(f"claims: output path {path[:80]!r} leaves the project")
        return cls(
            path=path,
            size=whole(fields.get("size"), "claims output size"),
            digest=Digest.parse("sha256:" + text(fields.get("sha256"), "claims output sha256")),
            required=fields.get("required", True) is True,
            compare=mapping(fields.get("compare", {}), "claims output compare"),
            link=fields.get("link", False) is True,
        )


@frozen
class Claims:
    """What runs and what it must give: the sealed half (archive.md, decision 2).

    ``root`` is the project's absolute path inside the image. ``outputs`` are sorted by
    path. ``declared`` tells whether the author listed the outputs (then others the rerun
    writes are not "unexpected").
    """

    name: str
    root: str
    steps: tuple[Step, ...]
    environment: Mapping[str, str]
    outputs: tuple[Output, ...]
    declared: bool = False
    exclude: tuple[str, ...] = ()
    title: str | None = None
    limits: Limits = NO_LIMITS

    def to_json(self) -> dict[str, Any]:
        """The document ``repro.claims/1``."""
        found: dict[str, Any] = {
            "schema": CLAIMS_SCHEMA,
            "name": self.name,
            "root": self.root,
            "steps": [_step_json(step) for step in self.steps],
            "environment": dict(self.environment),
            "outputs": [output.to_json() for output in self.outputs],
            "declared": self.declared,
            "exclude": list(self.exclude),
        }
        if self.title is not None:
            found["title"] = self.title
        if self.limits:
            found["limits"] = self.limits.to_json()
        return found

    @classmethod
    def parse(cls, value: object) -> Claims:
        """Read ``repro.claims/1``. Raises ArchiveError, also on a newer schema."""
        fields = mapping(value, "claims")
        schema = text(fields.get("schema"), "claims.schema")
        if schema != CLAIMS_SCHEMA:
            raise ArchiveError(
                f"the archive's claims have schema {schema[:40]!r}, this repro reads "
                f"{CLAIMS_SCHEMA}",
                hint="install a newer repro",
                slug="archive-schema",
            )
        title = fields.get("title")
        return cls(
            name=text(fields.get("name"), "claims.name"),
            root=text(fields.get("root"), "claims.root"),
            steps=tuple(_step(item) for item in sequence(fields.get("steps"), "claims.steps")),
            environment=texts(fields.get("environment"), "claims.environment"),
            outputs=tuple(
                Output.parse(item) for item in sequence(fields.get("outputs"), "claims.outputs")
            ),
            declared=fields.get("declared", False) is True,
            exclude=tuple(
                text(item, "claims.exclude")
                for item in sequence(fields.get("exclude", []), "claims.exclude")
            ),
            title=None if title is None else text(title, "claims.title"),
            limits=Limits.parse(fields.get("limits", {})),
        )


@frozen
class Recording:
    """Claims and circumstances as read from an archive, with their exact bytes' digest."""

    claims: Claims
    claims_digest: Digest
    circumstances: Mapping[str, Any]


def _step_json(step: Step) -> dict[str, Any]:
    found: dict[str, Any] = {"name": step.name, "argv": list(step.argv), "cwd": step.cwd}
    if step.notebook is not None:
        found["notebook"] = step.notebook
    if step.needs:
        found["needs"] = list(step.needs)
    if step.timeout is not None:
        found["timeout"] = format(step.timeout, "g")
    if step.stdin is not None:
        found["stdin"] = step.stdin
    return found


def _step(value: object) -> Step:
    fields = mapping(value, "claims.steps[]")
    argv = sequence(fields.get("argv"), "claims step argv")
    notebook = fields.get("notebook")
    timeout = fields.get("timeout")
    try:
        seconds = None if timeout is None else float(text(timeout, "claims step timeout"))
    except ValueError:
        raise ArchiveError("claims step timeout is not a number", slug="archive-json") from None
    if not argv:
        raise ArchiveError("claims: a step has no command", slug="archive-json")
    return Step(
        name=text(fields.get("name"), "claims step name"),
        argv=tuple(text(item, "claims step argv") for item in argv),
        cwd=text(fields.get("cwd", "."), "claims step cwd"),
        notebook=None if notebook is None else text(notebook, "claims step notebook"),
        needs=tuple(
            text(item, "claims step needs")
            for item in sequence(fields.get("needs", []), "claims step needs")
        ),
        timeout=seconds,
        stdin=None if fields.get("stdin") is None else _stdin(fields["stdin"]),
    )


def _stdin(value: object) -> str:
    path = text(value, "claims step stdin")
    if not path.startswith("/") or any(part in ("", ".", "..") for part in path[1:].split("/")):
        raise ArchiveError("claims: a step's stdin is no absolute path", slug="archive-json")
    return path
