from __future__ import annotations

import os
from pathlib import Path

import pytest

from repro.model.lock import Grade
from repro.pin.sources.rlang import Rlang
from tests.unit.pin.fake_host import FakeHost

LIBRARY = "/home/ann/R/library/4.2"
OTHER = "/usr/local/lib/R/site-library"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def test_owner_is_the_folder_with_a_built_description(host: FakeHost) -> None:
    folder = host.r_package(LIBRARY, "vctrs", "0.6.5")
    ref = Rlang(host.root).owner(f"{folder}/R/vctrs.rdb")
    assert ref is not None
    assert (ref.key, ref.name, ref.version) == (folder, "vctrs", "0.6.5")


def test_a_source_package_is_no_installed_one(host: FakeHost) -> None:
    host.write("/home/ann/mypkg/DESCRIPTION", "Package: mypkg\nVersion: 0.1\n")
    host.write("/home/ann/mypkg/R/a.R")
    assert Rlang(host.root).owner("/home/ann/mypkg/R/a.R") is None


def test_files_without_manuals(host: FakeHost) -> None:
    folder = host.r_package(LIBRARY, "vctrs")
    rlang = Rlang(host.root)
    ref = rlang.owner(f"{folder}/DESCRIPTION")
    assert ref is not None
    names = [file.path.removeprefix(folder + "/") for file in rlang.files(ref)]
    assert names == [
        "DESCRIPTION", "Meta/package.rds", "NAMESPACE", "R/vctrs.rdb", "extdata/doc/kept.csv",
        "help/AnIndex",
    ]  # fmt: skip
    (left,) = rlang.left_out(ref)
    assert left.path == "cran:vctrs" and "doc" in left.reason


def test_linked_folders_inside_a_package_are_files_too(host: FakeHost) -> None:
    folder = host.r_package(LIBRARY, "vctrs")
    host.link(f"{folder}/shared", "extdata")
    rlang = Rlang(host.root)
    ref = rlang.owner(f"{folder}/DESCRIPTION")
    assert ref is not None
    assert f"{folder}/shared" in [file.path for file in rlang.files(ref)]


def test_requirements_across_libraries(host: FakeHost) -> None:
    folder = host.r_package(LIBRARY, "tibble", needs="vctrs (>= 0.5.0),\n  rlang, methods")
    host.r_package(LIBRARY, "vctrs")
    other = host.r_package(OTHER, "rlang")
    rlang = Rlang(host.root)
    assert rlang.owner(f"{other}/NAMESPACE") is not None
    ref = rlang.owner(f"{folder}/NAMESPACE")
    assert ref is not None
    assert [need.key for need in rlang.requires(ref)] == [f"{LIBRARY}/vctrs", other]


def test_the_pin(host: FakeHost) -> None:
    folder = host.r_package(LIBRARY, "data.table", "1.15.4")
    rlang = Rlang(host.root)
    ref = rlang.owner(f"{folder}/NAMESPACE")
    assert ref is not None
    pin = rlang.lock(ref)
    assert pin.purl == "pkg:cran/data.table@1.15.4" and pin.grade is Grade.NAME_ONLY


GITHUB = """\
RemoteType: github
RemoteHost: api.github.com
RemoteUsername: tidyverse
RemoteRepo: tibble
RemoteRef: main
RemoteSha: {sha}
"""
SHA = "2" * 40


@pytest.mark.parametrize(
    ("fields", "url", "digest"),
    [
        (GITHUB.format(sha=SHA), f"git+https://github.com/tidyverse/tibble@{SHA}", SHA),
        (
            f"RemoteType: gitlab\nRemoteHost: git.example.org/api/v4\nRemoteUsername: a\n"
            f"RemoteRepo: b\nRemoteSha: {SHA}\n",
            f"git+https://git.example.org/a/b@{SHA}",
            SHA,
        ),
        (
            f"RemoteType: xgit\nRemoteUrl: https://git.example.org/b.git\nRemoteSha: {SHA}\n",
            f"git+https://git.example.org/b.git@{SHA}",
            SHA,
        ),
        (f"RemoteType: git2r\nRemoteUrl: git@example.org:b.git\nRemoteSha: {SHA}\n", None, SHA),
        (GITHUB.format(sha="main"), None, None),
        ("RemoteType: standard\nRemoteSha: 1.0\n", None, None),
        (f"RemoteType: local\nRemoteUrl: /home/ann/tibble\nRemoteSha: {SHA}\n", None, None),
    ],
)
def test_a_package_from_a_repository_of_code_has_its_commit(
    host: FakeHost, fields: str, url: str | None, digest: str | None
) -> None:
    folder = host.r_package(LIBRARY, "tibble")
    with host.path(f"{folder}/DESCRIPTION").open("a") as stream:
        stream.write(fields)
    rlang = Rlang(host.root)
    ref = rlang.owner(f"{folder}/NAMESPACE")
    assert ref is not None
    pin = rlang.lock(ref)
    assert (pin.url, pin.hash) == (url, digest and f"git-sha1:{digest}")
    grade = Grade.URL_AND_HASH if url else Grade.HASH_ONLY if digest else Grade.NAME_ONLY
    assert pin.grade is grade
    assert pin.facts["built"] == "R 4.2.2; ; ; unix" and pin.facts["library"] == LIBRARY


def test_facts_tell_no_credentials(host: FakeHost) -> None:
    folder = host.r_package(LIBRARY, "tibble")
    with host.path(f"{folder}/DESCRIPTION").open("a") as stream:
        stream.write("Repository: RSPM\nRemoteRepos: https://ann:secret@example.org/cran\n")
    rlang = Rlang(host.root)
    ref = rlang.owner(f"{folder}/NAMESPACE")
    assert ref is not None
    facts = rlang.lock(ref).facts
    assert facts["repository"] == "RSPM" and "remoterepos" not in facts


def test_packages_of_this_machine() -> None:
    library = Path("/usr/lib/R/library/stats")
    if not library.is_dir():
        if os.environ.get("CI"):
            pytest.fail("R is not installed")
        pytest.skip("R is not installed")
    rlang = Rlang()
    ref = rlang.owner(os.path.realpath(library / "NAMESPACE"))
    assert ref is not None and ref.name == "stats"
    assert os.path.realpath(library / "libs/stats.so") in [f.path for f in rlang.files(ref)]
