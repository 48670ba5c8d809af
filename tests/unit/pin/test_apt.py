from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from repro.errors import PinError
from repro.model.entry import LayerKind
from repro.model.lock import Grade
from repro.model.observation import PackageRef
from repro.pin.sources.apt import BASE, Apt
from tests.unit.pin.fake_host import FakeHost

TRIPLET = "x86_64-linux-gnu"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    found = FakeHost(tmp_path)
    found.merged_usr()
    found.deb("base-files", ["/usr/lib/os-release"])
    found.write("/etc/os-release", 'PRETTY_NAME="x"\nID=debian\nVERSION_ID="12"\n')
    found.deb("libc6", [f"/lib/{TRIPLET}/libc.so.6"], listed_as="libc6:amd64", version="2.36-9")
    return found


def package(host: FakeHost, path: str) -> PackageRef:
    found = Apt(host.root).owner(path)
    assert found is not None, path
    return found


def test_a_file_is_owned_under_both_spellings_of_a_merged_folder(host: FakeHost) -> None:
    host.deb("tool", ["/usr/bin/tool"])
    assert package(host, f"/usr/lib/{TRIPLET}/libc.so.6").key == "libc6:amd64"
    assert package(host, "/usr/bin/tool").name == "tool"
    assert Apt(host.root).owner("/usr/bin/other") is None


def test_files_have_their_real_path(host: FakeHost) -> None:
    apt = Apt(host.root)
    files = apt.files(package(host, f"/usr/lib/{TRIPLET}/libc.so.6"))
    assert [file.path for file in files] == [f"/usr/lib/{TRIPLET}/libc.so.6"]


def test_merged_links_and_folders_are_no_files_of_a_package(host: FakeHost) -> None:
    host.deb("tool", ["/bin/tool"])
    files = Apt(host.root).files(package(host, "/usr/bin/tool"))
    assert [file.path for file in files] == ["/usr/bin/tool"]


def test_documentation_is_left_out_and_counted(host: FakeHost) -> None:
    host.deb(
        "tool",
        [
            "/usr/bin/tool", "/usr/share/doc/tool/a", "/usr/share/doc/tool/b",
            "/usr/share/man/man1/tool.1.gz", "/usr/share/locale/de/LC_MESSAGES/tool.mo",
            "/usr/lib/libtool.a",
        ],
    )  # fmt: skip
    apt, tool = Apt(host.root), package(host, "/usr/bin/tool")
    assert [file.path for file in apt.files(tool)] == ["/usr/bin/tool"]
    assert [(item.path, item.reason) for item in apt.left_out(tool)] == [
        ("deb:tool (3 files)", "documentation"),
        ("deb:tool (1 files)", "static libraries"),
        ("deb:tool (1 files)", "translations"),
    ]


def test_files_that_are_gone_are_not_named(host: FakeHost) -> None:
    host.deb("tool", ["/usr/bin/tool", "/usr/bin/gone"])
    host.path("/usr/bin/gone").unlink()
    files = Apt(host.root).files(package(host, "/usr/bin/tool"))
    assert [file.path for file in files] == ["/usr/bin/tool"]


def test_removed_packages_own_nothing_and_waiting_ones_do(host: FakeHost) -> None:
    host.deb("old", ["/etc/old.conf"], state="deinstall ok config-files")
    host.deb("waits", ["/usr/bin/waits"], state="install ok triggers-pending")
    host.deb("held", ["/usr/bin/held"], state="hold ok installed")
    assert Apt(host.root).owner("/etc/old.conf") is None
    assert package(host, "/usr/bin/waits").name == "waits"
    assert package(host, "/usr/bin/held").name == "held"


def test_a_foreign_architecture_never_takes_the_base(host: FakeHost) -> None:
    host.deb("libc6", ["/lib/i386-linux-gnu/libc.so.6"], arch="i386", listed_as="libc6:i386")
    host.deb("tzdata", ["/usr/share/zoneinfo/UTC"], arch="all")
    keys = [found.key for found in Apt(host.root).always()]
    assert keys == ["base-files:amd64", "libc6:amd64", "tzdata:all"]
    assert package(host, "/usr/lib/i386-linux-gnu/libc.so.6").key == "libc6:i386"


def test_diverted_files_stay_with_their_package(host: FakeHost) -> None:
    host.deb("first", ["/usr/bin/both"])
    host.write("/usr/bin/both.first")
    host.deb("second", ["/usr/bin/both"])
    host.write("/var/lib/dpkg/diversions", "/usr/bin/both\n/usr/bin/both.first\nsecond\n")
    assert package(host, "/usr/bin/both").name == "second"
    assert package(host, "/usr/bin/both.first").name == "first"


