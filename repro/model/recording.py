"""The recording: what an archive claims (sealed) and how it came about (not sealed)."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, NoReturn

from repro.errors import ArchiveError
from repro.model.limits import NO_LIMITS, Limits
from repro.model.oci import mapping, sequence, text, texts, whole
from repro.model.step import Step
from repro.primitives.digest import Digest
from repro.primitives.frozen import field, frozen

_LONGEST = 4095  # path_resolution(7), PATH_MAX without its zero byte
_LONGEST_TIME = 1e9
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
        if path == "." or not is_inside(path):
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
        found = cls(
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
        check_claims(found)
        return found


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
    if not is_absolute(path):
        raise ArchiveError("claims: a step's stdin is no absolute path", slug="archive-json")
    return path


def is_absolute(path: str) -> bool:
    """Whether a path is absolute and in its only spelling: no dots, no empty segment."""
    return path.startswith("/") and path != "/." and is_inside(path[1:])


def is_inside(path: str) -> bool:
    """Whether a relative path is in its only spelling and stays below where it begins."""
    parts = path.split("/")
    return (
        (path == "." or not any(part in ("", ".", "..") for part in parts))
        and "\0" not in path
        and len(path) <= _LONGEST
    )


def check_claims(claims: Claims) -> None:
    """What a run could not be given, or would be given in two ways. Raises ArchiveError."""
    if not is_absolute(claims.root):
        _refuse(f"the project's root {claims.root[:80]!r} is no absolute path")
    for name, value in claims.environment.items():
        if not name or "=" in name or "\0" in name + value:
            _refuse(f"{name[:60]!r} is no environment variable")
    _check_steps(claims.steps)
    paths = [output.path for output in claims.outputs]
    listed = set(paths)
    if len(listed) != len(paths):
        _refuse("an output is named twice")
    for path in paths:
        above = path.rpartition("/")[0]
        while above:
            if above in listed:
                _refuse(f"output {path[:80]!r} lies below another output")
            above = above.rpartition("/")[0]


def _check_steps(steps: tuple[Step, ...]) -> None:
    if not steps:
        _refuse("there is no step")
    # Two notebooks may share a name.
    names = {step.name for step in steps}
    for step in steps:
        who = f"step {step.name[:60]!r}"
        if not is_inside(posixpath.normpath(step.cwd)):
            _refuse(f"{who} runs in {step.cwd[:60]!r}, outside the project")
        if not step.argv[0] or any("\0" in word for word in (*step.argv, step.notebook or "")):
            _refuse(f"{who} has no command that can be run")
        if step.timeout is not None and not 0 < step.timeout < _LONGEST_TIME:
            _refuse(f"{who} has a time limit that is none")
        if not names.issuperset(step.needs):
            _refuse(f"{who} needs a step that there is not")


def _refuse(why: str) -> NoReturn:
    raise ArchiveError(f"claims: {why}", slug="archive-json")
