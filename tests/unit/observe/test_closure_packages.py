"""From what was read to whole packages and their interpreters."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repro.model.entry import EntryType, LayerKind
from repro.observe.closure_libraries import Libraries, configured_folders
from repro.pin.sources.apt import Apt
from repro.pin.sources.conda import Conda
from repro.pin.sources.pip import Pip
from tests.unit.observe.closure_sample import Sample, names

SITE = "/venv/lib/python3.11/site-packages"


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    found = Sample(tmp_path)
    found.interpreter("/opt/python", "3.11.7")
    found.write("/venv/pyvenv.cfg", f"home = {found.root}/opt/python/bin\nversion = 3.11.7\n")
    found.link("/venv/bin/python3", f"{found.root}/opt/python/bin/python3")
    found.link("/venv/bin/python", "python3")
    found.dist(SITE, "num", "1.2", files=["num/__init__.py", "num/lazy.py", "num/tests/big.npy",
                                          "../../../bin/num"], requires=["util"])  # fmt: skip
    found.dist(SITE, "util", files=["util.py"], requires=["num"])
    found.dist(SITE, "unused", files=["unused.py"])
    return found


def test_one_file_read_brings_the_whole_package_and_what_it_requires(sample: Sample) -> None:
    sample.read(f"{SITE}/num/__init__.py")
    found = sample.close()
    entries = sample.entries(found)
    assert {f"{SITE}/num/lazy.py", f"{SITE}/util.py", "/venv/bin/num"} <= entries.keys()
    assert f"{SITE}/num/tests/big.npy" not in entries and f"{SITE}/unused.py" not in entries
    assert names(found.packages) == ["num", "util"]
    lazy = entries[f"{SITE}/num/lazy.py"]
    assert (lazy.kind, lazy.origin, lazy.group) == (LayerKind.PACKAGES, "pypi:num", "num 1.2")
    assert "tests of the package" in {item.reason for item in found.left_out}


def test_a_test_file_that_was_read_is_there(sample: Sample) -> None:
    sample.read(f"{SITE}/num/tests/big.npy")
    assert f"{SITE}/num/tests/big.npy" in sample.entries(sample.close())


def test_bytecode_that_was_read_stands_for_its_source(sample: Sample) -> None:
    sample.read(sample.pyc(f"{SITE}/util.py"), sample.pyc(f"{SITE}/unused.py", stale=True))
    entries = sample.entries(sample.close())
    assert {f"{SITE}/util.py", f"{SITE}/unused.py"} <= entries.keys()
    assert f"{SITE}/__pycache__/util.cpython-311.pyc" in entries
    assert f"{SITE}/__pycache__/unused.cpython-311.pyc" not in entries


def test_the_environment_starts_by_its_links(sample: Sample) -> None:
    sample.read("/venv/bin/python", "/venv/pyvenv.cfg")
    found = sample.close()
    entries = sample.entries(found)
    assert entries["/venv/bin/python"].target == "python3"
    assert entries["/venv/bin/python3"].target == f"{sample.root}/opt/python/bin/python3"
    assert entries["/venv/pyvenv.cfg"].kind is LayerKind.PACKAGES
    assert {"/opt/python/bin/python3.11", "/opt/python/lib/python3.11/os.py"} <= entries.keys()
    assert "/opt/python/lib/python3.11/test/test_os.py" not in entries
    assert entries["/opt/python/lib/python3.11/os.py"].kind is LayerKind.RUNTIME
    assert names(found.packages) == ["python"]
    assert not [line for line in found.warnings if "packed as data" in line]


def test_listed_folders_of_an_environment_are_no_data(sample: Sample) -> None:
    sample.read(f"{SITE}/num/__init__.py")
    sample.listed(SITE, "/opt/python/lib/python3.11", "/opt/python/lib/python3.11/site-packages")
    found = sample.close()
    kinds = {entry.kind for path, entry in sample.entries(found).items() if "python3" in path}
    assert kinds == {LayerKind.PACKAGES, LayerKind.RUNTIME}
    assert not found.warnings


def test_an_environment_inside_the_project_is_environment(sample: Sample) -> None:
    site = "/project/.venv/lib/python3.11/site-packages"
    sample.write("/project/.venv/pyvenv.cfg", "home = /usr/bin\n")
    sample.dist(site, "num", files=["num.py", "other.py"])
    sample.write(f"{site}/stray.pth")
    sample.read("/project/.venv/pyvenv.cfg", f"{site}/num.py", f"{site}/stray.pth")
    sample.listed("/project", site)
    entries = sample.entries(sample.close())
    for path in ("/project/.venv/pyvenv.cfg", f"{site}/num.py", f"{site}/other.py",
                 f"{site}/stray.pth"):  # fmt: skip
        assert entries[path].kind is LayerKind.PACKAGES, path


def test_packages_that_live_in_a_cache_folder_are_packages(sample: Sample) -> None:
    """renv links its library to packages in the user's cache."""
    cache = "/home/.cache/R/renv/cache/v5/R-4.2"
    sample.r_package(cache, "vctrs")
    sample.link("/project/renv/library/R-4.2/vctrs", sample.root + f"{cache}/vctrs")
    sample.read("/project/renv/library/R-4.2/vctrs/R/vctrs.rdb")
    found = sample.close()
    entries = sample.entries(found)
    assert entries["/project/renv/library/R-4.2/vctrs"].type is EntryType.SYMLINK
    assert entries[f"{cache}/vctrs/extdata/doc/kept.csv"].origin == "cran:vctrs"
    assert names(found.packages) == ["vctrs"]


