"""Whole archives against an index and an apt repository on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from repro.errors import ArchiveError
from repro.model.entry import FileEntry, LayerKind
from repro.model.lock import Grade, Lock, LockedPackage
from repro.workflows.provenance import Provenance, ProvenanceRequest, provenance
from tests.package_files import Index, deb, row, serving, sha256, wheel_files, zipped
from tests.thin_lab import bare, pack_as_laid, pin
from tests.unit.store.archive_sample import file, make_archive, symlink

VENV = "/home/ada/venv"
SITE = f"{VENV}/lib/python3.11/site-packages"
WHEEL = wheel_files(
    "num",
    "1.0",
    {
        "num/__init__.py": b"x = 1\n",
        "num/data.csv": b"1,2\n",
        "num/tests/test_a.py": b"assert 1\n",
        "num-1.0.dist-info/entry_points.txt": b"[console_scripts]\nnum = num:main\n",
        "num-1.0.data/scripts/oldtool": b"#!python\nprint(1)\n",
    },
)
NAME = "num-1.0-py3-none-any.whl"
LAUNCHER = (
    f"#!{VENV}/bin/python3\nimport sys\nfrom num import main\nif __name__ == '__main__':\n"
    "    sys.argv[0] = sys.argv[0].removesuffix('.exe')\n    sys.exit(main())\n"
).encode()


def installed(**changed: bytes) -> dict[str, bytes]:
    """The wheel's files as pip lays them, without the tests; ``changed`` by its own names."""
    found = {
        f"{SITE}/{name}": data
        for name, data in WHEEL.items()
        if ".data/" not in name and "/tests/" not in name
    }
    found[f"{VENV}/bin/oldtool"] = f"#!{VENV}/bin/python3\nprint(1)\n".encode()
    found[f"{VENV}/bin/num"] = LAUNCHER
    found[f"{SITE}/num-1.0.dist-info/INSTALLER"] = b"pip\n"
    found[f"{SITE}/num/__pycache__/__init__.cpython-311.pyc"] = b"\0" * 20
    rows = [
        row(os.path.relpath(path, SITE), data)
        for path, data in sorted(found.items())
        if not path.endswith(("RECORD", ".pyc"))
    ]
    record = "".join(rows) + "num/__pycache__/__init__.cpython-311.pyc,,\nnum/tests/test_a.py,,\n"
    found[f"{SITE}/num-1.0.dist-info/RECORD"] = record.encode()
    places = {"init": f"{SITE}/num/__init__.py", "launcher": f"{VENV}/bin/num",
              "script": f"{VENV}/bin/oldtool", "data": f"{SITE}/num/data.csv"}  # fmt: skip
    found.update({places[name]: data for name, data in changed.items()})
    return found


class Lab:
    def __init__(self, folder: Path, index: Index) -> None:
        self.folder = folder
        self.index = index
        self.archive = folder / "a.repro"
        self.environ = bare(folder)

    def make(
        self, files: Mapping[str, bytes], *more: FileEntry,
        packages: tuple[LockedPackage, ...] = (pin(),),
    ) -> None:  # fmt: skip
        pack_as_laid(self.archive, self.folder / "work", files, *more, packages=packages)

    def check(self, *, offline: bool = False, index: str | None = None) -> Provenance:
        return provenance(
            ProvenanceRequest(
                archive=self.archive, tag=None, environ=self.environ, offline=offline,
                index=index or self.index.url,
            )
        )  # fmt: skip

    def only(self, **options: Any) -> dict[str, Any]:
        found = self.check(**options)
        assert len(found.packages) == 1
        return found.packages[0].to_json()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with serving(Index()) as index:
        index.add(NAME, zipped(WHEEL))
        yield Lab(tmp_path, index)


