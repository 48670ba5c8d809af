"""Lists of package managers: valid for their readers, and no line that a stranger slips in."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from packaging.pylock import Pylock
from packaging.requirements import Requirement

from repro.model.lock import Grade, Lock, LockedPackage
from repro.report.lists import lock_lists
from repro.report.locklist import LockList

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

A, B = "a" * 64, "b" * 64
IDENTITY = "sha256:" + "0" * 64
WHEEL = "num_x-1.0-py3-none-any.whl"
DEB = "http://deb.example.org/debian/pool/t/tool_1%3a2_amd64.deb"
SNAPSHOT = "https://snapshot.debian.org/archive/debian/20260711T161637Z/"
CONDA = "https://conda.example.org/conda-forge"


def package(source: str, name: str, version: str = "1.0", **more: Any) -> LockedPackage:
    given = {"grade": Grade.NAME_ONLY, "purl": f"pkg:generic/{name}@{version}", **more}
    return LockedPackage(source=source, name=name, version=version, **given)


def lists(*packages: LockedPackage) -> dict[str, LockList]:
    found = lock_lists(Lock(packages=packages), IDENTITY)
    assert len({each.name for each in found}) == len(found)
    return {each.name: each for each in found}


def wheel(name: str = "Num.X", **more: Any) -> LockedPackage:
    given = {"grade": Grade.URL_AND_HASH, "hash": f"sha256:{A}",
             "url": f"https://files.example.org/{WHEEL}",
             "facts": {"site": "/v/lib/python3.11/site-packages", "filename": WHEEL}}  # fmt: skip
    return package("pip", name, **{**given, **more})


def pylock(found: dict[str, LockList], name: str = "pylock.toml") -> dict[str, Any]:
    document = tomllib.loads(found[name].text)
    Pylock.from_dict(document).validate()
    return document


def test_a_pylock_that_packaging_accepts() -> None:
    commit = "1" * 40
    found = lists(
        wheel(),
        wheel("arch", url="https://example.org/arch-1.0.tar.gz", facts={
            "site": "/v/lib/python3.11/site-packages", "direct": "archive"}),
        wheel("repo", url=f"git+https://git.example.org/repo@{commit}", hash=f"git-sha1:{commit}",
              facts={"site": "/v/lib/python3.11/site-packages", "direct": "vcs",
                     "subdirectory": "py"}),
        package("pip", "built", hash=f"record-sha256:{B}", facts={
            "site": "/v/lib/python3.11/site-packages", "sdist-hash": f"sha256:{B}",
            "sdist-filename": "built-1.0.tar.gz",
            "sdist-url": "https://files.example.org/built-1.0.tar.gz"}),
        package("pip", "bare", facts={"site": "/v/lib/python3.11/site-packages"}),
    )  # fmt: skip
    document = pylock(found)
    entries = {entry["name"]: entry for entry in document["packages"]}
    assert entries["num-x"]["wheels"] == [
        {"name": WHEEL, "url": f"https://files.example.org/{WHEEL}", "hashes": {"sha256": A}}
    ]
    assert entries["arch"]["archive"]["hashes"] == {"sha256": A}
    assert entries["repo"]["vcs"] == {
        "type": "git", "url": "https://git.example.org/repo", "commit-id": commit,
        "subdirectory": "py",
    }  # fmt: skip
    assert entries["built"]["sdist"]["hashes"] == {"sha256": B}
    assert document["tool"]["repro"] == {"archive": IDENTITY, "without-address": ["bare==1.0"]}
    assert (found["pylock.toml"].exact, found["pylock.toml"].total) == (4, 5)


def test_requirements_name_every_package() -> None:
    found = lists(
        wheel(), package("pip", "bare", facts={"site": "/v/lib/python3.11/site-packages"})
    )
    lines = [line for line in found["requirements.txt"].text.splitlines() if line[0] != "#"]
    assert [str(Requirement(line)) for line in lines] == ["bare==1.0", "num-x==1.0"]
    assert found["requirements.txt"].exact == 0


def test_hashes_in_requirements_are_all_or_none() -> None:
    site = "/v/lib/python3.11/site-packages"
    loose = package("pip", "loose", hash=f"record-sha256:{B}",
                    facts={"site": site, "allowed-hashes": f"sha256:{A} sha256:{B}"})  # fmt: skip
    text = lists(wheel(), loose)["requirements.txt"].text
    assert f"loose==1.0 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n" in text
    assert f"num-x==1.0 \\\n    --hash=sha256:{A}\n" in text


def test_each_environment_has_its_own_lists() -> None:
    other = wheel(facts={"site": "/w/lib/python3.11/site-packages", "filename": WHEEL})
    found = lists(wheel(), other)
    assert set(found) == {
        "pylock.1.toml", "pylock.2.toml", "requirements.1.txt", "requirements.2.txt",
    }  # fmt: skip
    assert pylock(found, "pylock.2.toml")["packages"][0]["name"] == "num-x"


HOSTILE = 'x"\n[[packages]]\nname = "evil\x00\x7f\ud800'


@pytest.mark.parametrize(
    "more",
    [
        {"name": HOSTILE}, {"version": HOSTILE}, {"version": "1.0\n--index-url=https://evil"},
        {"name": "num\n-e ."}, {"url": HOSTILE}, {"hash": f"sha256:{HOSTILE}"},
        {"facts": {"filename": HOSTILE}},
        {"facts": {"direct": "archive", "subdirectory": HOSTILE}},
        {"facts": {"allowed-hashes": f"sha256:{A}\n--index-url=evil x"}},
        {"url": "git+" + HOSTILE, "hash": "git-sha1:" + "1" * 40},
    ],
    ids=range(10),
)  # fmt: skip
def test_python_lists_of_a_stranger_hold_no_other_line(more: dict[str, Any]) -> None:
    name = more.pop("name", "num-x")
    found = lists(wheel(name, **more), wheel("num.x", version="2.0", facts={"direct": "archive"}))
    for file in found.values():
        file.text.encode("utf-8")
        if file.name.endswith(".toml"):
            document = pylock(found, file.name)
            assert {entry["name"] for entry in document["packages"]} == {"num-x"}
        else:
            for line in file.text.splitlines():
                assert line.startswith(("#", "num-x==", "    --hash=sha256:")), line


def deb(name: str = "tool", version: str = "1:2~rc1-1", **more: Any) -> LockedPackage:
    facts = {"arch": "amd64", "suite": "bookworm", "component": "main", "snapshot": SNAPSHOT}
    given = {"grade": Grade.URL_AND_HASH, "url": DEB, "hash": f"sha256:{A}", "facts": facts}
    return package("apt", name, version, **{**given, **more})


def test_apt_with_the_state_of_its_archives() -> None:
    bare = deb("bare", url=None, hash=None, facts={"arch": "all"})
    found = lists(deb(), bare)["apt.txt"]
    assert found.text.splitlines()[-2:] == [
        f"tool:amd64=1:2~rc1-1  # sha256:{A} {DEB}", "bare:all=1:2~rc1-1",
    ]  # fmt: skip
    assert f"# deb [check-valid-until=no] {SNAPSHOT} bookworm main\n" in found.text
    assert (found.exact, found.total) == (1, 2)


@pytest.mark.parametrize(
    "broken",
    [deb("tool\nevil"), deb(version="1; rm -rf /"), deb(facts={"arch": "$(id)"}),
     deb(url=f"{DEB}\nevil"), deb(hash=f"sha256:{A}\nevil"),
     deb(facts={"arch": "amd64", "suite": "a\nevil", "component": "main", "snapshot": SNAPSHOT}),
     deb(facts={"arch": "amd64", "suite": "a", "component": "main", "snapshot": "evil\nx"})],
    ids=range(7),
)  # fmt: skip
def test_an_apt_list_of_a_stranger_holds_no_other_line(broken: LockedPackage) -> None:
    for file in lists(broken).values():
        for line in file.text.splitlines():
            assert line.startswith(("# ", "tool:amd64=1:2~rc1-1")), line
            assert "evil" not in line and "$" not in line.removeprefix("# grep -v '^#' apt.txt | ")


def conda(name: str, prefix: str = "/env", **more: Any) -> LockedPackage:
    facts = {"prefix": prefix, "subdir": "linux-64", "md5": "d" * 32}
    given = {"grade": Grade.URL_AND_HASH, "hash": f"sha256:{A}", "facts": facts,
             "url": f"{CONDA}/linux-64/{name}-1.0-0.conda"}  # fmt: skip
    return package("conda", name, **{**given, **more})


def test_an_explicit_list_for_conda() -> None:
    facts = {"prefix": "/env", "subdir": "noarch"}
    found = lists(
        conda("zlib"), conda("pure", facts=facts), conda("local", url=None),
        conda("old", facts=facts, hash="md5:" + "e" * 32),
    )["conda.txt"]  # fmt: skip
    assert found.text.splitlines() == [
        "# packages of a recorded run, for: conda create -n paper --file conda.txt",
        "# platform: linux-64",
        "# without an address: local 1.0",
        "@EXPLICIT",
        f"{CONDA}/linux-64/zlib-1.0-0.conda#{'d' * 32}",
        f"{CONDA}/linux-64/pure-1.0-0.conda#sha256:{A}",
        f"{CONDA}/linux-64/old-1.0-0.conda#{'e' * 32}",
    ]
    assert (found.exact, found.total) == (3, 4)


def test_conda_environments_apart() -> None:
    found = lists(conda("a", "/one"), conda("b", "/two"))
    assert "/a-1.0" in found["conda.1.txt"].text and "/b-1.0" in found["conda.2.txt"].text


def test_the_form_of_renv() -> None:
    found = lists(
        package("r", "tibble", "3.2.1", facts={
            "built": "R 4.2.2; ; 2024; unix", "repository": "CRAN", "renv-hash": "d" * 32}),
        package("r", "dev", facts={
            "built": "R 4.2.0; ; ; unix", "remotetype": "github", "remotehost": "api.github.com",
            "remoteusername": "ann", "remoterepo": "dev", "remotesha": "2" * 40}),
        package("r", "stray"),
    )["renv.lock"]  # fmt: skip
    document = json.loads(found.text)
    assert document["R"]["Version"] == "4.2.2"
    assert document["Packages"]["tibble"] == {
        "Package": "tibble", "Version": "3.2.1", "Source": "Repository", "Repository": "CRAN",
        "Hash": "d" * 32,
    }  # fmt: skip
    assert document["Packages"]["dev"] == {
        "Package": "dev", "Version": "1.0", "Source": "GitHub", "RemoteType": "github",
        "RemoteHost": "api.github.com", "RemoteUsername": "ann", "RemoteRepo": "dev",
        "RemoteSha": "2" * 40,
    }  # fmt: skip
    assert document["Packages"]["stray"]["Source"] == "unknown"


def test_the_form_of_npm() -> None:
    url = "https://registry.example.org/left/-/left-1.0.tgz"
    inner = "node_modules/left/node_modules/pad"
    found = lists(
        package("node", "left", grade=Grade.URL_AND_HASH, url=url, hash="sha512:" + "1" * 128,
                facts={"top": "/web", "folder": "node_modules/left", "integrity": "sha512-AQ=="}),
        package("node", "pad", facts={"top": "/web", "folder": inner}),
    )["package-lock.json"]  # fmt: skip
    document = json.loads(found.text)
    assert document["lockfileVersion"] == 3
    assert document["packages"] == {
        "": {"dependencies": {"left": "1.0"}},
        "node_modules/left": {"version": "1.0", "resolved": url, "integrity": "sha512-AQ=="},
        inner: {"version": "1.0"},
    }


def test_a_lock_without_packages_gives_no_list() -> None:
    assert lists() == {}
    assert lists(package("interpreter", "python")) == {}
