"""Layers kept in pieces: every version is the same to the last byte, whatever is done to the file."""

from __future__ import annotations

import json
import random
import shutil
import tarfile
from pathlib import Path

import pytest

from repro.errors import ArchiveError
from repro.model.entry import FileEntry, LayerKind
from repro.model.oci import FOLDED, FOLDED_PIECES
from repro.primitives.canonical import CLAMP
from repro.primitives.digest import Digest
from repro.store import folding
from repro.store.archive import Archive
from repro.store.blobs import Blobs
from repro.store.folded import Folded
from repro.store.writer import write_archive
from repro.workflows.export import ExportRequest, export
from repro.workflows.log import log
from repro.workflows.prune import prune
from repro.workflows.rollback import rollback
from repro.workflows.tag import tag
from tests.unit.store.archive_sample import ROOT, entries, file
from tests.unit.workflows.versions_sample import add_version

RNG = random.Random(1)
ROWS = [b"%d,%.6f\n" % (n, RNG.gauss(0, 1)) for n in range(200_000)]
WHOLE_FRAME = 400_000


@pytest.fixture(autouse=True)
def small_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "LEAST", 100_000)


def with_table(rows: list[bytes], script: bytes = b"print(1)\n") -> list[FileEntry]:
    kept = [e for e in entries() if e.kind not in (LayerKind.DATA,) and "analysis" not in e.path]
    table = file(f"{ROOT}/data/big.csv", b"".join(rows), LayerKind.DATA)
    return [*kept, file(f"{ROOT}/analysis.py", script), table]


def changed(number: int) -> list[bytes]:
    """The table with one longer row, somewhere else for each number."""
    at = 20_000 * number + 777
    return [*ROWS[:at], b"%d,changed by hand in version %d\n" % (at, number), *ROWS[at + 1 :]]


def add(path: Path, tmp_path: Path, name: str, files: list[FileEntry]) -> None:
    day = len(log(path, None)["versions"]) + 1 if path.exists() else 1
    add_version(
        path, tmp_path / "work" / path.stem / name, name, files=files,
        circumstances={"created": f"2024-05-{day:02d}T07:08:09Z"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    path = folder / "paper.repro"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding, "LEAST", 100_000)
        add(path, folder, "v1", with_table(ROWS))
        for number in (2, 3, 4):
            add(path, folder, f"v{number}", with_table(changed(number)))
    return path


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path))


def everything(path: Path) -> dict[str, dict[str, bytes]]:
    """Tag to the bytes of each of its blobs, read through the verifying reader."""
    with Archive.open(path) as opened:
        opened.verify()
        found = {}
        for version in opened.versions:
            blobs = [version.manifest.config, *version.manifest.layers]
            blobs += [blob for a in version.artifacts for blob in a.manifest.layers]
            blobs += [version.descriptor, *(a.descriptor for a in version.artifacts)]
            found[version.tag] = {str(each.digest): opened.open_blob(each).read() for each in blobs}
            assert all(Digest.of(data) == Digest.parse(k) for k, data in found[version.tag].items())
        return found


def data_size(path: Path) -> int:
    with Archive.open(path) as opened:
        (layer,) = [x for x in opened.version(None).layers if x.kind == "data"]
        return layer.descriptor.size


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar if m.isreg()}  # type: ignore[union-attr]