def test_an_untouched_package_is_as_published(lab: Lab) -> None:
    lab.make(installed())
    found = lab.check()
    assert not found.differs and not found.remote and found.unclaimed == ()
    package = found.packages[0].to_json()
    assert package["origin"] == "as published" and package["differs"] == []
    assert package["equal"] == 5  # two files of num, METADATA, WHEEL, entry_points.txt
    assert package["not_packed"] == 1  # its tests
    assert NAME in package["against"] and sha256(zipped(WHEEL)) in package["against"]
    assert {note["path"].rpartition("/")[2]: note["why"] for note in package["local"]} == {
        "RECORD": "written by the installer", "INSTALLER": "written by the installer",
        "num": "the installer's launcher", "oldtool": "its first line names this Python",
        "__init__.cpython-311.pyc": "compiled",
    }  # fmt: skip
    assert found.compiled.total == 1 and found.compiled.proven == 0
    assert any("1 compiled Python files (.pyc) are not proven" in text for text in found.limits)


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"init": b"x = 2\n"}, "num/__init__.py"), ({"data": b""}, "num/data.csv"),
        ({"launcher": LAUNCHER + b"evil()\n"}, "bin/num"),
        ({"script": f"#!{VENV}/bin/python3\nprint(2)\n".encode()}, "bin/oldtool"),
    ],
)  # fmt: skip
def test_a_planted_change_is_found(lab: Lab, changed: dict[str, bytes], path: str) -> None:
    lab.make(installed(**changed))
    found = lab.check()
    assert found.differs
    package = found.packages[0].to_json()
    assert package["origin"] == "differs"
    assert [note["path"].endswith(path) for note in package["differs"]] == [True]


def test_a_change_with_its_record_is_found_online_only(lab: Lab) -> None:
    files = installed(init=b"x = 2\n")
    record = f"{SITE}/num-1.0.dist-info/RECORD"
    old, new = row("num/__init__.py", b"x = 1\n"), row("num/__init__.py", b"x = 2\n")
    files[record] = files[record].replace(old.encode(), new.encode())
    lab.make(files)
    assert lab.only(offline=True)["origin"] == "as recorded in the image"
    assert lab.only()["origin"] == "differs"
    assert lab.index.requests  # online asked; the line before did not need to


def test_offline_asks_nobody(lab: Lab) -> None:
    lab.make(installed(init=b"x = 3\n"))
    found = lab.check(offline=True)
    assert found.differs and lab.index.requests == []
    assert any("offline" in text for text in found.limits)


def test_a_file_laid_over_a_package_by_a_higher_layer(lab: Lab) -> None:
    over = file(f"{SITE}/num/__init__.py", b"evil\n", LayerKind.CODE)
    low = [file(p, d, LayerKind.PACKAGES) for p, d in installed().items() if p != over.path]
    make_archive(lab.archive, lab.folder / "w", files=[*low, over], lock=Lock(packages=(pin(),)))
    assert lab.only()["origin"] == "differs"


def test_a_package_behind_a_link(lab: Lab) -> None:
    moved = {path.replace("/lib/", "/lib64/"): data for path, data in installed().items()}
    lab.make(moved, symlink(f"{VENV}/lib", "lib64", LayerKind.PACKAGES))
    assert lab.only()["origin"] == "as published"


@pytest.mark.parametrize(
    "path", ["evil.pth", "sitecustomize.py", "num/extra.py", "num/__init__.cpython-311.so"]
)
def test_added_code_is_found(lab: Lab, path: str) -> None:
    lab.make({**installed(), f"{SITE}/{path}": b"import os\n"})
    found = lab.check()
    assert found.differs and [note.path for note in found.unclaimed] == [f"{SITE}/{path}"]


def test_added_code_that_the_record_names_is_found(lab: Lab) -> None:
    files = {**installed(), f"{SITE}/num/extra.py": b"1\n"}
    record = f"{SITE}/num-1.0.dist-info/RECORD"
    files[record] += row("num/extra.py", b"1\n").encode()
    lab.make(files)
    assert [n["why"] for n in lab.only()["differs"]] == ["not in the published wheel"]


def test_bytecode_without_source_is_no_mere_cache(lab: Lab) -> None:
    lab.make({**installed(), f"{SITE}/num/__pycache__/evil.cpython-311.pyc": b"x"})
    assert lab.check().differs


