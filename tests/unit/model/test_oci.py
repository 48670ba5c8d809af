from __future__ import annotations

import json

import pytest

from repro.errors import ArchiveError
from repro.model.oci import CONFIG, MANIFEST, Descriptor, ImageConfig, Manifest
from repro.primitives.digest import Digest


def descriptor() -> Descriptor:
    return Descriptor(media_type=CONFIG, digest=Digest.of(b"x"), size=1, annotations={"a": "b"})


def test_round_trips() -> None:
    one = descriptor()
    assert Descriptor.parse(one.to_json(), "d") == one
    manifest = Manifest(config=one, layers=(one, one), artifact_type="t", subject=one)
    assert Manifest.parse(json.loads(manifest.to_bytes())) == manifest
    config = ImageConfig(
        architecture="amd64", env=("A=b",), cmd=("sh",), working_dir="/p",
        labels={"k": "v"}, diff_ids=(Digest.of(b"y"),), history=("one",), created="2020",
    )  # fmt: skip
    read = ImageConfig.parse(json.loads(config.to_bytes()))
    assert (read.env, read.cmd, read.diff_ids) == (config.env, config.cmd, config.diff_ids)


@pytest.mark.parametrize(
    "value",
    [None, [], {}, {"mediaType": 1}, {"mediaType": CONFIG, "digest": "x", "size": 1},
     {"mediaType": CONFIG, "digest": str(Digest.of(b"")), "size": -1},
     {"mediaType": CONFIG, "digest": str(Digest.of(b"")), "size": True},
     {"mediaType": CONFIG, "digest": str(Digest.of(b"")), "size": 1 << 60},
     {"mediaType": CONFIG, "digest": str(Digest.of(b"")), "size": 1, "annotations": {"a": 1}}],
)  # fmt: skip
def test_descriptor_refused(value: object) -> None:
    with pytest.raises(ArchiveError):
        Descriptor.parse(value, "descriptor")


@pytest.mark.parametrize(
    "change", [{"schemaVersion": 1}, {"mediaType": CONFIG}, {"layers": {}}, {"config": None}]
)
def test_manifest_refused(change: dict[str, object]) -> None:
    good = json.loads(Manifest(config=descriptor(), layers=()).to_bytes())
    assert good["mediaType"] == MANIFEST
    with pytest.raises(ArchiveError):
        Manifest.parse({**good, **change})
