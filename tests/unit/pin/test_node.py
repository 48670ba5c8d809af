"""Packages of node_modules: owners, what require() finds, pins from npm's own lists."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from repro.errors import PinError
from repro.model.lock import Grade, LockedPackage
from repro.model.observation import PackageRef
from repro.pin.sources.node import Node
from tests.unit.pin.fake_host import FakeHost

TOP = "/home/ann/web"
MODULES = f"{TOP}/node_modules"
SHA512 = "sha512-" + base64.b64encode(b"\x01" * 64).decode()
URL = "https://registry.example.org/left/-/left-1.0.0.tgz"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def owner(host: FakeHost, path: str) -> PackageRef:
    found = Node(host.root).owner(path)
    assert found is not None
    return found


def pin(
    host: FakeHost, leaf: str = "node_modules/.package-lock.json", **entry: str
) -> LockedPackage:
    host.node(f"{MODULES}/left", "left")
    host.node_lock(TOP, leaf, **{"node_modules/left": {"version": "1.0.0", **entry}})
    return Node(host.root).lock(owner(host, f"{MODULES}/left/index.js"))


def test_the_pin(host: FakeHost) -> None:
    found = pin(host, resolved=URL, integrity=SHA512)
    assert (found.grade, found.url) == (Grade.URL_AND_HASH, URL)
    assert found.hash == "sha512:" + "01" * 64
    assert found.purl == "pkg:npm/left@1.0.0"
    assert found.facts == {
        "top": TOP, "folder": "node_modules/left", "integrity": SHA512,
        "said-by": "node_modules/.package-lock.json",
    }  # fmt: skip


@pytest.mark.parametrize("leaf", ["package-lock.json", "npm-shrinkwrap.json"])
def test_the_lock_file_of_the_project(host: FakeHost, leaf: str) -> None:
    assert pin(host, leaf, resolved=URL, integrity=SHA512).facts["said-by"] == leaf


def test_a_list_of_another_version_is_not_believed(host: FakeHost) -> None:
    host.node(f"{MODULES}/left", "left", "1.0.1")
    host.node_lock(TOP, **{"node_modules/left": {"version": "1.0.0", "integrity": SHA512}})
    found = Node(host.root).lock(owner(host, f"{MODULES}/left/index.js"))
    assert found.grade is Grade.NAME_ONLY and "said-by" not in found.facts


@pytest.mark.parametrize(
    ("integrity", "digest"),
    [("sha1-" + base64.b64encode(b"\x02" * 20).decode(), "sha1:" + "02" * 20),
     (f"sha1-AgICAgICAgICAgICAgICAgICAgI= {SHA512}?x", "sha512:" + "01" * 64),
     ("sha512-short", None), ("sha512-***", None), ("md5-AAAA", None), ("", None)],
)  # fmt: skip
def test_integrity_in_its_forms(host: FakeHost, integrity: str, digest: str | None) -> None:
    found = pin(host, resolved=URL, integrity=integrity)
    assert found.hash == digest
    assert (found.url is None) == (digest is None)


@pytest.mark.parametrize(
    "resolved", ["file:../left.tgz", "https://ann:secret@registry.example.org/left.tgz"]
)
def test_private_addresses_are_not_told(host: FakeHost, resolved: str) -> None:
    found = pin(host, resolved=resolved, integrity=SHA512)
    assert (found.grade, found.url) == (Grade.HASH_ONLY, None)


def test_a_commit_is_a_hash(host: FakeHost) -> None:
    found = pin(host, resolved="git+ssh://git@example.org/ann/left.git#" + "3" * 40)
    assert (found.grade, found.url, found.hash) == (Grade.HASH_ONLY, None, "git-sha1:" + "3" * 40)


def test_the_deepest_package_owns(host: FakeHost) -> None:
    host.node(f"{MODULES}/left", "left")
    host.node(f"{MODULES}/left/node_modules/@s/pad", "@s/pad", "2.0.0")
    ref = owner(host, f"{MODULES}/left/node_modules/@s/pad/lib/part.js")
    assert (ref.name, ref.version) == ("@s/pad", "2.0.0")
    node = Node(host.root)
    assert node.lock(ref).purl == "pkg:npm/%40s/pad@2.0.0"
    assert node.lock(ref).facts["folder"] == "node_modules/left/node_modules/@s/pad"
    assert not [f for f in node.files(owner(host, f"{MODULES}/left/index.js")) if "pad" in f.path]


@pytest.mark.parametrize(
    "path", [f"{MODULES}/.bin/left", f"{MODULES}/.package-lock.json", f"{MODULES}/left",
             f"{MODULES}/bare/x.js", f"{TOP}/index.js", f"{MODULES}/@s/x.js"],
)  # fmt: skip
def test_what_is_no_file_of_a_package(host: FakeHost, path: str) -> None:
    host.node(f"{MODULES}/left", "left")
    host.write(f"{MODULES}/bare/x.js")
    host.write(f"{MODULES}/@s/x.js")
    assert Node(host.root).owner(path) is None


def test_what_require_finds(host: FakeHost) -> None:
    """Beside the package first, then above; what a link leads to; nothing that is not there."""
    host.node(f"{MODULES}/a", "a", dependencies={"b": "1", "c": "1", "gone": "1"},
              optionalDependencies={"fsevents": "2"}, peerDependencies={"d": "*"})  # fmt: skip
    host.node(f"{MODULES}/b", "b", "1.0.0")
    host.node(f"{MODULES}/a/node_modules/b", "b", "2.0.0")
    host.node(f"{MODULES}/c", "c")
    host.node(f"{MODULES}/.pnpm/d@1/node_modules/d", "d")
    host.link(f"{MODULES}/d", ".pnpm/d@1/node_modules/d")
    node = Node(host.root)
    needed = node.requires(owner(host, f"{MODULES}/a/index.js"))
    assert [ref.key[len(MODULES) + 1 :] for ref in needed] == [
        "a/node_modules/b", "c", ".pnpm/d@1/node_modules/d",
    ]  # fmt: skip


def test_what_is_packed_and_what_is_not(host: FakeHost) -> None:
    host.node(f"{MODULES}/left", "left")
    host.write(f"{MODULES}/left/lib/test/kept.js")
    node, ref = Node(host.root), owner(host, f"{MODULES}/left/index.js")
    assert [file.member for file in node.files(ref)] == [
        "index.js", "lib/part.js", "lib/test/kept.js", "package.json",
    ]  # fmt: skip
    assert [(item.path, item.reason) for item in node.left_out(ref)] == [("node:left", "its test")]


def test_a_damaged_list_is_named(host: FakeHost) -> None:
    host.node(f"{MODULES}/left", "left")
    host.write(f"{MODULES}/.package-lock.json", b"{")
    with pytest.raises(PinError, match="package-lock.json"):
        Node(host.root).lock(owner(host, f"{MODULES}/left/index.js"))


@pytest.mark.real
def test_what_npm_installed(tmp_path: Path) -> None:
    """A package that npm packed and put there itself, without any registry."""
    npm = shutil.which("npm")
    if npm is None:
        if os.environ.get("CI"):
            pytest.fail("npm is not installed")
        pytest.skip("npm is not installed")
    host = FakeHost(tmp_path)
    host.node("/left", "left")
    host.write("/web/package.json", json.dumps({"name": "web", "version": "1.0.0"}))
    quiet = {"cwd": host.root + "/web", "check": True, "capture_output": True}
    env = {**os.environ, "HOME": host.root, "npm_config_cache": host.root + "/cache"}
    subprocess.run([npm, "pack", "../left"], env=env, **quiet)  # type: ignore[call-overload]
    words = ["install", "--offline", "--no-audit", "--no-fund", "./left-1.0.0.tgz"]
    subprocess.run([npm, *words], env=env, **quiet)  # type: ignore[call-overload]
    path = f"{host.root}/web/node_modules/left/index.js"
    ref = Node().owner(path)
    assert ref is not None
    found = Node().lock(ref)
    archive = host.path("/web/left-1.0.0.tgz").read_bytes()
    assert found.hash == "sha512:" + hashlib.sha512(archive).hexdigest()
    assert (found.grade, found.url) == (Grade.HASH_ONLY, None)
