"""Where a path comes from: package and member, commit, result, left out, hidden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from repro.cli.inspect_lines import archive_lines, file_lines, left_out_lines
from repro.errors import ArchiveError, UsageError
from repro.model.entry import LayerKind
from repro.model.lock import Grade, Lock, LockedPackage
from repro.primitives.digest import Digest
from repro.workflows.inspect import inspect
from repro.workflows.origins import origin
from tests.unit.store.archive_sample import ROOT, file, folder, make_archive, symlink

SITE = "/home/ada/venv/lib/python3.11/site-packages"
COMMIT = "1" * 40
GIT = {
    "commit": COMMIT, "branch": "main", "prefix": "", "complete": True,
    "changed": [" M data/table.csv", "?? new/"], "ignored": ["out.log"],
}  # fmt: skip
LEFT = [
    {"path": f"{ROOT}/raw", "reason": "large and not read"},
    {"path": "notes.txt", "reason": "it looks like a secret"},
    {"path": "deb:tool (3 files)", "reason": "documentation"},
]


def locked(source: str, name: str, version: str = "1.0", **facts: str) -> LockedPackage:
    return LockedPackage(
        source=source, name=name, version=version, purl=f"pkg:generic/{name}@{version}",
        grade=Grade.HASH_ONLY, hash="sha256:" + "a" * 64, facts=facts,
    )  # fmt: skip


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    packages = LayerKind.PACKAGES
    files = [
        file("/usr/bin/tool", b"elf", LayerKind.BASE, origin="deb:tool"),
        symlink("/bin", "usr/bin", LayerKind.BASE),
        file(f"{SITE}/num/core.py", b"x" * 500, packages, origin="pypi:num"),
        file("/home/ada/venv/bin/num", b"#!", packages, origin="pypi:num"),
        file("/home/ada/R/tibble/R/tibble.rdb", b"rdb", packages, origin="cran:tibble"),
        file(f"{ROOT}/analysis.py", b"print(1)\n"),
        file(f"{ROOT}/data/table.csv", b"a\n"),
        file(f"{ROOT}/new/part.py", b"b\n"),
        file(f"{ROOT}/out.log", b"c\n"),
        folder(f"{ROOT}/results"),
        file("/opt/stray", b"s", LayerKind.SYSTEM, origin="unowned"),
    ]
    lock = Lock(
        packages=(locked("apt", "tool"), locked("pip", "num"), locked("pip", "num", "2.0"),
                  locked("r", "tibble", library="/home/ada/R"))
    )  # fmt: skip
    path = tmp_path / "o.repro"
    make_archive(
        path, tmp_path / "work", files=files, lock=lock,
        circumstances={"git": GIT, "left_out": LEFT,
                       "files": [{"path": "/proc/self/stat", "role": "r"}]},
    )  # fmt: skip
    return path


def test_a_file_of_a_package_through_a_link(archive: Path) -> None:
    found = origin(archive, None, "/bin/tool")
    assert (found["found"], found["real"], found["member"]) == ("image", "/usr/bin/tool",
                                                               "usr/bin/tool")  # fmt: skip
    assert found["links"][0]["path"] == "/bin"
    assert [each["name"] for each in found["packages"]] == ["tool"]
    assert found["layer"]["number"] == 1 and found["layer"]["kind"] == "base"
    assert (found["size"], found["sha256"]) == (3, Digest.of(b"elf").hex)
    assert found["commit"] is None


@pytest.mark.parametrize(
    ("path", "member"),
    [(f"{SITE}/num/core.py", "num/core.py"), ("/home/ada/venv/bin/num", "home/ada/venv/bin/num"),
     ("/home/ada/R/tibble/R/tibble.rdb", "tibble/R/tibble.rdb")],
)  # fmt: skip
def test_the_name_inside_the_package(archive: Path, path: str, member: str) -> None:
    assert origin(archive, None, path)["member"] == member


def test_two_packages_of_one_name_are_both_named(archive: Path) -> None:
    found = origin(archive, None, f"{SITE}/num/core.py")
    assert [each["version"] for each in found["packages"]] == ["1.0", "2.0"]
    assert any("one of 2 packages" in line for line in file_lines(found))


def test_of_two_environments_the_one_that_holds_the_path(tmp_path: Path) -> None:
    top, conda, site = f"{ROOT}/web", "/opt/conda", SITE.replace("venv", "other")
    lock = Lock(
        packages=(locked("pip", "num", site=SITE), locked("pip", "num", "2.0", site=site),
                  locked("node", "a", top=top, folder="node_modules/a"),
                  locked("node", "a", "2.0", top=top, folder="node_modules/b/node_modules/a"),
                  locked("conda", "zlib", prefix=conda))
    )  # fmt: skip
    packages = LayerKind.PACKAGES
    wanted = [
        (f"{SITE}/num/core.py", "pypi:num", "1.0", "num/core.py"),
        ("/home/ada/other/bin/num", "pypi:num", "2.0", "home/ada/other/bin/num"),
        (f"{top}/node_modules/a/i.js", "node:a", "1.0", "i.js"),
        (f"{top}/node_modules/b/node_modules/a/i.js", "node:a", "2.0", "i.js"),
        (f"{conda}/lib/libz.so", "conda:zlib", "1.0", "lib/libz.so"),
    ]
    files = [file(path, b"x", packages, origin=origin) for path, origin, _, _ in wanted]
    archive = tmp_path / "two.repro"
    make_archive(archive, tmp_path / "work", files=files, lock=lock)
    for path, _, version, member in wanted:
        found = origin(archive, None, path)
        assert [each["version"] for each in found["packages"]] == [version], path
        assert found["member"] == member


@pytest.mark.parametrize(
    ("path", "state"),
    [("analysis.py", "committed"), ("data/table.csv", "changed"), ("new/part.py", "uncommitted"),
     ("out.log", "uncommitted")],
)  # fmt: skip
def test_the_commit_of_a_project_file(archive: Path, path: str, state: str) -> None:
    found = origin(archive, None, path)
    assert found["path"] == f"{ROOT}/{path}"
    assert found["commit"] == {"commit": COMMIT, "branch": "main", "state": state}
    assert any(COMMIT in line for line in file_lines(found))


def test_a_recording_that_does_not_list_every_change_says_so(tmp_path: Path) -> None:
    path = tmp_path / "old.repro"
    git = {"commit": COMMIT, "branch": "main", "changed": [], "changed_count": 0}
    make_archive(path, tmp_path / "work", circumstances={"git": git})
    found = origin(path, None, "analysis.py")
    assert found["commit"]["state"] is None
    assert any("not known" in line for line in file_lines(found))


def test_a_result_is_in_no_layer(archive: Path) -> None:
    found = origin(archive, None, "results/fit.csv")
    assert found["found"] == "results" and found["size"] == 25
    assert "layer" not in found


@pytest.mark.parametrize(
    ("path", "reason"),
    [("raw/a/b.bin", "large and not read"), (f"{ROOT}/raw", "large and not read"),
     ("notes.txt", "it looks like a secret"), (".git/HEAD", "never travel")],
)  # fmt: skip
def test_what_was_left_out_has_its_reason(archive: Path, path: str, reason: str) -> None:
    found = origin(archive, None, path)
    assert found["found"] == "left-out"
    assert reason in found["left_out"][0]["reason"]
    assert any("not packed" in line and reason in line for line in file_lines(found))


def test_what_nothing_tells_of_is_a_usage_error(archive: Path) -> None:
    with pytest.raises(UsageError, match="nothing there tells of it") as caught:
        origin(archive, None, "rawer")
    assert caught.value.slug == "no-such-path"
    with pytest.raises(UsageError) as caught:
        origin(archive, None, "/proc/self/stat")
    assert caught.value.hint == "the recorded run touched it (r)"


def test_what_no_package_owns(archive: Path) -> None:
    found = origin(archive, None, "/opt/stray")
    assert found["from"] == "no package owns it" and found["packages"] == []
    assert found["member"] is None


def test_a_folder_says_what_weighs_in_it(archive: Path) -> None:
    found = origin(archive, None, "/home/ada/venv")
    assert found["type"] == "folder"
    assert found["holds"] == [{"origin": "pypi:num", "size": 502, "files": 2}]


def test_a_hidden_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from repro.store.archive import Archive

    path = tmp_path / "h.repro"
    make_archive(path, tmp_path / "work")
    monkeypatch.setattr(
        Archive, "file_list",
        lambda self, version, diff_id: [
            {"path": "x", "size": 1, "sha256": diff_id.hex, "origin": "unowned"}
        ],
    )  # fmt: skip
    found = origin(path, None, "/x")
    assert found["layer"]["number"] == 4 and found["hidden_in_layers"] == [3, 2, 1]


def test_layers_say_what_weighs_in_them(archive: Path) -> None:
    assert "contents" not in inspect(archive, None)["layers"][0]
    document = inspect(archive, None, contents=True)
    (packages,) = [layer for layer in document["layers"] if layer["kind"] == "packages"]
    assert packages["contents"] == [
        {"origin": "pypi:num", "size": 502, "files": 2},
        {"origin": "cran:tibble", "size": 3, "files": 1},
    ]
    shown = "\n".join(archive_lines(document))
    assert "502 B  pypi:num, 2 files" in shown and "3 B  cran:tibble, 1 file\n" in shown


def test_left_out_by_reason_packages_last(archive: Path) -> None:
    document = inspect(archive, None)
    assert document["left_out_reasons"] == {
        "documentation": 1, "it looks like a secret": 1, "large and not read": 1,
    }  # fmt: skip
    lines = list(left_out_lines(document))
    assert not [line for line in lines if "only the first" in line]
    cut = left_out_lines({**document, "left_out_count": 40_000})
    assert [line for line in cut if "only the first 3 of 40000" in line]
    assert lines[-2:] == ["  documentation (1)", "    deb:tool (3 files)"]


def test_terminal_text_of_strangers_is_harmless(tmp_path: Path) -> None:
    path = tmp_path / "t.repro"
    hostile: list[dict[str, Any]] = [{"path": "/x\x1b[2J", "reason": "\x1b]0;boo\x07"}]
    make_archive(
        path, tmp_path / "work", files=[file("/x\x1b[2J", b"", origin="deb:\x1b[31m")],
        circumstances={"left_out": hostile},
    )  # fmt: skip
    lines = [*file_lines(origin(path, None, "/x\x1b[2J")), *left_out_lines(inspect(path, None))]
    assert not [line for line in lines if "\x1b" in line or "\x07" in line]


@pytest.mark.parametrize("placed", [True, False])
def test_a_remote_input_and_where_it_came_from(tmp_path: Path, placed: bool) -> None:
    source = {
        "path": "data/in.csv", "url": "https://a.org/in.csv", "sha256": "a" * 64, "size": 2,
        "placed": placed,
    }  # fmt: skip
    path = tmp_path / "r.repro"
    make_archive(
        path, tmp_path / "work",
        files=[file(f"{ROOT}/data/in.csv", b"1\n"), file(f"{ROOT}/analysis.py", b"x")],
        circumstances={"git": GIT, "remote_inputs": [source]},
    )  # fmt: skip
    found = origin(path, None, "data/in.csv")
    assert found["remote"] == source
    assert (found["commit"] is None) == placed, "git was asked before it was put there"
    lines = "\n".join(file_lines(found))
    assert "from https://a.org/in.csv" in lines and ("fetched" in lines) == placed
    assert origin(path, None, "analysis.py")["remote"] is None
    document = inspect(path, None)
    assert document["remote_inputs"] == [source]
    assert any("data/in.csv from https://a.org/in.csv" in line for line in archive_lines(document))


@pytest.mark.parametrize(
    "hostile",
    [3, [3], [{"path": "../x", "url": "u", "sha256": "a" * 64, "size": 1}],
     [{"path": "x", "url": "u", "sha256": "short", "size": 1}], [{"path": "x", "sha256": "a" * 64}]],
)  # fmt: skip
def test_malformed_remote_inputs(tmp_path: Path, hostile: object) -> None:
    path = tmp_path / "r.repro"
    make_archive(path, tmp_path / "work", circumstances={"remote_inputs": hostile})
    with pytest.raises(ArchiveError):
        inspect(path, None)
