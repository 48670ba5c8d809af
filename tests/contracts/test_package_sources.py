"""Every package source through the same cases: a healthy host, none, a damaged one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from packageurl import PackageURL

from repro.errors import PinError
from repro.model.entry import LayerKind
from repro.model.lock import Grade
from repro.model.observation import PackageRef
from repro.model.ports import PackageFile, PackageIndex
from repro.pin.base import PackageSource
from repro.pin.locker import sources
from tests.unit.pin.fake_host import FakeHost

SITE = "/home/ann/venv/lib/python3.11/site-packages"
PREFIX = "/opt/python"
LIBRARY = "/home/ann/R/library"
CONDA = "/opt/conda/envs/paper"
WEB = "/home/ann/web"
NAMES = tuple(source.name for source in sources())

OWNED: dict[str, tuple[str, ...]] = {
    "apt": ("/usr/bin/tool", "/usr/lib/x86_64-linux-gnu/libtool.so.1", "/etc/tool.conf"),
    "pip": (f"{SITE}/num/__init__.py", "/home/ann/venv/bin/num", f"{SITE}/util.py"),
    "r": (f"{LIBRARY}/tibble/R/tibble.rdb", f"{LIBRARY}/vctrs/DESCRIPTION"),
    "interpreter": (f"{PREFIX}/lib/python3.11/os.py", f"{PREFIX}/bin/python3.11"),
    "conda": (f"{CONDA}/lib/libz.so.1", f"{CONDA}/lib/python3.11/site-packages/cnum/__init__.py"),
    "node": (f"{WEB}/node_modules/left/index.js", f"{WEB}/node_modules/@s/pad/lib/part.js"),
}
STRAYS = ("/", "/x", "/usr", "/home/ann/data.csv", "relative", "", "/usr/bin/../bin/tool",
          os.fsdecode(b"/home/\xff\n/data"), "/" + "a" * 255)  # fmt: skip


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    found = FakeHost(tmp_path)
    found.merged_usr()
    found.write("/etc/os-release", 'ID=debian\nVERSION_ID="12"\n')
    found.deb("base-files", ["/usr/lib/os-release"])
    found.deb("tool", ["/bin/tool", "/lib/x86_64-linux-gnu/libtool.so.1", "/etc/tool.conf",
                       "/usr/share/doc/tool/copyright"], version="1:2.0+dfsg-1~deb12u1")  # fmt: skip
    found.dist(SITE, "num", files=["num/__init__.py", "num/tests/a.py", "../../../bin/num"],
               requires=["util"])  # fmt: skip
    found.pyc(f"{SITE}/num/__init__.py")
    found.dist(SITE, "util", files=["util.py"], requires=["num"])
    found.r_package(LIBRARY, "tibble", needs="vctrs")
    found.r_package(LIBRARY, "vctrs", needs="tibble")
    found.conda(CONDA, "zlib", "1.3.1", files=["lib/libz.so.1", "lib/libz.a"], depends=["cnum >=1"])
    site = "lib/python3.11/site-packages"
    found.conda(CONDA, "cnum", files=[f"{site}/cnum/__init__.py", f"{site}/cnum/tests/a.py"],
                depends=["zlib >=1.2,<2", "__glibc >=2.17"])  # fmt: skip
    found.node(f"{WEB}/node_modules/left", "left", dependencies={"@s/pad": "^1"})
    found.node(f"{WEB}/node_modules/@s/pad", "@s/pad", dependencies={"left": "*"})
    found.interpreter(PREFIX, "3.11.7")
    found.pyc(f"{PREFIX}/lib/python3.11/os.py")
    return found


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def of(host: FakeHost, name: str) -> PackageSource:
    return next(source for source in sources(host.root) if source.name == name)


def packages(source: PackageSource) -> list[PackageRef]:
    found = [source.owner(path) for path in OWNED[source.name]]
    assert None not in found
    return list(dict.fromkeys(ref for ref in found if ref is not None))


def test_every_source_has_its_cases() -> None:
    assert set(NAMES) == set(OWNED)


def test_it_is_a_package_index(host: FakeHost, name: str) -> None:
    index: PackageIndex = of(host, name)
    assert index.usable() is None and index.name == name


def test_owner_of_every_packed_file_is_the_package(host: FakeHost, name: str) -> None:
    source = of(host, name)
    for package in packages(source):
        assert package.source == name and package.name and package.version
        files = source.files(package)
        assert files
        assert [source.owner(file.path) for file in files] == [package] * len(files)


def test_files_are_sorted_unique_real_and_there(host: FakeHost, name: str) -> None:
    source = of(host, name)
    for package in packages(source):
        paths = [file.path for file in source.files(package)]
        assert paths == sorted(set(paths), key=os.fsencode)
        for path in paths:
            folder = os.path.dirname(host.root + path)
            assert os.path.lexists(host.root + path) and os.path.realpath(folder) == folder


def test_the_same_question_has_the_same_answer(host: FakeHost, name: str) -> None:
    one, two = of(host, name), of(host, name)
    for package in packages(one):
        assert one.files(package) == two.files(package)
        assert one.left_out(package) == two.left_out(package)
        assert one.requires(package) == two.requires(package)
        assert one.lock(package) == two.lock(package)
        assert one.kind_of(package) is two.kind_of(package)


def test_what_is_left_out_says_why(host: FakeHost, name: str) -> None:
    source = of(host, name)
    left = [item for package in packages(source) for item in source.left_out(package)]
    assert left and all(item.path and item.reason for item in left)


def test_requirements_are_packages_of_the_same_source_and_may_be_a_ring(
    host: FakeHost, name: str
) -> None:
    source = of(host, name)
    known = packages(source)
    for package in known:
        for needed in source.requires(package):
            assert needed.source == name and source.files(needed)
            assert needed != package


def test_pins_are_valid_package_urls(host: FakeHost, name: str) -> None:
    source = of(host, name)
    for package in packages(source):
        pin = source.lock(package)
        purl = PackageURL.from_string(pin.purl)
        assert purl.to_string() == pin.purl
        assert (purl.version, pin.version, pin.name) == (
            package.version, package.version, package.name,
        )  # fmt: skip
        assert (pin.hash is None) == (pin.grade is Grade.NAME_ONLY)
        assert (pin.url is None) or pin.grade is Grade.URL_AND_HASH


def test_layers_are_those_above_data(host: FakeHost, name: str) -> None:
    source = of(host, name)
    above = (LayerKind.DATA, LayerKind.CODE)
    assert not [p for p in packages(source) if source.kind_of(p) in above]


def test_strangers_are_nobodys(host: FakeHost, name: str) -> None:
    source = of(host, name)
    assert not [path for path in STRAYS if source.owner(path) is not None and path != "/usr"]


def test_an_empty_system_gives_a_reason_or_nothing(tmp_path: Path, name: str) -> None:
    source = of(FakeHost(tmp_path), name)
    reason = source.usable()
    assert reason is None or reason.strip()
    assert [source.owner(path) for path in (*STRAYS, *OWNED[name])] == [None] * (
        len(STRAYS) + len(OWNED[name])
    )
    assert list(source.always()) == [] and list(source.environment("/home/ann/venv")) == []


def _damage_apt(host: FakeHost) -> None:
    host.write("/var/lib/dpkg/status", os.urandom(4096).replace(b"\n", b" "))


def _damage_pip(host: FakeHost) -> None:
    host.write(f"{SITE}/num-1.0.dist-info/RECORD", b'"' + b"\x00," * 150_000)


def _damage_r(host: FakeHost) -> None:
    for name in ("tibble", "vctrs"):
        host.path(f"{LIBRARY}/{name}/DESCRIPTION").unlink()
        host.link(f"{LIBRARY}/{name}/DESCRIPTION", "DESCRIPTION")


def _damage_conda(host: FakeHost) -> None:
    host.write(f"{CONDA}/conda-meta/zlib-1.3.1-h1_0.json", b'{"name": "zlib", \xff')


def _damage_node(host: FakeHost) -> None:
    host.write(f"{WEB}/node_modules/left/package.json", b"[" * 100_000)


def _damage_interpreter(host: FakeHost) -> None:
    host.write(f"{PREFIX}/include/python3.11/patchlevel.h", b"\xff\xfe\x00")


DAMAGE: dict[str, Callable[[FakeHost], None]] = {
    "apt": _damage_apt, "pip": _damage_pip, "r": _damage_r, "interpreter": _damage_interpreter,
    "conda": _damage_conda, "node": _damage_node,
}  # fmt: skip


def test_a_damaged_database_never_ends_in_a_traceback(host: FakeHost, name: str) -> None:
    DAMAGE[name](host)
    source = of(host, name)
    try:
        found = [source.owner(path) for path in OWNED[name]]
    except PinError as error:
        assert name in error.message and error.hint and "\0" not in error.message
    else:
        # Then it must own up to knowing less: no package, or no exact version.
        assert name in ("r", "interpreter")
        assert all(ref is None or ref.version == "3.11" for ref in found)


class _Broken(PackageSource):
    name = "broken"
    kind = LayerKind.PACKAGES

    def __init__(self, error: BaseException) -> None:
        super().__init__("/")
        self._error = error

    def _fail(self, *_: object) -> None:
        raise self._error

    def _files(self, package: PackageRef) -> list[PackageFile]:
        raise self._error

    _usable = _owner = _lock = _fail  # type: ignore[assignment]
    _left_out = _requires = _kind_of = _always = _environment = _fail  # type: ignore[assignment]
    _status_stanza = _remark = _fail  # type: ignore[assignment]


REF = PackageRef(source="broken", key="k", name="n", version="1")
CALLS: dict[str, Callable[[PackageSource], object]] = {
    "usable": lambda source: source.usable(),
    "owner": lambda source: source.owner("/x"),
    "files": lambda source: source.files(REF),
    "left_out": lambda source: source.left_out(REF),
    "requires": lambda source: source.requires(REF),
    "kind_of": lambda source: source.kind_of(REF),
    "lock": lambda source: source.lock(REF),
    "always": lambda source: source.always(),
    "environment": lambda source: source.environment("/x"),
    "status_stanza": lambda source: source.status_stanza(REF),
    "remark": lambda source: source.remark(),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), KeyError("Package"), AttributeError("x"),
              TypeError("y"), RecursionError("deep"), UnicodeDecodeError("utf-8", b"", 0, 1, "z")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_stray_errors_name_the_source(call: str, error: Exception) -> None:
    with pytest.raises(PinError, match="package source broken"):
        CALLS[call](_Broken(error))


@pytest.mark.parametrize("call", CALLS)
def test_errors_of_ours_and_interruptions_pass_as_they_are(call: str) -> None:
    for error in (PinError("said already"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            CALLS[call](_Broken(error))
        assert caught.value is error
