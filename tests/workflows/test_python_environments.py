"""Python environments as their managers leave them, made here by hand: no package index."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipapp
import zipfile
from pathlib import Path

import pytest

from tests.workflows.lab import Lab

SCRIPT = "import mine\nopen('out.txt', 'w').write(mine.words())\n"


def environment(place: Path, *options: str, python: str = sys.executable) -> Path:
    """A venv without pip; its site folder."""
    subprocess.run([python, "-m", "venv", "--without-pip", *options, place], check=True)
    (site,) = (place / "lib").glob("python3*/site-packages")
    return site


def distribution(site: Path, name: str, files: dict[str, str], **extra: str) -> None:
    """What an installer writes: the files, METADATA, RECORD."""
    info = site / f"{name}-0.3.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.3\n\n")
    for leaf, text in extra.items():
        info.joinpath(f"{leaf}.json").write_text(text)
    for leaf, text in files.items():
        (site / leaf).parent.mkdir(parents=True, exist_ok=True)
        (site / leaf).write_text(text)
    rows = [*files, f"{info.name}/METADATA", f"{info.name}/RECORD"]
    info.joinpath("RECORD").write_text("".join(f"{row},,\n" for row in rows))


def source(folder: Path, *, committed: bool = True) -> Path:
    """A library under development, in a git repository of its own."""
    package = folder / "src" / "mine"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def words(): return 'six times nine'\n")
    (package / "lazy.py").write_text("LATER = 1\n")
    if committed:
        git = ("git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org")
        for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "first")):
            subprocess.run([*git, *words], cwd=folder, check=True)
    return folder / "src"


def editable(site: Path, folder: Path, files: dict[str, str]) -> None:
    direct = {"url": f"file://{folder}", "dir_info": {"editable": True}}
    distribution(site, "mine", files, direct_url=json.dumps(direct))


def test_an_editable_install_by_a_path_file(lab: Lab) -> None:
    code = source(lab.folder / "code")
    site = environment(lab.folder / "env")
    editable(site, code.parent, {"__editable__.mine-0.3.pth": f"{code}\n"})
    lab.write("run.py", SCRIPT)
    made = lab.snapshot("--", f"{lab.folder}/env/bin/python", "run.py")
    assert any("installed editable" in text for text in made["warnings"])
    assert not any("packed as data" in text for text in made["warnings"])
    packed = lab.packed("code")
    assert {f"{code}/mine/__init__.py", f"{code}/mine/lazy.py"} <= packed.keys()
    assert not [path for path in packed if "/.git/" in path]
    pin = lab.pins()["mine"]
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=code, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert pin["grade"] == "name only" and "hash" not in pin
    assert pin["facts"].items() >= {"editable": "true", "commit": head, "changed": "0"}.items()
    lab.verify()


def test_an_editable_install_by_an_import_hook(lab: Lab) -> None:
    code = source(lab.folder / "code", committed=False)
    site = environment(lab.folder / "env")
    hook = (
        "import importlib.util, sys\n"
        "class Finder:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'mine':\n"
        f"            place = {str(code / 'mine' / '__init__.py')!r}\n"
        "            return importlib.util.spec_from_file_location(name, place)\n"
        "def install(): sys.meta_path.append(Finder)\n"
    )
    path = "import __editable___mine_finder; __editable___mine_finder.install()\n"
    editable(
        site, code.parent, {"__editable__.mine.pth": path, "__editable___mine_finder.py": hook}
    )
    lab.write("run.py", SCRIPT)
    lab.snapshot("--", f"{lab.folder}/env/bin/python", "run.py")
    assert {f"{code}/mine/__init__.py", f"{code}/mine/lazy.py"} <= lab.packed("code").keys()
    assert f"{site}/__editable___mine_finder.py" in lab.packed("packages")
    facts = lab.pins()["mine"]["facts"]
    assert facts["editable"] == "true" and "commit" not in facts
    lab.verify()


@pytest.mark.parametrize("inside", [True, False], ids=["in-project", "outside"])
def test_an_environment_made_with_links(lab: Lab, inside: bool) -> None:
    """uv and conda may link packages out of their cache instead of copying them."""
    place = lab.project / ".venv" if inside else lab.folder / "env"
    site = environment(place)
    store = Path(lab.env["HOME"]) / ".cache" / f"repro-test-{os.getpid()}" / lab.folder.name
    distribution(site, "mine", {"mine/__init__.py": "from . import a\nwords = a.words\n"})
    try:
        for leaf, text in (("a", "def words(): return 'linked'\n"), ("lazy", "LATER = 1\n")):
            (store / "mine").mkdir(parents=True, exist_ok=True)
            (store / f"mine/{leaf}.py").write_text(text)
            (site / f"mine/{leaf}.py").symlink_to(store / f"mine/{leaf}.py")
            with (site / "mine-0.3.dist-info/RECORD").open("a") as record:
                record.write(f"mine/{leaf}.py,,\n")
        lab.write("run.py", SCRIPT)
        lab.snapshot("--", f"{place}/bin/python", "run.py")
    finally:
        subprocess.run(["rm", "-rf", store.parent], check=True)
    packed = lab.packed("packages")
    assert {f"{store}/mine/a.py", f"{store}/mine/lazy.py"} <= packed.keys()
    assert lab.results() == {"out.txt": "linked"}
    lab.verify()


def test_packages_of_the_system_behind_an_environment(lab: Lab) -> None:
    outer = environment(lab.folder / "outer")
    distribution(outer, "mine", {"mine/__init__.py": "def words(): return 'outer'\n"})
    site = environment(lab.project / "env", "--system-site-packages")
    (site / "outer.pth").write_text(f"{outer}\n")
    lab.write("run.py", SCRIPT)
    lab.snapshot("--", "env/bin/python", "run.py")
    assert f"{outer}/mine/__init__.py" in lab.packed("packages")
    assert lab.pins()["mine"]["version"] == "0.3"
    assert not [path for path in lab.packed("code") if "/env/" in path]
    lab.verify()


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no Python of the system")
def test_user_packages_of_the_system_python(lab: Lab) -> None:
    home = lab.folder / "home"
    said = subprocess.run(
        ["/usr/bin/python3", "-c", "import site; print(site.getusersitepackages())"],
        env={"HOME": str(home)}, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    site = Path(said)
    site.mkdir(parents=True)
    distribution(site, "mine", {"mine/__init__.py": "def words(): return 'mine alone'\n"})
    (home / "letter.txt").write_text("private")
    lab.write("run.py", SCRIPT)
    lab.snapshot("--", "/usr/bin/python3", "run.py", env={"HOME": str(home)})
    assert f"{site}/mine/__init__.py" in lab.packed("packages")
    assert f"{home}/letter.txt" not in lab.packed("packages", "data", "code")
    lab.verify()


def test_zipped_code(lab: Lab) -> None:
    """A zipapp beside the analysis, and an egg in the environment (zipimport reads both)."""
    site = environment(lab.project / "env")
    egg = site / "mine-1.0-py3.egg"
    with zipfile.ZipFile(egg, "w") as archive:
        archive.writestr("mine.py", "def words(): return 'from an egg'\n")
    (site / "easy-install.pth").write_text("./mine-1.0-py3.egg\n")
    app = lab.folder / "app"
    app.mkdir()
    (app / "__main__.py").write_text(SCRIPT)
    zipapp.create_archive(app, lab.project / "run.pyz")
    lab.snapshot("--", "env/bin/python", "run.pyz")
    assert str(egg) in lab.packed("packages")
    assert f"{lab.project}/run.pyz" in lab.packed("code")
    assert lab.results() == {"out.txt": "from an egg"}
    lab.verify()


def test_what_a_rerun_writes_into_an_environment_is_no_result(lab: Lab) -> None:
    """``uv run`` leaves a lock file in the environment; a step may also make one itself."""
    environment(lab.project / ".venv")
    lab.write(
        "run.py",
        "import os, subprocess, sys\n"
        "open('.venv/.lock', 'a').close()\n"
        "os.makedirs('made/lib')\n"
        "open('made/pyvenv.cfg', 'w').write('version = 3')\n"
        "open('made/lib/x.py', 'w').write('x')\n"
        "open('out.txt', 'w').write('done')\n",
    )
    made = lab.snapshot("--", ".venv/bin/python", "run.py")
    assert [output["path"] for output in made["outputs"]] == ["out.txt"]
    assert made["self_test"]["outputs"] == {"out.txt": "identical"}
    assert [output["path"] for output in lab.verify()["outputs"]] == ["out.txt"]
