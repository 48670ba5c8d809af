"""The lock's JSON form, there and back; what strangers write is refused."""

from __future__ import annotations

from typing import Any

import pytest

from repro.errors import ArchiveError
from repro.model.lock import Grade, Lock, LockedPackage

PACKAGE: dict[str, Any] = {
    "source": "pip", "name": "num", "version": "1.0", "purl": "pkg:pypi/num@1.0",
    "grade": "name only",
}  # fmt: skip


def test_there_and_back() -> None:
    full = LockedPackage(
        source="pip", name="num", version="1.0", purl="pkg:pypi/num@1.0", url="https://e.org/n",
        grade=Grade.URL_AND_HASH, hash="sha256:" + "a" * 64, facts={"said-by": "uv.lock"},
    )  # fmt: skip
    lock = Lock(packages=(full, LockedPackage.parse(PACKAGE)), skipped={"apt": "no database"})
    assert Lock.parse(lock.to_json()) == lock
    assert "facts" not in LockedPackage.parse(PACKAGE).to_json()


@pytest.mark.parametrize(
    "change",
    [{"name": 1}, {"version": None}, {"purl": []}, {"source": {}}, {"grade": "best"},
     {"grade": None}, {"grade": []}, {"url": 1}, {"hash": []}, {"facts": {"a": 1}}, {"facts": []}],
)  # fmt: skip
def test_wrong_types_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ArchiveError):
        Lock.parse({"packages": [{**PACKAGE, **change}]})


def test_what_is_no_lock_is_refused() -> None:
    for document in ([], {"packages": {}}, {"packages": ["x"]}, {"skipped": {"a": None}}):
        with pytest.raises(ArchiveError):
            Lock.parse(document)
