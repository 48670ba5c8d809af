from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from repro.errors import PinError
from repro.model.lock import Grade
from repro.model.observation import PackageRef
from repro.pin.sources.pip import Pip
from tests.unit.pin.fake_host import FakeHost

VENV = "/home/ann/venv"
SITE = f"{VENV}/lib/python3.11/site-packages"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def owner(host: FakeHost, path: str) -> PackageRef:
    found = Pip(host.root).owner(path)
    assert found is not None, path
    return found


def packed(host: FakeHost, name: str, site: str = SITE) -> list[str]:
    pip = Pip(host.root)
    found = next(ref for ref in pip.environment(site.split("/lib/")[0]) if ref.name == name)
    return [file.path.removeprefix(site + "/") for file in pip.files(found)]


def test_owner_by_record(host: FakeHost) -> None:
    host.dist(SITE, "Num_Py", "1.2", files=["num/__init__.py", "num/core.so", '"a,b".py'])
    ref = owner(host, f"{SITE}/num/core.so")
    assert (ref.name, ref.version, ref.key) == ("Num_Py", "1.2", f"{SITE}|num-py")
    assert Pip(host.root).owner(f"{SITE}/num/other.py") is None
    assert Pip(host.root).owner(f"{SITE}/stray.py") is None


def test_a_cached_pyc_belongs_to_the_owner_of_its_source(host: FakeHost) -> None:
    host.dist(SITE, "num", files=["num/__init__.py"])
    assert owner(host, f"{SITE}/num/__pycache__/__init__.cpython-311.pyc").name == "num"


@pytest.mark.parametrize(
    "path",
    [
        "bin/nbtool", "etc/jupyter/nbconfig/notebook.d/nb.json",
        "share/jupyter/kernels/nb/kernel.json", "include/site/python3.11/nb/nb.h",
    ],
)  # fmt: skip
def test_files_beside_the_site_folder(host: FakeHost, path: str) -> None:
    host.dist(SITE, "nb", files=["nb.py", f"../../../{path}"])
    assert owner(host, f"{VENV}/{path}").name == "nb"
    assert f"{VENV}/{path}" in packed(host, "nb")


def test_programs_of_a_debian_local_install(host: FakeHost) -> None:
    site = "/usr/local/lib/python3.11/dist-packages"
    host.dist(site, "nb", files=["nb.py", "../../../bin/nbtool"])
    assert owner(host, "/usr/local/bin/nbtool").key == f"{site}|nb"


def test_tests_inside_a_package_stay_out_and_are_counted(host: FakeHost) -> None:
    host.dist(SITE, "num", files=["num/__init__.py", "num/tests/test_a.py", "num/sub/tests/x.npy",
                                  "num/testing/tools.py"])  # fmt: skip
    assert packed(host, "num") == [
        "num-1.0.dist-info/METADATA", "num-1.0.dist-info/RECORD", "num/__init__.py",
        "num/testing/tools.py",
    ]  # fmt: skip
    left = Pip(host.root).left_out(owner(host, f"{SITE}/num/__init__.py"))
    assert [(item.path, item.reason) for item in left] == [
        ("pypi:num (2 files)", "tests of the package")
    ]


def test_an_environment_below_a_folder_called_tests(host: FakeHost) -> None:
    site = "/home/ann/tests/test/venv/lib/python3.11/site-packages"
    host.dist(site, "num", files=["num/__init__.py", "../../../bin/num"])
    assert "num/__init__.py" in packed(host, "num", site)
    assert "/home/ann/tests/test/venv/bin/num" in packed(host, "num", site)


def test_a_distribution_called_tests_keeps_its_files(host: FakeHost) -> None:
    host.dist(SITE, "tests", files=["tests/__init__.py"])
    assert "tests/__init__.py" in packed(host, "tests")


def test_only_valid_bytecode_of_this_interpreter(host: FakeHost) -> None:
    host.dist(SITE, "num", files=["num/a.py", "num/b.py", "num/c.py"])
    host.pyc(f"{SITE}/num/a.py")
    host.pyc(f"{SITE}/num/b.py", stale=True)
    host.pyc(f"{SITE}/num/c.py", "3.9")
    caches = [path for path in packed(host, "num") if path.endswith(".pyc")]
    assert caches == ["num/__pycache__/a.cpython-311.pyc"]


def test_bytecode_in_record_is_judged_like_any_other(host: FakeHost) -> None:
    host.dist(SITE, "num", files=["num/a.py", "num/__pycache__/a.cpython-311.pyc"])
    assert not [path for path in packed(host, "num") if path.endswith(".pyc")]


