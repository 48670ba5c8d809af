"""Repositories on registries as this user may use them, and the tags in them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from repro.errors import ArchiveError, RemoteError
from repro.model.oci import LABEL_SCHEMA, ImageConfig, Manifest
from repro.primitives.canonical import load
from repro.remote.credentials import find_credential
from repro.remote.reference import Reference
from repro.remote.registry import MAX_MANIFEST, Registry
from repro.remote.session import Session

WORKERS = 4
"""Blobs on their way at once."""


def open_registry(reference: Reference, environ: Mapping[str, str], insecure: bool) -> Registry:
    """The repository; nothing is sent yet. ``insecure`` means plain HTTP."""
    session = Session(
        reference.server,
        lambda: find_credential(reference.host, reference.repository, environ),
        insecure=insecure,
    )
    return Registry(session, reference.repository)


def list_tags(
    reference: Reference, environ: Mapping[str, str], insecure: bool = False
) -> list[dict[str, Any]]:
    """Each tag of a repository: its digests, size in bytes, and whether repro made it."""
    registry = open_registry(reference, environ, insecure)
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda tag: _described(registry, tag), registry.tags()))


def _described(registry: Registry, tag: str) -> dict[str, Any]:
    try:
        data, descriptor = registry.manifest(tag)
        manifest = Manifest.parse(load(data, "manifest"))
    except (ArchiveError, RemoteError) as error:
        return {"tag": tag, "repro": False, "note": error.message}
    config = read_config(registry, manifest)
    return {
        "tag": tag,
        "repro": config is not None,
        "digest": str(manifest.config.digest),
        "manifest": str(descriptor.digest),
        "size": sum(layer.size for layer in manifest.layers),
        "architecture": config.architecture if config is not None else None,
    }


def read_config(registry: Registry, manifest: Manifest) -> ImageConfig | None:
    """The image config when repro made the image; None for somebody else's."""
    if manifest.config.size > MAX_MANIFEST:
        return None
    answer = registry.session.request(
        "GET", registry.blob_address(manifest.config.digest), scopes=registry.pull_scope
    )
    try:
        config = ImageConfig.parse(load(answer.body, "image config"))
    except ArchiveError:
        return None
    return config if LABEL_SCHEMA in config.labels else None