def test_a_changed_row_adds_a_fraction_and_all_versions_are_whole(
    tmp_path: Path, archive: Path
) -> None:
    alone = tmp_path / "alone.repro"
    add(alone, tmp_path, "v1", with_table(ROWS))
    whole = data_size(alone)
    grown = archive.stat().st_size - alone.stat().st_size
    assert grown < whole  # three more versions, each nearly as large as the first
    with Archive.open(archive) as opened:
        assert opened.folded == {"v1", "v2", "v3"}
        assert [version.tag for version in opened.versions] == ["v1", "v2", "v3", "v4"]
    for number, found in enumerate(everything(archive).values(), 1):
        single = tmp_path / f"single{number}.repro"
        rows = ROWS if number == 1 else changed(number)
        add(single, tmp_path, f"v{number}", with_table(rows))
        (expected,) = everything(single).values()
        # The circumstances hold the day, which another test file gave: layers and config count.
        assert {k for k in expected if k in found} >= {
            str(each.digest) for each in Archive.open(single).versions[0].manifest.layers
        }
    (listed,) = [x for x in log(archive, "v2")["versions"]]
    assert listed["folded"] and listed["added"] < whole / 2
    assert not log(archive, "v4")["versions"][0]["folded"]


def test_the_smallest_case_in_figures(tmp_path: Path) -> None:
    path = tmp_path / "paper.repro"
    add(path, tmp_path, "v1", with_table(ROWS))
    before, whole = path.stat().st_size, data_size(path)
    add(path, tmp_path, "v2", with_table(changed(5)))
    assert path.stat().st_size - before < WHOLE_FRAME < whole


def test_other_programs_see_whole_versions_only(archive: Path) -> None:
    found = members(archive)
    index = json.loads(found["index.json"])
    tags = [each["annotations"] for each in index["manifests"] if "annotations" in each]
    assert tags == [{"org.opencontainers.image.ref.name": "v4"}]
    assert index["manifests"][-1]["artifactType"] == FOLDED
    assert [each["RepoTags"] for each in json.loads(found["manifest.json"])] == [["repro/paper:v4"]]
    readme = found["README"].decode()
    assert readme.count("FOLDED VERSIONS") == 1 and "\n  v1\n  v2\n  v3\n" in readme


def test_by_hand_as_the_readme_says(archive: Path) -> None:
    found = members(archive)
    index = json.loads(found["index.json"])
    manifest = json.loads(found["blobs/sha256/" + index["manifests"][-1]["digest"][7:]])
    document = json.loads(found["blobs/sha256/" + manifest["layers"][0]["digest"][7:]])
    for blob in document["blobs"]:
        data = b"".join(
            found["blobs/sha256/" + document["sources"][number][7:]][offset : offset + size]
            for number, offset, size in blob["pieces"]
        )
        assert str(Digest.of(data)) == blob["digest"]


