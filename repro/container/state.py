"""What is written down of a container: how it was made, how its last run went, who holds it."""

from __future__ import annotations

from typing import Any

from repro.container.processes import Process
from repro.errors import ArchiveError, StorageError
from repro.model.limits import NO_LIMITS, Limits
from repro.primitives.digest import Digest
from repro.primitives.frozen import frozen

SCHEMA = "repro.container/1"
_NEWER = "remove it by hand, or use the repro that made it"


@frozen
class Container:
    """How it was made; never changed. ``archive`` is where the archive lay (absolute).

    ``digest`` is the version's identity, ``layers`` its diff_ids, lowest first.
    """

    name: str
    archive: str
    tag: str
    digest: Digest
    layers: tuple[Digest, ...]
    created: str
    limits: Limits = NO_LIMITS
    network: str = "none"
    engine: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "archive": self.archive,
            "tag": self.tag,
            "digest": str(self.digest),
            "layers": [str(layer) for layer in self.layers],
            "created": self.created,
            "limits": self.limits.to_json(),
            "network": self.network,
            "engine": self.engine,
        }

    @classmethod
    def parse(cls, value: object) -> Container:
        """Read the JSON form. Raises StorageError."""
        fields = _fields(value)
        if fields.get("schema") != SCHEMA:
            raise _broken(f"its schema is not {SCHEMA}")
        layers = fields.get("layers")
        engine = fields.get("engine")
        try:
            return cls(
                name=_text(fields, "name"),
                archive=_text(fields, "archive"),
                tag=_text(fields, "tag"),
                digest=Digest.parse(_text(fields, "digest")),
                layers=tuple(map(Digest.parse, layers if isinstance(layers, list) else ())),
                created=_text(fields, "created"),
                limits=Limits.parse(fields.get("limits")),
                network=_text(fields, "network"),
                engine=None if engine is None else str(engine),
            )
        except ArchiveError as error:
            raise _broken(error.message) from None


@frozen
class Run:
    """The last run: ``command`` is None for the recorded steps; ``ended`` None while it runs,
    or when nobody was left to write its end down.

    ``reached`` names the limit that ended it, ``error`` says why there is no exit status.
    """

    began: str
    command: tuple[str, ...] | None = None
    step: str = ""
    ended: str | None = None
    exit: int | None = None
    reached: str | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "began": self.began,
            "command": None if self.command is None else list(self.command),
            "step": self.step,
            "ended": self.ended,
            "exit": self.exit,
            "reached": self.reached,
            "error": self.error,
        }

    @classmethod
    def parse(cls, value: object) -> Run:
        """Read the JSON form. Raises StorageError."""
        fields = _fields(value)
        command = fields.get("command")
        status = fields.get("exit")
        return cls(
            began=_text(fields, "began"),
            command=tuple(map(str, command)) if isinstance(command, list) else None,
            step=_text(fields, "step"),
            ended=_optional(fields, "ended"),
            exit=status if type(status) is int else None,
            reached=_optional(fields, "reached"),
            error=_optional(fields, "error"),
        )


@frozen
class Holder:
    """Who has the writable layer mounted: the process that watches the sandbox, and the
    sandbox's first process once it is known. ``kind`` is ``run`` or ``exec``."""

    kind: str
    watcher: Process
    init: Process | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "kind": self.kind,
            "watcher": self.watcher.to_json(),
            "init": None if self.init is None else self.init.to_json(),
        }

    @classmethod
    def parse(cls, value: object) -> Holder:
        """Read the JSON form. Raises StorageError."""
        fields = _fields(value)
        init = fields.get("init")
        return cls(
            kind=_text(fields, "kind"),
            watcher=Process.parse(fields.get("watcher")),
            init=None if init is None else Process.parse(init),
        )


def _fields(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _broken("it is no JSON object")
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    found = fields.get(name)
    if not isinstance(found, str):
        raise _broken(f"{name} is no text")
    return found


def _optional(fields: dict[str, Any], name: str) -> str | None:
    return None if fields.get(name) is None else _text(fields, name)


def _broken(why: str) -> StorageError:
    return StorageError(
        f"a container's state cannot be read: {why}", hint=_NEWER, slug="container-state"
    )
