from __future__ import annotations

from pathlib import Path

import pytest

from repro.model.entry import LayerKind
from repro.pin.declared import DeclaredOnly
from repro.pin.sources.apt import Apt
from repro.pin.sources.pip import Pip
from repro.pin.sources.rlang import Rlang
from tests.unit.pin.fake_host import FakeHost

SITE = "/v/lib/python3.11/site-packages"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def test_of_a_distribution_its_data_and_metadata(host: FakeHost) -> None:
    code = ["num/a.py", "num/b.so", "num/c.cpython-311-x86_64-linux-gnu.so", "num/d.h",
            "num/e.pyi", "num.libs/libx.so.1.2", "num/include/x.json", "../../../bin/num"]  # fmt: skip
    data = ["num/data.csv", "num/cacert.pem", "num/soft.json", "../../../share/num/k.json"]
    host.dist(SITE, "num", files=[*code, *data], requires=["other"])
    host.dist(SITE, "other")
    source = DeclaredOnly(Pip(host.root))
    package = source.owner(f"{SITE}/num/a.py")
    assert package is not None and package.name == "num"
    names = {file.path.removeprefix(f"{SITE}/") for file in source.files(package)}
    assert names == {
        "num/data.csv", "num/cacert.pem", "num/soft.json", "/v/share/num/k.json",
        "num-1.0.dist-info/METADATA", "num-1.0.dist-info/RECORD",
    }  # fmt: skip
    assert source.requires(package) == ()
    assert [left.path for left in source.left_out(package)] == ["pypi:num"]


def test_of_an_r_package_its_description_and_data(host: FakeHost) -> None:
    folder = host.r_package("/r", "zoo")
    host.write(f"{folder}/data/Rdata.rdb")
    source = DeclaredOnly(Rlang(host.root))
    package = source.owner(f"{folder}/R/zoo.rdb")
    assert package is not None
    names = {file.path.removeprefix(f"{folder}/") for file in source.files(package)}
    assert names == {
        "DESCRIPTION", "NAMESPACE", "Meta/package.rds", "data/Rdata.rdb", "extdata/doc/kept.csv",
    }  # fmt: skip


def test_of_the_system_the_shell_and_what_r_asks_for(host: FakeHost) -> None:
    host.merged_usr()
    host.deb("base-files", ["/etc/debian_version"])
    host.deb("dash", ["/usr/bin/dash"])
    host.deb("libc6", ["/usr/lib/libc.so.6"])
    library = "/usr/lib/R/library/stats"
    host.deb("r-base-core", [f"{library}/NAMESPACE", f"{library}/R/stats.rdb", "/usr/bin/R"])
    source = DeclaredOnly(Apt(host.root))
    assert [package.name for package in source.always()] == ["dash"]
    (shell,) = source.always()
    assert [file.path for file in source.files(shell)] == ["/usr/bin/dash"]
    assert source.kind_of(shell) is LayerKind.SYSTEM
    libc = source.owner("/usr/lib/libc.so.6")
    assert libc is not None and source.files(libc) == []
    assert source.status_stanza(libc) is not None
    base = source.owner("/usr/bin/R")
    assert base is not None
    assert [file.path for file in source.files(base)] == [f"{library}/NAMESPACE"]
