"""The bill of materials, judged by the library of the CycloneDX project."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from repro.model.lock import Grade, Lock, LockedPackage
from repro.primitives.canonical import CLAMP, dump
from repro.report.sbom import sbom

SHA256 = "sha256:" + "a" * 64


@pytest.fixture(scope="session")
def judge() -> Callable[[dict[str, Any]], None]:
    if importlib.util.find_spec("cyclonedx") is None:
        if os.environ.get("CI"):
            pytest.fail("cyclonedx-python-lib[json-validation] is not installed")
        pytest.skip("cyclonedx-python-lib[json-validation] is not installed")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    validator = JsonStrictValidator(SchemaVersion.V1_6)

    def check(document: dict[str, Any]) -> None:
        error = validator.validate_str(json.dumps(document))
        assert error is None, str(error)[-2000:]

    return check


def package(name: str = "num", **more: Any) -> LockedPackage:
    given = {"source": "pip", "version": "1.0", "purl": f"pkg:pypi/{name}@1.0",
             "grade": Grade.NAME_ONLY}  # fmt: skip
    return LockedPackage(name=name, **{**given, **more})


def bill(*packages: LockedPackage, **more: Any) -> dict[str, Any]:
    given = {"name": "paper", "architecture": "amd64", "clamp": CLAMP,
             "version": "0.1"}  # fmt: skip
    return sbom(Lock(packages=packages), **{**given, **more})


EVERY = (
    package(url="https://files.example.org/num.whl", hash=SHA256, grade=Grade.URL_AND_HASH,
            facts={"said-by": "uv.lock", "tags": "py3-none-any"}),
    package(hash="record-sha256:" + "b" * 64, grade=Grade.HASH_ONLY),
    package("repo", url="git+https://git.example.org/repo@" + "1" * 40,
            hash="git-sha1:" + "1" * 40, grade=Grade.URL_AND_HASH),
    package("left", source="node", purl="pkg:npm/left@1.0", hash="sha512:" + "c" * 128,
            grade=Grade.HASH_ONLY),
    package("zlib", source="conda", purl="pkg:conda/zlib@1.0?build=0", hash="md5:" + "d" * 32,
            grade=Grade.HASH_ONLY, facts={"license": "Zlib"}),
    package("tool", source="apt", purl="pkg:deb/debian/tool@1.0?arch=amd64", hash=SHA256,
            url="http://deb.example.org/debian/pool/t/tool_1.0+b1_amd64.deb",
            grade=Grade.URL_AND_HASH, facts={"snapshot": "https://snapshot.debian.org/x/"}),
    package("python", source="interpreter", purl="pkg:generic/python@3.11.7"),
)  # fmt: skip


def test_it_is_valid(judge: Callable[[dict[str, Any]], None]) -> None:
    judge(bill(*EVERY))
    judge(bill())


def test_the_judge_refuses_what_is_wrong(judge: Callable[[dict[str, Any]], None]) -> None:
    document = bill(*EVERY)
    document["components"][0]["hashes"][0]["content"] = "short"
    with pytest.raises(AssertionError):
        judge(document)


def test_each_grade_as_the_format_has_it() -> None:
    pip, record, git, node, conda, deb, python = bill(*EVERY)["components"]
    hashes = [{"alg": "SHA-256", "content": "a" * 64}]
    assert pip["hashes"] == hashes
    assert pip["externalReferences"] == [
        {"type": "distribution", "url": "https://files.example.org/num.whl", "hashes": hashes}
    ]
    assert "hashes" not in record
    assert {"name": "repro:hash", "value": "record-sha256:" + "b" * 64} in record["properties"]
    assert git["externalReferences"] == [
        {"type": "vcs", "url": "https://git.example.org/repo", "comment": "commit " + "1" * 40}
    ]
    assert "hashes" not in git
    assert node["hashes"][0]["alg"] == "SHA-512" and "externalReferences" not in node
    assert conda["hashes"][0]["alg"] == "MD5"
    assert conda["licenses"] == [{"license": {"name": "Zlib"}}]
    assert deb["purl"] == "pkg:deb/debian/tool@1.0?arch=amd64"
    assert python["type"] == "platform" and pip["type"] == "library"


def test_one_package_in_two_environments_has_two_references() -> None:
    references = [each["bom-ref"] for each in bill(package(), package())["components"]]
    assert references == ["pkg:pypi/num@1.0", "pkg:pypi/num@1.0#2"]


def test_it_names_the_archive_and_says_that_it_is_not_complete() -> None:
    document = bill(*EVERY)
    assert "version" not in document["metadata"]["component"]
    assert document["metadata"]["component"]["type"] == "container"
    assert document["compositions"] == [{"aggregate": "incomplete", "assemblies": ["archive"]}]


def test_the_same_lock_gives_the_same_bytes() -> None:
    assert dump(bill(*EVERY)) == dump(bill(*EVERY))
    document = bill(*EVERY)
    assert "serialNumber" not in document
    assert document["metadata"]["timestamp"] == "2020-01-01T00:00:00Z"
    assert bill(clamp=0)["metadata"]["timestamp"] == "1970-01-01T00:00:00Z"
