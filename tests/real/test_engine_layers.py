"""Layers packed by docker, podman and umoci, converted by skopeo: read as they are."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repro.image.unpack import unpack_layer
from repro.model.oci import LAYER_GZIP, LAYER_PLAIN, LAYER_ZSTD, LAYERS
from repro.primitives.digest import Digest
from repro.primitives.files import walk
from repro.primitives.tarread import Limits
from tests.real.test_readers import MACHINE, call, docker, program, short, unavailable

pytestmark = pytest.mark.real
assert docker and short  # fixtures


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what is unusual and honest: long, odd and deep names, links, holes."""
    top = tmp_path_factory.mktemp("tree") / "root"
    (top / "a/b").mkdir(parents=True)
    (top / "a/f").write_text("data")
    os.link(top / "a/f", top / "a/b/hard")
    (top / "link").symlink_to("a/b/hard")
    (top / "absolute").symlink_to("/etc/passwd")
    (top / ("n" * 200)).write_text("long")
    (top / "ä €").write_text("odd")
    deep = top / "/".join(["deep"] * 40)
    deep.mkdir(parents=True)
    (deep / "f").write_text("deep")
    (top / "empty").mkdir()
    (top / "script").write_text("#!/bin/sh\n")
    (top / "script").chmod(0o755)
    with (top / "hole").open("wb") as stream:
        stream.truncate(5 << 20)
        stream.seek(2 << 20)
        stream.write(b"x")
    return top


def layout_layers(layout: Path) -> Iterator[tuple[str, Path, Digest]]:
    """Media type, blob and diff_id of each layer of an OCI layout's only image."""

    def blob(digest: str) -> Path:
        return layout / "blobs" / digest.replace(":", "/")

    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(index["manifests"][0]["digest"]).read_text())
    config = json.loads(blob(manifest["config"]["digest"]).read_text())
    for layer, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        yield layer["mediaType"], blob(layer["digest"]), Digest.parse(diff_id)


def unpacked(layout: Path, into: Path) -> set[str]:
    """Each layer by our reader; the media types that were met."""
    met = set()
    for number, (media, blob, diff_id) in enumerate(layout_layers(layout)):
        folder = into / str(number)
        folder.mkdir(parents=True)
        with blob.open("rb") as stream:
            unpack_layer(stream, media, folder, diff_id, limits=Limits())
        met.add(media)
    return met


def same(tree: Path, found: Path) -> None:
    """Every file, link and folder of the tree is there with its bytes."""
    names = {path for path, _ in walk(str(tree))}
    assert names <= {path for path, _ in walk(str(found))}
    for name in names:
        one, two = tree / name, found / name
        if one.is_symlink():
            assert os.readlink(one) == os.readlink(two)
        elif one.is_file():
            assert one.read_bytes() == two.read_bytes()
            assert one.stat().st_mode & 0o100 == two.stat().st_mode & 0o100
    assert (found / "a/f").stat().st_ino == (found / "a/b/hard").stat().st_ino


