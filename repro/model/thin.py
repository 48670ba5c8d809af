"""Thin archives: which bytes of a version's layers lie elsewhere, and how a layer is made again.

A layer is a list of parts, in the order of its plain bytes: from the rest that the thin archive
holds, a member of a published artifact, or bytecode that is compiled again. The whole must hash
to the layer's diff_id: nothing that a recipe says is believed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from repro.errors import ArchiveError
from repro.model.oci import mapping, sequence, text, whole
from repro.primitives.digest import Digest
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable

SCHEMA = "repro.thin/1"
RECIPE_SCHEMA = "repro.thin-recipe/1"

KINDS = ("wheel", "deb")
ARTIFACT_LIMIT = 4 << 30
"""Bytes of the largest wheel or Debian package that is fetched."""
_MOST_ARTIFACTS = 20_000
_MOST_PARTS = 500_000
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~%:=!-]{0,250}\.(whl|deb)")
_POOL = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._+~%:=-]*/)*[A-Za-z0-9][A-Za-z0-9._+~%:=-]*\.deb")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,200}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:~!-]{0,200}")
_PLAIN = re.compile(r"[0-9a-f]{64}")
_TYPES = {"wheel": "whl", "deb": "deb"}


@frozen
class ThinArtifact:
    """A published file that holds members of layers. ``size`` in bytes, ``sha256`` hexadecimal.

    ``url`` is a public address of it, where one is known; ``pool`` is a Debian package's path
    below its archive's root, ``snapshot`` the service that keeps that day's state.
    """

    kind: str
    name: str
    version: str
    filename: str
    sha256: str
    size: int
    architecture: str = ""
    url: str | None = None
    pool: str | None = None
    snapshot: str | None = None

    @property
    def label(self) -> str:
        """For people: name, version and file."""
        return printable(f"{self.name} {self.version} ({self.filename})", 160)

    def to_json(self) -> dict[str, Any]:
        """The JSON form, absent fields left out."""
        found = {
            "kind": self.kind, "name": self.name, "version": self.version,
            "filename": self.filename, "sha256": self.sha256, "size": self.size,
            "architecture": self.architecture or None, "url": self.url, "pool": self.pool,
            "snapshot": self.snapshot,
        }  # fmt: skip
        return {key: value for key, value in found.items() if value is not None}

    @classmethod
    def parse(cls, value: object) -> ThinArtifact:
        """Read the JSON form. Raises ArchiveError on a name that is no plain name."""
        fields = mapping(value, "a thin artifact")
        found = cls(
            kind=text(fields.get("kind"), "a thin artifact's kind"),
            name=_fit(_NAME, fields.get("name"), "name"),
            version=_fit(_VERSION, fields.get("version"), "version"),
            filename=_fit(_FILENAME, fields.get("filename"), "file name"),
            sha256=_fit(_PLAIN, fields.get("sha256"), "sha256"),
            size=whole(fields.get("size"), "a thin artifact's size"),
            architecture=text(fields.get("architecture", ""), "a thin artifact's architecture"),
            url=_optional(fields, "url"),
            pool=None if "pool" not in fields else _fit(_POOL, fields["pool"], "pool"),
            snapshot=_optional(fields, "snapshot"),
        )
        if found.kind not in KINDS or not found.filename.endswith("." + _TYPES[found.kind]):
            _refuse(f"an artifact of the kind {printable(found.kind, 40)!r}")
        if not 0 < found.size <= ARTIFACT_LIMIT:
            _refuse(f"{found.label} with {found.size} bytes, more than {ARTIFACT_LIMIT}")
        return found


@frozen
class ThinLayer:
    """A layer that is not in the file. ``digest`` and ``size`` are those of its blob.

    ``level`` is the compression's; ``exact`` whether compressing anew gave ``digest`` where it
    was made thin. ``taken`` are plain bytes that lie in artifacts, ``compiled`` those of bytecode.
    """

    diff_id: Digest
    digest: Digest
    size: int
    level: int
    exact: bool
    recipe: Digest
    rest: Digest
    taken: int
    compiled: int

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "diff_id": str(self.diff_id), "digest": str(self.digest), "size": self.size,
            "level": self.level, "exact": self.exact, "recipe": str(self.recipe),
            "rest": str(self.rest), "taken": self.taken, "compiled": self.compiled,
        }  # fmt: skip

    @classmethod
    def parse(cls, value: object) -> ThinLayer:
        """Read the JSON form. Raises ArchiveError."""
        fields = mapping(value, "a thin layer")
        level = whole(fields.get("level"), "a thin layer's level")
        if not 1 <= level <= 22 or not isinstance(fields.get("exact"), bool):
            _refuse("a layer compressed in no known way")
        return cls(
            diff_id=Digest.parse(fields.get("diff_id")),
            digest=Digest.parse(fields.get("digest")),
            size=whole(fields.get("size"), "a thin layer's size"),
            level=level,
            exact=fields["exact"],
            recipe=Digest.parse(fields.get("recipe")),
            rest=Digest.parse(fields.get("rest")),
            taken=whole(fields.get("taken"), "a thin layer's taken"),
            compiled=whole(fields.get("compiled"), "a thin layer's compiled"),
        )


@frozen
class Thin:
    """What a thin version lacks. ``fat_sha256`` and ``fat_size`` are those of the whole file.

    ``zstandard`` is the compressor that the layers were tried with; ``programs`` are the
    image's own interpreters that compile bytecode, by absolute path.
    """

    fat_sha256: str
    fat_size: int
    zstandard: str
    artifacts: tuple[ThinArtifact, ...]
    layers: tuple[ThinLayer, ...]
    programs: tuple[str, ...] = ()

    @property
    def download(self) -> int:
        """Bytes of all artifacts together."""
        return sum(artifact.size for artifact in self.artifacts)

    def to_json(self) -> dict[str, Any]:
        """The document ``repro.thin/1``."""
        return {
            "schema": SCHEMA,
            "fat": {"sha256": self.fat_sha256, "size": self.fat_size},
            "zstandard": self.zstandard,
            "artifacts": [artifact.to_json() for artifact in self.artifacts],
            "layers": [layer.to_json() for layer in self.layers],
            "programs": list(self.programs),
        }

    @classmethod
    def parse(cls, value: object) -> Thin:
        """Read ``repro.thin/1``. Raises ArchiveError, archive-schema for a newer one."""
        fields = mapping(value, "the thin document")
        _check_schema(fields, SCHEMA)
        fat = mapping(fields.get("fat"), "thin fat")
        artifacts = sequence(fields.get("artifacts"), "thin artifacts")
        if len(artifacts) > _MOST_ARTIFACTS:
            _refuse(f"more than {_MOST_ARTIFACTS} artifacts")
        programs = sequence(fields.get("programs"), "thin programs")
        return cls(
            fat_sha256=_fit(_PLAIN, fat.get("sha256"), "fat sha256"),
            fat_size=whole(fat.get("size"), "thin fat size"),
            zstandard=text(fields.get("zstandard"), "thin zstandard"),
            artifacts=tuple(ThinArtifact.parse(item) for item in artifacts),
            layers=tuple(ThinLayer.parse(i) for i in sequence(fields.get("layers"), "layers")),
            programs=tuple(_absolute(item) for item in programs[:64]),
        )


@frozen
class Part:
    """``size`` plain bytes of a layer.

    From the rest when ``artifact`` and ``source`` are None; else ``member`` of the artifact of
    that number; else what ``program`` (a number) makes of the module ``source`` with
    ``optimize``, without the 16 bytes of a pyc's header.
    """

    size: int
    artifact: int | None = None
    member: str = ""
    source: str | None = None
    optimize: int = 0
    program: int = 0

    def to_json(self) -> list[Any]:
        """The JSON form: a list whose length tells the kind."""
        if self.artifact is not None:
            return [self.size, self.artifact, self.member]
        if self.source is not None:
            return [self.size, self.source, self.optimize, self.program]
        return [self.size]


def recipe_json(diff_id: Digest, parts: tuple[Part, ...]) -> dict[str, Any]:
    """The document ``repro.thin-recipe/1`` of one layer."""
    return {
        "schema": RECIPE_SCHEMA,
        "diff_id": str(diff_id),
        "parts": [part.to_json() for part in parts],
    }


def parse_recipe(value: object, thin: Thin, layer: ThinLayer, plain: int) -> tuple[Part, ...]:
    """Read ``repro.thin-recipe/1`` of a layer of ``plain`` bytes.

    Raises ArchiveError when it names what is not there or gives another size.
    """
    fields = mapping(value, "a thin recipe")
    _check_schema(fields, RECIPE_SCHEMA)
    if fields.get("diff_id") != str(layer.diff_id):
        _refuse("a recipe of another layer")
    listed = sequence(fields.get("parts"), "thin parts")
    if len(listed) > _MOST_PARTS:
        _refuse(f"a recipe of more than {_MOST_PARTS} parts")
    parts = tuple(_part(sequence(item, "a thin part"), thin) for item in listed)
    if sum(part.size for part in parts) != plain:
        _refuse("a recipe that gives another size than its layer has")
    return parts


def _part(item: list[Any], thin: Thin) -> Part:
    size = whole(item[0] if item else None, "a thin part's size")
    if len(item) == 1:
        return Part(size=size)
    if len(item) == 3:
        artifact = whole(item[1], "a thin part's artifact")
        if artifact >= len(thin.artifacts):
            _refuse("a part of an artifact that it does not name")
        return Part(size=size, artifact=artifact, member=text(item[2], "a thin part's member"))
    if len(item) != 4:
        _refuse("a part of no known kind")
    optimize, program = whole(item[2], "a part's optimize"), whole(item[3], "a part's program")
    if optimize > 2 or program >= len(thin.programs):
        _refuse("bytecode of a program that it does not name")
    return Part(size=size, source=_absolute(item[1]), optimize=optimize, program=program)


def _check_schema(fields: Mapping[str, Any], schema: str) -> None:
    found = text(fields.get("schema"), "thin schema")
    if found != schema:
        raise ArchiveError(
            f"the thin archive has schema '{printable(found, 40)}', this repro reads {schema}",
            hint="install a newer repro",
            slug="archive-schema",
        )


def _absolute(value: object) -> str:
    """An absolute, normal path inside the image. Raises ArchiveError."""
    path = text(value, "a thin path")
    if posixpath.normpath(path) != path or not path.startswith("/") or path.startswith("//"):
        _refuse(f"the path {printable(path, 80)!r}")
    if "\0" in path or "\n" in path:
        _refuse("a path with a character that is not accepted")
    return path


def _fit(pattern: re.Pattern[str], value: object, what: str) -> str:
    found = text(value, f"a thin artifact's {what}")
    if not pattern.fullmatch(found):
        _refuse(f"the {what} {printable(found, 80)!r}")
    return found


def _optional(fields: Mapping[str, Any], name: str) -> str | None:
    return text(fields[name], f"a thin artifact's {name}") if name in fields else None


def _refuse(what: str) -> NoReturn:
    raise ArchiveError(f"the thin archive names {what}: refused", slug="archive-thin-recipe")