def test_what_virtualenv_writes_is_named_and_no_difference(lab: Lab) -> None:
    lab.make({**installed(), f"{SITE}/_virtualenv.pth": b"import _virtualenv"})
    found = lab.check()
    assert not found.differs and len(found.made_by_tools) == 1


def test_a_name_that_no_index_has(lab: Lab) -> None:
    lab.index.files.clear()
    lab.make(installed())
    package = lab.only()
    assert package["origin"] == "not in the registry" and "no index has this name" in package["why"]


def test_a_version_that_no_index_has(lab: Lab) -> None:
    lab.index.files.clear()
    lab.index.add("num-2.0-py3-none-any.whl", b"")
    lab.make(installed())
    assert "no index has this version" in lab.only()["why"]


def test_built_from_source(lab: Lab) -> None:
    lab.index.files.clear()
    lab.index.add("num-1.0.tar.gz", b"")
    lab.make(installed())
    package = lab.only()
    assert package["origin"] == "made locally" and "source only" in package["why"]


def test_another_platforms_wheel_proves_nothing(lab: Lab) -> None:
    lab.index.files.clear()
    lab.index.add("num-1.0-cp311-cp311-win32.whl", zipped(WHEEL))
    lab.make(installed())
    assert lab.only()["origin"] == "made locally"


def test_installed_from_a_folder_is_not_looked_up(lab: Lab) -> None:
    direct = json.dumps({"url": "file:///x", "dir_info": {}}).encode()
    lab.make({**installed(), f"{SITE}/num-1.0.dist-info/direct_url.json": direct})
    package = lab.only()
    assert package["origin"] == "made locally" and lab.index.requests == []


def test_a_wheel_with_another_hash_than_the_index_says(lab: Lab) -> None:
    lab.index.add(NAME, zipped(WHEEL), hashed="0" * 64)
    lab.make(installed())
    package = lab.only()
    assert package["origin"] == "not checked" and "hash" in package["why"]
    assert lab.check().remote, "what the index serves cannot be used: no success"


def test_a_hostile_wheel_is_not_checked(lab: Lab) -> None:
    lab.index.add(NAME, zipped({**WHEEL, "../../evil": b"1"}))
    lab.make(installed())
    package = lab.only()
    assert package["origin"] == "not checked" and "name" in package["why"]


def test_the_network_is_named(lab: Lab) -> None:
    lab.make(installed())
    found = lab.check(index="http://127.0.0.1:9/simple")
    assert found.remote and not found.differs
    assert found.packages[0].to_json()["origin"] == "not checked"


def test_a_dead_index_beside_others_leaves_it_open(lab: Lab) -> None:
    lab.index.files.clear()
    lab.index.add("num-2.0-py3-none-any.whl", b"")
    lab.environ.update(PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_EXTRA_INDEX_URL=lab.index.url)
    lab.make(installed())
    found = provenance(ProvenanceRequest(archive=lab.archive, tag=None, environ=lab.environ))
    assert found.remote and found.packages[0].to_json()["origin"] == "not checked"


def test_pip_without_any_index(lab: Lab) -> None:
    lab.environ.update(PIP_NO_INDEX="1")
    lab.make(installed())
    found = provenance(ProvenanceRequest(archive=lab.archive, tag=None, environ=lab.environ))
    assert "no index" in str(found.packages[0].why)


def test_files_of_conda_are_not_called_added(lab: Lab) -> None:
    lab.make(
        {**installed(), f"{SITE}/of_conda.py": b"1"}, packages=(pin(), pin("zlib", source="conda"))
    )
    found = lab.check()
    assert found.unclaimed == () and any("not looked for" in text for text in found.limits)