def test_names_that_are_no_text(host: FakeHost) -> None:
    name = os.fsdecode(b"/usr/share/odd/\xff\xfe name")
    host.deb("odd", [name])
    assert package(host, name).name == "odd"


def test_kinds_of_layers(host: FakeHost) -> None:
    apt = Apt(host.root)
    kinds = {
        "bash": LayerKind.BASE, "libc6": LayerKind.BASE, "python3.11-minimal": LayerKind.RUNTIME,
        "libpython3.11-stdlib": LayerKind.RUNTIME, "r-base-core": LayerKind.RUNTIME,
        "perl-base": LayerKind.RUNTIME, "python3-numpy": LayerKind.SYSTEM,
        "libopenblas0": LayerKind.SYSTEM,
    }  # fmt: skip
    for name, kind in kinds.items():
        ref = PackageRef(source="apt", key=f"{name}:amd64", name=name, version="1")
        assert apt.kind_of(ref) is kind, name


def test_the_status_entry_is_what_scanners_read(host: FakeHost) -> None:
    stanza = Apt(host.root).status_stanza(package(host, f"/usr/lib/{TRIPLET}/libc.so.6"))
    assert stanza is not None
    lines = stanza.decode().splitlines()
    assert "Package: libc6" in lines and "Version: 2.36-9" in lines
    assert "Status: install ok installed" in lines and "Architecture: amd64" in lines


def lists(host: FakeHost, name: str, version: str = "2.36-9", arch: str = "amd64") -> None:
    other = "Package: libc6-dev\nVersion: 2.36-9\nArchitecture: amd64\nSHA256: " + "b" * 64
    this = f"Package: libc6\nVersion: {version}\nArchitecture: {arch}\nSHA256: " + "a" * 64
    host.write(f"/var/lib/apt/lists/{name}", f"{other}\n\n{this}\n\n")


def test_a_pin_with_the_hash_of_the_archive(host: FakeHost) -> None:
    lists(host, "example.org_debian_main_binary-amd64_Packages")
    apt = Apt(host.root)
    pin = apt.lock(package(host, f"/usr/lib/{TRIPLET}/libc.so.6"))
    assert pin.grade is Grade.HASH_ONLY and pin.hash == "sha256:" + "a" * 64
    assert pin.purl == "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12"
    assert apt.remark() is None


@pytest.mark.parametrize(("version", "arch"), [("2.36-10", "amd64"), ("2.36-9", "i386")])
def test_a_hash_of_another_build_is_not_taken(host: FakeHost, version: str, arch: str) -> None:
    lists(host, "example.org_debian_main_binary-amd64_Packages", version, arch)
    pin = Apt(host.root).lock(package(host, f"/usr/lib/{TRIPLET}/libc.so.6"))
    assert pin.grade is Grade.NAME_ONLY and pin.hash is None and pin.url is None


def test_pins_without_hashes_say_why(host: FakeHost) -> None:
    assert "not on this machine" in (Apt(host.root).remark() or "")
    host.write("/var/lib/apt/lists/example.org_debian_main_binary-amd64_Packages.lz4", b"\x04")
    said = Apt(host.root).remark() or ""
    assert "binary-amd64_Packages.lz4 cannot be read: " in said


def test_installed_versions_that_no_list_names_are_counted(host: FakeHost) -> None:
    lists(host, "example.org_debian_main_binary-amd64_Packages", "2.36-10")
    apt = Apt(host.root)
    apt.lock(package(host, f"/usr/lib/{TRIPLET}/libc.so.6"))
    assert "1 of the installed versions are in no package list of this machine (libc6)" in (
        apt.remark() or ""
    )


@pytest.mark.parametrize(
    ("status", "named"),
    [
        (b"\x00\xff garbage", "names no installed package"),
        (b"Package: libc6\nStatus: install ok installed\nVersion: 1\n", "libc6 has no Arch"),
        (b"Status: install ok installed\nVersion: 1\n", "a package has no Package"),
    ],
)
def test_a_damaged_status_file_is_named(host: FakeHost, status: bytes, named: str) -> None:
    host.write("/var/lib/dpkg/status", status)
    with pytest.raises(PinError, match=named):
        Apt(host.root).owner("/usr/bin/tool")


def test_no_database_and_an_empty_one_are_no_error(tmp_path: Path) -> None:
    apt = Apt(str(tmp_path))
    assert apt.usable() == "no dpkg database on this system"
    assert apt.owner("/usr/bin/x") is None and apt.always() == []
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").touch()
    assert apt.usable() == "the dpkg database is empty"


def real_apt() -> Apt:
    apt, reason = Apt(), Apt().usable()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return apt


