"""Environments that real package managers make: pip, uv, poetry, conda (by rattler).

The managers are fetched by name when the test runs; what they install is made here, so that
it does not matter which packages an index offers.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflows.lab import Lab, need_an_engine

pytestmark = [pytest.mark.real, pytest.mark.slow]

BACKENDS = {
    "setuptools": ("setuptools>=64", "setuptools.build_meta"),
    "hatchling": ("hatchling", "hatchling.build"),
    "flit": ("flit_core>=3.4", "flit_core.buildapi"),
}
SCRIPT = "import mine\nopen('out.txt', 'w').write(mine.words())\n"


def unavailable(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def call(*argv: str | Path, cwd: Path | None = None, **env: str) -> None:
    done = subprocess.run(
        [str(word) for word in argv], cwd=cwd, capture_output=True, text=True, timeout=600,
        env={**os.environ, **env}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode != 0:
        unavailable(f"{' '.join(map(str, argv))}: {done.stderr[-800:]}")


def environment(place: Path, *packages: str) -> Path:
    """A venv with pip and these packages; its bin folder."""
    call(sys.executable, "-m", "venv", place)
    if packages:
        call(place / "bin/python", "-m", "pip", "install", "-q", *packages)
    return place / "bin"


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp("tools") / "env", "uv", "poetry", "py-rattler")


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layers")


@pytest.fixture
def lab(tmp_path: Path, layers: Path) -> Iterator[Lab]:
    need_an_engine()
    yield Lab(tmp_path, layers)


def library(folder: Path, backend: str, name: str = "mine") -> Path:
    """A library in the src layout with a module that is loaded later."""
    package = folder / "src" / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def words(): return 'made here'\n")
    (package / "lazy.py").write_text("LATER = 1\n")
    requires, build = BACKENDS[backend]
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = ["{requires}"]\nbuild-backend = "{build}"\n'
        f'[project]\nname = "{name}"\nversion = "0.3"\ndescription = "x"\ndependencies = []\n'
        'requires-python = ">=3.10"\n'
    )
    return package


def is_code(lab: Lab, package: Path) -> None:
    """Its whole source is in the code layer, the lock names it, the rerun is the same."""
    packed = lab.packed("code")
    assert {f"{package}/__init__.py", f"{package}/lazy.py"} <= packed.keys()
    pin = lab.pins()["mine"]
    assert (pin["version"], pin["grade"]) == ("0.3", "name only")
    assert pin["facts"]["editable"] == "true"
    lab.verify()


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_pip_install_editable(lab: Lab, backend: str) -> None:
    package = library(lab.folder / "code", backend)
    commands = environment(lab.folder / "env")
    call(commands / "python", "-m", "pip", "install", "-q", "-e", lab.folder / "code")
    lab.write("run.py", SCRIPT)
    lab.snapshot("--", str(commands / "python"), "run.py")
    is_code(lab, package)


def test_pip_install_editable_by_a_finder(lab: Lab) -> None:
    """A mapping that no path can express: setuptools writes an import hook."""
    folder = lab.folder / "code"
    package = folder / "elsewhere"
    library(folder, "setuptools").rename(package)
    with (folder / "pyproject.toml").open("a") as stream:
        stream.write('[tool.setuptools]\npackages = ["mine"]\npackage-dir = {mine = "elsewhere"}\n')
    commands = environment(lab.folder / "env")
    call(commands / "python", "-m", "pip", "install", "-q", "-e", folder)
    assert list(commands.parent.glob("lib/*/site-packages/__editable___mine*_finder.py"))
    lab.write("run.py", SCRIPT)
    lab.snapshot("--", str(commands / "python"), "run.py")
    is_code(lab, package)


def test_setup_py_develop(lab: Lab) -> None:
    """The older way, which pip before 25 still takes for a project with setup.py alone."""
    folder = lab.folder / "code"
    package = library(folder, "setuptools")
    (folder / "pyproject.toml").unlink()
    (folder / "setup.py").write_text(
        "from setuptools import setup\n"
        "setup(name='mine', version='0.3', package_dir={'': 'src'}, packages=['mine'])\n"
    )
    commands = environment(lab.folder / "env", "setuptools==68.2.2")
    call(commands / "python", "setup.py", "-q", "develop", cwd=folder)
    assert list(commands.parent.glob("lib/*/site-packages/mine.egg-link"))
    lab.write("run.py", SCRIPT)
    lab.snapshot("--", str(commands / "python"), "run.py")
    is_code(lab, package)


def test_the_project_installed_into_its_own_environment(lab: Lab) -> None:
    """``pip install -e .``: one folder is project, library and home of the environment."""
    package = library(lab.project, "setuptools")
    commands = environment(lab.project / ".venv")
    call(commands / "python", "-m", "pip", "install", "-q", "-e", ".", cwd=lab.project)
    lab.write("run.py", SCRIPT)
    made = lab.snapshot("--", ".venv/bin/python", "run.py")
    assert not [text for text in made["warnings"] if "outside" in text or "editable" in text]
    assert not [path for path in lab.packed("code") if "/.venv/" in path]
    is_code(lab, package)


@pytest.mark.parametrize("mode", ["clone", "copy", "hardlink", "symlink"])
def test_uv_sync(lab: Lab, tools: Path, mode: str) -> None:
    """A project of uv with a library of its own beside it, however uv places the files."""
    library(lab.folder / "wheel", "hatchling", "other")
    call(
        tools / "uv", "build", "-q", "--wheel", "-o", lab.folder / "dist", cwd=lab.folder / "wheel"
    )
    (wheel,) = (lab.folder / "dist").glob("*.whl")
    library(lab.project, "hatchling")
    settings = lab.project / "pyproject.toml"
    settings.write_text(
        settings.read_text().replace("dependencies = []", 'dependencies = ["other"]')
        + f'[tool.uv.sources]\nother = {{path = "{wheel}"}}\n'
    )
    cache = Path(lab.env["HOME"]) / ".cache" / f"repro-test-uv-{os.getpid()}"
    lab.write("run.py", "import other\n" + SCRIPT + "assert other.words()\n")
    try:
        call(
            tools / "uv", "sync", "-q", "--link-mode", mode, "--python", sys.executable,
            cwd=lab.project, UV_CACHE_DIR=str(cache),
        )  # fmt: skip
        lab.snapshot("--", ".venv/bin/python", "run.py")
        assert {Path(path).name for path in lab.packed("packages")} >= {"lazy.py", "METADATA"}
        assert lab.pins()["other"]["version"] == "0.3"
        is_code(lab, lab.project / "src/mine")
    finally:
        subprocess.run(["rm", "-rf", cache], check=True)


def test_uv_run(lab: Lab, tools: Path) -> None:
    """The manager itself starts the analysis; its lock file in the environment is no result."""
    library(lab.project, "hatchling")
    lab.write("run.py", SCRIPT)
    call(tools / "uv", "sync", "-q", "--python", sys.executable, cwd=lab.project)
    made = lab.snapshot("--", str(tools / "uv"), "run", "--offline", "--no-sync", "run.py")
    assert [output["path"] for output in made["outputs"]] == ["out.txt"]
    is_code(lab, lab.project / "src/mine")


def test_poetry_install(lab: Lab, tools: Path) -> None:
    folder = lab.project
    package = folder / "src/mine"
    library(folder, "setuptools")
    settings = folder / "pyproject.toml"
    settings.write_text(
        settings.read_text()
        .replace("setuptools>=64", "poetry-core")
        .replace("setuptools.build_meta", "poetry.core.masonry.api")
    )
    call(
        tools / "poetry", "install", "-n", "-q", cwd=folder, POETRY_VIRTUALENVS_IN_PROJECT="true",
        POETRY_VIRTUALENVS_CREATE="true", VIRTUAL_ENV="", POETRY_VIRTUALENVS_USE_POETRY_PYTHON="true",
    )  # fmt: skip
    lab.write("run.py", SCRIPT)
    lab.snapshot("--", ".venv/bin/python", "run.py")
    assert f"{folder}/poetry.lock" in lab.packed("code")
    is_code(lab, package)


SUBDIR = {"x86_64": "linux-64", "aarch64": "linux-aarch64"}
RATTLER = """
import asyncio, sys
from rattler import Channel, install, solve
from rattler.index import index_fs

