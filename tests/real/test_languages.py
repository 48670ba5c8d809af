"""Small analyses in many languages: recorded, packed, rerun sealed from an empty cache.

The sealed rerun sees nothing but the image, so "identical" says that the image is complete.
The analyses are the folders of tests/projects; each has a repro.yml.
"""

from __future__ import annotations

import fnmatch
import glob
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.real, pytest.mark.slow]
PROJECTS = Path(__file__).resolve().parents[1] / "projects"


def unavailable(reason: str) -> None:
    """Skip at home; in CI everything must be there."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def call(*argv: str | Path, code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == code, f"{argv}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@dataclass(frozen=True)
class Round:
    """What a snapshot and a verification of it said, and the recorded results."""

    made: Mapping[str, Any]
    found: Mapping[str, Any]
    pins: frozenset[str]
    results: Path

    def text(self, name: str) -> str:
        return (self.results / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Bench:
    """One author and one reviewer with caches of their own, for all analyses of this file."""

    folder: Path

    def project(self, name: str) -> Path:
        """A fresh copy of an analysis, at the same place for all of that name."""
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(PROJECTS / name, place / "project")
        return place / "project"

    def repro(
        self, who: str, *words: str | Path, code: int = 0, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        own = {
            "PATH": "/usr/bin:/bin", "HOME": str(self.folder / "home"),
            "REPRO_CACHE": str(self.folder / who), **(env or {}),
        }  # fmt: skip
        argv = (sys.executable, "-m", "repro", *words)
        return call(*argv, code=code, env=own)

    def go_round(self, project: Path, *command: str, **changes: str) -> Round:
        """Snapshot, verify, take the results out."""
        archive = project.parent / "language.repro"
        where = ("-C", project, "-o", archive)
        made = self.repro("author", "snapshot", "--json", *where, *command, env=changes)
        found = self.repro("reviewer", "verify", "--json", archive)
        seen = json.loads(self.repro("author", "inspect", "--json", "--pins", archive).stdout)
        self.repro("author", "extract", "-q", "--results", archive, project.parent / "results")
        archive.unlink()
        return Round(
            made=json.loads(made.stdout),
            found=json.loads(found.stdout),
            pins=frozenset(f"{pin['source']}:{pin['name']}" for pin in seen["pins"]["packages"]),
            results=project.parent / "results",
        )


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("languages")
    (folder / "home").mkdir()
    return Bench(folder)


@pytest.fixture(scope="module")
def snakemake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with Snakemake."""
    return environment(tmp_path_factory.mktemp("snakemake"), "snakemake==9.27.1")


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with Jupyter's client and a kernel for bash."""
    programs = environment(tmp_path_factory.mktemp("jupyter"), "ipykernel", "bash_kernel==0.10.0")
    call(programs / "python", "-m", "bash_kernel.install", "--sys-prefix")
    return programs


def environment(folder: Path, *packages: str) -> Path:
    """A venv with packages of the index; its folder of programs."""
    call(sys.executable, "-m", "venv", folder / "env")
    pip = [str(folder / "env/bin/pip"), "install", "-q", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *packages], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        unavailable(f"pip install {packages}: {done.stderr[-500:]}")
    return folder / "env" / "bin"


@dataclass(frozen=True)
class Language:
    """An analysis: what it needs, packages that must be pinned (patterns), its outputs, each
    with words that it holds, and what the archive weighs at most (megabytes)."""

    name: str
    needs: tuple[str, ...]
    pins: tuple[str, ...]
    says: Mapping[str, str]
    weighs: int = 100