def test_nothing_is_cut_anew_while_the_data_stay(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(archive)

    def never(*_: object) -> None:
        raise AssertionError("layers were read again")

    monkeypatch.setattr(folding, "_cut", never)
    add(archive, tmp_path, "v5", with_table(changed(4), b"print(5)\n"))
    tag(archive, "v1", "first", move=False, clamp=CLAMP)
    after = everything(archive)
    assert {name: after[name] for name in before} == before
    with Archive.open(archive) as opened:
        assert opened.folded == {"v1", "v2", "v3", "first"}  # v4 shares v5's data


def test_a_rollback_makes_the_old_one_whole(tmp_path: Path, archive: Path) -> None:
    before, size = everything(archive), archive.stat().st_size
    rollback(archive, "v1", folder=None, force=False, environ={}, clamp=CLAMP)
    assert everything(archive) == before
    with Archive.open(archive) as opened:
        assert opened.folded == {"v2", "v3", "v4"} and opened.versions[-1].tag == "v1"
    assert archive.stat().st_size < size * 1.2
    rollback(archive, "v4", folder=None, force=False, environ={}, clamp=CLAMP)
    assert everything(archive) == before


@pytest.mark.parametrize("gone", [["v4"], ["v2"], ["v1", "v3"], ["v1", "v2", "v3"], ["v3", "v4"]])
def test_pruning(archive: Path, gone: list[str]) -> None:
    before, size = everything(archive), archive.stat().st_size
    foreseen = prune(archive, gone, None, clamp=CLAMP, dry=True)
    done = prune(archive, gone, None, clamp=CLAMP)
    assert foreseen.freed == done.freed == size - archive.stat().st_size
    assert done.freed > 0 or "v4" in gone
    assert everything(archive) == {k: v for k, v in before.items() if k not in gone}
    with Archive.open(archive) as opened:
        assert opened.folded == set(before) - set(gone) - {opened.versions[-1].tag}


def test_the_same_versions_give_the_same_file(tmp_path: Path, archive: Path, made: Path) -> None:
    with Archive.open(archive) as opened:
        versions = [each.as_version() for each in opened.versions]
        texts = {"name": "paper", "readme": opened.readme, "clamp": CLAMP}
        work = Blobs(others=[Blobs(each) for each in (made.parent / "work/paper").iterdir()])
        write_archive(
            tmp_path / "a", versions=versions, blobs=Blobs(others=[work, opened]), **texts
        )  # type: ignore[arg-type]
        write_archive(tmp_path / "b", versions=versions, blobs=opened, **texts)  # type: ignore[arg-type]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_folded_version_is_exported_whole(tmp_path: Path, archive: Path) -> None:
    place = tmp_path / "layout"
    request = ExportRequest(archive=archive, tag="v2", environ={}, oci_dir=place)
    export(request)
    for blob in (place / "blobs/sha256").iterdir():
        assert Digest.of(blob.read_bytes()).hex == blob.name


def test_unrelated_data_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "paper.repro"
    rng = random.Random(2)
    other = [b"%.9f\n" % rng.random() for _ in range(200_000)]
    add(path, tmp_path, "v1", with_table(other))
    add(path, tmp_path, "v2", with_table(ROWS))
    with Archive.open(path) as opened:
        assert not opened.folded and opened.verify()
    assert "FOLDED" not in members(path)["README"].decode()


def test_rows_behind_need_no_pieces_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "paper.repro"
    add(path, tmp_path, "v1", with_table(ROWS))
    add(path, tmp_path, "v2", with_table([*ROWS, b"200000,0\n"]))
    add(path, tmp_path, "v3", with_table(ROWS, b"print(3)\n"))
    assert sorted(everything(path)) == ["v1", "v2", "v3"]
    with Archive.open(path) as opened:
        assert opened.folded == {"v2"}


def forged(archive: Path, tmp_path: Path, change: object) -> Path:
    """The archive with another document of folded versions, all digests made to fit."""
    found = members(archive)
    index = json.loads(found["index.json"])
    entry = index["manifests"][-1]
    manifest = json.loads(found.pop("blobs/sha256/" + entry["digest"][7:]))
    old = manifest["layers"][0]["digest"][7:]
    document = json.loads(found.pop("blobs/sha256/" + old))
    change(document, manifest)  # type: ignore[operator]
    return _written(archive, tmp_path, found, index, manifest, document)


def _written(
    archive: Path, tmp_path: Path, found: dict[str, bytes], index: dict, manifest: dict,
    document: dict,
) -> Path:  # fmt: skip
    from repro.primitives import tarformat
    from repro.primitives.canonical import dump
    from repro.primitives.tarformat import Header, padding
    from repro.store import documents

    def put(value: object) -> dict[str, object]:
        data = dump(value)
        found["blobs/sha256/" + Digest.of(data).hex] = data
        return {"digest": str(Digest.of(data)), "size": len(data)}

    manifest["layers"][0].update(put(document))
    index["manifests"][-1].update(put(manifest))
    found["index.json"] = dump(index)
    found["SHA256SUMS"] = documents.sums([(name, found[name]) for name in documents.SUMMED])
    place = tmp_path / "forged.repro"
    with place.open("wb") as out:
        names = [*documents.HEAD, *documents.FOLDERS]
        for name in [*names, *(each for each in found if each not in names)]:
            if name.endswith("/"):
                out.write(
                    tarformat.render(Header(name.encode(), tarformat.FOLDER, 0, 0o755, CLAMP))
                )
                continue
            data = found[name]
            out.write(tarformat.render(Header(name.encode(), size=len(data), mtime=CLAMP)))
            out.write(data + bytes(padding(len(data))))
        out.write(tarformat.END)
    return place


def same(document: dict, manifest: dict) -> None:
    pass


def unknown_schema(document: dict, manifest: dict) -> None:
    document["schema"] = "repro.folded/2"


def more(document: dict, manifest: dict) -> None:
    document["note"] = "x"


def beyond(document: dict, manifest: dict) -> None:
    document["blobs"][0]["pieces"][0][2] = 10**9


def no_source(document: dict, manifest: dict) -> None:
    document["sources"][0] = "sha256:" + "0" * 64


def bomb(document: dict, manifest: dict) -> None:
    document["blobs"][0]["pieces"] *= 1000


def twice(document: dict, manifest: dict) -> None:
    document["blobs"].append(document["blobs"][0])


def missing(document: dict, manifest: dict) -> None:
    document["blobs"].pop()


def no_image(document: dict, manifest: dict) -> None:
    document["versions"][0]["manifests"].pop(0)


def wrong_place(document: dict, manifest: dict) -> None:
    document["versions"][0]["at"] = 9


def last_place(document: dict, manifest: dict) -> None:
    for each in document["versions"]:
        each["at"] += 1


def wrong_order(document: dict, manifest: dict) -> None:
    document["versions"].reverse()


def negative(document: dict, manifest: dict) -> None:
    document["blobs"][0]["pieces"][0][1] = -1


def nothing_sized(document: dict, manifest: dict) -> None:
    document["blobs"][0]["pieces"].append([0, 0, 0])


def in_a_ring(document: dict, manifest: dict) -> None:
    document["sources"][0] = document["blobs"][0]["digest"]


def hidden_default(document: dict, manifest: dict) -> None:
    manifest["subject"]["digest"] = document["versions"][0]["manifests"][0]["digest"]


def strange_blob(document: dict, manifest: dict) -> None:
    manifest["layers"].append(manifest["layers"][-1])


@pytest.mark.parametrize(
    "change",
    [
        unknown_schema, more, beyond, no_source, bomb, twice, missing, no_image, wrong_place,
        last_place, wrong_order, negative, nothing_sized, in_a_ring, hidden_default, strange_blob,
    ],
)  # fmt: skip
def test_a_forged_list_is_refused(archive: Path, tmp_path: Path, change: object) -> None:
    assert Archive.open(forged(archive, tmp_path, same)).verify()
    with pytest.raises(ArchiveError) as caught:
        Archive.open(forged(archive, tmp_path, change)).verify()
    assert caught.value.exit_code == 4 and len(caught.value.message) < 300


def test_pieces_in_another_order_are_seen(archive: Path, tmp_path: Path) -> None:
    def swapped(document: dict, manifest: dict) -> None:
        pieces = document["blobs"][0]["pieces"]
        pieces[0], pieces[-1] = pieces[-1], pieces[0]

    with Archive.open(forged(archive, tmp_path, swapped)) as opened:
        with pytest.raises(ArchiveError, match="digest"):
            opened.verify()


def test_a_flipped_byte_of_the_pieces_is_seen(archive: Path, tmp_path: Path) -> None:
    with Archive.open(archive) as opened:
        (pool,) = [d for d in opened._folding.descriptors if d.media_type == FOLDED_PIECES]
        span = opened._spans()[pool.digest]
    for at in (span.offset, span.offset + span.size // 2, span.offset + span.size - 1):
        broken = tmp_path / "broken.repro"
        shutil.copy(archive, broken)
        with broken.open("r+b") as stream:
            stream.seek(at)
            (byte,) = stream.read(1)
            stream.seek(at)
            stream.write(bytes([byte ^ 1]))
        with pytest.raises(ArchiveError), Archive.open(broken) as opened:
            opened.verify()


def test_the_document_has_one_form(archive: Path) -> None:
    with Archive.open(archive) as opened:
        document = opened._folding.document
    assert Folded.parse(document.to_bytes()) == document
