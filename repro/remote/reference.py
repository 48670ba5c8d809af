"""``oci://host[:port]/name[:tag]`` as people type it (distribution-spec, "Pulling manifests")."""

from __future__ import annotations

import re

from repro.errors import UsageError
from repro.model.oci import TAG
from repro.primitives.digest import Digest
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable

SCHEME = "oci://"
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_NAME = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")
_EXAMPLE = "write it as oci://host/name:tag, for instance oci://ghcr.io/lab/paper:v1"


@frozen
class Reference:
    """A place on a registry. ``tag`` and ``digest`` are None when they were not given."""

    host: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read ``oci://host[:port]/name[:tag][@sha256:…]``. Raises UsageError."""
        if not text.startswith(SCHEME):
            raise _refusal(text)
        host, slash, rest = text[len(SCHEME) :].partition("/")
        rest, at, digest = rest.partition("@")
        name, colon, tag = rest.partition(":")
        if not slash or not _HOST.fullmatch(host) or not _NAME.fullmatch(name) or len(name) > 255:
            raise _refusal(text)
        if colon and not TAG.fullmatch(tag):
            raise _refusal(text)
        if at and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            raise _refusal(text)
        if host in _HUB:
            host, name = "docker.io", name if "/" in name else f"library/{name}"
        return cls(
            host=host.lower(),
            repository=name,
            tag=tag if colon else None,
            digest=Digest.parse(digest) if at else None,
        )

    @property
    def server(self) -> str:
        """The host that speaks the protocol (Docker Hub's is not its name)."""
        return "registry-1.docker.io" if self.host == "docker.io" else self.host

    @property
    def wanted(self) -> str:
        """What to ask the registry for: the digest, else the tag, else ``latest``."""
        return str(self.digest) if self.digest is not None else self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        digest = f"@{self.digest}" if self.digest is not None else ""
        return f"{SCHEME}{self.host}/{self.repository}{tag}{digest}"


def is_reference(text: str) -> bool:
    """Whether ``text`` means a registry and not a file."""
    return text.startswith(SCHEME)


def _refusal(text: str) -> UsageError:
    hint = _EXAMPLE
    name = text.removeprefix(SCHEME).partition("/")[2].partition("@")[0].rpartition(":")[0]
    if name != name.lower():
        hint = f"names on registries are in lower case; {_EXAMPLE}"
    return UsageError(f"{printable(text, 120)!r} is no place on a registry", hint=hint)