async def main(channel, prefix, cache, subdir):
    await index_fs(channel)
    records = await solve(
        [Channel("file://" + channel)], ["mine"], platforms=[subdir, "noarch"]
    )
    await install(records, target_prefix=prefix, cache_dir=cache, show_progress=False)

asyncio.run(main(*sys.argv[1:]))
"""


def conda_package(
    channel: Path, subdir: str, name: str, version: str, files: dict[str, Path | str],
    depends: list[str],
) -> None:  # fmt: skip
    """A package of the older format (.tar.bz2), from files of this machine or texts."""
    folder = channel / subdir
    folder.mkdir(parents=True, exist_ok=True)
    stage = channel.parent / f"stage-{name}"
    paths = []
    for leaf, source in files.items():
        place = stage / leaf
        place.parent.mkdir(parents=True, exist_ok=True)
        data = source.read_bytes() if isinstance(source, Path) else source.encode()
        place.write_bytes(data)
        place.chmod(0o755 if leaf.startswith("bin/") else 0o644)
        paths.append({"_path": leaf, "path_type": "hardlink", "size_in_bytes": len(data)})
    index = {
        "name": name, "version": version, "build": "0", "build_number": 0, "depends": depends,
        "subdir": subdir, "arch": None, "platform": "linux", "license": "MIT",
    }  # fmt: skip
    (stage / "info").mkdir()
    (stage / "info/index.json").write_text(json.dumps(index))
    (stage / "info/paths.json").write_text(json.dumps({"paths": paths, "paths_version": 1}))
    (stage / "info/files").write_text("".join(f"{leaf}\n" for leaf in files))
    with tarfile.open(folder / f"{name}-{version}-0.tar.bz2", "w:bz2", compresslevel=1) as out:
        for leaf in ("info", *sorted({leaf.partition("/")[0] for leaf in files})):
            out.add(stage / leaf, leaf)


def interpreter_files() -> dict[str, Path | str]:
    """This Python without its tests: what a conda package of it would hold."""
    prefix = Path(sys.base_prefix)
    short = f"python{sysconfig.get_python_version()}"
    program = Path(os.path.realpath(sys.executable))
    files: dict[str, Path | str] = {f"bin/{short}": program, "bin/python": program}
    for path in sorted(prefix.glob("lib/libpython*.so*")):
        files[f"lib/{path.name}"] = path
    library = Path(sysconfig.get_path("stdlib"))
    skipped = {"test", "tests", "idlelib", "ensurepip", "site-packages", "dist-packages",
               "__pycache__", "lib2to3", "turtledemo", "tkinter"}  # fmt: skip
    for path in sorted(library.rglob("*")):
        inside = path.relative_to(library)
        if path.is_file() and skipped.isdisjoint(inside.parts) and "config-" not in str(inside):
            files[f"lib/{short}/{inside}"] = path
    return files


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel in a folder: an interpreter, and a package that needs it."""
    place = tmp_path_factory.mktemp("conda") / "channel"
    subdir = SUBDIR[platform.machine()]
    (place / "noarch").mkdir(parents=True)
    site = f"lib/python{sysconfig.get_python_version()}/site-packages"
    version = ".".join(map(str, sys.version_info[:3]))
    conda_package(place, subdir, "python", version, interpreter_files(), [])
    conda_package(
        place, subdir, "mine", "0.3",
        {
            f"{site}/mine/__init__.py": "def words(): return open(__file__[:-11] + 'w.txt').read()",
            f"{site}/mine/w.txt": "from a channel\n", f"{site}/mine/lazy.py": "LATER = 1\n",
            "bin/mine": "#!/bin/sh\necho mine\n", "share/mine/table.csv": "1,2\n",
        },
        ["python"],
    )  # fmt: skip
    return place


