"""Index, manifests, configs, artifacts: wrong digests, sizes, types, rings, foreign layers."""

from __future__ import annotations

from typing import Any

import zstandard

from repro.model.oci import RECORDING, TOC
from repro.primitives.canonical import dump
from repro.primitives.tarformat import END
from tests.hostile.parts import (
    INDEX,
    USIZE,
    Change,
    Parts,
    circumstances,
    config,
    del_key,
    drop,
    edit,
    file_list,
    image,
    no_recording,
    other_claims,
    raw_blob,
    recording,
    replace,
    reports,
    set_key,
    swapped_layers,
)

HEAD, LAYER, RESULTS, LISTS = "ivxr", "vx", "vr", "v"
NONE = "sha256:" + "0" * 64
GZIPPED = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
ONE_SCHEMA = "application/vnd.docker.distribution.manifest.v1+json"


def to(*path: Any, value: Any) -> Any:
    return edit(image, set_key(*path, to=value))


def layers(count: int) -> Change:
    """The first layer and its diff_id many times."""

    def apply(parts: Parts) -> None:
        parts.edit(parts.image, lambda d: d.update(layers=d["layers"][:1] * count))
        parts.edit(
            parts.config,
            lambda d: d["rootfs"].update(diff_ids=d["rootfs"]["diff_ids"][:1] * count),
        )

    return apply


def itself(parts: Parts) -> None:
    """The manifest among its own layers: no document can hold its own digest."""
    document = parts.json(parts.image)
    listed = parts.json(INDEX)["manifests"][0]
    document["layers"][0].update(digest=listed["digest"], size=listed["size"])
    parts.members[parts.image] = dump(document)


def versions(count: int) -> Change:
    """One image under many tags, its manifest filled up to four megabytes."""

    def apply(parts: Parts) -> None:
        parts.edit(parts.image, set_key("annotations", to={"x": "y" * (4_000_000)}))
        listed = parts.json(INDEX)["manifests"]
        many = [
            {**listed[0], "annotations": {"org.opencontainers.image.ref.name": f"v{n}"}}
            for n in range(count)
        ]
        parts.edit(INDEX, set_key("manifests", to=[*many, *listed]))

    return apply


def swapped_artifacts(parts: Parts) -> None:
    parts.edit(INDEX, lambda d: d["manifests"].insert(0, d["manifests"].pop(1)))


def other_list(document: Any) -> None:
    listed = document["layers"]
    listed[3]["annotations"]["org.repro.toc"] = listed[2]["annotations"]["org.repro.toc"]


def shared(parts: Parts) -> None:
    """The config under the media type of a layer."""
    found = parts.json(parts.image)
    parts.edit(
        parts.image,
        lambda d: d["layers"][0].update(
            digest=found["config"]["digest"], size=found["config"]["size"]
        ),
    )
    first = "blobs/sha256/" + found["layers"][0]["digest"][7:]
    del parts.members[first]
    parts.edit(
        "manifest.json",
        lambda d: d[0]["Layers"].__setitem__(0, "blobs/sha256/" + found["config"]["digest"][7:]),
    )


