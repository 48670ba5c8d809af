from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from archive_sample import OUTPUTS, ROOT, build_version, make_archive

from repro.errors import ArchiveError, ReproError, StorageError, UsageError
from repro.model.oci import REF_NAME
from repro.primitives.canonical import CLAMP
from repro.primitives.digest import Digest
from repro.store.archive import Archive
from repro.store.blobs import Blobs
from repro.store.cache import Cache
from repro.store.writer import write_archive


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "paper.repro"
    make_archive(path, tmp_path / "work")
    return path


def judge(name: str) -> str:
    tool = shutil.which(name)
    if tool is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return tool


def test_what_was_written_is_read(archive: Path, tmp_path: Path) -> None:
    with Archive.open(archive) as opened:
        version = opened.version(None)
        recording = opened.recording(version)
        assert version.tag == "latest"
        assert [layer.kind for layer in version.layers] == ["base", "packages", "data", "code"]
        assert recording.claims.root == ROOT
        assert recording.circumstances["created"] == "2024-05-06T07:08:09Z"
        assert opened.lock_json(version)["packages"] == []
        assert opened.readme == "How to read this file\n"
        # manifest, config, 4 layers, 3 artifact manifests, {}, claims, circumstances,
        # results, lock, 4 file lists
        assert opened.verify() == 18
        assert opened.verify_small(version) == 14


def test_results_are_checked_and_outlive_the_archive(archive: Path) -> None:
    with Archive.open(archive) as opened:
        results = opened.results(opened.version(None))
    assert list(results) == sorted(OUTPUTS)
    for path, output in OUTPUTS.items():
        found = results[path]
        with output.open() as expected, found.open() as stream:
            assert stream.read() == expected.read()
            stream.seek(1)
            assert stream.tell() == min(1, found.size)
        assert (found.size, found.digest, found.link) == (output.size, output.digest, output.link)


def test_file_digests_come_from_the_file_lists(archive: Path) -> None:
    with Archive.open(archive) as opened:
        found = dict(opened.file_digests(opened.version(None), kinds=("code", "data")))
    assert found == {
        f"{ROOT}/analysis.py": Digest.of(b"print(1)\n"),
        f"{ROOT}/data/table.csv": Digest.of(b"a,b\n1,2\n" * 500),
    }