def test_every_packed_file_of_this_system_is_owned_by_its_package() -> None:
    apt = real_apt()
    wrong = [
        (file.path, package.key)
        for package in apt.always()
        for file in apt.files(package)
        if apt.owner(file.path) != package
    ]
    assert not wrong


def test_the_base_links_only_to_itself() -> None:
    """Every program of the base starts in an image that holds nothing but the base."""
    apt = real_apt()
    if shutil.which("ldd") is None:
        pytest.skip("ldd is not installed")
    programs = [
        file.path
        for package in apt.always()
        for file in apt.files(package)
        if file.path.startswith("/usr/bin/") and Path(file.path).read_bytes()[:4] == b"\x7fELF"
    ]
    assert "/usr/bin/cat" in programs
    done = subprocess.run(["ldd", *programs], capture_output=True, text=True)
    libraries = {word for word in done.stdout.split() if word.startswith("/") and ".so" in word}
    outside = {}
    for library in libraries - set(programs):
        owner = apt.owner(os.path.realpath(library.rstrip(":")))
        if owner is None or owner.name not in BASE:
            outside[library] = owner
    assert not outside


def test_generic_names_go_with_the_package_they_lead_to(host: FakeHost) -> None:
    host.deb("mawk", ["/usr/bin/mawk", "/usr/share/man/man1/mawk.1.gz"])
    host.deb("gawk", ["/usr/bin/gawk"])
    host.link("/usr/bin/awk", "/etc/alternatives/awk")
    host.link("/etc/alternatives/awk", "/usr/bin/mawk")
    host.link("/usr/share/man/man1/awk.1.gz", "/etc/alternatives/awk.1.gz")
    host.link("/etc/alternatives/awk.1.gz", "/usr/share/man/man1/mawk.1.gz")
    host.write(
        "/var/lib/dpkg/alternatives/awk",
        "auto\n/bin/awk\nawk.1.gz\n/usr/share/man/man1/awk.1.gz\nnawk\n/usr/bin/nawk\n\n"
        "/usr/bin/gawk\n10\n\n\n/usr/bin/mawk\n5\n/usr/share/man/man1/mawk.1.gz\n\n\n",
    )
    apt = Apt(host.root)
    mawk = package(host, "/etc/alternatives/awk")
    assert mawk.name == "mawk" and apt.owner("/usr/bin/awk") == mawk
    assert [file.path for file in apt.files(mawk)] == [
        "/etc/alternatives/awk", "/usr/bin/awk", "/usr/bin/mawk",
    ]  # fmt: skip
    gawk = apt.owner("/usr/bin/gawk")
    assert gawk is not None
    assert [file.path for file in apt.files(gawk)] == ["/usr/bin/gawk"]


@pytest.mark.parametrize("text", [b"", b"auto\n", b"\xff\n\xff", b"auto\n/usr/bin/x\n\n"])
def test_damaged_alternatives_name_nothing(host: FakeHost, text: bytes) -> None:
    host.write("/var/lib/dpkg/alternatives/x", text)
    host.deb("tool", ["/usr/bin/tool"])
    assert package(host, "/usr/bin/tool").name == "tool"


def test_what_is_only_looked_for_comes_along(host: FakeHost) -> None:
    """mpirun gives up where there is no ssh, which it never opens."""
    host.deb("openmpi-bin", ["/usr/bin/orterun"])
    apt = Apt(host.root)
    orterun = package(host, "/usr/bin/orterun")
    assert list(apt.requires(orterun)) == []
    host.deb("openssh-client", ["/usr/bin/ssh"])
    host.deb("openssh-server", ["/usr/sbin/sshd"])
    assert [found.name for found in Apt(host.root).requires(orterun)] == ["openssh-client"]
    ssh = package(host, "/usr/bin/ssh")
    assert list(Apt(host.root).requires(ssh)) == []


def needs(host: FakeHost, program: str) -> list[str]:
    return sorted(found.key for found in Apt(host.root).environment(program))


def test_what_a_program_depends_on(host: FakeHost) -> None:
    host.deb("tool", ["/usr/bin/tool"], needs="a (>= 1) | b, libv-dev, gone | c:any, libc6")
    host.deb("a", ["/usr/share/a"], needs="tool")
    host.deb("b", ["/usr/share/b"])
    host.deb("c", ["/usr/share/c"], arch="all", needs="tool [amd64]")
    host.deb("v2", ["/usr/share/v2"], provides="libv-dev (= 2), other")
    host.deb("libc6", ["/usr/lib32/libc.so.6"], arch="i386", listed_as="libc6:i386")
    assert needs(host, "/usr/bin/tool") == [
        "a:amd64", "c:all", "libc6:amd64", "tool:amd64", "v2:amd64",
    ]  # fmt: skip
    assert needs(host, "/usr/share") == [] and needs(host, "/opt/x") == []