ALL = (
    Language(
        "octave",
        ("/usr/bin/octave-cli", "/usr/bin/gnuplot", "/usr/share/octave/packages/statistics*"),
        ("apt:octave", "apt:octave-statistics", "apt:gnuplot-nox"),
        {"results/fit.txt": "capacity  663.0220\n", "results/spectrum.csv": "18.2557",
         "results/curve.svg": "<title>"},
        weighs=150,
    ),
    Language(
        "node", ("/usr/bin/node",), ("apt:nodejs",),
        {"results/fit.json": '"day": "Thursday', "results/table.csv.deflate": ""},
    ),
    Language(
        "java", ("/usr/bin/javac", "/usr/bin/jar"),
        ("apt:openjdk-*-jdk-headless", "apt:openjdk-*-jre-headless"),
        {"results/diversity.csv": "forest,4,99,1.180052,", "results/from-classes.csv": "bog,3,54,",
         "results/words.txt": "239 ants\nDonnerstag\n"},
        weighs=200,
    ),
    Language(
        "perl", ("/usr/share/perl5/JSON.pm", "/usr/share/perl5/Math/MatrixReal.pm"),
        ("apt:perl-modules-*", "apt:libjson-perl", "apt:libmath-matrixreal-perl"),
        {"results/codons.json": '"gene" : "cytochrome"'},
    ),
    Language(
        "c-gsl", ("/usr/bin/make", "/usr/bin/gcc", "/usr/include/gsl/gsl_spline.h"),
        ("apt:libgsl2*", "apt:libgsl-dev", "apt:binutils-*", "apt:cpp-*"),
        {"curve.tsv": "bessel\t0.000013268284\n"},
    ),
    Language(
        "cpp-blas", ("/usr/bin/g++", "/usr/include/*/cblas.h"),
        ("apt:g++-*", "apt:libstdc++-*-dev", "apt:libopenblas0-pthread"),
        {"coefficients.csv": "3,0.87181011"},
    ),
    Language(
        "fortran-lapack", ("/usr/bin/gfortran", "/usr/lib/*/liblapack.so"),
        ("apt:gfortran-*", "apt:libgomp1"),
        {"profile.txt": "   1   0.000000013\n"},
    ),
    Language(
        "mpi", ("/usr/bin/mpicc", "/usr/bin/mpirun"),
        ("apt:openmpi-bin", "apt:openssh-client"), {"pi.txt": "2 processes 3.1415926536\n"},
        weighs=120,
    ),
    Language("shell", (), ("apt:gawk", "apt:sed"), {
        "results/sentences.txt": "mean 8.231 longest 16", "results/day.txt": "1970-01-02\n",
        **dict.fromkeys((f"results/{name}" for name in (
            "bytes.txt", "classes.tsv", "count.txt", "difference.txt", "inputs.sha256",
            "total.txt", "words.tsv", "words.tsv.gz",
        )), ""),
    }, weighs=25),
)  # fmt: skip
BY_NAME = {language.name: language for language in ALL}
STATIC = Language(
    "static", ("/usr/bin/gcc", "/usr/lib/*/libc.a"), (), {"records.txt": "77031 350\n"}, weighs=20
)
SNAKEMAKE = Language(
    "snakemake", (), ("pip:snakemake", "pip:PyYAML"),
    {"results/bergen.monthly.csv": "2019-01,", "results/oslo.monthly.csv": "2019-01,",
     "results/bergen.wettest.txt": "2019-", "results/oslo.wettest.txt": "2019-",
     "results/summary.csv": "oslo,2019-"},
    weighs=120,
)  # fmt: skip
LIBRARY = Language(
    "r-user-library", ("/usr/bin/Rscript", "/usr/lib/R/site-library/jsonlite"),
    ("r:lavender", "apt:r-cran-jsonlite", "apt:r-base-core"),
    {"results/coefficients.csv": "temperature", "results/summary.json": '["lavandula", "borago",'},
    weighs=120,
)  # fmt: skip