@pytest.mark.skipif(platform.machine() not in SUBDIR, reason="conda knows this machine not")
@pytest.mark.parametrize("inside", [True, False], ids=["in-project", "outside"])
def test_a_conda_environment(lab: Lab, tools: Path, channel: Path, inside: bool) -> None:
    prefix = lab.project / ".pixi/envs/default" if inside else lab.folder / "envs/analysis"
    call(
        tools / "python", "-c", RATTLER, channel, prefix, lab.folder / "pkgs",
        SUBDIR[platform.machine()],
    )  # fmt: skip
    assert (prefix / "conda-meta").is_dir()
    lab.write("run.py", SCRIPT)
    shell = {"CONDA_PREFIX": str(prefix), "PATH": f"{prefix}/bin:{os.environ['PATH']}"}
    made = lab.snapshot("--", "python", "run.py", env=shell)
    assert lab.results() == {"out.txt": "from a channel\n"}
    site = next((prefix / "lib").glob("python3*/site-packages"))
    packages = lab.packed("packages")
    # Whole, though the run read a part; nothing of it as data or code.
    assert {f"{site}/mine/lazy.py", f"{site}/mine/w.txt", f"{prefix}/bin/mine",
            f"{prefix}/share/mine/table.csv"} <= packages.keys()  # fmt: skip
    assert not [path for path in lab.packed("data", "code") if str(prefix) in path]
    assert f"{prefix}/bin/python" in lab.packed("runtime")
    pins = lab.inspect()["pins"]["packages"]
    # A Python that was built elsewhere may still load its library from there.
    assert {("conda", "mine"), ("conda", "python")} <= {(p["source"], p["name"]) for p in pins}
    assert [output["path"] for output in made["outputs"]] == ["out.txt"]
    lab.verify()