def test_the_same_input_gives_the_same_file(archive: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.repro"
    make_archive(again, tmp_path / "other work")
    assert again.read_bytes() == archive.read_bytes()


def test_a_version_is_added_beside_the_old_one(archive: Path, tmp_path: Path) -> None:
    before = archive.read_bytes()
    work = tmp_path / "second"
    work.mkdir()
    with Archive.open(archive) as old:
        blobs = Blobs(work, others=[old])
        sample = build_version(work, blobs, tag="v2")
        write_archive(
            archive,
            name="paper",
            versions=[*(v.as_version() for v in old.versions), sample.version],
            blobs=blobs,
            readme="",
            clamp=CLAMP,
        )
        assert old.verify() == 18, "the opened file is still the old one"
    with Archive.open(archive) as new:
        assert [version.tag for version in new.versions] == ["latest", "v2"]
        assert new.version(None).tag == "v2"
        assert new.version("latest").config_digest == new.version("v2").config_digest
        new.verify()
        with pytest.raises(UsageError) as error:
            new.version("v3")
        assert error.value.hint == "it has: latest, v2"
    assert len(archive.read_bytes()) < len(before) * 2, "equal blobs are kept once"


def test_a_tag_cannot_come_twice(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    sample = build_version(tmp_path, blobs)
    with pytest.raises(UsageError, match="there already"):
        write_archive(
            tmp_path / "x.repro",
            name="x",
            versions=[sample.version, sample.version],
            blobs=blobs,
            readme="",
            clamp=0,
        )
    assert not (tmp_path / "x.repro").exists()


def test_a_missing_blob_leaves_the_old_file(archive: Path, tmp_path: Path) -> None:
    before = archive.read_bytes()
    blobs = Blobs(tmp_path / "work")
    sample = build_version(tmp_path / "work", blobs)
    sample.layers[0].path.unlink()
    with pytest.raises(ArchiveError, match="is missing"):
        write_archive(archive, name="x", versions=[sample.version], blobs=blobs, readme="", clamp=0)
    assert archive.read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_an_unwritable_place_is_said(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    sample = build_version(tmp_path, blobs)
    with pytest.raises(StorageError, match="No such file"):
        write_archive(
            tmp_path / "none" / "x.repro",
            name="x",
            versions=[sample.version],
            blobs=blobs,
            readme="",
            clamp=0,
        )


def check(path: Path) -> None:
    """What verify does: open, and check every blob."""
    with Archive.open(path) as opened:
        opened.verify()
        opened.recording(opened.version(None))


def test_every_flipped_bit_is_seen(archive: Path, tmp_path: Path) -> None:
    data = bytearray(archive.read_bytes())
    positions = random.Random(7).sample(range(len(data) * 8), 250)
    # All of the first header, the index's first bytes, and the last blocks.
    positions += [*range(0, 512 * 8, 37), *range(1024 * 8, 1100 * 8, 11)]
    positions += range((len(data) - 1100) * 8, len(data) * 8, 97)
    copy = tmp_path / "flipped.repro"
    unseen = []
    for position in positions:
        data[position // 8] ^= 1 << position % 8
        copy.write_bytes(data)
        data[position // 8] ^= 1 << position % 8
        try:
            check(copy)
            unseen.append(position)
        except ArchiveError as error:
            assert len(error.message) <= 200 and "\n" not in error.message
    assert not unseen


def test_every_truncation_and_extension_is_seen(archive: Path, tmp_path: Path) -> None:
    data = archive.read_bytes()
    cuts = [0, 1, 511, 512, 513, *random.Random(3).sample(range(len(data)), 60)]
    cuts += range(len(data) - 512, len(data) - 5000, -512)
    copy = tmp_path / "cut.repro"
    for cut in cuts:
        copy.write_bytes(data[:cut])
        with pytest.raises(ArchiveError) as error:
            check(copy)
        assert error.value.slug in ("archive-truncated", "archive-format"), cut
        if cut > 512:
            assert error.value.slug == "archive-truncated", cut
    for extra in (b"\0", b"\0" * 512, b"x", data):
        copy.write_bytes(data + extra)
        with pytest.raises(ArchiveError, match="after its end"):
            check(copy)


def test_damage_in_a_layer_names_the_layer(archive: Path, tmp_path: Path) -> None:
    with Archive.open(archive) as opened:
        version = opened.version(None)
        place = opened.locate(version.layers[1].descriptor.digest)
    assert place is not None
    data = bytearray(archive.read_bytes())
    data[place.offset + 30] ^= 4
    archive.write_bytes(data)
    with Archive.open(archive) as opened:
        opened.verify_small(opened.version(None))
        with pytest.raises(ArchiveError) as error:
            opened.verify()
        assert error.value.message == (
            "layer 2 (packages) of paper.repro does not match its digest"
        )
        assert error.value.slug == "archive-digest"
        assert "expected sha256:" in error.value.details[0]
        with pytest.raises(ArchiveError) as error:
            Cache(tmp_path / "cache").layers(opened, opened.version(None))
        assert error.value.message == (
            "layer 2 (packages) of paper.repro does not match its digest"
        )


def test_changed_claims_do_not_pass(tmp_path: Path) -> None:
    path = tmp_path / "forged.repro"
    make_archive(path, tmp_path / "work", claims=b'{"schema":"repro.claims/1"}')
    with Archive.open(path) as opened:
        opened.verify()
        with pytest.raises(ArchiveError, match="not the ones its image names"):
            opened.recording(opened.version(None))


def test_a_newer_schema_says_so(tmp_path: Path) -> None:
    path = tmp_path / "new.repro"
    make_archive(path, tmp_path / "work", schema="2")
    with pytest.raises(ArchiveError) as error:
        Archive.open(path)
    assert (error.value.slug, error.value.hint) == ("archive-schema", "install a newer repro")


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\0" * 4096, b"x" * 100_000])
def test_something_else_is_no_archive(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x\n.repro"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"^x\\x0a\.repro is not a repro archive$") as error:
        Archive.open(path)
    assert error.value.slug == "archive-format"


def test_no_file_a_folder_a_pipe(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no"):
        Archive.open(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(ReproError, match="not a plain file"):
            Archive.open(tmp_path / name)


def test_opening_reads_no_layer(tmp_path: Path) -> None:
    path = tmp_path / "paper.repro"
    sample = make_archive(path, tmp_path / "work")
    with Archive.open(path) as opened:
        for layer in sample.version.layers:
            span = opened.locate(layer.descriptor.digest)
            assert span is not None
            with path.open("r+b") as stream:
                stream.seek(span.offset)
                stream.write(bytes(min(span.size, 64)))
    with Archive.open(path) as opened:
        opened.recording(opened.version(None))
        with pytest.raises(ArchiveError):
            opened.verify()


def test_gnu_tar_reads_the_file_and_every_layer(archive: Path, tmp_path: Path) -> None:
    tar, zstd = judge("tar"), judge("zstd")
    listed = subprocess.run(
        [tar, "tf", archive], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert listed[:7] == [
        "oci-layout", "index.json", "manifest.json", "README", "SHA256SUMS",
        "blobs/", "blobs/sha256/",
    ]  # fmt: skip
    target = tmp_path / "x"
    target.mkdir()
    subprocess.run([tar, "xf", archive, "-C", target], check=True)
    subprocess.run(
        ["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=target, check=True, capture_output=True
    )
    with Archive.open(archive) as opened:
        layers = opened.version(None).layers
    names = []
    for layer in layers:
        blob = target / "blobs" / "sha256" / layer.descriptor.digest.hex
        plain = subprocess.run([zstd, "-dcq", blob], check=True, capture_output=True).stdout
        assert Digest.of(plain) == layer.diff_id
        assert len(plain) == layer.uncompressed_size
        listing = subprocess.run([tar, "t"], input=plain, check=True, capture_output=True)
        assert not listing.stderr
        names += listing.stdout.decode().splitlines()
    assert f"{ROOT[1:]}/analysis.py" in names
    assert f"{ROOT[1:]}/results/" in names


def test_skopeo_reads_it(archive: Path) -> None:
    skopeo = judge("skopeo")
    done = subprocess.run(
        [skopeo, "inspect", "--config", f"oci-archive:{archive}:latest"], capture_output=True
    )
    assert done.returncode == 0, done.stderr
    with Archive.open(archive) as opened:
        version = opened.version(None)
        assert version.descriptor.annotations == {REF_NAME: "latest"}
        for diff_id in version.config.diff_ids:
            assert str(diff_id).encode() in done.stdout
