"""Analyses that none of us wrote, unmodified: from source distributions and a Debian package.

Fetched by name when the test runs; each goes round whole: snapshot, then verify from an empty
cache.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.real


def unavailable(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def pip(python: str | Path, *words: str) -> None:
    argv = [str(python), "-m", "pip", *words, "-q", "--disable-pip-version-check"]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        unavailable(f"pip {' '.join(words)}: {done.stderr[-500:]}")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the released packages that the examples are about."""
    venv = tmp_path_factory.mktemp("foreign") / "env"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    packages = ("control==0.10.2", "lmfit==1.3.4", "emcee==3.1.6", "corner==2.2.3")
    pip(venv / "bin/python", "install", *packages, "pandas", "ipykernel")
    return venv / "bin" / "python"


def from_sdist(package: str, folder: Path, *members: str) -> Path:
    """Members of a package's source distribution, in a new project folder."""
    pip(sys.executable, "download", "--no-deps", "--no-binary", ":all:", "-d", str(folder), package)
    (archive,) = folder.glob("*.tar.gz")
    project = folder / "project"
    project.mkdir()
    top = archive.name.removesuffix(".tar.gz")
    with tarfile.open(archive) as source:
        for member in members:
            stream = source.extractfile(f"{top}/{member}")
            assert stream is not None, member
            (project / Path(member).name).write_bytes(stream.read())
    return project


def go_round(project: Path, folder: Path, path: str, *command: str) -> dict[str, Any]:
    """Snapshot, then verify with an empty cache; the document of the verification."""
    archive = folder / "foreign.repro"
    env = {**os.environ, "PATH": path}

    def repro(cache: str, *words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "repro", *words], cwd=project, capture_output=True, text=True,
            env={**env, "REPRO_CACHE": str(folder / cache)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    made = repro("author", "snapshot", "--json", "-o", str(archive), *command)
    found: dict[str, Any] = repro("reviewer", "verify", "--json", str(archive))
    assert found["archive"]["digest"] == made["archive"]["digest"]
    assert found["seal"]["network"] is False
    shutil.rmtree(folder / "reviewer")
    return found


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {output["path"]: output["verdict"] for output in found["outputs"]}


def recorded(folder: Path, name: str) -> bytes:
    """A recorded result, out of the archive: two empty files would be identical as well."""
    repro = [sys.executable, "-m", "repro", "extract", "-q", "--results"]
    subprocess.run([*repro, folder / "foreign.repro", folder / "results"], check=True)
    return (folder / "results" / name).read_bytes()


def figures(notebook: bytes) -> int:
    """How many images the cells of a notebook gave, none of them having failed."""
    outputs = [out for cell in json.loads(notebook)["cells"] for out in cell.get("outputs", [])]
    assert not [out for out in outputs if out["output_type"] == "error"]
    return sum("image/png" in out.get("data", {}) for out in outputs)


def test_notebook_of_control(python: Path, tmp_path: Path) -> None:
    """Describing functions of nonlinear systems: figures, and objects shown by their address."""
    name = "describing_functions.ipynb"
    project = from_sdist("control==0.10.2", tmp_path, f"doc/examples/{name}")
    found = go_round(project, tmp_path, f"{python.parent}:/usr/bin:/bin", name)
    assert verdicts(found) == {name: "equivalent"}
    assert "memory addresses" in str(found["outputs"][0]["removed"])
    assert figures(recorded(tmp_path, name)) >= 5


def test_tutorial_of_emcee(python: Path, tmp_path: Path) -> None:
    """A Markov chain of five thousand steps, seeded, in a notebook with figures."""
    name = "line.ipynb"
    project = from_sdist("emcee==3.1.6", tmp_path, f"docs/tutorials/{name}")
    found = go_round(project, tmp_path, f"{python.parent}:/usr/bin:/bin", name)
    # Python 3.12 and newer warn of a backslash in it, with the kernel's temporary path.
    warned = sys.version_info >= (3, 12)
    assert verdicts(found) == {name: "equivalent" if warned else "identical"}
    removed = found["outputs"][0]["removed"]
    assert all("temporary paths" in text for text in removed), removed
    assert figures(recorded(tmp_path, name)) >= 5


def test_script_of_lmfit(python: Path, tmp_path: Path) -> None:
    """NIST's Gauss2 problem, fitted: a report of numbers with errors and correlations."""
    script = "doc_builtinmodels_nistgauss.py"
    project = from_sdist("lmfit==1.3.4", tmp_path, f"examples/{script}", "examples/NIST_Gauss2.dat")
    found = go_round(
        project, tmp_path, f"{python.parent}:/usr/bin:/bin",
        "--", "sh", "-c", f"python {script} > report.txt",
    )  # fmt: skip
    assert verdicts(found) == {"report.txt": "identical"}
    # NIST's certified residual sum of squares for this data set is 1.2475282092E+03.
    assert b"chi-square         = 1247.52821" in recorded(tmp_path, "report.txt")


def test_vignette_of_zoo(tmp_path: Path) -> None:
    """How to read time series: the code of a vignette of Debian's r-cran-zoo (needs chron)."""
    vignette = Path("/usr/lib/R/site-library/zoo/doc/zoo-read.R")
    if shutil.which("Rscript", path="/usr/bin:/bin") is None or not vignette.exists():
        unavailable("apt install r-cran-zoo r-cran-chron")
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(vignette, project)
    found = go_round(
        project, tmp_path, "/usr/bin:/bin",
        "--", "sh", "-c", "Rscript zoo-read.R > output.txt 2> messages.txt",
    )  # fmt: skip
    assert verdicts(found) == {"messages.txt": "identical", "output.txt": "identical"}


def test_reference_card_of_zoo(tmp_path: Path) -> None:
    """Tables and plots of time series that it reads from files beside it (needs tseries)."""
    vignette = Path("/usr/lib/R/site-library/zoo/doc/zoo-quickref.R")
    have = Path("/usr/lib/R/site-library/tseries").is_dir() and vignette.exists()
    if shutil.which("Rscript", path="/usr/bin:/bin") is None or not have:
        unavailable("apt install r-cran-zoo r-cran-tseries")
    project = tmp_path / "project"
    project.mkdir()
    data = (path for path in vignette.parent.iterdir() if path.suffix in (".txt", ".rda"))
    for file in (vignette, *data):
        shutil.copy(file, project)
    found = go_round(
        project, tmp_path, "/usr/bin:/bin", "--", "sh", "-c", "Rscript zoo-quickref.R > output.txt"
    )
    # R's pdf() writes the time into the file.
    assert verdicts(found) == {"output.txt": "identical", "Rplots.pdf": "equivalent"}
    assert b"2005-02-10  43.78" in recorded(tmp_path, "output.txt")
