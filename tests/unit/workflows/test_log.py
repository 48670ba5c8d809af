from __future__ import annotations

from pathlib import Path

import pytest

from repro.errors import ArchiveError, UsageError
from repro.store.archive import Archive
from repro.store.lineage import named
from repro.workflows.log import log
from tests.unit.workflows.versions_sample import add_version, script, versions


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "paper.repro"
    versions(path, tmp_path / "work", 3)
    return path


def test_the_newest_comes_first_with_its_facts(archive: Path) -> None:
    document = log(archive, None)
    assert [each["tag"] for each in document["versions"]] == ["v3", "v2", "v1"]
    assert [each["default"] for each in document["versions"]] == [True, False, False]
    newest = document["versions"][0]
    with Archive.open(archive) as opened:
        assert newest["digest"] == str(opened.version("v3").config_digest)
    assert newest["created"] == "2024-05-03T07:08:09Z"
    assert newest["message"] == "number 3" and newest["self_test"] == "identical"
    assert newest["git"] == {"commit": f"{3:040x}", "branch": "main", "changed": 1}
    assert newest["outputs"] == 4
    assert [each["tag"] for each in log(archive, "v2")["versions"]] == ["v2"]
    with pytest.raises(UsageError, match="no version"):
        log(archive, "v9")


def test_what_each_version_added_is_what_the_file_grew_by(tmp_path: Path) -> None:
    path, sizes = tmp_path / "paper.repro", []
    for number in range(1, 4):
        add_version(
            path, tmp_path / "work", f"v{number}", files=script(b"print(%d)\n" % number),
            circumstances={"created": f"2024-05-0{number}T07:08:09Z"},
        )  # fmt: skip
        sizes.append(path.stat().st_size)
    v3, v2, v1 = [each["added"] for each in log(path, None)["versions"]]
    # The head (index, manifest.json) grows as well, by less than 3 kB a version.
    assert 0 <= sizes[1] - sizes[0] - v2 < 3000
    assert 0 <= sizes[2] - sizes[1] - v3 < 3000
    assert v1 > v2 and sum((v1, v2, v3)) <= sizes[2]


def test_one_image_with_two_recordings_is_two_versions(tmp_path: Path) -> None:
    path = tmp_path / "paper.repro"
    for number in range(1, 7):
        add_version(
            path, tmp_path / "work", f"v{number}",
            circumstances={"created": f"2024-05-0{number}T07:08:09Z", "message": f"note {number}"},
        )  # fmt: skip
    found = log(path, None)["versions"]
    assert [each["message"] for each in found] == [f"note {n}" for n in range(6, 0, -1)]
    assert len({each["digest"] for each in found}) == 1
    with Archive.open(path) as archive:
        # Nothing is listed for others: it would double with every version.
        assert [len(each.artifacts) for each in archive.versions] == [3] * 6
        assert len(named(archive.versions)) == 6


def test_nonsense_in_the_circumstances_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "paper.repro"
    odd = {"created": "2024\x1b[31m", "git": {"commit": 7}, "self_test": {"outcome": ["x"]}}
    add_version(path, tmp_path / "work", "odd", circumstances=odd)
    (found,) = log(path, None)["versions"]
    assert (found["created"], found["message"], found["self_test"]) == (None,) * 3
    assert found["git"]["commit"] is None


@pytest.mark.parametrize("odd", [{"message": ["x"]}, {"git": "main"}, {"self_test": 7}], ids=str)
def test_circumstances_of_other_types_are_refused(odd: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "paper.repro"
    add_version(path, tmp_path / "work", "odd", circumstances=odd)
    with pytest.raises(ArchiveError, match="circumstances"):
        log(path, None)