RENV = Language(
    "renv", ("/usr/bin/Rscript",), ("r:lavender", "apt:r-base-core"),
    {"results/gini.csv": '"north",0.28571429', "results/flowers.txt": "borago\n"},
    weighs=120,
)  # fmt: skip
JULIA = Language("julia", ("/usr/bin/gcc",), (), {"sum.txt": "19.375\n"}, weighs=25)
MIXED = Language(
    "mixed",
    ("/usr/bin/make", "/usr/bin/perl", "/usr/bin/gcc", "/usr/bin/Rscript", "/usr/bin/octave-cli",
     "/usr/bin/node"),
    ("apt:r-base-core", "apt:octave", "apt:nodejs", "apt:gcc-*", "apt:perl-*"),
    {"report.json": '"agree":true', "fit.csv": "9.215576,3.2283248", "check.txt": "2.854600",
     "bins.txt": "0 "},
    weighs=250,
)  # fmt: skip
NOTEBOOKS = Language(
    "notebooks", ("/usr/share/jupyter/kernels/ir/kernel.json", "/usr/bin/Rscript"),
    ("apt:r-cran-irkernel", "apt:r-base-core", "pip:bash*kernel", "pip:pexpect"),
    {"trees.ipynb": "R squared 0.977678", "words.ipynb": "147 birds", "largest.csv": "20.6,87,77",
     "shares.txt": "knot 0.5238\n"},
    weighs=160,
)  # fmt: skip


def test_every_project_is_tested() -> None:
    apart = {
        "packages",
        "static",
        "snakemake",
        "r-user-library",
        "renv",
        "julia",
        "mixed",
        "notebooks",
    }
    assert {entry.name for entry in PROJECTS.iterdir()} == set(BY_NAME) | apart


@pytest.mark.parametrize("name", BY_NAME)
def test_round(name: str, bench: Bench) -> None:
    language = BY_NAME[name]
    there(language)
    check(language, bench.go_round(bench.project(name)))


def test_a_static_program(bench: Bench) -> None:
    """It opens no file of the system: the image has the base that all have, and the project."""
    there(STATIC)
    project = bench.project("static")
    call("gcc", "-O2", "-static", "-o", project / "collatz", project / "collatz.c")
    seen = bench.go_round(project)
    check(STATIC, seen)
    assert [layer["kind"] for layer in seen.made["layers"]] == ["base", "code"]


def test_snakemake(bench: Bench, snakemake: Path) -> None:
    project = bench.project("snakemake")
    check(SNAKEMAKE, bench.go_round(project, PATH=f"{snakemake}:/usr/bin:/bin"))


def test_a_library_of_ones_own(bench: Bench) -> None:
    """A library that only R_LIBS_USER names, beside that of Debian's packages."""
    there(LIBRARY)
    project = bench.project("r-user-library")
    library = project.parent / "library"
    install(library, project.parent)
    check(LIBRARY, bench.go_round(project, R_LIBS_USER=str(library)))


def test_a_project_of_renv(bench: Bench) -> None:
    """Its library is links into the user's cache, and R's own packages are behind links that
    the run makes."""
    there(RENV)
    project = bench.project("renv")
    cache = bench.folder / "home/.cache/R/renv/cache/v5/lavender/0.3.1/0123abcd"
    install(cache, project.parent)
    version = "paste0('R-', getRversion()[1, 1:2], '/', R.version$platform)"
    leaf = call("Rscript", "--vanilla", "-e", f"cat({version})").stdout
    library = project / "renv" / "library" / leaf
    library.mkdir(parents=True)
    (library / "lavender").symlink_to(cache / "lavender")
    seen = bench.go_round(project)
    check(RENV, seen)
    shutil.rmtree(cache)


def test_a_depot_in_the_home_folder(bench: Bench) -> None:
    """Julia as juliaup lays it out (a stand-in for the program itself): found by a link, with a
    library of its own, packages and artifacts below hashes."""
    there(JULIA)
    depot = bench.folder / "home" / ".julia"
    program = depot / "juliaup" / "julia-1.10.4+0.x64.linux.gnu"
    source = PROJECTS / "packages" / "julia"
    for path, text in {
        "packages/Lilac/x1Y2z/src/Lilac.jl": "module Lilac\nfactor = 2.5\nend\n",
        "packages/Lilac/x1Y2z/Project.toml": 'name = "Lilac"\n',
        "compiled/v1.10/Lilac/aBcDe_12345.ji": "cache",
        "artifacts/46e44e869b4d90b96bd8ed1fdcf32244fddfb6cc/share/table.txt": "1\n",
    }.items():
        (depot / path).parent.mkdir(parents=True, exist_ok=True)
        (depot / path).write_text(text)
    for folder in ("bin", "lib/julia"):
        (program / folder).mkdir(parents=True)
    call("gcc", "-o", program / "bin/julia", source / "julia.c", "-ldl")
    call("gcc", "-shared", "-fPIC", "-o", program / "lib/julia/libsys.so", source / "sys.c")
    links = bench.folder / "home" / ".juliaup" / "bin"
    links.mkdir(parents=True)
    (links / "julia").symlink_to(program / "bin" / "julia")
    project = bench.project("julia")
    check(JULIA, bench.go_round(project, PATH=f"{links}:/usr/bin:/bin"))


