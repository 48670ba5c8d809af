"""A registry that is down, refuses, breaks off, lies, or is slow: nothing half is taken for whole."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_registry import Handler, State, running
from unit.store.archive_sample import entries, file, make_archive
from unit.store.test_folding import add, changed, with_table

from repro.errors import AccessError, RemoteError, ReproError
from repro.model.entry import LayerKind
from repro.primitives.digest import Digest
from repro.remote import session as session_module
from repro.remote.reference import Reference
from repro.remote.session import Session
from repro.store import folding
from repro.store.archive import Archive
from repro.store.blobs import Span
from repro.workflows import copies
from repro.workflows import pull as pull_module
from repro.workflows.pull import pull
from repro.workflows.pulled import local_copy
from repro.workflows.push import push

BIG = os.urandom(3_000_000)


@pytest.fixture
def state() -> Iterator[State]:
    with running() as found:
        yield found


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "pause", lambda *_: None)
    monkeypatch.setattr(session_module, "_LONGEST_PAUSE", 0.0)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"REPRO_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path)}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    big = file("/data/big.bin", BIG, LayerKind.DATA)
    make_archive(folder / "paper.repro", folder / "work", files=[*entries(), big])
    return folder / "paper.repro"


def at(state: State, text: str = "lab/paper:v1") -> Reference:
    return Reference.parse(f"oci://127.0.0.1:{state.port}/{text}")


def big_layer(archive: Path) -> str:
    with Archive.open(archive) as found:
        layers = found.version(None).layers
    return str(max(layers, key=lambda layer: layer.descriptor.size).descriptor.digest)


def refuse(status: int, method: str, part: str) -> Callable[[Handler], bool]:
    def fault(handler: Handler) -> bool:
        if handler.command != method or part not in handler.path:
            return False
        handler.body()
        handler.error(status, "SAID_BY_THE_REGISTRY", Retry_After="0")
        return True

    return fault


PLACES = [
    ("GET", "/manifests/v1"), ("GET", "/blobs/sha256"), ("POST", "uploads"), ("PUT", "uploads"),
    ("PUT", "/manifests/"),
]  # fmt: skip
STATUSES = [401, 403, 404, 413, 429, 500, 502, 503, 504]


@pytest.mark.parametrize(
    ("status", "method", "part"),
    [(status, *place) for status in STATUSES for place in PLACES
     if status in (403, 429) or place in (PLACES[1], PLACES[3])],
)  # fmt: skip
def test_every_refusal_names_host_and_mend(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path, status: int, method: str,
    part: str,
) -> None:  # fmt: skip
    out = tmp_path / "b.repro"
    if method == "GET":
        push(archive, None, at(state), environ, insecure=True)
    state.faults.append(refuse(status, method, part))
    with pytest.raises(RemoteError) as caught:
        if method == "GET":
            pull(at(state), out, environ, insecure=True)
        else:
            push(archive, None, at(state), environ, insecure=True)
    assert caught.value.exit_code == (8 if status in (401, 403) else 7)
    assert isinstance(caught.value, AccessError) == (status in (401, 403))
    assert f"127.0.0.1:{state.port}" in caught.value.message and str(status) in caught.value.message
    assert "SAID_BY_THE_REGISTRY" in caught.value.message and caught.value.hint
    assert not out.exists() and (method == "GET" or ("lab/paper", "v1") not in state.manifests)
    state.faults.clear()
    if method != "GET":
        push(archive, None, at(state), environ, insecure=True)
    pull(at(state), out, environ, insecure=True)
    assert Archive.open(out).verify()


def test_nobody_there(archive: Path, environ: dict[str, str], tmp_path: Path) -> None:
    place = Reference.parse("oci://127.0.0.1:9/lab/paper:v1")
    for act in (
        lambda: push(archive, None, place, environ, insecure=True),
        lambda: pull(place, tmp_path / "b.repro", environ, insecure=True),
    ):
        with pytest.raises(RemoteError) as caught:
            act()
        assert caught.value.exit_code == 7 and "127.0.0.1:9" in caught.value.message
        assert caught.value.hint


def in_a_process(act: Callable[[], object]) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=act)
    process.start()
    return process


def test_a_killed_pull_goes_on_in_another_process(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    push(archive, None, at(state), environ, insecure=True)
    digest, out = big_layer(archive), tmp_path / "b.repro"
    data = state.blobs[("lab/paper", digest)]

    def hangs(handler: Handler) -> bool:
        if handler.command != "GET" or digest not in handler.path:
            return False
        state.faults.clear()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:2_000_000])
        handler.wfile.flush()
        time.sleep(5)
        handler.close_connection = True
        return True

    state.faults.append(hangs)
    part = tmp_path / "cache/pulls" / f"{digest[7:]}.part"
    process = in_a_process(lambda: pull(at(state), out, environ, insecure=True))
    while not (part.is_file() and part.stat().st_size > 1_000_000):
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    size = part.stat().st_size
    assert not out.exists() and [each.name for each in tmp_path.glob(".repro-pull-*")] == []
    got = pull(at(state), out, environ, insecure=True)
    assert Archive.open(out).verify() and got.bytes > 0
    asked = [h.get("range") for line, h in zip(state.asked, state.headers, strict=True)
             if line.startswith(f"GET /v2/lab/paper/blobs/{digest}")]  # fmt: skip
    assert asked == [None, f"bytes={size}-"]


def _with_small_files(act: Callable[[], object], place: Path) -> None:
    """The kernel refuses files over a megabyte, as a full disk refuses bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    try:
        act()
    except RemoteError as error:
        said = f"{error.exit_code} {error.slug} {error.message} {error.hint}"
        os.write(os.open(place, os.O_WRONLY | os.O_CREAT), said.encode())