def test_files_that_are_gone_are_not_named(host: FakeHost) -> None:
    host.dist(SITE, "num", files=["num/a.py", "num/b.py"])
    host.path(f"{SITE}/num/b.py").unlink()
    assert "num/b.py" not in packed(host, "num")


def test_requirements_that_are_installed_and_apply(host: FakeHost) -> None:
    host.dist(
        SITE, "frame",
        requires=[
            "num>=1", "Date.Util ; python_version >= '3.8'", "old; python_version < '3.0'",
            "win; sys_platform == 'win32'", "extra-one; extra == 'all'", "not-here",
            "odd; python_version ~= 'x'", "(((",
        ],
    )  # fmt: skip
    for name in ("num", "date_util", "old", "win", "extra_one", "odd", "only_prose"):
        host.dist(SITE, name)
    pip = Pip(host.root)
    frame = next(ref for ref in pip.environment(VENV) if ref.name == "frame")
    assert {ref.name for ref in pip.requires(frame)} >= {"num", "date_util"}
    assert {ref.name for ref in pip.requires(frame)} <= {"num", "date_util", "odd"}


def test_markers_ask_for_the_version_of_that_site_folder(host: FakeHost) -> None:
    site = "/opt/old/lib/python3.6/site-packages"
    host.dist(site, "frame", requires=["backport; python_version < '3.7'"])
    host.dist(site, "backport")
    pip = Pip(host.root)
    frame = next(ref for ref in pip.environment("/opt/old") if ref.name == "frame")
    assert [ref.name for ref in pip.requires(frame)] == ["backport"]


def test_a_pin_by_the_hash_of_record(host: FakeHost) -> None:
    info = host.dist(SITE, "Num.Py", "1.2", files=["num.py"])
    pin = Pip(host.root).lock(owner(host, f"{SITE}/num.py"))
    digest = hashlib.sha256(host.path(f"{info}/RECORD").read_bytes()).hexdigest()
    assert pin.grade is Grade.HASH_ONLY and pin.hash == f"record-sha256:{digest}"
    assert pin.purl == "pkg:pypi/num-py@1.2"


def test_without_a_record_only_the_name_is_known(host: FakeHost) -> None:
    host.dist(SITE, "num", record=False)
    pip = Pip(host.root)
    (ref,) = pip.environment(VENV)
    assert pip.lock(ref).grade is Grade.NAME_ONLY
    assert "no RECORD" in pip.left_out(ref)[0].reason


def direct(host: FakeHost, data: object) -> tuple[Pip, PackageRef]:
    host.dist(SITE, "num", files=["num.py"], extra={"direct_url.json": json.dumps(data)})
    return Pip(host.root), owner(host, f"{SITE}/num.py")


def test_a_pin_by_the_url_it_came_from(host: FakeHost) -> None:
    url = "https://example.org/num-1.0-py3-none-any.whl"
    pip, ref = direct(host, {"url": url, "archive_info": {"hashes": {"sha256": "c" * 64}}})
    pin = pip.lock(ref)
    assert (pin.grade, pin.url, pin.hash) == (Grade.URL_AND_HASH, url, "sha256:" + "c" * 64)


def test_a_pin_by_the_commit_it_came_from(host: FakeHost) -> None:
    pip, ref = direct(
        host,
        {"url": "https://example.org/ann/num", "subdirectory": "python",
         "vcs_info": {"vcs": "git", "commit_id": "1" * 40, "requested_revision": "main"}},
    )  # fmt: skip
    pin = pip.lock(ref)
    assert (pin.grade, pin.hash) == (Grade.URL_AND_HASH, "git-sha1:" + "1" * 40)
    assert pin.url == "git+https://example.org/ann/num@" + "1" * 40
    assert (pin.facts["direct"], pin.facts["subdirectory"]) == ("vcs", "python")
    assert pin.facts["record"].startswith("record-sha256:")


@pytest.mark.parametrize("commit", ["main", "1" * 39, None])
def test_a_branch_is_no_commit(host: FakeHost, commit: str | None) -> None:
    info = {"vcs": "git", "commit_id": commit}
    pip, ref = direct(host, {"url": "https://example.org/ann/num", "vcs_info": info})
    pin = pip.lock(ref)
    assert pin.url is None and str(pin.hash).startswith("record-sha256:")


def test_an_address_without_a_hash_is_no_pin_by_it(host: FakeHost) -> None:
    pip, ref = direct(host, {"url": "https://example.org/num.whl", "archive_info": {}})
    pin = pip.lock(ref)
    assert (pin.grade, pin.url) == (Grade.HASH_ONLY, None)
    assert str(pin.hash).startswith("record-sha256:")


