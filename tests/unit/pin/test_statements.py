"""Matching what lock files say to what is installed: only what surely fits is taken."""

from __future__ import annotations

from typing import Any

import pytest

from repro.model.lock import Grade, LockedPackage
from repro.pin.statements import Statement, matched

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
RECORD = "record-sha256:" + "e" * 64
PURE = "num-1.0-py3-none-any.whl"
LINUX = "num-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
ARM = "num-1.0-cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64.whl"
LINUX_TAGS = "cp311-cp311-manylinux_2_17_x86_64 cp311-cp311-manylinux2014_x86_64"


def installed(tags: str = "py3-none-any", **facts: str) -> LockedPackage:
    return LockedPackage(
        source="pip", name="Num", version="1.0", purl="pkg:pypi/num@1.0", grade=Grade.HASH_ONLY,
        hash=RECORD, facts={"tags": tags, **facts},
    )  # fmt: skip


def said(filename: str | None = PURE, digest: str | None = A, **more: Any) -> Statement:
    given: dict[str, Any] = {"said_by": "uv.lock", "source": "pip", "name": "num",
                             "version": "1.0", "filename": filename, "hash": digest}  # fmt: skip
    if filename:
        given["url"] = f"https://files.example.org/{filename}"
    return Statement(**{**given, **more})


def pin(package: LockedPackage, *statements: Statement) -> LockedPackage:
    (found,), conflicts = matched([package], statements)
    assert conflicts == []
    return found


def test_the_wheel_that_fits() -> None:
    found = pin(installed(LINUX_TAGS), said(ARM, B), said(PURE, B), said(LINUX, A))
    assert (found.grade, found.hash) == (Grade.URL_AND_HASH, A)
    assert found.url == f"https://files.example.org/{LINUX}"
    assert found.facts == {
        "tags": LINUX_TAGS, "said-by": "uv.lock", "filename": LINUX, "record": RECORD,
    }  # fmt: skip


def test_some_tags_are_enough_when_only_one_file_has_them() -> None:
    half = LINUX_TAGS.split()[0]
    assert pin(installed(half), said(LINUX, A), said(ARM, B)).hash == A


@pytest.mark.parametrize(
    "filename", [ARM, "num-1.0-cp310-cp310-linux_x86_64.whl", "num.whl", "num-1.0-x.whl"]
)
def test_a_wheel_of_other_tags_is_not_taken(filename: str) -> None:
    package = installed(LINUX_TAGS)
    assert pin(package, said(filename)) == package


def test_two_builds_of_the_same_tags_prove_nothing() -> None:
    package = installed()
    assert pin(package, said(), said("num-1.0-1-py3-none-any.whl", B)) == package


def test_without_tags_nothing_fits() -> None:
    package = installed("")
    assert pin(package, said()) == package


@pytest.mark.parametrize(
    "other", [{"version": "1.0.1"}, {"name": "number"}, {"source": "r"}, {"version": "junk"}]
)
def test_another_package_or_version_is_not_meant(other: dict[str, str]) -> None:
    package = installed()
    assert pin(package, said(**other)) == package


def test_names_and_versions_in_other_spellings_are() -> None:
    assert pin(installed(), said(name="NUM", version="1")).hash == A


def test_what_came_from_elsewhere_is_left_alone() -> None:
    package = installed(direct="folder")
    assert pin(package, said()) == package


@pytest.mark.parametrize(
    "url", ["https://me:secret@example.org/x.whl", "file:///home/me/x.whl", "x.whl", None]
)
def test_an_address_that_cannot_be_told_leaves_the_hash(url: str | None) -> None:
    found = pin(installed(), said(url=url))
    assert (found.grade, found.url, found.hash) == (Grade.HASH_ONLY, None, A)


@pytest.mark.parametrize("digest", [None, "md5:" + "a" * 32, "sha256:short", "sha256:" + "A" * 64])
def test_what_is_no_hash_is_not_taken(digest: str | None) -> None:
    package = installed()
    assert pin(package, said(digest=digest)) == package


def test_the_address_of_another_file_completes_the_hash() -> None:
    found = pin(installed(), said(url=None, said_by="poetry.lock"), said(said_by="uv.lock"))
    assert found.grade is Grade.URL_AND_HASH and found.facts["said-by"] == "uv.lock"


def test_a_contradiction_is_no_pin() -> None:
    package = installed()
    (found,), conflicts = matched([package], [said(), said(digest=B, said_by="poetry.lock")])
    assert found == package
    assert conflicts == ["Num 1.0: uv.lock, poetry.lock name different hashes"]


def test_hashes_of_two_kinds_do_not_contradict() -> None:
    assert pin(installed(), said(), said(digest="sha512:" + "c" * 128)).hash == A


def test_one_unnamed_hash_is_the_hash() -> None:
    found = pin(installed(), said(None))
    assert (found.grade, found.hash) == (Grade.HASH_ONLY, A)


def test_of_several_unnamed_hashes_it_is_not_known_which() -> None:
    found = pin(installed(), said(None, B), said(None, A))
    assert found.hash == RECORD
    assert found.facts["allowed-hashes"] == f"{A} {B}"


def test_built_from_a_source() -> None:
    found = pin(installed(), said("num-1.0.tar.gz"))
    assert (found.grade, found.hash, found.url) == (Grade.HASH_ONLY, RECORD, None)
    assert found.facts["sdist-hash"] == A
    assert found.facts["sdist-url"] == "https://files.example.org/num-1.0.tar.gz"


def test_a_source_beside_wheels_of_other_systems_proves_nothing() -> None:
    package = installed(LINUX_TAGS)
    assert pin(package, said("num-1.0.tar.gz"), said(ARM)) == package


def test_a_better_pin_stays() -> None:
    package = LockedPackage(
        source="pip", name="num", version="1.0", purl="pkg:pypi/num@1.0",
        grade=Grade.URL_AND_HASH, url="https://example.org/n.whl", hash=B,
    )  # fmt: skip
    assert pin(package, said()) == package


def test_facts_of_an_r_package() -> None:
    package = LockedPackage(
        source="r", name="tibble", version="3.2.1", purl="pkg:cran/tibble@3.2.1",
        grade=Grade.NAME_ONLY,
    )  # fmt: skip
    facts = {"renv-repository": "CRAN", "renv-hash": "d" * 32}
    found = pin(
        package,
        Statement(said_by="renv.lock", source="r", name="tibble", version="3.2.1", facts=facts),
    )
    assert found.grade is Grade.NAME_ONLY and found.hash is None
    assert found.facts == {"said-by": "renv.lock", **facts}
