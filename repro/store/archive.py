"""Read the one file: the head at once, blobs on demand, nothing unverified."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from repro.errors import ArchiveError, StorageError, UsageError
from repro.model.circumstances import check_shape
from repro.model.oci import (
    CIRCUMSTANCES,
    CLAIMS,
    CONFIG,
    FOLDED_PIECES,
    LABEL_CLAIMS,
    LOCK,
    LOCK_SCHEMA,
    MANIFEST,
    RECORDING,
    RESULTS,
    SBOM,
    Descriptor,
    mapping,
    sequence,
    text,
)
from repro.model.ports import OutputFile
from repro.model.recording import CIRCUMSTANCES_SCHEMA, Claims, Recording, is_absolute
from repro.primitives import tarformat
from repro.primitives.aside import in_threads
from repro.primitives.canonical import MAX_BYTES, load
from repro.primitives.digest import Digest
from repro.primitives.events import Observer, Tally, silent
from repro.primitives.texts import printable
from repro.primitives.verified import VerifiedReader
from repro.store import documents
from repro.store.blobs import Pieces, Span, open_place, place_size
from repro.store.catalog import (
    VersionInfo,
    check_entries,
    check_manifest_json,
    layer_list,
    newer_schema,
    read_index,
    read_versions,
    references,
)
from repro.store.folded import Folded, Folding
from repro.store.omitted import omitted, refuse_thin
from repro.store.outer import AGAIN, Member, scan

__all__ = ["Archive", "VersionInfo"]

_README_LIMIT = 1 << 20
_DOCUMENT_LIMIT = 4 << 20
"""Bytes of an index, manifest or config, as registries have it (distribution-spec, "Pushing
manifests")."""
_HEAD_LIMIT = 64 << 20
_PIECE = 1 << 20
_NEWER = "install a newer repro"


class Archive:
    """An open archive; a context manager. Safe to read from several threads.

    Opening reads and checks the head: all tar headers and padding, SHA256SUMS, the
    index, manifests and configs. It does not read layers; ``verify`` does. The file is
    held open, so that a replaced file changes nothing here.
    """

    def __init__(self, fd: int, label: str) -> None:
        """For ``open`` only."""
        self._fd = fd
        self._label = label
        self._members = scan(fd, label)
        self._roles: dict[Digest, str] = {}
        self.omitted: frozenset[Digest] = frozenset()
        """Blobs of layers that a thin archive lacks on purpose."""
        self._head_read = 0
        self._folding = Folding(Folded(versions=(), blobs=()), (), None)
        head = self._head()
        layout, index = head[documents.OCI_LAYOUT], head[documents.INDEX_JSON]
        newer = newer_schema(layout, index, self._read_named)
        if newer is not None:
            raise ArchiveError(
                f"{label} is of a newer format ({newer}) than this repro reads",
                hint=_NEWER,
                slug="archive-schema",
            )
        if layout != documents.LAYOUT:
            raise ArchiveError("oci-layout is not what repro writes", slug="archive-format")
        self._folding, entries = Folding.read(read_index(index), self._read_named)
        check_entries(entries)
        self.versions: tuple[VersionInfo, ...] = read_versions(entries, self._read_named)
        visible = [each for each in self.versions if each.tag not in self.folded]
        check_manifest_json(head[documents.MANIFEST_JSON], visible)
        self._folding.attach(self._spans())
        self.readme = head[documents.README].decode("utf-8", "replace")
        left_out = omitted(self.versions)
        self.omitted = frozenset(each for each in left_out if self.locate(each) is None)
        self._account()

    @classmethod
    def open(cls, path: Path, *, thin: bool = False) -> Archive:
        """Open an archive; one that lacks layers on purpose only with ``thin``.

        Raises UsageError when there is no such file, NotWhole for a thin one, ArchiveError
        with the slug archive-format, archive-truncated, archive-digest, archive-json or
        archive-schema.
        """
        label = printable(path.name, 60)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise UsageError(f"there is no {printable(str(path), 150)}", slug="no-file") from None
        except OSError as error:
            raise UsageError(f"{label} cannot be opened: {error.strerror}") from None
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ArchiveError(f"{label} is not a plain file", slug="archive-format")
            archive = cls(fd, label)
            if archive.omitted and not thin:
                raise refuse_thin(label)
            return archive
        except OSError as error:
            os.close(fd)
            raise StorageError(f"{label} cannot be read: {error.strerror}") from None
        except BaseException:
            os.close(fd)
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def clamp(self) -> int:
        """The time of all members (seconds since 1970)."""
        return tarformat.parse(os.pread(self._fd, tarformat.BLOCK, 0)).mtime

    def close(self) -> None:
        """Close the file; harmless when it is closed already."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def folded(self) -> frozenset[str]:
        """Tags of versions with a layer kept in pieces: other programs do not see them."""
        return self._folding.tags

    @property
    def folded_bytes(self) -> Mapping[Digest, int]:
        """Blobs kept in pieces, and the bytes of the file that each does not share."""
        return self._folding.own_bytes()

    def version(self, tag: str | None) -> VersionInfo:
        """The version with this tag; None means the one added last. Raises UsageError."""
        if tag is None:
            return self.versions[-1]
        for version in self.versions:
            if version.tag == tag:
                return version
        raise UsageError(
            f"{self._label} has no version '{printable(tag, 60)}'",
            hint="it has: " + ", ".join(version.tag for version in self.versions),
            slug="no-version",
        )

    def locate(self, digest: Digest) -> Span | Pieces | None:
        """Where a blob lies in the file (unverified: for copying into another archive)."""
        member = self._members.get(documents.blob_name(digest))
        if member is None:
            return self._folding.locate(digest)
        return Span(fd=self._fd, offset=member.offset, size=member.size)

    def read_blob(self, descriptor: Descriptor, limit: int = MAX_BYTES) -> bytes:
        """A whole blob, verified. Raises ArchiveError, also when it is over ``limit`` bytes."""
        if descriptor.size > limit:
            raise ArchiveError(
                f"{self._role(descriptor)} has {descriptor.size} bytes, more than {limit}",
                slug="archive-limit",
            )
        with self.open_blob(descriptor) as stream:
            return stream.read()

    def open_blob(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of a blob; reading its last bytes raises ArchiveError on a wrong digest."""
        if descriptor.digest in self.omitted:
            raise refuse_thin(self._label)
        name = self._role(descriptor)
        place = self.locate(descriptor.digest)
        if place is None:
            raise ArchiveError(f"{name} is missing", hint=AGAIN, slug="archive-format")
        if place_size(place) != descriptor.size:
            raise ArchiveError(
                f"{name} has {place_size(place)} bytes, its descriptor says {descriptor.size}",
                slug="archive-digest",
            )

        def mismatch(found: Digest, size: int) -> NoReturn:
            self._mismatch(name, descriptor, found, size)

        raw = open_place(place)
        return cast(BinaryIO, VerifiedReader(raw, descriptor.digest, descriptor.size, mismatch))

    def recording(self, version: VersionInfo) -> Recording:
        """The version's claims (checked against the image's label) and circumstances."""
        found = self._artifact_blob(version, RECORDING, CLAIMS)
        if str(found.digest) != version.config.labels.get(LABEL_CLAIMS):
            raise ArchiveError(
                f"the claims of {self._label} are not the ones its image names",
                details=[f"label {LABEL_CLAIMS}, found {found.digest}"],
                slug="archive-digest",
            )
        claims = Claims.parse(load(self.read_blob(found), "claims"))
        data = self.read_blob(self._artifact_blob(version, RECORDING, CIRCUMSTANCES))
        circumstances = mapping(load(data, "circumstances"), "circumstances")
        _check_schema(circumstances, CIRCUMSTANCES_SCHEMA, "circumstances")
        check_shape(circumstances)
        return Recording(claims=claims, claims_digest=found.digest, circumstances=circumstances)

    def lock_json(self, version: VersionInfo) -> dict[str, Any]:
        """The version's lock, the document ``repro.lock/1``."""
        data = self.read_blob(self._artifact_blob(version, LOCK, LOCK))
        document = dict(mapping(load(data, "lock"), "lock"))
        _check_schema(document, LOCK_SCHEMA, "lock")
        return document

    def sbom_json(self, version: VersionInfo) -> dict[str, Any]:
        """The version's bill of materials (CycloneDX). Raises UsageError when it has none."""
        artifact = version.artifact(SBOM)
        found = artifact.blob(SBOM) if artifact else None
        if found is None:
            raise UsageError(
                f"{self._label} has no bill of materials for {version.tag}",
                hint="an older repro made it; `repro inspect --pins` lists its packages",
                slug="no-sbom",
            )
        return dict(mapping(load(self.read_blob(found), "bill of materials"), "bill of materials"))

    def results(self, version: VersionInfo) -> Mapping[str, OutputFile]:
        """The recorded outputs by path, each checked against the claims.

        They stay readable after the archive is closed.
        """
        from repro.store.results import read_results

        claims = self.recording(version).claims
        if not claims.outputs:
            return {}
        with self.open_blob(self._artifact_blob(version, RECORDING, RESULTS)) as stream:
            return read_results(stream, claims.outputs)

    def file_digests(
        self, version: VersionInfo, kinds: Iterable[str]
    ) -> Iterator[tuple[str, Digest]]:
        """Absolute path and sha256 of every plain file in the layers of these kinds."""
        for layer in version.layers:
            if layer.kind in kinds:
                for entry in self.file_list(version, layer.diff_id):
                    if "sha256" in entry:
                        path = "/" + text(entry.get("path"), "file list path")
                        if not is_absolute(path):
                            raise ArchiveError(
                                "a file list has a path that is not normal", slug="archive-format"
                            )
                        hexadecimal = text(entry["sha256"], "file list sha256")
                        yield path, Digest.parse(f"sha256:{hexadecimal}")

    def file_list(self, version: VersionInfo, diff_id: Digest) -> list[Mapping[str, Any]]:
        """The entries of a layer's file list (TOC): path, size, offset, sha256, origin."""
        import zstandard

        layer = next(layer for layer in version.layers if layer.diff_id == diff_id)
        data = self.read_blob(layer_list(version, layer))
        try:
            with zstandard.ZstdDecompressor(max_window_size=MAX_BYTES).stream_reader(data) as plain:
                document = mapping(load(plain.read(MAX_BYTES + 1), "a file list"), "a file list")
        except zstandard.ZstdError as error:
            raise ArchiveError(f"a file list is damaged: {error}", slug="archive-zstd") from None
        if document.get("diff_id") != str(diff_id):
            raise ArchiveError("a file list is of another layer", slug="archive-format")
        return [
            mapping(entry, "file list entry")
            for entry in sequence(document.get("entries"), "file list entries")
        ]

    def verify(self, observer: Observer = silent) -> int:
        """Check the digest of every blob; how many there are. Raises ArchiveError."""
        own = [each for each in self._folding.descriptors if each.media_type == FOLDED_PIECES]
        return self._check_blobs([*self._descriptors(self.versions), *own], observer)

    def verify_small(self, version: VersionInfo) -> int:
        """Check every blob but layers; how many. ``Cache.layers`` checks a version's layers.

        Together they leave only the layers of other versions unread.
        """
        layers = {layer.descriptor.digest for each in self.versions for layer in each.layers}
        small = [d for d in self._descriptors(self.versions) if d.digest not in layers]
        return self._check_blobs(small, silent)

    def _check_blobs(self, descriptors: Sequence[Descriptor], observer: Observer) -> int:
        total = sum(descriptor.size for descriptor in descriptors)
        if total < _PIECE:
            for descriptor in descriptors:
                self._check_blob(descriptor)
            return len(descriptors)
        told = Tally("archive", total, observer)
        told.text = "checking digests"
        # Big ones first: the threads then end at about the same time.
        queue = sorted(descriptors, key=lambda descriptor: -descriptor.size)
        calls = [partial(self._check_blob, each, told) for each in queue]
        in_threads(calls, min(4, os.cpu_count() or 1))
        return len(queue)

    def _check_blob(self, descriptor: Descriptor, told: Tally | None = None) -> None:
        piece = bytearray(min(_PIECE, descriptor.size))
        with self.open_blob(descriptor) as stream:
            while count := stream.readinto(piece):  # type: ignore[attr-defined]
                if told is not None:
                    told.add(count)

    def _descriptors(self, versions: Iterable[VersionInfo]) -> list[Descriptor]:
        found: dict[Digest, Descriptor] = {}
        for version in versions:
            for _, descriptor in references(version):
                found.setdefault(descriptor.digest, descriptor)
        return list(found.values())

    def _read_named(self, descriptor: Descriptor, role: str) -> bytes:
        self._roles.setdefault(descriptor.digest, role)
        # One manifest may be listed many times: what is read again counts again.
        self._head_read += descriptor.size
        if self._head_read > _HEAD_LIMIT:
            raise ArchiveError(
                f"{self._label} has more than {_HEAD_LIMIT} bytes of manifests and configs",
                slug="archive-limit",
            )
        small = descriptor.media_type in (MANIFEST, CONFIG)
        return self.read_blob(descriptor, _DOCUMENT_LIMIT if small else MAX_BYTES)

    def _head(self) -> dict[str, bytes]:
        found = {name: self._read_member(self._members[name]) for name in documents.HEAD}
        contents = [(name, found[name]) for name in documents.SUMMED]
        expected = documents.sums(contents).splitlines(keepends=True)
        lines = found[documents.SUMS].splitlines(keepends=True)
        for number, name in enumerate(documents.SUMMED):
            if number >= len(lines) or lines[number] != expected[number]:
                raise ArchiveError(
                    f"{name} of {self._label} does not match {documents.SUMS}",
                    hint=AGAIN,
                    slug="archive-digest",
                )
        if len(lines) != len(expected):
            raise ArchiveError(
                f"{documents.SUMS} of {self._label} has more lines than files",
                slug="archive-digest",
            )
        return found

    def _read_member(self, member: Member) -> bytes:
        limit = _README_LIMIT if member.name == documents.README else _DOCUMENT_LIMIT
        if member.size > limit:
            raise ArchiveError(f"{member.name} is larger than {limit} bytes", slug="archive-limit")
        data = os.pread(self._fd, member.size, member.offset)
        if len(data) != member.size:
            raise ArchiveError(f"{self._label} is cut off", hint=AGAIN, slug="archive-truncated")
        return data

    def _account(self) -> None:
        """Name every blob; refuse one that nothing refers to, and two sizes for one."""
        for version in self.versions:
            for role, descriptor in references(version):
                if descriptor.digest in self.omitted:
                    self._roles.setdefault(descriptor.digest, role)
                    continue
                self._check_there(role, descriptor)
        for descriptor in self._folding.descriptors:
            self._check_there("a blob of folded versions", descriptor)
        for digest in self._folding.blobs():
            if digest not in self._roles:
                raise ArchiveError(
                    f"folded blob {digest.short} of {self._label} belongs to nothing",
                    slug="archive-format",
                )
        for name in list(self._members)[len(documents.HEAD) :]:
            if Digest(name[len(documents.BLOBS) :]) not in self._roles:
                raise ArchiveError(
                    f"blob {name[len(documents.BLOBS) :][:12]} of {self._label} belongs to nothing",
                    slug="archive-format",
                )

    def _check_there(self, role: str, descriptor: Descriptor) -> None:
        self._roles.setdefault(descriptor.digest, role)
        place = self.locate(descriptor.digest)
        if place is None or place_size(place) != descriptor.size:
            self.open_blob(descriptor)  # says what is wrong

    def _spans(self) -> dict[Digest, Span]:
        return {
            Digest(name[len(documents.BLOBS) :]): Span(
                fd=self._fd, offset=member.offset, size=member.size
            )
            for name, member in self._members.items()
            if name.startswith(documents.BLOBS)
        }

    def _artifact_blob(
        self, version: VersionInfo, artifact_type: str, media_type: str
    ) -> Descriptor:
        artifact = version.artifact(artifact_type)
        found = artifact.blob(media_type) if artifact else None
        if found is None:
            what = media_type.removeprefix("application/vnd.repro.")
            raise ArchiveError(
                f"{self._label} has no {what} for {version.tag}", slug="archive-format"
            )
        return found

    def _role(self, descriptor: Descriptor) -> str:
        role = self._roles.get(descriptor.digest, f"blob {descriptor.digest.short}")
        return f"{role} of {self._label}"

    def _mismatch(self, name: str, descriptor: Descriptor, found: Digest, size: int) -> NoReturn:
        if size < descriptor.size:
            raise ArchiveError(
                f"{name} is cut off ({size} of {descriptor.size} bytes)",
                hint=AGAIN,
                slug="archive-truncated",
            )
        raise ArchiveError(
            f"{name} does not match its digest",
            hint=AGAIN,
            details=[f"expected {descriptor.digest}, found {found}"],
            slug="archive-digest",
        )


def _check_schema(document: Mapping[str, Any], schema: str, what: str) -> None:
    found = text(document.get("schema"), f"{what} schema")
    if found != schema:
        raise ArchiveError(
            f"the {what} have schema '{printable(found, 40)}', this repro reads {schema}",
            hint=_NEWER,
            slug="archive-schema",
        )