def test_secrets_inside_a_package_that_were_read_are_left_out(sample: Sample) -> None:
    sample.r_package("/packages", "web")
    sample.read(sample.write("/packages/web/.env", "TOKEN=1"), "/packages/web/R/web.rdb")
    found = sample.close()
    assert names(found.packages) == ["web"]
    assert "/packages/web/.env" not in sample.entries(found)
    assert any("secret" in line for line in found.warnings)


def test_without_observation_the_environment_is_whole(sample: Sample) -> None:
    sample.tracer = "none"
    sample.write(f"{SITE}/local_module.py")
    sample.started("/venv/bin/python")
    found = sample.close()
    entries = sample.entries(found)
    assert names(found.packages) == ["python", "num", "unused", "util"]
    assert {f"{SITE}/unused.py", f"{SITE}/local_module.py", "/venv/bin/python", "/venv/bin/python3",
            "/venv/pyvenv.cfg", "/opt/python/lib/python3.11/os.py"} <= entries.keys()  # fmt: skip
    assert f"{SITE}/num/tests/big.npy" not in entries
    assert any("reads were not observed" in line for line in found.warnings)


def test_without_observation_a_script_brings_its_interpreter(sample: Sample) -> None:
    sample.tracer = "none"
    sample.write("/venv/bin/num", f"#!{sample.root}/venv/bin/python\n", 0o755)
    sample.started("/venv/bin/num")
    assert "unused" in names(sample.close().packages)


def test_whole_packages_are_packed_once_each(sample: Sample) -> None:
    sample.read(f"{SITE}/num/__init__.py", f"{SITE}/num/lazy.py", f"{SITE}/util.py")
    found = sample.close()
    paths = [entry.path for entry in found.files]
    assert len(paths) == len(set(paths))
    assert paths == sorted(paths, key=os.fsencode)
    assert len([item for item in found.left_out if "tests of" in item.reason]) == 1


def test_without_observation_a_program_of_this_system_is_complete(sample: Sample) -> None:
    apt = Apt()
    if apt.usable() is not None:
        if os.environ.get("CI"):
            pytest.fail("no dpkg here")
        pytest.skip("no dpkg here")
    sample.indexes, sample.tracer = [apt, *sample.indexes], "none"
    sample.started("/usr/bin/tar")
    found = sample.close()
    paths = {entry.path for entry in found.files}
    libraries = Libraries(sorted(configured_folders()))
    for program in ("/usr/bin/tar", "/usr/bin/bash", "/usr/bin/sort"):
        assert program in paths
        named = list(libraries.needed(program))
        assert named and {os.path.realpath(path) for path in named} <= paths
    assert {"tar", "libc6"} <= set(names(found.packages))


def test_what_conda_installed_stays_condas_also_for_what_pip_put_beside_it(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    sample.indexes = [Conda(), Pip()]
    env, site = "/env", "lib/python3.11/site-packages"
    sample.dist(f"{env}/{site}", "num", files=["num.py"])
    sample.dist(f"{env}/{site}", "mine", files=["mine.py"], requires=["num"])
    info = f"{site}/num-1.0.dist-info"
    sample.conda(env, "num", files=[f"{site}/num.py", f"{info}/METADATA", f"{info}/RECORD"],
                 depends=["blas"])  # fmt: skip
    sample.conda(env, "blas", files=["lib/libblas.so"])
    sample.read(f"{env}/{site}/mine.py")
    found = sample.close()
    assert [(ref.source, ref.name) for ref in found.packages] == [
        ("conda", "blas"), ("conda", "num"), ("pip", "mine"),
    ]  # fmt: skip
    entries = sample.entries(found)
    assert entries[f"{env}/{site}/num.py"].origin == "conda:num"
    assert f"{env}/lib/libblas.so" in entries
