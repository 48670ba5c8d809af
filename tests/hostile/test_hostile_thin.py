"""Thin archives from strangers: nothing that a recipe says is believed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repro.errors import ArchiveError, RemoteError, ReproError
from repro.model.thin_media import THIN
from repro.store.archive import Archive
from repro.store.blobs import Blobs
from repro.store.writer import write_archive
from tests.package_files import Index, serving, zipped
from tests.thin_lab import NAME, WHEEL, ThinLab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[ThinLab]:
    with serving(Index()) as index:
        found = ThinLab(tmp_path, index)
        found.make()
        found.make_thin()
        yield found


def artifact(**fields: Any) -> Any:
    def change(document: dict[str, Any]) -> None:
        document["artifacts"][0].update(fields)

    return change


def refused(lab: ThinLab, kind: type[ReproError]) -> ReproError:
    """The error; nothing was written, and nothing lies where it should not."""
    with pytest.raises(kind) as caught:
        lab.make_whole()
    assert not lab.whole.exists()
    left = {path.name for path in lab.folder.iterdir()}
    assert left <= {"work", "fat.repro", "thin.repro", "cache"}, left
    return caught.value


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"filename": "../../x.whl"}, "file name"), ({"filename": "/etc/x.whl"}, "file name"),
        ({"filename": "x.deb"}, "kind"), ({"kind": "script"}, "kind"),
        ({"sha256": "00"}, "sha256"), ({"name": "-o"}, "name"),
        ({"name": "../../simple"}, "name"), ({"version": "1 --root=/"}, "version"),
        ({"pool": "../../etc/x.deb"}, "pool"), ({"pool": "pool//x.deb"}, "pool"),
        ({"size": 1 << 40}, "bytes"), ({"size": 0}, "bytes"), ({"size": -1}, "size"),
        ({"size": "1"}, "size"),
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere(lab: ThinLab, fields: dict[str, Any], said: str) -> None:
    lab.tamper(artifact(**fields))
    lab.index.requests.clear()
    error = refused(lab, ArchiveError)
    assert said in error.message and error.exit_code == 4
    assert lab.index.requests == []


def test_an_address_of_the_readers_own_network_is_never_asked(lab: ThinLab) -> None:
    """Only well-known public archives are, and the reader's own settings."""
    with serving(Index()) as inner:
        inner.add(NAME, zipped(WHEEL))
        base = inner.url.removesuffix("/simple")
        lab.index.files.clear()
        for url in (f"{base}/files/{NAME}", f"file://{lab.folder}/fat.repro",
                    f"https://files.pythonhosted.org@{base.partition('//')[2]}/{NAME}",
                    "https://files.pythonhosted.org:444/x"):  # fmt: skip
            lab.tamper(artifact(url=url, snapshot=base))
            error = refused(lab, RemoteError)
            assert error.slug == "thin-missing"
        assert inner.requests == []


def test_a_size_that_is_not_the_files(lab: ThinLab) -> None:
    lab.tamper(artifact(size=1000))
    assert refused(lab, RemoteError).slug == "thin-missing"
    lab.tamper(artifact(size=1 << 30))
    assert "another size" in refused(lab, RemoteError).details[0]


def test_bytes_that_are_not_the_layers(lab: ThinLab) -> None:
    """Another wheel with its right hash: the file and the package are named."""
    other = zipped({**WHEEL, "num/lib.so": bytes(len(WHEEL["num/lib.so"]))})
    import hashlib

    lab.index.add(NAME, other)
    lab.tamper(artifact(sha256=hashlib.sha256(other).hexdigest(), size=len(other)))
    error = refused(lab, ArchiveError)
    assert error.slug == "thin-mismatch" and error.exit_code == 4
    assert "num/lib.so" in error.message and "num 1.0" in error.message and NAME in error.message