def test_the_disk_is_full(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    push(archive, None, at(state), environ, insecure=True)
    out, said = tmp_path / "b.repro", tmp_path / "said"
    process = in_a_process(
        lambda: _with_small_files(lambda: pull(at(state), out, environ, insecure=True), said)
    )
    process.join()
    text = said.read_text()
    assert text.startswith("7 storage ") and "REPRO_CACHE" in text
    assert f"127.0.0.1:{state.port}/lab/paper:v1" in text
    assert not out.exists()
    part = tmp_path / "cache/pulls" / f"{big_layer(archive)[7:]}.part"
    assert 0 < part.stat().st_size <= 1_000_000
    pull(at(state), out, environ, insecure=True)
    assert Archive.open(out).verify()
    assert f"bytes={1_000_000}-" in [headers.get("range") for headers in state.headers]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 80 MB: little more than the margin that a pull leaves free."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root mounts a tmpfs")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "none", str(place)],
                          capture_output=True, text=True)  # fmt: skip
    if made.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("full", ["the cache's disk", "the archive's disk"])
def test_a_disk_that_somebody_fills_meanwhile(
    state: State, archive: Path, tmp_path: Path, small_disk: Path, full: str
) -> None:
    other = tmp_path / "other"
    cache, folder = (small_disk, other) if full == "the cache's disk" else (other, small_disk)
    other.mkdir()
    environ = {**os.environ, "REPRO_CACHE": str(cache / "cache")}
    push(archive, None, at(state), environ, insecure=True)
    digest, filler = big_layer(archive), small_disk / "filler"

    def fills(handler: Handler) -> bool:
        if handler.command == "GET" and digest in handler.path and not filler.exists():
            filler.touch()
            free = shutil.disk_usage(small_disk).free
            os.posix_fallocate(os.open(filler, os.O_WRONLY), 0, free - 1_000_000)
        return False

    state.faults.append(fills)
    words = [sys.executable, "-m", "repro", "pull", "--insecure", str(at(state)), "-o", "b.repro"]
    done = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 7, done.stderr
    assert f"error[storage]: pulling oci://127.0.0.1:{state.port}/lab/paper:v1: " in done.stderr
    assert "No space left on device" in done.stderr and "hint: free some space" in done.stderr
    assert sorted(os.listdir(folder)) == sorted({"filler", "cache"} & set(os.listdir(folder)))
    filler.write_bytes(b"")
    state.asked.clear()
    done = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Archive.open(folder / "b.repro").verify()
    ranges = [h.get("range") for line, h in zip(state.asked, state.headers[-len(state.asked):],
              strict=True) if digest in line]  # fmt: skip
    if full == "the cache's disk":
        assert len(ranges) == 1 and ranges[0] is not None
    else:
        assert ranges == []  # all of it lies in the cache