@pytest.fixture(scope="module")
def umoci(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tool = program("umoci")
    layout = tmp_path_factory.mktemp("umoci") / "layout"
    call(tool, "init", "--layout", str(layout))
    call(tool, "new", "--image", f"{layout}:t")
    # `umoci insert` of 0.4 writes no end of the tar; GNU tar complains of it as we do.
    bundle = layout.parent / "bundle"
    top = bundle / "rootfs" / "top"
    call(tool, "unpack", "--rootless", "--image", f"{layout}:t", str(bundle))
    call("cp", "-a", str(tree), str(top))
    call(tool, "repack", "--refresh-bundle", "--image", f"{layout}:t", str(bundle))
    (top / "a/f").unlink()
    call(tool, "repack", "--refresh-bundle", "--image", f"{layout}:t", str(bundle))
    call(tool, "gc", "--layout", str(layout))
    return layout


def test_umoci_layers_with_whiteouts(umoci: Path, tree: Path, tmp_path: Path) -> None:
    assert unpacked(umoci, tmp_path) == {LAYER_GZIP}
    same(tree, tmp_path / "0" / "top")
    gone = os.lstat(tmp_path / "1" / "top" / "a" / "f")
    assert gone.st_rdev == 0 and gone.st_mode & 0o170000 == 0o020000


@pytest.mark.parametrize(("form", "media"), [("zstd", LAYER_ZSTD), ("gzip", LAYER_GZIP)])
def test_skopeo_converts_them(
    form: str, media: str, umoci: Path, tree: Path, tmp_path: Path
) -> None:
    target = tmp_path / "layout"
    call(program("skopeo"), "copy", "-q", "--dest-compress-format", form, "--dest-compress",
         f"oci:{umoci}:t", f"oci:{target}:t")  # fmt: skip
    met = unpacked(target, tmp_path / "out")
    assert met <= set(LAYERS)
    assert met <= {media, LAYER_GZIP}  # an older skopeo keeps what is compressed already
    same(tree, tmp_path / "out" / "0" / "top")


def docker_archive(file: Path, into: Path) -> int:
    """The plain layers of a docker-archive by our reader; how many."""
    with tarfile.open(file) as outer:

        def read(name: str) -> bytes:
            member = outer.getmember(name)
            if member.issym() or member.islnk():
                member = outer.getmember(
                    os.path.normpath(os.path.join(os.path.dirname(name), member.linkname))
                )
            stream = outer.extractfile(member)
            assert stream is not None
            return stream.read()

        listed: list[dict[str, Any]] = json.loads(read("manifest.json"))
        config = json.loads(read(listed[0]["Config"]))
        for number, (name, diff_id) in enumerate(
            zip(listed[0]["Layers"], config["rootfs"]["diff_ids"], strict=True)
        ):
            folder = into / str(number)
            folder.mkdir(parents=True)
            unpack_layer(
                io.BytesIO(read(name)), LAYER_PLAIN, folder, Digest.parse(diff_id), limits=Limits()
            )
    return len(listed[0]["Layers"])


def test_skopeo_makes_a_docker_archive(umoci: Path, tree: Path, tmp_path: Path) -> None:
    file = tmp_path / "d.tar"
    call(program("skopeo"), "copy", "-q", f"oci:{umoci}:t", f"docker-archive:{file}:x/y:t")
    assert docker_archive(file, tmp_path / "out") == 2
    same(tree, tmp_path / "out" / "0" / "top")


@pytest.mark.parametrize("form", ["oci-archive", "docker-archive"])
def test_podman_layers(form: str, tree: Path, short: Path, tmp_path: Path) -> None:
    store = [
        program("podman"), "--root", str(short / "root"), "--runroot", str(short / "run"),
        "--storage-driver", "vfs",
    ]  # fmt: skip
    info = subprocess.run([*store, "info"], capture_output=True, text=True, timeout=120)
    if info.returncode != 0:
        if any(word in info.stderr for word in MACHINE):
            pytest.skip(f"podman cannot run here: {info.stderr.strip()}")
        unavailable(f"podman cannot run here: {info.stderr.strip()}")
    rooted = tmp_path / "rootfs.tar"
    call("tar", "-cf", str(rooted), "--format=gnu", "-C", str(tree), ".")
    call(*store, "import", "-q", str(rooted), "localhost/x:t")
    call(*store, "save", "-q", "--format", form, "-o", str(tmp_path / "s"), "localhost/x:t")
    if form == "docker-archive":
        assert docker_archive(tmp_path / "s", tmp_path / "out") == 1
    else:
        (tmp_path / "layout").mkdir()
        call("tar", "-xf", str(tmp_path / "s"), "-C", str(tmp_path / "layout"))
        assert unpacked(tmp_path / "layout", tmp_path / "out") <= set(LAYERS)
    same(tree, tmp_path / "out" / "0")


def test_docker_layers(docker: list[str], tree: Path, tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    call("cp", "-a", str(tree), str(tmp_path / "context" / "root"))
    (tmp_path / "context" / "more").write_text("2")
    (tmp_path / "context" / "Dockerfile").write_text(
        'FROM scratch\nCOPY root/ /\nCOPY more /a/more\nCMD ["/script"]\n'
    )
    built = subprocess.run(
        [*docker, "build", "-q", "-t", "x:t", str(tmp_path / "context")],
        capture_output=True, text=True, env={**os.environ, "DOCKER_BUILDKIT": "0"}, timeout=300,
    )  # fmt: skip
    if built.returncode != 0:
        unavailable(f"docker build: {built.stderr[-300:]}")
    call(*docker, "save", "-o", str(tmp_path / "s"), "x:t")
    assert docker_archive(tmp_path / "s", tmp_path / "out") == 2
    found = tmp_path / "out" / "0"
    # docker's COPY follows no hard link: the two names are two files there.
    assert {p for p, _ in walk(str(tree))} <= {p for p, _ in walk(str(found))}
    assert (found / "hole").read_bytes() == (tree / "hole").read_bytes()
    assert (tmp_path / "out" / "1" / "a" / "more").read_text() == "2"