def test_of_two_places_the_one_that_was_installed_counts(lab: Lab) -> None:
    other = lab.folder / "links"
    other.mkdir()
    (other / NAME).write_bytes(zipped(WHEEL))
    lab.index.add(NAME, zipped({**WHEEL, "num/__init__.py": b"other build\n"}))
    lab.environ.update(PIP_INDEX_URL=lab.index.url, PIP_FIND_LINKS=str(other))
    lab.make(installed())
    found = provenance(ProvenanceRequest(archive=lab.archive, tag=None, environ=lab.environ))
    assert found.packages[0].to_json()["origin"] == "as published"


def test_locked_but_not_there(lab: Lab) -> None:
    lab.make(installed(), packages=(pin(), pin("gone")))
    found = {p.name: p.to_json() for p in lab.check().packages}
    assert found["gone"]["origin"] == "not checked" and "dist-info" in found["gone"]["why"]


def test_sources_without_a_registry_say_why(lab: Lab) -> None:
    lab.make(
        installed(), packages=(pin(), pin("zoo", source="r"), pin("python", source="interpreter"))
    )
    found = {p.name: p.to_json() for p in lab.check().packages}
    assert found["zoo"]["origin"] == found["python"]["origin"] == "not checked"
    assert "source" in found["zoo"]["why"] and "interpreter" in found["python"]["why"]


def test_without_apt_its_packages_are_not_checked(lab: Lab) -> None:
    lab.make(
        {}, file("/usr/bin/tool", b"x", LayerKind.SYSTEM), packages=(pin("tool", source="apt"),)
    )
    package = lab.only()
    assert package["origin"] == "not checked" and "no apt" in package["why"]


def test_md5sums_of_the_image_offline(lab: Lab) -> None:
    import hashlib

    sums = f"{hashlib.md5(b'x').hexdigest()}  usr/bin/tool\n".encode()
    path = "/var/lib/dpkg/info/tool.md5sums"
    for data, origin in ((b"x", "as recorded in the image"), (b"y", "differs")):
        lab.make(
            {}, file("/usr/bin/tool", data, LayerKind.SYSTEM), file(path, sums, LayerKind.SYSTEM),
            packages=(pin("tool", source="apt"),),
        )  # fmt: skip
        assert lab.only(offline=True)["origin"] == origin


def test_a_damaged_layer_is_an_error(lab: Lab) -> None:
    lab.make(installed())
    data = bytearray(lab.archive.read_bytes())
    data[-3000] ^= 1
    lab.archive.write_bytes(bytes(data))
    with pytest.raises(ArchiveError):
        lab.check()