def test_six_languages_in_one_run(bench: Bench) -> None:
    there(MIXED)
    check(MIXED, bench.go_round(bench.project("mixed")))


def test_notebooks_of_other_languages(bench: Bench, jupyter: Path) -> None:
    """A kernel of R that Debian brings, one of bash from the index; found by their kernelspecs."""
    there(NOTEBOOKS)
    project = bench.project("notebooks")
    seen = bench.go_round(project, "trees.ipynb", "words.ipynb", PATH=f"{jupyter}:/usr/bin:/bin")
    check(NOTEBOOKS, seen)
    kernels = {
        cell["outputs"][-1]["output_type"]
        for name in ("trees.ipynb", "words.ipynb")
        for cell in json.loads(seen.text(name))["cells"]
        if cell["cell_type"] == "code" and cell["outputs"]
    }
    assert kernels <= {"stream", "execute_result", "display_data"}


def test_a_kernel_that_is_not_installed(bench: Bench, jupyter: Path) -> None:
    project = bench.project("notebooks")
    path = {"PATH": f"{jupyter}:/usr/bin:/bin"}
    done = bench.repro("author", "snapshot", "-C", project, "missing.ipynb", code=3, env=path)
    assert "the kernel julia-1.10 of missing.ipynb is not installed" in done.stderr
    assert "installed kernels: bash" in done.stderr
    assert "julia -e 'using Pkg; Pkg.add(\"IJulia\")'" in done.stderr
    assert not list(project.glob("*.repro*"))
    spec = jupyter.parent / "share" / "jupyter" / "kernels" / "julia-1.10"
    spec.mkdir()
    (spec / "kernel.json").write_text(
        json.dumps({"argv": ["/nonexistent/julia"], "display_name": "J", "language": "julia"})
    )
    try:
        done = bench.repro("author", "snapshot", "-C", project, "missing.ipynb", code=3, env=path)
        assert "cannot be started: no /nonexistent/julia" in done.stderr
    finally:
        shutil.rmtree(spec)


def there(language: Language) -> None:
    for pattern in language.needs:
        if not glob.glob(pattern):
            unavailable(f"nothing is installed at {pattern}")


def install(library: Path, scratch: Path) -> None:
    """The R package ``lavender`` (with compiled code) in a library."""
    if shutil.which("gcc") is None:
        unavailable("gcc is not installed")
    source = Path(shutil.copytree(PROJECTS / "packages" / "lavender", scratch / "lavender"))
    library.mkdir(parents=True)
    call("R", "CMD", "INSTALL", "--no-docs", f"--library={library}", source)
    shutil.rmtree(source)


def check(language: Language, seen: Round) -> None:
    """Identical, everything packed and pinned, and nothing to warn of."""
    verdicts = {output["path"]: output["verdict"] for output in seen.found["outputs"]}
    assert verdicts == dict.fromkeys(language.says, "identical")
    assert seen.found["seal"]["network"] is False
    assert seen.made["warnings"] == []
    for path, words in language.says.items():
        # Two empty files would be identical as well.
        assert (seen.results / path).stat().st_size > 0, path
        if words:
            assert words in seen.text(path), path
    for pattern in language.pins:
        assert fnmatch.filter(seen.pins, pattern), f"{pattern} in {sorted(seen.pins)}"
    assert seen.made["archive"]["size"] < language.weighs * 1_000_000
