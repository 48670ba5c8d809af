"""conda environments: who owns what, and pins from what the records say."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from packageurl import PackageURL

from repro.errors import PinError
from repro.model.entry import LayerKind
from repro.model.lock import Grade, LockedPackage
from repro.model.observation import PackageRef
from repro.pin.locker import sources
from repro.pin.sources.conda import Conda
from tests.unit.pin.fake_host import FakeHost

PREFIX = "/home/ann/env"
SITE = "lib/python3.11/site-packages"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def owner(host: FakeHost, path: str) -> PackageRef:
    found = Conda(host.root).owner(path)
    assert found is not None
    return found


def pin(host: FakeHost, **fields: object) -> LockedPackage:
    host.conda(PREFIX, "num", files=["lib/num.so"], **fields)
    conda = Conda(host.root)
    found = conda.owner(f"{PREFIX}/lib/num.so")
    assert found is not None
    return conda.lock(found)


def test_the_pin(host: FakeHost) -> None:
    found = pin(host)
    assert (found.grade, found.hash) == (Grade.URL_AND_HASH, "sha256:" + "c" * 64)
    assert found.url == "https://conda.example.org/conda-forge/linux-64/num-1.0-h1_0.conda"
    purl = PackageURL.from_string(found.purl)
    assert (purl.type, purl.name, purl.version) == ("conda", "num", "1.0")
    assert purl.qualifiers == {
        "build": "h1_0", "channel": "conda-forge", "subdir": "linux-64", "type": "conda",
    }  # fmt: skip
    assert found.facts == {
        "prefix": PREFIX, "said-by": "num-1.0-h1_0.json", "build": "h1_0", "subdir": "linux-64",
        "fn": "num-1.0-h1_0.conda", "license": "MIT", "md5": "d" * 32,
    }  # fmt: skip


def test_older_records_have_md5_alone(host: FakeHost) -> None:
    found = pin(host, sha256=None)
    assert (found.grade, found.hash) == (Grade.URL_AND_HASH, "md5:" + "d" * 32)
    assert pin(host, sha256="short", md5=None).grade is Grade.NAME_ONLY


@pytest.mark.parametrize(
    "url",
    ["file:///srv/channel/linux-64/num.conda", None, 3,
     "https://conda.example.org/t/se-cret-token/private/linux-64/num.conda",
     "https://ann:secret@conda.example.org/private/linux-64/num.conda"],
)  # fmt: skip
def test_private_addresses_are_not_told(host: FakeHost, url: object) -> None:
    found = pin(host, url=url)
    assert (found.grade, found.url) == (Grade.HASH_ONLY, None)
    assert "secret" not in json.dumps(found.to_json()) and "channel" not in found.purl


def test_files_through_links_of_the_environment(host: FakeHost) -> None:
    host.write(f"{PREFIX}/lib/libz.so.1")
    host.link(f"{PREFIX}/lib64", "lib")
    host.conda(PREFIX, "zlib", files=["lib64/libz.so.1"])
    assert owner(host, f"{PREFIX}/lib/libz.so.1").name == "zlib"


def test_what_is_packed_and_what_is_not(host: FakeHost) -> None:
    files = ["bin/num", "lib/libnum.a", "share/doc/num/x", "share/man/man1/num.1", "gone",
             f"{SITE}/num/__init__.py", f"{SITE}/num/tests/t.py", "include/num.h"]  # fmt: skip
    host.conda(PREFIX, "num", files=files)
    host.path(f"{PREFIX}/gone").unlink()
    conda = Conda(host.root)
    ref = owner(host, f"{PREFIX}/bin/num")
    assert [file.member for file in conda.files(ref)] == [
        "bin/num", "conda-meta/num-1.0-h1_0.json", "include/num.h", f"{SITE}/num/__init__.py",
    ]  # fmt: skip
    assert {(item.path, item.reason) for item in conda.left_out(ref)} == {
        ("conda:num (2 files)", "documentation"), ("conda:num (1 files)", "static libraries"),
        ("conda:num (1 files)", "tests of the package"),
    }  # fmt: skip


def test_stale_bytecode_stays_out(host: FakeHost) -> None:
    for name in ("fresh", "stale"):
        host.write(f"{PREFIX}/{SITE}/{name}.py", name)
        host.pyc(f"{PREFIX}/{SITE}/{name}.py", stale=name == "stale")
    cache = f"{SITE}/__pycache__"
    names = [f"{cache}/{name}.cpython-311.pyc" for name in ("fresh", "stale")]
    host.conda(PREFIX, "num", files=[f"{SITE}/fresh.py", f"{SITE}/stale.py", *names])
    ref = owner(host, f"{PREFIX}/{names[0]}")
    packed = [file.member for file in Conda(host.root).files(ref)]
    assert names[0] in packed and names[1] not in packed


def test_the_interpreter_goes_below(host: FakeHost) -> None:
    host.conda(PREFIX, "python", "3.11.7",
               files=["bin/python3.11", "lib/python3.11/os.py", "lib/python3.11/test/test_os.py",
                      "lib/python3.11/json/tests/x.py", "lib/python3.11/idlelib/idle.py"])  # fmt: skip
    conda = Conda(host.root)
    ref = owner(host, f"{PREFIX}/bin/python3.11")
    assert conda.kind_of(ref) is LayerKind.RUNTIME
    assert [file.member for file in conda.files(ref)][:1] == ["bin/python3.11"]
    assert [f.member for f in conda.files(ref) if f.member.startswith("lib/")] == [
        "lib/python3.11/os.py"
    ]


def test_the_nearest_environment_and_what_lies_in_none(host: FakeHost) -> None:
    host.conda("/opt/conda", "base", files=["bin/conda"])
    host.conda("/opt/conda/envs/e", "num", files=["lib/num.so"])
    host.write("/opt/conda/envs/e/mine.txt")
    conda = Conda(host.root)
    assert owner(host, "/opt/conda/envs/e/lib/num.so").key == "/opt/conda/envs/e|num"
    assert conda.owner("/opt/conda/envs/e/mine.txt") is None
    assert conda.owner("/opt/other") is None


def test_a_program_and_all_it_needs(host: FakeHost) -> None:
    host.conda(PREFIX, "app", files=["bin/app"], depends=["lib_a >=1", "__unix", ""])
    host.conda(PREFIX, "lib_a", files=["lib/a"], depends=["lib_b=1.0=h1_0", "app"])
    host.conda(PREFIX, "lib_b", files=["lib/b"])
    host.conda(PREFIX, "other", files=["lib/o"])
    conda = Conda(host.root)
    assert {ref.name for ref in conda.environment(f"{PREFIX}/bin/app")} == {
        "app", "lib_a", "lib_b",
    }  # fmt: skip
    assert len(conda.environment(PREFIX)) == 4


def test_it_is_asked_before_pip(host: FakeHost) -> None:
    """What pip put into an environment is pip's, what conda put there is conda's."""
    host.dist(f"{PREFIX}/{SITE}", "num", files=["num.py"])
    host.dist(f"{PREFIX}/{SITE}", "own", files=["own.py"])
    host.conda(PREFIX, "num", files=[f"{SITE}/num.py"])

    def first(path: str) -> str | None:
        found = (source.owner(path) for source in sources(host.root))
        return next((ref.source for ref in found if ref is not None), None)

    assert first(f"{PREFIX}/{SITE}/num.py") == "conda"
    assert first(f"{PREFIX}/{SITE}/own.py") == "pip"


@pytest.mark.parametrize("data", [b"[]", b'{"name": "num"}', b"\xff", b"[" * 100_000])
def test_a_damaged_record_is_named(host: FakeHost, data: bytes) -> None:
    path = host.conda(PREFIX, "num", files=["lib/num.so"])
    host.write(path, data)
    with pytest.raises(PinError, match="num-1.0-h1_0.json"):
        Conda(host.root).owner(f"{PREFIX}/lib/num.so")


RATTLER = """
import asyncio, pathlib, sys
from rattler import install, solve
from rattler.index import index_fs
channel, prefix, cache = map(pathlib.Path, sys.argv[1:])
async def make():
    await index_fs(channel)
    records = await solve([channel.as_uri()], ["user"], platforms=["noarch", "linux-64"])
    await install(records, target_prefix=prefix, cache_dir=cache, show_progress=False)
