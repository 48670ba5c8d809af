"""Archives made by mutating a real one: each is refused in one line that says where."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

sys.path.insert(0, str(Path(__file__).parent.parent / "unit" / "store"))

from archive_sample import make_archive

from repro.errors import ArchiveError, ReproError
from repro.model.oci import LAYER_ZSTD, RECORDING, TOC
from repro.primitives.canonical import CLAMP, dump
from repro.primitives.digest import Digest
from repro.primitives.tarformat import END, FOLDER, HARDLINK, SYMLINK, Header, padding, render
from repro.store.archive import Archive
from repro.store.cache import Cache
from repro.store.documents import FOLDERS, SUMMED, SUMS, sums


class Parts:
    """The members of an archive, to be changed and put together again."""

    def __init__(self, path: Path) -> None:
        with tarfile.open(path) as tar:
            files = [m for m in tar if m.isfile()]
            self.members = {m.name: tar.extractfile(m).read() for m in files}  # type: ignore[union-attr]
        self.folders = list(FOLDERS)
        self.raw: dict[str, bytes] = {}
        self.after = END
        self.seal = True

    def json(self, name: str) -> Any:
        return json.loads(self.members[name])

    def edit(self, name: str, change: Callable[[Any], Any]) -> None:
        """Change a JSON document; a blob gets its new digest wherever it is named."""
        document = self.json(name)
        change(document)
        self.put(name, dump(document))

    def put(self, name: str, data: bytes) -> None:
        """Replace a member; a blob gets its new digest wherever it is named."""
        old = self.members[name]
        if not name.startswith("blobs/"):
            self.members[name] = data
            return
        new = f"blobs/sha256/{Digest.of(data).hex}"
        self.members = {new if n == name else n: d for n, d in self.members.items()}
        self.members[new] = data
        self._relink(Digest.of(old), Digest.of(data), len(data))

    def _relink(self, old: Digest, new: Digest, size: int) -> None:
        hexadecimal = old.hex.encode()
        while True:  # a document that changes may be named by others, and they by yet others
            naming = [n for n, d in self.members.items() if hexadecimal in d and n != SUMS]
            if not naming:
                return
            document = self.json(naming[0])
            self.put(naming[0], dump(relinked(document, old, new, size)))

    @property
    def image(self) -> str:
        return blob(self.json("index.json")["manifests"][0])

    @property
    def config(self) -> str:
        return blob(self.json(self.image)["config"])

    def artifact(self, kind: str) -> str:
        listed = self.json("index.json")["manifests"]
        return next(blob(each) for each in listed if each.get("artifactType") == kind)

    def part(self, kind: str, number: int) -> str:
        return blob(self.json(self.artifact(kind))["layers"][number])

    def layer(self, number: int) -> str:
        return blob(self.json(self.image)["layers"][number])

    def write(self, path: Path) -> None:
        if self.seal and SUMS in self.members:
            present = [(n, self.members[n]) for n in SUMMED if n in self.members]
            self.members[SUMS] = sums(present)
        out = []
        folders = [render(Header(n.encode(), FOLDER, 0, 0o755, CLAMP)) for n in self.folders]
        for name, data in self.members.items():
            if name.startswith("blobs/"):
                out, folders = out + folders, []
            header = render(Header(name.encode(), size=len(data), mtime=CLAMP))
            out.append(self.raw.get(name, header) + data + bytes(padding(len(data))))
        path.write_bytes(b"".join(out) + self.after)


def blob(descriptor: dict[str, Any]) -> str:
    return "blobs/sha256/" + descriptor["digest"][7:]


def relinked(value: Any, old: Digest, new: Digest, size: int) -> Any:
    if isinstance(value, list):
        return [relinked(each, old, new, size) for each in value]
    if isinstance(value, dict):
        found = {key: relinked(each, old, new, size) for key, each in value.items()}
        if value.get("digest") == str(old):
            found["size"] = size
        return found
    if isinstance(value, str):
        return value.replace(old.hex, new.hex)
    return value


def set_key(*path: Any, to: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = to

    return change


def del_key(*path: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        del document[path[-1]]

    return change


def renamed(old: str, new: str) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        parts.members = {new if n == old else n: d for n, d in parts.members.items()}

    return change


def with_header(name: str, **changes: Any) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        values = {"name": name.encode(), "size": len(parts.members[name]), "mtime": CLAMP}
        parts.raw[name] = render(Header(**{**values, **changes}))

    return change


def edit(where: Callable[[Parts], str] | str, change: Callable[[Any], Any]) -> Callable:
    def apply(parts: Parts) -> None:
        parts.edit(where if isinstance(where, str) else where(parts), change)

    return apply


def image(parts: Parts) -> str:
    return parts.image


def config(parts: Parts) -> str:
    return parts.config


def recording(parts: Parts) -> str:
    return parts.artifact(RECORDING)


def replace(where: Callable[[Parts], str] | str, data: bytes) -> Callable[[Parts], None]:
    def apply(parts: Parts) -> None:
        parts.put(where if isinstance(where, str) else where(parts), data)

    return apply


def raw_blob(where: Callable[[Parts], str], data: bytes) -> Callable[[Parts], None]:
    """Other bytes under the old name."""

    def apply(parts: Parts) -> None:
        parts.members[where(parts)] = data

    return apply


def drop(where: Callable[[Parts], str] | str) -> Callable[[Parts], None]:
    def apply(parts: Parts) -> None:
        del parts.members[where if isinstance(where, str) else where(parts)]

    return apply


def add(name: str, data: bytes) -> Callable[[Parts], None]:
    def apply(parts: Parts) -> None:
        parts.members[name] = data

    return apply


def second_index(parts: Parts) -> None:
    name = "index.json"
    extra = parts.members[name]
    parts.after = render(Header(name.encode(), size=len(extra), mtime=CLAMP)) + extra
    parts.after += bytes(padding(len(extra))) + END


def unsealed(change: Callable[[Parts], None]) -> Callable[[Parts], None]:
    def apply(parts: Parts) -> None:
        change(parts)
        parts.seal = False

    return apply


def append(data: bytes) -> Callable[[Parts], None]:
    def apply(parts: Parts) -> None:
        parts.after += data

    return apply


def swapped_layers(parts: Parts) -> None:
    def swap(document: Any) -> None:
        layers = document["layers"]
        layers[0], layers[1] = layers[1], layers[0]

    parts.edit(parts.image, swap)
    parts.edit("manifest.json", lambda d: d[0]["Layers"].reverse())
    listed = [blob(layer) for layer in parts.json(parts.image)["layers"]]
    parts.edit("manifest.json", set_key(0, "Layers", to=listed))


def no_recording(parts: Parts) -> None:
    gone = parts.artifact(RECORDING)
    for name in [gone, *(blob(layer) for layer in parts.json(gone)["layers"])]:
        del parts.members[name]
    parts.edit(INDEX, lambda d: d["manifests"].pop(1))


def other_claims(parts: Parts) -> None:
    """Claims replaced everywhere but in the sealed label."""
    label = parts.json(parts.config)["config"]["Labels"]["org.repro.claims"]
    parts.put(parts.part(RECORDING, 0), b"{}")
    parts.edit(parts.config, set_key("config", "Labels", "org.repro.claims", to=label))


DEEP = b'{"a":' * 100 + b"1" + b"}" * 100
INDEX = "index.json"
HOSTILE: dict[str, tuple[Callable[[Parts], None], str]] = {
    # outer members
    "a path upwards": (renamed("README", "../README"), "unexpected member '../README'"),
    "an absolute path": (renamed("README", "/etc/passwd"), "unexpected member"),
    "no oci-layout": (drop("oci-layout"), "is not a repro archive"),
    "no index": (drop(INDEX), "unexpected member 'manifest.json'"),
    "no sums": (drop(SUMS), "unexpected member"),
    "nothing but a layout": (
        lambda p: setattr(p, "members", {"oci-layout": p.members["oci-layout"]}),
        "lacks index.json",
    ),
    "no folders": (lambda p: p.folders.clear(), "unexpected member"),
    "one folder": (lambda p: p.folders.pop(), "unexpected member"),
    "a folder more": (lambda p: p.folders.append("blobs/sha512/"), "unexpected member"),
    "a folder twice": (lambda p: p.folders.append("blobs/"), "unexpected member"),
    "a foreign member": (add("blobs/sha256/notes", b"x"), "unexpected member"),
    "a blob in a folder": (add("blobs/sha256/../../x", b"x"), "unexpected member"),
    "a blob nothing names": (
        add("blobs/sha256/" + Digest.of(b"x").hex, b"x"),
        "belongs to nothing",
    ),
    "upper-case digest": (add("blobs/sha256/" + "A" * 64, b"x"), "unexpected member"),
    "a second index": (second_index, "unexpected member 'index.json'"),
    "a symlink": (with_header("README", kind=SYMLINK, link=b"/etc/passwd"), "damaged: the header"),
    "a hard link": (with_header("README", kind=HARDLINK, link=b"index.json"), "damaged"),
    "a fifo": (with_header("README", kind=b"6"), "damaged"),
    "setuid": (with_header("README", mode=0o4755), "damaged"),
    "another time": (with_header("README", mtime=CLAMP + 1), "damaged"),
    "a size too small": (with_header("README", size=3), "damaged: the padding after README"),
    "a size beyond the end": (with_header("README", size=1 << 40), "cut off inside README"),
    "data after the end": (append(b"x"), "1 bytes after its end"),
    "a second archive after the end": (append(b"\0" * 1024), "1024 bytes after its end"),
    "no end": (lambda p: setattr(p, "after", b""), "cut off"),
    "half an end": (lambda p: setattr(p, "after", bytes(512)), "cut off at its end"),
    # sums
    "sums of other bytes": (unsealed(replace("README", b"run this: ...")), "README of"),
    "index not as summed": (unsealed(edit(INDEX, set_key("x", to=1))), "does not match SHA256SUMS"),
    "a line more": (
        unsealed(lambda p: p.put(SUMS, p.members[SUMS] + b"0  x\n")),
        "more lines than files",
    ),
    "a line less": (
        unsealed(lambda p: p.put(SUMS, p.members[SUMS].rsplit(b"\n", 2)[0] + b"\n")),
        "README of",
    ),
    # layout and index
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
    "deep JSON": (replace(INDEX, DEEP), "nested more than"),
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
    # manifests
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
    "swapped layers": (swapped_layers, "do not match its diff_id"),
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
    "results of nothing": (replace(lambda p: p.part(RECORDING, 2), b"junk"), "data is damaged"),
    "results are empty": (
        replace(lambda p: p.part(RECORDING, 2), zstandard.compress(END)),
        "recorded output 'empty' is missing",
    ),
    "a file list no zstd": (replace(lambda p: p.part(TOC, 3), b"junk"), "file list is damaged"),
    "a file list of another layer": (
        edit(
            image,
            lambda d: set_key(
                "layers",
                3,
                "annotations",
                "org.repro.toc",
                to=d["layers"][2]["annotations"]["org.repro.toc"],
            )(d),
        ),
        "of another layer",
    ),
}


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("honest")
    make_archive(folder / "honest.repro", folder / "work")
    return folder / "honest.repro"


def everything(path: Path, cache: Path) -> None:
    """All that a verify reads before anything runs."""
    with Archive.open(path) as archive:
        version = archive.version(None)
        archive.recording(version)
        archive.lock_json(version)
        archive.verify_small(version)
        Cache(cache).layers(archive, version)
        archive.results(version)
        list(archive.file_digests(version, kinds=("code", "data")))


def test_the_parts_put_together_again_are_the_archive(honest: Path, tmp_path: Path) -> None:
    Parts(honest).write(tmp_path / "same")
    assert (tmp_path / "same").read_bytes() == honest.read_bytes()
    everything(tmp_path / "same", tmp_path / "cache")


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives(case: str, honest: Path, tmp_path: Path) -> None:
    change, expected = HOSTILE[case]
    parts = Parts(honest)
    change(parts)
    path = tmp_path / "bad.repro"
    parts.write(path)
    with pytest.raises(ArchiveError) as error:
        everything(path, tmp_path / "cache")
    message = error.value.message
    assert expected in message
    assert len(message) <= 200 and message.isprintable()
    assert error.value.exit_code == 4
    assert sorted(os.listdir(tmp_path)) in (["bad.repro"], ["bad.repro", "cache"])
    assert not list(tmp_path.glob("cache/layers/.unpack-*"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"../evil", "'../evil' has an empty, . or .. segment"),
        (b"/etc/evil", "absolute"),
    ],
)
def test_a_hostile_layer_with_honest_digests(
    content: bytes, expected: str, honest: Path, tmp_path: Path
) -> None:
    parts = Parts(honest)
    tar = render(Header(content, size=1)) + b"x" + bytes(511) + END
    parts.put(parts.layer(3), zstandard.compress(tar))
    parts.edit(parts.config, set_key("rootfs", "diff_ids", 3, to=str(Digest.of(tar))))
    path = tmp_path / "bad.repro"
    parts.write(path)
    with Archive.open(path) as archive:
        assert archive.version(None).layers[3].descriptor.media_type == LAYER_ZSTD
        archive.verify()
        with pytest.raises(ArchiveError) as error:
            Cache(tmp_path / "cache").layers(archive, archive.version(None))
    assert error.value.message.startswith("code layer: member ") and expected in error.value.message
    assert not list(tmp_path.glob("cache/layers/.unpack-*"))


def test_swapping_the_file_changes_nothing_that_is_open(honest: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.repro"
    path.write_bytes(honest.read_bytes())
    with Archive.open(path) as archive:
        os.replace(honest.parent / "work" / os.listdir(honest.parent / "work")[0], path)
        archive.verify()
        Cache(tmp_path / "cache").layers(archive, archive.version(None))


def test_a_file_cut_while_it_is_open(honest: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.repro"
    path.write_bytes(honest.read_bytes())
    with Archive.open(path) as archive:
        os.truncate(path, path.stat().st_size // 3)
        with pytest.raises(ReproError) as error:
            archive.verify()
        assert error.value.slug == "archive-truncated"