IMAGE: dict[str, tuple[Change, str]] = {
    "a newer layout": (
        replace("oci-layout", dump({"imageLayoutVersion": "2.0.0"})),
        "newer format (image layout 2.0.0)",
    ),
    "another layout": (
        replace("oci-layout", dump({"imageLayoutVersion": "1.0.0", "x": 1})),
        "oci-layout is not",
    ),
    "a newer label": (
        edit(config, set_key("config", "Labels", "org.repro.schema", to="7")),
        "newer format (schema 7)",
    ),
    "no label": (edit(config, del_key("config", "Labels")), "was not made by repro"),
    "an odd label": (
        edit(config, set_key("config", "Labels", "org.repro.schema", to="one")),
        "was not made by repro",
    ),
    "no JSON": (replace(INDEX, b"{"), "index.json is not valid JSON"),
    "a list": (replace(INDEX, b"[]"), "index.json is not an object"),
    "duplicate keys": (
        lambda p: p.put(INDEX, p.members[INDEX][:-1] + b',"schemaVersion":2}'),
        "a key appears twice",
    ),
    "NaN": (replace(INDEX, b'{"manifests":NaN}'), "NaN is not JSON"),
    "unknown key": (edit(INDEX, set_key("annotations", to={"x": "y"})), "not accepted"),
    "unknown key in a descriptor": (
        edit(INDEX, set_key("manifests", 0, "urls", to=["http://x"])),
        "not accepted",
    ),
    "another annotation": (
        edit(INDEX, set_key("manifests", 0, "annotations", "x", to="y")),
        "entry that is not accepted",
    ),
    "white space": (lambda p: p.put(INDEX, p.members[INDEX] + b"\n"), "not accepted"),
    "an index in the index": (
        edit(INDEX, set_key("manifests", 0, "mediaType", to="application/x")),
        "entry that is not accepted",
    ),
    "no versions": (edit(INDEX, set_key("manifests", to=[])), "has no version"),
    "one tag twice": (
        edit(INDEX, lambda d: d["manifests"].append(d["manifests"][0])),
        "one tag twice",
    ),
    "a tag with a path": (
        edit(
            INDEX,
            set_key("manifests", 0, "annotations", "org.opencontainers.image.ref.name", to="../x"),
        ),
        "no valid tag",
    ),
    "digest as a path": (
        edit(INDEX, set_key("manifests", 0, "digest", to="sha256:../../../etc/passwd")),
        "not a sha256 digest",
    ),
    "a weak digest": (
        edit(INDEX, set_key("manifests", 0, "digest", to="md5:" + "0" * 32)),
        "not a sha256 digest",
    ),
    "a digest with a line end": (
        edit(
            INDEX,
            lambda d: set_key("manifests", 0, "digest", to=d["manifests"][0]["digest"] + "\n")(d),
        ),
        "not a sha256 digest",
    ),
    "a negative size": (edit(INDEX, set_key("manifests", 0, "size", to=-1)), "whole number"),
    "a size as text": (edit(INDEX, set_key("manifests", 0, "size", to="9")), "whole number"),
    "a wrong size": (edit(INDEX, set_key("manifests", 0, "size", to=9)), "its descriptor says 9"),
    "a size of terabytes": (edit(INDEX, set_key("manifests", 0, "size", to=1 << 50)), "more than"),
    "another platform": (
        edit(INDEX, set_key("manifests", 0, "platform", "architecture", to="arm64")),
        "different platforms",
    ),
    "manifest missing": (drop(image), "the manifest of bad.repro is missing"),
    "manifest changed": (raw_blob(image, b"{}"), "its descriptor says"),
    "an old schema version": (edit(image, set_key("schemaVersion", to=1)), "schemaVersion"),
    "an index as manifest": (
        edit(image, set_key("mediaType", to="application/vnd.oci.image.index.v1+json")),
        "mediaType does not match",
    ),
    "no layers": (edit(image, del_key("layers")), "layers is not an array"),
    "a layer too few": (edit(image, lambda d: d["layers"].pop()), "3 layers but 4 diff_ids"),
    "a diff_id too few": (
        edit(config, lambda d: d["rootfs"]["diff_ids"].pop()),
        "4 layers but 3 diff_ids",
    ),
    "a layer of another type": (
        edit(image, set_key("layers", 0, "mediaType", to="application/x-evil")),
        "media type 'application/x-evil'",
    ),
    "a layer without size": (
        edit(image, del_key("layers", 0, "annotations")),
        "lacks its kind or its size",
    ),
    "a layer of no kind": (
        edit(image, set_key("layers", 0, "annotations", "org.repro.kind", to="../x")),
        "lacks its kind",
    ),
    "a config of another type": (
        edit(image, set_key("config", "mediaType", to="application/x")),
        "another media type",
    ),
    "windows": (edit(config, set_key("os", to="windows")), "not linux"),
    "a config without rootfs": (edit(config, del_key("rootfs")), "rootfs is not an object"),
    "env of numbers": (edit(config, set_key("config", "Env", to=[1])), "Env is not text"),
    "a layer missing": (drop(lambda p: p.layer(3)), "layer 4 (code) of bad.repro is missing"),
    # manifest.json shows docker something else
    "another config for docker": (
        edit("manifest.json", set_key(0, "Config", to="blobs/sha256/" + "0" * 64)),
        "does not match index.json",
    ),
    "other layers for docker": (
        edit("manifest.json", lambda d: d[0]["Layers"].pop()),
        "does not match index.json",
    ),
    "another name for docker": (
        edit("manifest.json", set_key(0, "RepoTags", to=["debian:latest"])),
        "does not match index.json",
    ),
    "an image more for docker": (
        edit("manifest.json", lambda d: d.append(d[0])),
        "does not match index.json",
    ),
    "nothing for docker": (replace("manifest.json", b"[]"), "does not match index.json"),
    # artifacts
    "no recording": (no_recording, "has no claims"),
    "an artifact of nothing": (
        edit(recording, set_key("subject", "digest", to="sha256:" + "0" * 64)),
        "belongs to no version",
    ),
    "an artifact without subject": (edit(recording, del_key("subject")), "does not match"),
    "an artifact of another type": (
        edit(recording, set_key("artifactType", to="application/x")),
        "does not match its descriptor",
    ),
    "claims twice": (
        edit(recording, lambda d: d["layers"].append(d["layers"][0])),
        "the claims twice",
    ),
    "other claims": (other_claims, "not the ones its image"),
    "circumstances of tomorrow": (
        replace(lambda p: p.part(RECORDING, 1), dump({"schema": "repro.circumstances/9"})),
        "the circumstances have schema 'repro.circumstances/9'",
    ),
    "circumstances no JSON": (replace(lambda p: p.part(RECORDING, 1), b"\xff"), "not valid JSON"),
}