@pytest.mark.parametrize(("change", "status"), [({}, 0), ({"init": b"x = 2\n"}, 1), (None, 7)])
def test_exit_status(lab: Lab, change: dict[str, bytes] | None, status: int) -> None:
    lab.make(installed(**(change or {})))
    url = "http://127.0.0.1:9/simple" if change is None else lab.index.url
    done = subprocess.run(
        [sys.executable, "-m", "repro", "provenance", str(lab.archive), "--index", url],
        env={**os.environ, **lab.environ}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("DIFFERS" if status == 1 else "no difference found")
    assert ("num/__init__.py" in done.stdout) is (status == 1)
    assert ("1 not checked" in last) is (status == 7)


class Apt:
    """A repository of one package on this machine, and settings for apt to use only it."""

    def __init__(self, folder: Path, package: bytes, name: str = "tool") -> None:
        self.folder = folder
        for below in ("lists/partial", "cache/archives/partial", "etc", "repo"):
            (folder / below).mkdir(parents=True)
        (folder / f"repo/{name}_1.0-1_all.deb").write_bytes(package)
        (folder / "repo/Packages").write_text(
            f"Package: {name}\nVersion: 1.0-1\nArchitecture: all\nMaintainer: A <a@example.org>\n"
            f"Filename: ./{name}_1.0-1_all.deb\nSize: {len(package)}\nSHA256: {sha256(package)}\n"
            "Description: a test\n"
        )
        (folder / "etc/sources.list").write_text(f"deb [trusted=yes] file:{folder}/repo ./\n")
        (folder / "status").write_text("")
        (folder / "apt.conf").write_text(
            f'Dir::State "{folder}"; Dir::State::Lists "{folder}/lists";\n'
            f'Dir::State::status "{folder}/status"; Dir::Cache "{folder}/cache";\n'
            f'Dir::Etc::sourcelist "{folder}/etc/sources.list"; Dir::Etc::sourceparts "-";\n'
            'APT::Sandbox::User "root"; Debug::NoLocking "true";\n'
        )
        self.environ = {"APT_CONFIG": str(folder / "apt.conf"), "PATH": os.environ["PATH"]}
        subprocess.run(
            ["apt-get", "-qq", "update"], env=self.environ, check=True, capture_output=True
        )  # fmt: skip


TOOL = deb(
    {"./bin/tool": b"\x7fELF", "./etc/tool.conf": b"a=1\n", "./usr/share/doc/tool": b"text"},
    conffiles="/etc/tool.conf\n",
)


@pytest.fixture
def apt(lab: Lab) -> Apt:
    if shutil.which("apt-get") is None:
        if os.environ.get("CI"):
            pytest.fail("no apt-get")
        pytest.skip("no apt-get on this machine")
    found = Apt(lab.folder / "apt", TOOL)
    lab.environ.update(found.environ)
    return found


def system(tool: bytes = b"\x7fELF", conf: bytes = b"a=1\n") -> list[FileEntry]:
    return [
        symlink("/bin", "usr/bin", LayerKind.BASE),
        file("/usr/bin/tool", tool, LayerKind.SYSTEM),
        file("/etc/tool.conf", conf, LayerKind.SYSTEM),
    ]


def locked(**more: Any) -> tuple[LockedPackage, ...]:
    return (pin("tool", "1.0-1", "apt", **more),)


def test_a_debian_package_as_published(lab: Lab, apt: Apt) -> None:
    lab.make({}, *system(), packages=locked(hash=f"sha256:{sha256(TOOL)}"))
    package = lab.only()
    assert package["origin"] == "as published", package
    assert package["equal"] == 2 and package["not_packed"] == 1
    assert sha256(TOOL) in package["against"]


@pytest.mark.parametrize(
    ("change", "path", "why"),
    [
        ({"tool": b"evil"}, "/usr/bin/tool", "not what the package holds"),
        ({"conf": b"a=2\n"}, "/etc/tool.conf", "a configuration file, changed"),
    ],
)
def test_a_changed_file_of_a_debian_package(
    lab: Lab, apt: Apt, change: dict[str, bytes], path: str, why: str
) -> None:
    lab.make({}, *system(**change), packages=locked())
    assert lab.only()["differs"] == [{"path": path, "why": why}]


def test_a_lock_that_names_another_package_file(lab: Lab, apt: Apt) -> None:
    lab.make({}, *system(), packages=locked(hash="sha256:" + "0" * 64))
    package = lab.only()
    assert package["origin"] == "differs" and "lock" in package["why"]


def test_a_version_that_apt_does_not_offer(lab: Lab, apt: Apt) -> None:
    lab.make({}, *system(), packages=(pin("tool", "9.9", "apt"), pin("none", "1", "apt")))
    assert {p.to_json()["origin"] for p in lab.check().packages} == {"not in the registry"}


def test_names_that_would_be_options_are_not_given_to_apt(lab: Lab, apt: Apt) -> None:
    odd = LockedPackage(
        source="apt", name="-oDir=/x", version="1", purl="pkg:deb/debian/x@1?arch=all",
        grade=Grade.NAME_ONLY,
    )  # fmt: skip
    lab.make({}, *system(), packages=(odd, *locked()))
    found = {p.name: p.to_json()["origin"] for p in lab.check().packages}
    assert found == {"-oDir=/x": "not in the registry", "tool": "as published"}


def test_a_package_file_that_was_exchanged(lab: Lab, apt: Apt) -> None:
    (apt.folder / "repo/tool_1.0-1_all.deb").write_bytes(TOOL[:-1] + b"x")
    lab.make({}, *system(), packages=locked())
    package = lab.only()
    assert package["origin"] == "not checked" and "hash" in package["why"]
