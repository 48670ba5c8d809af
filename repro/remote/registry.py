"""One repository of an OCI registry: blobs, manifests, tags, referrers (distribution-spec 1.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from urllib.parse import quote, urljoin

from repro.errors import ArchiveError, RemoteError
from repro.model.oci import INDEX, MANIFEST, Descriptor, mapping, sequence
from repro.primitives.canonical import dump, load
from repro.primitives.digest import Digest
from repro.primitives.texts import printable
from repro.remote.services import NO_REGISTRY
from repro.remote.session import Answer, Session

MAX_MANIFEST = 4 << 20
"""What a registry must take at least (distribution-spec, "Pushing manifests"), in bytes."""
_MOST_PAGES = 1000
_LINK = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?')

Progress = Callable[[int], None]


class Registry:
    """A repository as this user sees it. Safe for several threads.

    Every manifest that is read is checked against its digest; blobs are ``transfer``'s.
    """

    def __init__(self, session: Session, repository: str) -> None:
        self.session = session
        self.repository = repository
        self.pull_scope = (f"repository:{repository}:pull",)
        self.push_scope = (f"repository:{repository}:pull,push",)
        self._base = f"/v2/{repository}"

    @property
    def name(self) -> str:
        """Server and repository, for people."""
        return f"{self.session.server}/{self.repository}"

    def blob_address(self, digest: Digest) -> str:
        """Where a blob is read."""
        return f"{self._base}/blobs/{digest}"

    def uploads_address(self, digest: Digest | None = None, source: str | None = None) -> str:
        """Where an upload begins; with ``source`` as a mount from another repository."""
        address = f"{self._base}/blobs/uploads/"
        if digest is None or source is None:
            return address
        return f"{address}?mount={quote(str(digest))}&from={quote(source, safe='')}"

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether the blob is there whole. Raises RemoteError."""
        answer = self.session.request(
            "HEAD", self.blob_address(descriptor.digest), scopes=self.push_scope,
            expect=(200, 404),
        )  # fmt: skip
        length = answer.header("Content-Length")
        return answer.status == 200 and length in (None, str(descriptor.size))

    def manifest(self, wanted: str) -> tuple[bytes, Descriptor]:
        """The manifest behind a tag or digest, as exact bytes, and its descriptor.

        Raises RemoteError when there is none (slug ``http-404``) or it is not what its
        digest says.
        """
        answer = self.session.request(
            "GET", f"{self._base}/manifests/{quote(wanted, safe=':')}", scopes=self.pull_scope,
            headers={"Accept": f"{MANIFEST}, {INDEX}"},
        )  # fmt: skip
        if len(answer.body) > MAX_MANIFEST:
            raise RemoteError(
                f"the manifest of {self.name}:{wanted} is over {MAX_MANIFEST} bytes",
                hint=NO_REGISTRY,
            )
        found = Digest.of(answer.body)
        claimed = wanted if wanted.startswith("sha256:") else answer.header("Docker-Content-Digest")
        if claimed is not None and claimed != str(found):
            raise RemoteError(
                f"{self.name} sent another manifest than {printable(wanted, 80)}",
                details=[f"expected {printable(claimed, 80)}, found {found}"],
                slug="remote-digest",
                hint=NO_REGISTRY,
            )
        kind = (answer.header("Content-Type") or "").partition(";")[0].strip()
        return answer.body, Descriptor(media_type=kind, digest=found, size=len(answer.body))

    def put_manifest(self, wanted: str, data: bytes, media_type: str = MANIFEST) -> bool:
        """Store a manifest under a tag or its digest; whether its subject was taken note of."""
        answer = self.session.request(
            "PUT", f"{self._base}/manifests/{quote(wanted, safe=':')}", scopes=self.push_scope,
            headers={"Content-Type": media_type}, body=lambda: data, expect=(200, 201, 202),
        )  # fmt: skip
        return answer.header("OCI-Subject") is not None

    def tags(self) -> list[str]:
        """All tags, sorted; those of the referrers scheme left out. Raises RemoteError."""
        found: set[str] = set()
        for answer in self._pages(f"{self._base}/tags/list?n=1000"):
            try:
                listed = mapping(load(answer.body, "tags"), "tags").get("tags") or []
                found.update(str(tag) for tag in sequence(listed, "tags"))
            except ArchiveError as error:
                raise RemoteError(
                    f"{self.name} sent no list of tags: {error.message}", hint=NO_REGISTRY
                ) from None
        return sorted(tag for tag in found if not re.fullmatch(r"sha256-[0-9a-f]{64}", tag))

    def referrers(self, subject: Digest) -> list[Descriptor]:
        """Descriptors of the artifacts that belong to a manifest (distribution-spec, "Listing
        Referrers"), from the registry's own list, else from the fallback tag."""
        try:
            answers = list(
                self._pages(f"{self._base}/referrers/{subject}", {"Accept": INDEX})
            )  # fmt: skip
        except RemoteError as error:
            # 400 and 405: servers that take it for an upload address or do not know it.
            if error.slug not in ("http-404", "http-400", "http-405"):
                raise
            return self._fallback(subject)
        return [each for answer in answers for each in self._listed(answer.body)]

    def add_referrers(self, subject: Digest, added: Sequence[Descriptor]) -> None:
        """Name artifacts in the fallback index: for servers that ignore ``subject``."""
        known = self._fallback(subject)
        missing = [each for each in added if each.digest not in {old.digest for old in known}]
        if not missing:
            return
        document = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [each.to_json() for each in (*known, *missing)],
        }
        self.put_manifest(_fallback_tag(subject), dump(document), INDEX)

    def _fallback(self, subject: Digest) -> list[Descriptor]:
        try:
            data, _ = self.manifest(_fallback_tag(subject))
        except RemoteError as error:
            if error.slug == "http-404":
                return []
            raise
        return self._listed(data)

    def _listed(self, data: bytes) -> list[Descriptor]:
        try:
            document = mapping(load(data, "referrers"), "referrers")
            listed = sequence(document.get("manifests") or [], "referrers")
            return [Descriptor.parse(value, "referrers") for value in listed]
        except ArchiveError as error:
            raise RemoteError(
                f"{self.name} sent no list of artifacts: {error.message}", hint=NO_REGISTRY
            ) from None

    def _pages(self, address: str, headers: dict[str, str] | None = None) -> list[Answer]:
        found = []
        for _ in range(_MOST_PAGES):
            answer = self.session.request("GET", address, scopes=self.pull_scope, headers=headers)
            found.append(answer)
            link = _LINK.search(answer.header("Link") or "")
            if link is None:
                return found
            address = urljoin(address, link.group(1))
        raise RemoteError(f"{self.name} sends a list without an end", hint=NO_REGISTRY)


def _fallback_tag(subject: Digest) -> str:
    return f"sha256-{subject.hex}"