LATE: dict[str, tuple[Change, str, str]] = {
    "swapped layers": (swapped_layers, "do not match its diff_id", LAYER),
    "a layer of another digest": (raw_blob(lambda p: p.layer(3), b""), "layer 4 (code)", HEAD),
    "a layer's bytes changed": (
        lambda p: raw_blob(lambda q: q.layer(3), bytes(len(p.members[p.layer(3)])))(p),
        "layer 4 (code) of bad.repro does not match its digest", LAYER,
    ),
    "a diff_id of nothing": (
        edit(config, set_key("rootfs", "diff_ids", 2, to=NONE)), "a file list is of another layer", LISTS,
    ),
    "a config as layer": (shared, "layer", LAYER),
    "results of nothing": (replace(reports, b"junk"), "data is damaged", RESULTS),
    "results are empty": (
        replace(reports, zstandard.compress(END)), "recorded output 'empty' is missing", RESULTS,
    ),
    "results of gigabytes": (
        replace(reports, zstandard.compress(bytes(64 << 20))), "recorded output", RESULTS,
    ),
    "a file list no zstd": (
        replace(lambda p: p.part(TOC, 3), b"junk"), "file list is damaged", LISTS,
    ),
    "a file list of another layer": (edit(image, other_list), "of another layer", LISTS),
    "a file list of nothing": (
        to("layers", 3, "annotations", "org.repro.toc", value=NONE), "has no file list", LISTS,
    ),
    "a file list that explodes": (
        replace(lambda p: p.part(TOC, 3), zstandard.compress(bytes(80 << 20))),
        "a file list is larger", LISTS,
    ),
    "a file list of one object": (
        file_list(set_key("entries", to={})), "entries is not an array", LISTS,
    ),
    "a file list of numbers": (
        file_list(set_key("entries", to=[1])), "entry is not an object", LISTS,
    ),
    "a file list with a weak digest": (
        file_list(set_key("entries", 0, to={"path": "x", "size": 1, "sha256": "ff"})),
        "not a sha256 digest", LISTS,
    ),
    "a file list without paths": (
        file_list(set_key("entries", 0, to={"size": 1, "sha256": "0" * 64})),
        "path is not text", LISTS,
    ),
    "a file list upwards": (
        file_list(set_key("entries", 0, to={"path": "a/../../b", "size": 1, "sha256": "0" * 64})),
        "path that is not normal", LISTS,
    ),
    "circumstances cut": (
        raw_blob(circumstances, b"{}"), "the circumstances of bad.repro has 2 bytes", HEAD,
    ),
}  # fmt: skip

