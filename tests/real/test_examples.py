"""Every folder of examples/: the whole round, by the author, a reviewer without root, and a cheat."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.real
CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = CHECKOUT / "examples"


@dataclass(frozen=True)
class Example:
    """One folder: how it is run, what it needs, its verdict, and a number to change in its data."""

    name: str
    command: tuple[str, ...]
    programs: tuple[str, ...]
    verdict: str
    data: str
    old: str
    new: str
    touched: str  # an output that the changed number changes


ALL = (
    Example(
        "fire-ants", ("--", "python", "analysis.py"), (), "identical",
        "data/plots.csv", "1,pasture,23.2,6\n", "1,pasture,23.2,9\n", "results/fit.json",
    ),
    Example(
        "notebook", ("paper.ipynb",), (), "identical",
        "data/co2.csv", "1990,north,356.33\n", "1990,north,366.33\n", "paper.ipynb",
    ),
    Example(
        "r-lm", ("--", "Rscript", "analysis.R"), ("Rscript",), "equivalent",
        "data/trees.csv", "17.0,74,46.36\n", "17.0,74,48.36\n", "results/coefficients.csv",
    ),
    Example(
        "c-awk", (), ("make", "cc", "awk"), "identical",
        "data/reads.txt", "A 11.3197 ", "A 31.3197 ", "results/summary.tsv",
    ),
    Example(
        "two-languages", (), ("Rscript",), "equivalent",
        "data/counts.csv", "\n0,63\n", "\n0,93\n", "results/trend.csv",
    ),
)  # fmt: skip
BY_NAME = {example.name: example for example in ALL}
every = pytest.mark.parametrize("name", sorted(BY_NAME))


def unavailable(reason: str) -> None:
    """Skip at home; in CI everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def call(*argv: str, code: int = 0, **options: Any) -> str:
    """A command's stdout; everything it said when the exit status is another one."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == code, f"{argv}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def install(python: str, venv: Path, *packages: str) -> Path:
    """A venv with packages from the index; its bin folder."""
    call(python, "-m", "venv", str(venv))
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "-q", *packages]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        unavailable(f"pip install {packages}: {done.stderr[-1000:]}")
    return venv / "bin"


@pytest.fixture(scope="session")
def analysis_bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of the Python examples, apart from those of repro."""
    venv = tmp_path_factory.mktemp("analysis") / "env"
    return install(sys.executable, venv, "-r", str(EXAMPLES / "requirements.txt"))


@dataclass(frozen=True)
class Author:
    """Runs repro with the examples' packages first in PATH and its own cache."""

    env: dict[str, str]

    def __call__(self, *arguments: str, code: int = 0, **changes: str) -> str:
        argv = (sys.executable, "-m", "repro", *arguments)
        return call(*argv, code=code, env={**self.env, **changes})

    def document(self, *arguments: str, code: int = 0, **changes: str) -> dict[str, Any]:
        loaded = json.loads(self(*arguments, "--json", code=code, **changes))
        assert isinstance(loaded, dict)
        return loaded


