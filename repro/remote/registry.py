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
_REFERRER_TRIES = 12
_NO_CONDITIONS = (400, 501)
"""What a registry may say to a header that it does not know."""
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
        _, data, descriptor = self._manifest(wanted)
        return data, descriptor

    def _manifest(self, wanted: str) -> tuple[Answer, bytes, Descriptor]:
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
        descriptor = Descriptor(media_type=kind, digest=found, size=len(answer.body))
        return answer, answer.body, descriptor

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
            return self._fallback(subject)[0]
        return [each for answer in answers for each in self._listed(answer.body)]

    def add_referrers(self, subject: Digest, added: Sequence[Descriptor]) -> None:
        """Name artifacts in the fallback index: for servers that ignore ``subject``.

        The index is read, changed and stored again (distribution-spec, "Referrers Tag
        Schema"), which another push may do at the same time. So it is stored under the
        condition that it is still the one that was read, which not every registry minds, and
        read again until all of ``added`` are in it, twice in a row. Raises RemoteError (slug
        ``referrers``) when they do not stay in it.
        """
        # Two that write at once differ in what they add: so they do not keep step.
        moment = 0.2 + int(max(each.digest.hex for each in added)[:4], 16) / 0x20000
        seen = 0
        for number in range(_REFERRER_TRIES):
            if seen or number > 1:  # never between reading and storing
                self.session.rest(moment)
            known, condition = self._fallback(subject)
            there = {each.digest for each in known}
            missing = [each for each in added if each.digest not in there]
            if not missing:
                seen += 1
                if number == 0 or seen == 2:
                    return
                continue
            seen = 0
            self._put_index(subject, [*known, *missing], condition)
        error = RemoteError(
            f"{self.name} does not keep the list of what belongs to {subject.short}",
            hint="somebody else may be pushing the same version: try again in a while",
            slug="referrers",
        )
        error.temporary = True
        raise error

    def _put_index(
        self, subject: Digest, listed: Sequence[Descriptor], condition: dict[str, str]
    ) -> None:
        """Store the fallback index; nothing is changed when the condition does not hold (412)."""
        document = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [each.to_json() for each in listed],
        }
        data, tag = dump(document), _fallback_tag(subject)
        answer = self.session.request(
            "PUT", f"{self._base}/manifests/{tag}", scopes=self.push_scope,
            headers={"Content-Type": INDEX, **condition}, body=lambda: data,
            expect=(200, 201, 202, 412, *_NO_CONDITIONS),
        )  # fmt: skip
        if answer.status in _NO_CONDITIONS:
            self.put_manifest(tag, data, INDEX)

    def _fallback(self, subject: Digest) -> tuple[list[Descriptor], dict[str, str]]:
        """The fallback index, and the headers (RFC 9110, 13.1) that mean: while it is this one."""
        tag = _fallback_tag(subject)
        try:
            answer, data, _ = self._manifest(tag)
        except RemoteError as error:
            if error.slug == "http-404":
                return [], {"If-None-Match": "*"}
            raise
        etag = answer.header("ETag") or ""
        strong = re.fullmatch(r'"[\x21\x23-\x7e]{1,200}"', etag) is not None
        return self._listed(data), {"If-Match": etag} if strong else {}

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