IMAGE |= {
    # digests and sizes
    "a digest in capitals": (to("layers", 0, "digest", value=NONE.upper()), "sha256 digest"),
    "a digest of sha512": (to("layers", 0, "digest", value="sha512:" + "0" * 128), "sha256 digest"),
    "a digest too long": (to("layers", 0, "digest", value=NONE + "0"), "not a sha256 digest"),
    "a digest with escapes": (to("layers", 0, "digest", value="\x1b[2J"), "manifest.layers[0]"),
    "a digest that is a list": (to("layers", 0, "digest", value=[NONE]), "not a sha256 digest"),
    "a digest of nothing": (to("layers", 0, "digest", value=NONE), "manifest.json does not match index.json"),
    "a layer's size as true": (to("layers", 0, "size", value=True), "layers[0] size is not a whole"),
    "a layer's size negative": (to("layers", 0, "size", value=-5), "size is not a whole"),
    "a layer's size huge": (to("layers", 0, "size", value=1 << 62), "size is not a whole"),
    "a layer's size wrong": (to("layers", 0, "size", value=7), "its descriptor says 7"),
    "a layer without digest": (edit(image, del_key("layers", 0, "digest")), "not a sha256 digest"),
    "a size with an exponent": (
        lambda p: p.put(p.image, p.members[p.image].replace(b'"size":', b'"size":1e', 1)),
        "is not a whole number",
    ),
    "no config": (edit(image, del_key("config")), "manifest.config is not an object"),
    "a config missing": (drop(config), "the image config of bad.repro is missing"),
    "a config changed": (raw_blob(config, b"{}"), "the image config of bad.repro has 2 bytes"),
    "a results blob missing": (drop(reports), "the recorded results of bad.repro is missing"),
    "a recording missing": (drop(recording), "an artifact manifest of bad.repro is missing"),
    # unpacked sizes
    "an unpacked size of a text": (to("layers", 3, "annotations", USIZE, value="many"), "its size"),
    "an unpacked size of other digits": (
        to("layers", 3, "annotations", USIZE, value="\u0661\u0662"), "lacks its kind or its size",
    ),
    "an unpacked size negative": (to("layers", 3, "annotations", USIZE, value="-1"), "its size"),
    "an unpacked size endless": (to("layers", 3, "annotations", USIZE, value="9" * 16), "its size"),
    "an unpacked size of terabytes": (
        to("layers", 3, "annotations", USIZE, value=str(2 << 40)), "layer 4 (code)",
    ),
    "an unpacked size of a bomb": (
        to("layers", 3, "annotations", USIZE, value=str(60 << 30)), "layer 4 (code)",
    ),
    # rings, many, foreign
    "a manifest in itself": (itself, "the manifest of bad.repro"),
    "ten thousand layers": (layers(10_000), "has more than 127 layers"),
    "an artifact before its image": (swapped_artifacts, "an artifact belongs to no version"),
    "one manifest under 20 tags": (versions(20), "bad.repro"),
    "foreign layers": (to("layers", 0, "mediaType", value=GZIPPED), "layer 1 has the media type"),
    "a manifest of docker's first": (to("mediaType", value=ONE_SCHEMA), "mediaType does not match"),
    "a media type of numbers": (to("layers", 0, "mediaType", value=3), "mediaType is not text"),
    "a media type with escapes": (
        to("layers", 0, "mediaType", value="tar\x1b[2J\n"), r"media type 'tar\x1b[2J\x0a'",
    ),
    "annotations a list": (to("layers", 0, "annotations", value=[]), "annotations is not an object"),
    "annotations of numbers": (
        to("layers", 0, "annotations", value={"a\x1b": 1}), r"annotations.a\x1b is not text",
    ),
    "an image with an artifact's type": (
        edit(INDEX, set_key("manifests", 0, "artifactType", to=RECORDING)), "not accepted",
    ),
    "an artifact with a tag": (
        edit(INDEX, set_key("manifests", 1, "annotations",
                            to={"org.opencontainers.image.ref.name": "x"})),
        "entry that is not accepted",
    ),  # fmt: skip
    "an artifact with a config": (
        edit(recording, set_key("config", "mediaType", to="application/x")),
        "an artifact manifest has a config",
    ),
    "a subject of numbers": (edit(recording, set_key("subject", to=1)), "subject is not an object"),
    "config a list": (edit(config, set_key("config", to=[])), "image config.config is not an obj"),
    "command a text": (edit(config, set_key("config", "Cmd", to="sh -c x")), "Cmd is not an array"),
    "labels of lists": (edit(config, set_key("config", "Labels", "x", to=[])), "Labels.x is not"),
    "a user of numbers": (edit(config, set_key("config", "User", to=7)), "User is not text"),
    "a working folder of numbers": (
        edit(config, set_key("config", "WorkingDir", to=7)), "WorkingDir is not text",
    ),
    "diff_ids of numbers": (
        edit(config, set_key("rootfs", "diff_ids", 0, to=7)), "not a sha256 digest",
    ),
    "an architecture with escapes": (
        edit(config, set_key("architecture", to="amd64\x1b[2J")), "different platforms",
    ),
    "no architecture": (edit(config, del_key("architecture")), "architecture is not text"),
}  # fmt: skip
