"""The members of a real archive, to be changed and put together again with honest digests."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard

from repro.model.oci import LAYER_ZSTD, RECORDING, TOC
from repro.primitives.canonical import CLAMP, dump
from repro.primitives.digest import Digest
from repro.primitives.tarformat import END, FOLDER, Header, padding, render
from repro.store.documents import FOLDERS, SUMMED, SUMS, sums

INDEX = "index.json"
USIZE = "org.repro.uncompressed-size"
Change = Callable[["Parts"], None]
Pack = Callable[[bytes], bytes]
CODE = 3
"""The number of the sample's code layer."""


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
        if data == old:
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
            if naming[0] == "README":
                text = self.members["README"].replace(hexadecimal, new.hex.encode())
                self.members["README"] = text
                continue
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
            header = render(Header(os.fsencode(name), size=len(data), mtime=CLAMP))
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


def reports(parts: Parts) -> str:
    """The member that holds the recorded results."""
    return parts.part(RECORDING, 2)


def claims(parts: Parts) -> str:
    return parts.part(RECORDING, 0)


def circumstances(parts: Parts) -> str:
    return parts.part(RECORDING, 1)


def layer(
    tar: bytes,
    pack: Pack = zstandard.compress,
    media: str = LAYER_ZSTD,
    *,
    number: int = CODE,
    size: int | None = None,
    diff_id: Digest | None = None,
) -> Change:
    """Another layer with digests, sizes and a file list that are right, but for those given."""

    def apply(parts: Parts) -> None:
        found = str(diff_id or Digest.of(tar))
        parts.put(parts.layer(number), pack(tar))
        parts.edit(parts.config, set_key("rootfs", "diff_ids", number, to=found))
        file_list(set_key("diff_id", to=found), number)(parts)
        parts.edit(parts.image, set_key("layers", number, "mediaType", to=media))
        text = str(len(tar) if size is None else size)
        parts.edit(parts.image, set_key("layers", number, "annotations", USIZE, to=text))

    return apply


def file_list(change: Callable[[Any], Any], number: int = CODE) -> Change:
    """A layer's file list, changed inside its compression."""

    def apply(parts: Parts) -> None:
        name = parts.part(TOC, number)
        document = json.loads(zstandard.decompress(parts.members[name]))
        change(document)
        parts.put(name, zstandard.compress(dump(document)))

    return apply


def both(*changes: Change) -> Change:
    def apply(parts: Parts) -> None:
        for change in changes:
            change(parts)

    return apply