asyncio.run(make())
"""


def _channel(folder: Path) -> None:
    """A channel with two packages of the older form, made with tarfile alone."""
    for name, files, depends in (
        ("tiny", {"lib/tiny.txt": b"tiny\n"}, []),
        ("user", {f"{SITE}/user.py": b"x = 1\n", "share/doc/user/README": b"read\n"}, ["tiny >=1"]),
    ):
        index = {"name": name, "version": "1.0", "build": "0", "build_number": 0,
                 "depends": depends, "subdir": "noarch", "arch": None, "platform": None,
                 "license": "MIT"}  # fmt: skip
        paths = {"paths_version": 1, "paths": [
            {"_path": path, "path_type": "hardlink", "size_in_bytes": len(data),
             "sha256": hashlib.sha256(data).hexdigest()}
            for path, data in files.items()]}  # fmt: skip
        members = {
            "info/index.json": json.dumps(index).encode(),
            "info/paths.json": json.dumps(paths).encode(),
            "info/files": "".join(f"{path}\n" for path in files).encode(),
            **files,
        }
        (folder / "noarch").mkdir(parents=True, exist_ok=True)
        with tarfile.open(folder / "noarch" / f"{name}-1.0-0.tar.bz2", "w:bz2") as out:
            for path, data in members.items():
                header = tarfile.TarInfo(path)
                header.size = len(data)
                out.addfile(header, io.BytesIO(data))


@pytest.mark.real
def test_an_environment_that_rattler_made(tmp_path: Path) -> None:
    """Records and links as a tool of the conda world writes them, from a channel made here."""
    if importlib.util.find_spec("rattler") is None:
        if os.environ.get("CI"):
            pytest.fail("py-rattler is not installed")
        pytest.skip("py-rattler is not installed")
    channel, prefix = tmp_path / "channel", tmp_path / "env"
    _channel(channel)
    done = subprocess.run(
        [sys.executable, "-c", RATTLER, str(channel), str(prefix), str(tmp_path / "cache")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    conda = Conda()
    found = {ref.name: ref for ref in conda.environment(os.path.realpath(prefix))}
    assert set(found) == {"tiny", "user"}
    assert conda.requires(found["user"]) == [found["tiny"]]
    assert [file.member for file in conda.files(found["user"])] == [
        "conda-meta/user-1.0-0.json", f"{SITE}/user.py",
    ]  # fmt: skip
    locked = conda.lock(found["user"])
    archive = (channel / "noarch/user-1.0-0.tar.bz2").read_bytes()
    assert locked.hash == "sha256:" + hashlib.sha256(archive).hexdigest()
    assert locked.url is None and locked.grade is Grade.HASH_ONLY, "a folder is no address"
