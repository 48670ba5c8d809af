"""Whole archives to a registry and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_registry import Handler, State, running
from unit.store.archive_sample import entries, file, make_archive

from repro.errors import ArchiveError, RemoteError, UsageError
from repro.model.oci import INDEX, MANIFEST, RECORDING
from repro.primitives.digest import Digest
from repro.remote.reference import Reference
from repro.store.archive import Archive
from repro.workflows.copy import copy
from repro.workflows.names import local_archive
from repro.workflows.pull import pull
from repro.workflows.push import push
from repro.workflows.registries import list_tags


@pytest.fixture
def state() -> Iterator[State]:
    with running() as found:
        yield found


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"REPRO_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path)}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    make_archive(tmp_path / "paper.repro", tmp_path / "work")
    return tmp_path / "paper.repro"


def at(state: State, text: str = "lab/paper:v1") -> Reference:
    return Reference.parse(f"oci://127.0.0.1:{state.port}/{text}")


@pytest.mark.parametrize("knows_referrers", [True, False])
def test_what_comes_back_is_the_same_image(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path, knows_referrers: bool
) -> None:
    state.knows_referrers = knows_referrers
    sent = push(archive, None, at(state), environ, insecure=True)
    assert sent.sent > 5 and sent.there == 0
    out = tmp_path / "back.repro"
    got = pull(at(state), out, environ, insecure=True)
    assert got.digest == sent.digest
    with Archive.open(archive) as old, Archive.open(out) as new:
        one, two = old.version(None), new.version("v1")
        assert one.manifest_digest == two.manifest_digest
        assert old.recording(one) == new.recording(two)
        assert [a.descriptor.digest for a in one.artifacts] == [
            a.descriptor.digest for a in two.artifacts
        ]
        assert new.verify() > 5
    assert list((tmp_path / "cache/pulls").iterdir()) == []


def test_a_second_push_sends_nothing(state: State, archive: Path, environ: dict[str, str]) -> None:
    first = push(archive, None, at(state), environ, insecure=True)
    again = push(archive, None, at(state, "lab/paper:v2"), environ, insecure=True)
    assert (again.sent, again.there, again.bytes) == (0, first.sent, 0)
    assert [each["tag"] for each in list_tags(at(state), environ, True)] == ["v1", "v2"]
    other = push(
        archive, None, at(state, "lab/other"), environ, insecure=True, mounts=("lab/paper",)
    )
    assert (other.sent, other.mounted) == (0, first.sent)
    assert str(other.reference).endswith("lab/other:latest")


def test_the_tag_moves_last(state: State, archive: Path, environ: dict[str, str]) -> None:
    def refuse(handler: Handler) -> bool:
        if handler.command != "PUT" or "/manifests/sha256:" not in handler.path:
            return False
        handler.body()
        handler.error(403, "DENIED")
        return True

    state.faults.append(refuse)
    with pytest.raises(RemoteError):
        push(archive, None, at(state), environ, insecure=True)
    assert ("lab/paper", "v1") not in state.manifests


def test_one_more_version_in_an_archive(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    push(archive, None, at(state), environ, insecure=True)
    out = tmp_path / "mine.repro"
    make_archive(out, tmp_path / "work2", files=[*entries(), file("/x", b"other")])
    before = state.times("GET")
    pull(at(state), out, environ, insecure=True)
    with Archive.open(out) as found:
        assert [version.tag for version in found.versions] == ["latest", "v1"]
        found.verify()
    layers = {
        str(each.descriptor.digest)
        for each in Archive.open(archive).version(None).layers
        if each.kind in ("base", "packages")
    }
    asked = " ".join(state.asked[before:])
    assert not [digest for digest in layers if f"GET /v2/lab/paper/blobs/{digest}" in asked]
    with pytest.raises(UsageError, match="already, the same one"):
        pull(at(state), out, environ, insecure=True)


def test_a_reference_is_as_good_as_a_file_and_fetched_once(
    state: State, archive: Path, environ: dict[str, str]
) -> None:
    push(archive, None, at(state), environ, insecure=True)
    path, tag = local_archive(str(at(state)), environ, insecure=True)
    count = state.times("GET")
    assert local_archive(str(at(state)), environ, insecure=True) == (path, tag)
    assert state.times("GET") == count + 1  # only what the tag means now
    assert Archive.open(path).version(tag).tag == "v1"


def test_copy_takes_everything_along(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    push(archive, None, at(state), environ, insecure=True)
    with running() as elsewhere:
        copy(at(state), at(elsewhere, "a/b"), environ, insecure=True)
        got = pull(at(elsewhere, "a/b:v1"), tmp_path / "b.repro", environ, insecure=True)
        assert got.digest == Archive.open(archive).version(None).config_digest
    here = copy(at(state), at(state, "c/d:w"), environ, insecure=True)
    assert here.mounted and not here.sent


def put_artifact(state: State, kind: str, subject: str, size: int) -> None:
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json",
                   "digest": str(Digest.of(b"{}")), "size": 2},
        "layers": [],
        "subject": {"mediaType": MANIFEST, "digest": subject, "size": size},
    }  # fmt: skip
    data = json.dumps(document).encode()
    state.manifests[("lab/paper", str(Digest.of(data)))] = (MANIFEST, data)


def test_a_strangers_recording_is_not_taken(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    sent = push(archive, None, at(state), environ, insecure=True)
    size = len(state.manifests[("lab/paper", "v1")][1])
    put_artifact(state, RECORDING, str(sent.manifest), size)
    put_artifact(state, "application/vnd.example.signature", str(sent.manifest), size)
    pull(at(state), tmp_path / "b.repro", environ, insecure=True)
    with Archive.open(tmp_path / "b.repro") as found:
        assert found.recording(found.version(None)).claims.name == "paper"


@pytest.mark.parametrize("what", ["index", "image", "no recording", "nothing", "rubbish"])
def test_what_is_no_archive(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path, what: str
) -> None:
    push(archive, None, at(state), environ, insecure=True)
    key = ("lab/paper", "v1")
    kind, data = state.manifests[key]
    if what == "index":
        state.manifests[key] = (INDEX, data)
    elif what == "image":
        document = json.loads(data)
        config = json.loads(state.blobs[("lab/paper", document["config"]["digest"])])
        config["config"]["Labels"] = {}
        plain = json.dumps(config).encode()
        document["config"].update(digest=str(Digest.of(plain)), size=len(plain))
        state.blobs[("lab/paper", str(Digest.of(plain)))] = plain
        state.manifests[key] = (kind, json.dumps(document).encode())
    elif what == "no recording":
        state.manifests = {k: v for k, v in state.manifests.items() if b"subject" not in v[1]}
    elif what == "nothing":
        state.manifests.clear()
    else:
        state.manifests[key] = (kind, b"{" * 2000)
    with pytest.raises((ArchiveError, RemoteError)) as caught:
        pull(at(state), tmp_path / "b.repro", environ, insecure=True)
    assert len(caught.value.message) < 300
    assert not (tmp_path / "b.repro").exists()


def test_a_lying_registry_leaves_nothing_and_a_second_try_goes_on(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    push(archive, None, at(state), environ, insecure=True)
    digests = [str(each.descriptor.digest) for each in Archive.open(archive).version(None).layers]
    key = ("lab/paper", digests[0])
    right = state.blobs[key]
    state.blobs[key] = right[:-1] + b"?"
    with pytest.raises(RemoteError) as caught:
        pull(at(state), tmp_path / "b.repro", environ, insecure=True)
    assert caught.value.slug == "remote-digest" and not (tmp_path / "b.repro").exists()
    state.blobs[key] = right
    pull(at(state), tmp_path / "b.repro", environ, insecure=True)
    fetched = [state.times(f"GET /v2/lab/paper/blobs/{digest}") for digest in digests[1:]]
    assert max(fetched) == 1