def test_the_older_form_of_a_hash(host: FakeHost) -> None:
    pip, ref = direct(
        host, {"url": "https://example.org/n.whl", "archive_info": {"hash": "sha256=" + "c" * 64}}
    )
    assert pip.lock(ref).hash == "sha256:" + "c" * 64


def test_what_the_wheel_says_of_itself(host: FakeHost) -> None:
    host.dist(
        SITE, "num", files=["num.py"],
        extra={"WHEEL": "Wheel-Version: 1.0\nTag: cp311-cp311-linux_x86_64\nTag: py3-none-any\n",
               "INSTALLER": "uv\n"},
    )  # fmt: skip
    facts = Pip(host.root).lock(owner(host, f"{SITE}/num.py")).facts
    assert facts == {
        "site": SITE, "tags": "cp311-cp311-linux_x86_64 py3-none-any", "installer": "uv",
    }  # fmt: skip


@pytest.mark.parametrize("url", ["https://ann:secret@example.org/n.whl", "file:///home/ann/n.whl"])
def test_urls_that_name_people_are_not_shown(host: FakeHost, url: str) -> None:
    pip, ref = direct(host, {"url": url, "archive_info": {"hashes": {"sha256": "c" * 64}}})
    pin = pip.lock(ref)
    assert pin.url is None and pin.grade is Grade.HASH_ONLY


@pytest.mark.parametrize("data", [[], {"url": 1}, {"archive_info": None}, {"archive_info": []}])
def test_an_odd_direct_url_gives_no_url(host: FakeHost, data: object) -> None:
    pip, ref = direct(host, data)
    assert pip.lock(ref).grade is Grade.HASH_ONLY


def test_an_editable_install_is_said(host: FakeHost) -> None:
    pip, ref = direct(
        host, {"url": "file:///home/ann/my%20code", "dir_info": {"editable": True}}
    )  # fmt: skip
    assert pip.editable(ref) == "/home/ann/my code"
    plain, other = direct(host, {"url": "file:///home/ann/my%20code", "dir_info": {}})
    assert plain.editable(other) is None


def test_a_damaged_record_is_named(host: FakeHost) -> None:
    info = host.dist(SITE, "num", files=["num.py"])
    host.write(f"{info}/RECORD", b'num.py,"' + b"x" * 200_000)
    with pytest.raises(PinError, match=r"num-1\.0\.dist-info/RECORD"):
        Pip(host.root).owner(f"{SITE}/num.py")


def test_a_damaged_direct_url_is_an_error_and_no_crash(host: FakeHost) -> None:
    pip, ref = direct(host, {})
    host.write(f"{SITE}/num-1.0.dist-info/direct_url.json", b"\xff{")
    with pytest.raises(PinError, match="pip cannot be read"):
        pip.lock(ref)


def test_names_that_are_no_text(host: FakeHost) -> None:
    name = os.fsdecode(b"num/\xff.dat")
    host.dist(SITE, "num", files=[name])
    assert owner(host, f"{SITE}/{name}").name == "num"
    assert name in packed(host, "num")


def test_a_dist_info_without_metadata_is_passed_over(host: FakeHost) -> None:
    host.write(f"{SITE}/broken-1.0.dist-info/RECORD", "broken.py,,\n")
    host.dist(SITE, "num", files=["num.py"])
    assert [ref.name for ref in Pip(host.root).environment(VENV)] == ["num"]


def test_this_tests_own_environment() -> None:
    """The distribution of pytest as some installer of this machine left it."""
    path = os.path.realpath(pytest.__file__)
    pip = Pip()
    ref = pip.owner(path)
    if ref is None:
        if os.environ.get("CI"):
            pytest.fail("pytest has no RECORD here")
        pytest.skip("pytest was not installed by an installer that writes RECORD")
    files = [file.path for file in pip.files(ref)]
    assert ref.name == "pytest" and ref.version == pytest.__version__ and path in files
    assert all(pip.owner(file) == ref for file in files)
    assert "pluggy" in {need.name for need in pip.requires(ref)}


@pytest.mark.parametrize(("setting", "found"), [("true", ["base"]), ("false", [])])
def test_requirements_in_the_base_of_a_venv(host: FakeHost, setting: str, found: list[str]) -> None:
    host.write(
        f"{VENV}/pyvenv.cfg", f"home = /opt/py/bin\ninclude-system-site-packages = {setting}\n"
    )
    host.dist(SITE, "frame", files=["frame.py"], requires=["base"])
    host.dist("/opt/py/lib/python3.11/site-packages", "base", files=["base.py"])
    frame = owner(host, f"{SITE}/frame.py")
    assert [ref.name for ref in Pip(host.root).requires(frame)] == found