@pytest.fixture(scope="session")
def author(analysis_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Author:
    path = f"{analysis_bin}{os.pathsep}{os.environ['PATH']}"
    return Author({**os.environ, "PATH": path, "REPRO_CACHE": str(tmp_path_factory.mktemp("own"))})


def copy_of(example: Example, folder: Path) -> Path:
    for program in example.programs:
        if shutil.which(program) is None:
            unavailable(f"{program} is not installed")
    return Path(shutil.copytree(EXAMPLES / example.name, folder / example.name))


@pytest.fixture(scope="session")
def archives() -> dict[str, Path]:
    """What has been packed in this session, by example."""
    return {}


@pytest.fixture
def archive(
    name: str,
    author: Author,
    archives: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The honest archive of an example, packed once per session."""
    if name not in archives:
        folder = tmp_path_factory.mktemp("author")
        project = copy_of(BY_NAME[name], folder)
        before = contents(project)
        file = folder / f"{name}.repro"
        where = ("-C", str(project), "-o", str(file))
        author("snapshot", "--strict", "-q", *where, *BY_NAME[name].command)
        assert contents(project) == before, "a snapshot leaves the project as it was"
        archives[name] = file
    return archives[name]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_folder_is_tested() -> None:
    folders = {entry.name for entry in EXAMPLES.iterdir() if entry.is_dir()}
    assert folders == set(BY_NAME)


@every
def test_round(name: str, archive: Path, author: Author, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    said = author.document(
        "verify", str(archive), "--report", str(page), REPRO_CACHE=str(tmp_path / "empty")
    )
    assert said["verdict"] == BY_NAME[name].verdict
    assert said["reproduced"] is True
    assert said["seal"]["network"] is False
    assert [output["path"] for output in said["outputs"]]
    assert said["archive"]["digest"] in page.read_text(encoding="utf-8")
    strict = 0 if BY_NAME[name].verdict == "identical" else 1
    author("verify", "-q", "--require", "identical", str(archive), code=strict)


@dataclass(frozen=True)
class Reviewer:
    """An ordinary user with an installation, a home and a cache of their own."""

    user: pwd.struct_passwd
    home: Path
    repro: Path

    def __call__(self, *arguments: str) -> str:
        env = {
            "PATH": "/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8",
            "REPRO_CACHE": str(self.home / "cache"),
        }  # fmt: skip
        rights = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return call(str(self.repro), *arguments, env=env, cwd=self.home, **rights)


@pytest.fixture(scope="session")
def reviewer() -> Iterator[Reviewer]:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user; the other tests ran without root")
    user = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="repro-reviewer-", dir="/var/tmp"))
    try:
        folder.chmod(0o755)
        home = folder / "home"
        home.mkdir()
        os.chown(home, user.pw_uid, user.pw_gid)
        # The interpreter of the tests may lie below a folder that others may not enter.
        repro = install("/usr/bin/python3", folder / "env", str(CHECKOUT)) / "repro"
        yield Reviewer(user, home, repro)
    finally:
        shutil.rmtree(folder)


@every
def test_a_reviewer_without_root(name: str, archive: Path, reviewer: Reviewer) -> None:
    received = reviewer.home / archive.name
    shutil.copyfile(archive, received)
    said = json.loads(reviewer("verify", "--json", str(received)))
    assert said["verdict"] == BY_NAME[name].verdict
    assert said["reproduced"] is True
    for path in reviewer.home.rglob("*"):
        assert path.is_symlink() or path.lstat().st_uid in (0, reviewer.user.pw_uid)
    received.unlink()


@every
def test_one_changed_number_is_named(
    name: str, archive: Path, author: Author, tmp_path: Path
) -> None:
    example = BY_NAME[name]
    project = tmp_path / "project"
    author("extract", "-q", str(archive), str(project))
    data = project / example.data
    text = data.read_text()
    assert text.count(example.old) >= 1
    data.write_text(text.replace(example.old, example.new, 1))
    other = tmp_path / "other.repro"
    author("snapshot", "-q", "-C", str(project), "-o", str(other), *example.command)
    said = author.document("diff", str(archive), str(other), code=1)
    verdicts = {output["path"]: output["verdict"] for output in said["outputs"]}
    assert verdicts[example.touched] == "different"
    assert said["reproduced"] is False
    assert example.touched in author("diff", str(archive), str(other), code=1)
    author("diff", str(archive), str(archive))


def recreated(project: Path, backwards: bool) -> None:
    """The example again at the same path, its files made in another order, with other times."""
    shutil.rmtree(project, ignore_errors=True)
    source = EXAMPLES / project.name
    files = sorted(path for path in source.rglob("*") if path.is_file())
    for path in reversed(files) if backwards else files:
        target = project / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        moment = time.time() - (86400 * 400 if backwards else 0)
        os.utime(target, (moment, moment))


@dataclass(frozen=True)
class Identity:
    """What a snapshot is, apart from its name and the time."""

    digest: str
    layers: list[tuple[str, str]]
    outputs: dict[str, str]


def identity_of(author: Author, project: Path, prefix: str, **changes: str) -> Identity:
    """The identity of a snapshot taken by a shell after `prefix`, in another environment."""
    file = project.parent / "same.repro"
    file.unlink(missing_ok=True)
    words = (
        sys.executable, "-m", "repro", "snapshot", "--no-self-test", "--json",
        "-C", str(project), "-o", str(file), *BY_NAME[project.name].command,
    )  # fmt: skip
    env = {key: value for key, value in author.env.items() if key != "SOURCE_DATE_EPOCH"}
    said = json.loads(call("sh", "-c", prefix + '"$@"', "sh", *words, env={**env, **changes}))
    seen = author.document("inspect", str(file))
    assert seen["archive"]["digest"] == said["archive"]["digest"]
    assert re.fullmatch("sha256:[0-9a-f]{64}", seen["archive"]["digest"])
    return Identity(
        seen["archive"]["digest"],
        [(layer["kind"], layer["diff_id"]) for layer in seen["layers"]],
        {output["path"]: output["sha256"] for output in seen["outputs"]},
    )


@every
def test_same_input_same_bytes(name: str, author: Author, tmp_path: Path) -> None:
    project = copy_of(BY_NAME[name], tmp_path)
    recreated(project, backwards=False)
    first = identity_of(author, project, "umask 000; ")
    recreated(project, backwards=True)
    second = identity_of(
        author, project, "umask 077; ",
        USER="somebody", LOGNAME="somebody", HOSTNAME="elsewhere",
        REPRO_CACHE=str(tmp_path / "another-cache"),
    )  # fmt: skip
    assert second.layers == first.layers
    differ = {path for path, sha in first.outputs.items() if second.outputs[path] != sha}
    # R's pdf() writes the time into each file. A recorded result is part of the identity, so
    # the examples with R have another one at another time, for that reason alone.
    assert differ == {path for path in first.outputs if path.endswith(".pdf")}
    assert (second.digest == first.digest) == (not differ)


def test_another_host_name_same_bytes(author: Author, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("another host name needs root")
    if shutil.which("unshare") is None or shutil.which("hostname") is None:
        unavailable("unshare or hostname is not installed")
    project = copy_of(BY_NAME["c-awk"], tmp_path)
    first = identity_of(author, project, "")
    inner = "unshare --uts sh -c 'hostname elsewhere.example && exec \"$@\"' sh "
    assert identity_of(author, project, inner) == first