def test_no_room_is_said_before_anything_is_fetched(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    push(archive, None, at(state), environ, insecure=True)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(pull_module.shutil, "disk_usage", lambda _: usage(10**9, 10**9, 10**6))
    with pytest.raises(RemoteError, match="127.0.0.1.* are to be fetched"):
        pull(at(state), tmp_path / "b.repro", environ, insecure=True)
    assert state.times(f"GET /v2/lab/paper/blobs/{big_layer(archive)}") == 0


def test_a_tag_that_moves_while_it_is_pulled(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    first = push(archive, None, at(state), environ, insecure=True)
    other = tmp_path / "other.repro"
    make_archive(other, tmp_path / "work2", files=[*entries(), file("/x", b"other")])

    def moves(handler: Handler) -> bool:
        if handler.command == "GET" and "/blobs/" in handler.path:
            state.faults.clear()
            state.manifests[("lab/paper", "v1")] = state.manifests[("lab/paper", "v2")]
        return False

    second = push(other, None, at(state, "lab/paper:v2"), environ, insecure=True)
    state.faults.append(moves)
    got = pull(at(state), tmp_path / "b.repro", environ, insecure=True)
    assert got.digest == first.digest != second.digest
    with Archive.open(tmp_path / "b.repro") as found:
        assert found.version(None).manifest_digest == first.manifest and found.verify()
    again = pull(at(state), tmp_path / "c.repro", environ, insecure=True)
    assert again.digest == second.digest


def test_two_pulls_at_once_do_not_mix(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    push(archive, None, at(state), environ, insecure=True)
    outs = [tmp_path / f"{number}.repro" for number in range(3)]
    processes = [
        in_a_process(lambda out=out: pull(at(state), out, environ, insecure=True))  # type: ignore[misc]
        for out in outs
    ]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert all(Archive.open(out).verify() for out in outs)
    assert list((tmp_path / "cache/pulls").iterdir()) == []
    assert list((tmp_path / "cache/runs").glob("pull-*")) == []


@pytest.mark.parametrize("lie", ["other bytes", "longer", "shorter", "cut off", "elsewhere"])
def test_a_server_that_lies(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path, lie: str
) -> None:
    push(archive, None, at(state), environ, insecure=True)
    digest, out = big_layer(archive), tmp_path / "b.repro"
    data = state.blobs[("lab/paper", digest)]
    told = {
        "other bytes": data[:-1] + bytes([data[-1] ^ 1]), "longer": data + b"x",
        "shorter": data[:-1], "cut off": data, "elsewhere": data,
    }[lie]  # fmt: skip
    with running() as elsewhere:
        elsewhere.blobs[("lab/paper", digest)] = bytes(len(data))

        def lies(handler: Handler) -> bool:
            if handler.command != "GET" or digest not in handler.path:
                return False
            if lie == "elsewhere":
                handler.reply(307, Location=f"http://127.0.0.1:{elsewhere.port}{handler.path}")
                return True
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(told)))
            handler.end_headers()
            handler.wfile.write(told[: 1000 if lie == "cut off" else None])
            handler.close_connection = True
            return True

        state.faults.append(lies)
        with pytest.raises(RemoteError) as caught:
            pull(at(state), out, environ, insecure=True)
    assert caught.value.exit_code == 7 and not out.exists()
    assert f"127.0.0.1:{state.port}" in caught.value.message and caught.value.hint
    assert not (tmp_path / "cache/pulls" / digest[7:]).exists()
    state.faults.clear()
    pull(at(state), out, environ, insecure=True)
    assert Archive.open(out).verify()


def test_a_server_that_drips_is_left(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    push(archive, None, at(state), environ, insecure=True)
    monkeypatch.setattr(session_module, "_PATIENCE", 0.2)
    digest = big_layer(archive)

    def drips(handler: Handler) -> bool:
        if handler.command != "GET" or digest not in handler.path:
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", "3000000")
        handler.end_headers()
        handler.close_connection = True
        for _ in range(100):
            try:
                handler.wfile.write(b"x")
            except OSError:
                return True
            time.sleep(0.05)
        return True

    state.faults.append(drips)
    started = time.monotonic()
    with pytest.raises(RemoteError, match=f"127.0.0.1:{state.port}"):
        pull(at(state), tmp_path / "b.repro", environ, insecure=True)
    assert time.monotonic() - started < 5 and not (tmp_path / "b.repro").exists()


def test_a_blob_of_another_size_is_not_taken_for_there(
    state: State, archive: Path, environ: dict[str, str]
) -> None:
    digest = big_layer(archive)

    def says(handler: Handler) -> bool:
        if handler.command != "HEAD" or digest not in handler.path:
            return False
        handler.reply(200, Content_Length="7")
        return True

    state.faults.append(says)
    push(archive, None, at(state), environ, insecure=True)
    assert len(state.blobs[("lab/paper", digest)]) > 2_000_000


def test_a_reference_fetches_only_what_the_cache_lacks(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    push(archive, None, at(state), environ, insecure=True)
    local_copy(at(state), environ, insecure=True)
    other = tmp_path / "other.repro"
    big = file("/data/big.bin", BIG, LayerKind.DATA)
    make_archive(other, tmp_path / "work2", files=[*entries(), big, file("/x", b"other")])
    sent = push(other, None, at(state, "lab/paper:v2"), environ, insecure=True)
    assert sent.there >= 3 and sent.bytes < 100_000
    before = len(state.asked)
    path, _ = local_copy(at(state, "lab/paper:v2"), environ, insecure=True)
    asked = [line for line in state.asked[before:] if "/blobs/" in line]
    with Archive.open(path) as new, Archive.open(archive) as old:
        known = {layer.descriptor.digest for layer in old.version(None).layers}
        shared = [x for x in new.version(None).layers if x.descriptor.digest in known]
        assert len(shared) >= 3 and new.verify()
    assert not [line for line in asked for x in shared if str(x.descriptor.digest) in line]


@pytest.mark.parametrize("where", ["head", "layer"])
def test_a_damaged_copy_in_the_cache_does_no_harm(
    state: State, archive: Path, environ: dict[str, str], tmp_path: Path, where: str
) -> None:
    push(archive, None, at(state), environ, insecure=True)
    path, _ = local_copy(at(state), environ, insecure=True)
    with Archive.open(path) as found:
        place = found.locate(Digest.parse(big_layer(archive)))
        assert isinstance(place, Span)
        offset = 600 if where == "head" else place.offset + 1000
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
    name = "lab/paper:v1"
    if where == "layer":  # another version takes its layers from the damaged one
        other, name = tmp_path / "other.repro", "lab/paper:v2"
        big = file("/data/big.bin", BIG, LayerKind.DATA)
        make_archive(other, tmp_path / "work2", files=[*entries(), big, file("/x", b"other")])
        push(other, None, at(state, name), environ, insecure=True)
    path, _ = local_copy(at(state, name), environ, insecure=True)
    assert Archive.open(path).verify()


def test_copies_used_longest_ago_go(
    state: State, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "MOST", 2)
    paths = []
    for number in range(3):
        made = tmp_path / f"{number}.repro"
        extra = file("/x", b"%d" % number)
        make_archive(made, tmp_path / f"work{number}", files=[*entries(), extra])
        push(made, None, at(state, f"lab/paper:v{number}"), environ, insecure=True)
        paths.append(local_copy(at(state, f"lab/paper:v{number}"), environ, insecure=True)[0])
        os.utime(paths[-1], (number, number))
    assert [path.exists() for path in paths] == [False, True, True]
    monkeypatch.setattr(copies, "MOST_BYTES", 10)
    path, _ = local_copy(at(state, "lab/paper:v0"), environ, insecure=True)
    assert list(path.parent.iterdir()) == [path]


def test_a_folded_version_goes_there_and_back(
    state: State, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "LEAST", 100_000)
    path = tmp_path / "versions.repro"
    for number in (1, 2, 3):
        add(path, tmp_path, f"v{number}", with_table(changed(number)))
    with Archive.open(path) as found:
        assert found.folded == {"v1", "v2"}
        digests = {each.tag: each.manifest_digest for each in found.versions}
    for tag in ("v1", "v3"):
        sent = push(path, tag, at(state, f"lab/paper:{tag}"), environ, insecure=True)
        assert sent.manifest == digests[tag]
    out = tmp_path / "b.repro"
    pull(at(state, "lab/paper:v1"), out, environ, insecure=True)
    with Archive.open(out) as found:
        assert not found.folded and found.verify()
    pull(at(state, "lab/paper:v3"), out, environ, insecure=True)
    with Archive.open(out) as found:
        assert found.folded == {"v1"} and found.verify()
        assert {each.tag: each.manifest_digest for each in found.versions} == {
            "v1": digests["v1"], "v3": digests["v3"],
        }  # fmt: skip
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(ReproError, match="already"):
        pull(at(state, "lab/paper:v1"), out, environ, insecure=True)
