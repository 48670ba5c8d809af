from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest
from unit.store.archive_sample import ROOT, make_archive

from repro.errors import ReproError, StorageError, UsageError
from repro.model.recording import Claims
from repro.model.step import Step
from repro.store.archive import Archive
from repro.workflows.export import ExportRequest, export
from repro.workflows.merging import merge_layers
from repro.workflows.recipes import apptainer_definition, dockerfile


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    make_archive(tmp_path / "paper.repro", tmp_path / "work")
    return tmp_path / "paper.repro"


def wanted(archive: Path, **forms: Path) -> ExportRequest:
    environ = {"REPRO_CACHE": str(archive.parent / "cache")}
    return ExportRequest(archive=archive, tag=None, environ=environ, **forms)  # type: ignore[arg-type]


def test_a_docker_archive_has_plain_layers_and_the_same_config(
    archive: Path, tmp_path: Path
) -> None:
    place = tmp_path / "image.tar"
    assert export(wanted(archive, docker=place)) == [place]
    with Archive.open(archive) as source, tarfile.open(place) as tar:
        version = source.version(None)
        (entry,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = tar.extractfile(entry["Config"]).read()  # type: ignore[union-attr]
        assert config == version.config_bytes
        assert entry["RepoTags"] == ["repro/paper:latest"]
        found = [
            hashlib.sha256(tar.extractfile(name).read()).hexdigest()  # type: ignore[union-attr]
            for name in entry["Layers"]
        ]
        assert found == [layer.diff_id.hex for layer in version.layers]
    first = place.read_bytes()
    export(wanted(archive, docker=place))
    assert place.read_bytes() == first


def test_a_layout_holds_every_blob_by_its_name(archive: Path, tmp_path: Path) -> None:
    export(wanted(archive, oci_dir=tmp_path / "layout"))
    blobs = list((tmp_path / "layout/blobs/sha256").iterdir())
    assert len(blobs) > 8
    assert all(hashlib.sha256(b.read_bytes()).hexdigest() == b.name for b in blobs)
    index = json.loads((tmp_path / "layout/index.json").read_text())
    assert [each.get("artifactType", "image") for each in index["manifests"]][0] == "image"
    assert json.loads((tmp_path / "layout/oci-layout").read_text())["imageLayoutVersion"] == "1.0.0"


def test_a_root_file_system(archive: Path, tmp_path: Path) -> None:
    export(wanted(archive, rootfs=tmp_path / "root"))
    root = tmp_path / "root"
    assert (root / ROOT[1:] / "analysis.py").read_text() == "print(1)\n"
    assert os.readlink(root / "bin/also") == "tool"
    assert (root / "bin/tool").stat().st_mode & 0o777 == 0o755


def test_nothing_asked_for_or_a_place_that_is_taken(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing was asked"):
        export(wanted(archive))
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("mine")
    for form in ("rootfs", "oci_dir"):
        with pytest.raises(UsageError, match="not empty") as caught:
            export(wanted(archive, **{form: tmp_path / "full"}))
        assert caught.value.hint == "name a new folder"  # there is no --force here
    assert (tmp_path / "full/x").read_text() == "mine"


def test_a_damaged_layer_leaves_no_file(archive: Path, tmp_path: Path) -> None:
    with Archive.open(archive) as source:
        span = source.locate(source.version(None).layers[0].descriptor.digest)
        assert span is not None
        at = span.offset + span.size // 2
    with archive.open("r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)
        stream.seek(at)
        stream.write(bytes([byte[0] ^ 1]))
    with pytest.raises(ReproError) as caught:
        export(wanted(archive, docker=tmp_path / "image.tar"))
    assert caught.value.exit_code == 4
    assert not (tmp_path / "image.tar").exists()


def layers(folder: Path) -> list[Path]:
    low, high = folder / "low", folder / "high"
    for path in (low / "kept", low / "opaque", low / "gone", high / "opaque"):
        path.mkdir(parents=True)
    (low / "kept/a").write_text("low")
    (low / "opaque/hidden").write_text("low")
    (low / "gone/x").write_text("low")
    (low / "was-file").write_text("low")
    (high / "kept").mkdir()
    (high / "kept/a").write_text("high")
    (high / "opaque/new").write_text("high")
    (high / "was-file").mkdir()
    return [low, high]


def test_whiteouts_opaque_folders_and_changes_of_kind(tmp_path: Path) -> None:
    low, high = layers(tmp_path)
    try:
        os.mknod(high / "gone", 0o020000, os.makedev(0, 0))
        os.setxattr(high / "opaque", "user.overlay.opaque", b"y")
    except OSError as error:
        pytest.skip(f"this file system makes no whiteouts: {error}")
    target = tmp_path / "root"
    target.mkdir()
    merge_layers([low, high], target)
    found = {str(p.relative_to(target)): p.is_dir() for p in sorted(target.rglob("*"))}
    assert found == {
        "kept": True, "kept/a": False, "opaque": True, "opaque/new": False, "was-file": True,
    }  # fmt: skip
    assert (target / "kept/a").read_text() == "high"


def test_a_link_of_one_layer_leads_no_file_of_the_next_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "passwd").write_text("mine")
    low, high, target = tmp_path / "low", tmp_path / "high", tmp_path / "root"
    low.mkdir()
    target.mkdir()
    (low / "etc").symlink_to(outside)
    (low / "file").symlink_to(outside / "passwd")
    (high / "etc").mkdir(parents=True)
    (high / "etc/passwd").write_text("theirs")
    (high / "file").write_text("theirs")
    merge_layers([low, high], target)
    assert (outside / "passwd").read_text() == "mine"
    assert (target / "etc/passwd").read_text() == "theirs"
    assert not (target / "etc").is_symlink()


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        merge_layers([tmp_path / "none"], tmp_path)


def claims(**changes: object) -> Claims:
    settings: dict[str, object] = {
        "name": "p", "root": "/home/a/p", "steps": (Step(name="s", argv=("sh", "-c", "a | b")),),
        "environment": {"A": "x $HOME \"q\"", "PATH": "/bin"}, "outputs": (), **changes,
    }  # fmt: skip
    return Claims(**settings)  # type: ignore[arg-type]


def test_a_recipe_pins_and_quotes() -> None:
    lock = {
        "packages": [
            {"source": "apt", "name": "gcc", "version": "4:12.2.0-3"},
            {"source": "pip", "name": "numpy", "version": "2.1.0"},
            {"source": "r", "name": "zoo", "version": "1.8\nRUN rm -rf /"},
            {"source": "apt", "name": "x\nRUN evil", "version": "1"},
            {"source": "pip", "name": "y", "version": "1; evil"},
        ]
    }
    host = {"host": {"distribution": "Debian GNU/Linux 12 (bookworm)"}}
    text = dockerfile(claims(title="a\nRUN evil"), host, lock, "sha256:x")
    assert "FROM debian:12-slim" in text
    assert "gcc=4:12.2.0-3" in text and "numpy==2.1.0" in text
    assert 'CMD ["sh", "-c", "a | b"]' in text
    assert "\\$HOME" in text
    assert not [line for line in text.splitlines() if line.startswith("RUN") and "evil" in line]
    assert not [line for line in text.splitlines() if "evil" in line and not line.startswith("#")]


def test_a_definition_cannot_be_broken_out_of() -> None:
    text = apptainer_definition(claims(), "sha256:x", "docker-archive\nFrom: image.tar")
    assert "export A='x $HOME \"q\"'" in text
    assert "    sh -c 'a | b' || exit" in text
    for bad in ({"root": "/a\n%post"}, {"environment": {"A": "x\n%post\nrm"}}):
        with pytest.raises(UsageError):
            apptainer_definition(claims(**bad), "d", "docker-archive\nFrom: image.tar")