def swap(document: dict[str, Any]) -> None:
    """Two members of the same size would be told apart by their hashes."""
    for part in document["parts"]:
        if len(part) == 3:
            part[2] = "num/nothing.so"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (swap, "does not have it"),
        (lambda d: d["parts"].reverse(), ""),
        (lambda d: d["parts"].append([5]), "another size"),
        (lambda d: d["parts"][0].__setitem__(0, d["parts"][0][0] + 512), "another size"),
        (lambda d: d.update(diff_id="sha256:" + "0" * 64), "another layer"),
        (lambda d: d.update(schema="repro.thin-recipe/9"), "newer"),
        (lambda d: d["parts"].insert(0, []), "size"),
        (lambda d: d["parts"].insert(0, [0, 99, "x"]), "does not name"),
        (lambda d: d["parts"].insert(0, [0, "/a.py", 0, 0]), "program"),
        (lambda d: d["parts"].insert(0, [0, "/a.py", 3, 0]), "program"),
        (lambda d: d["parts"].insert(0, [0, 1, 2, 3, 4]), "kind"),
        (lambda d: d["parts"].insert(0, [-1]), "size"),
        (lambda d: d.update(parts={}), "array"),
        (lambda d: d.update(parts=[[1]] * 500_001), "parts"),
    ],
)  # fmt: skip
def test_recipes_that_do_not_fit(lab: ThinLab, change: Any, said: str) -> None:
    lab.tamper(recipe=change)
    error = refused(lab, ArchiveError)
    assert error.exit_code == 4
    assert said in f"{error.message} {error.hint}"


def test_a_recipe_that_makes_a_layer_of_nothing(lab: ThinLab) -> None:
    """A bomb is refused before anything is fetched, as it is in a whole layer."""
    from dataclasses import replace

    from repro.model.oci import ANNOTATION_USIZE

    with Archive.open(lab.thin, thin=True) as archive:
        version = archive.version(None).as_version()
        layers = tuple(
            replace(
                layer,
                descriptor=replace(
                    layer.descriptor,
                    size=1 << 30,
                    annotations={**layer.descriptor.annotations, ANNOTATION_USIZE: str(1 << 36)},
                ),
            )
            if layer.descriptor.digest in archive.omitted
            else layer
            for layer in version.layers
        )
        write_archive(
            lab.folder / "cache" / "t.repro", name="paper",
            versions=[replace(version, layers=layers, absent=archive.omitted)],
            blobs=Blobs(others=[archive]), readme="", clamp=archive.clamp,
        )  # fmt: skip
    (lab.folder / "cache" / "t.repro").replace(lab.thin)

    def huge(document: dict[str, Any]) -> None:
        listed = document["parts"]
        listed.append([(1 << 36) - sum(part[0] for part in listed)])

    lab.tamper(recipe=huge)
    lab.index.requests.clear()
    assert refused(lab, ArchiveError).slug == "archive-limit"
    assert lab.index.requests == []


def test_documents_that_are_missing_or_of_others(lab: ThinLab) -> None:
    keep = lab.thin.read_bytes()
    for change, said in (
        (lambda d: d.update(layers=[]), "does not say how"),
        (lambda d: d["layers"][0].update(diff_id="sha256:" + "0" * 64), "another version"),
        (lambda d: d["layers"][0].update(rest="sha256:" + "0" * 64), "lacks a recipe or a rest"),
        (lambda d: d["layers"][0].update(level=99), "compressed in no known way"),
        (lambda d: d.update(schema="repro.thin/2"), "schema"),
        (lambda d: d.update(programs=["bin/python3"]), "path"),
    ):
        lab.thin.write_bytes(keep)
        lab.tamper(change)
        error = refused(lab, ArchiveError)
        assert said in error.message, error.message


def test_a_layer_is_only_absent_where_a_thin_document_stands(lab: ThinLab) -> None:
    from dataclasses import replace

    with Archive.open(lab.thin, thin=True) as archive:
        version = archive.version(None).as_version()
        bare = tuple(a for a in version.artifacts if a.artifact_type != THIN)
        write_archive(
            lab.folder / "cache" / "t.repro", name="paper",
            versions=[replace(version, artifacts=bare, absent=archive.omitted)],
            blobs=Blobs(others=[archive]), readme="", clamp=archive.clamp,
        )  # fmt: skip
    with pytest.raises(ArchiveError, match="is missing"):
        Archive.open(lab.folder / "cache" / "t.repro", thin=True)


def test_every_byte_of_the_rest_is_checked(lab: ThinLab) -> None:
    with Archive.open(lab.thin, thin=True) as archive:
        thin = archive.version(None).artifact(THIN)
        assert thin is not None
        places = [archive.locate(blob.digest) for blob in thin.manifest.layers]
    whole = lab.thin.read_bytes()
    for place in places:
        at = place.offset + place.size // 2  # type: ignore[union-attr]
        lab.thin.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert refused(lab, ArchiveError).slug in ("archive-digest", "archive-zstd")
