"""The same packages give the same layers, whatever else differs between machines and days."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.package_files import wheel_files, zipped
from tests.workflows.lab import Lab
from tests.workflows.test_python_environments import environment

MODULE = "NAMES = {'a', 'b'}\ndef value(x):\n    return '7' if x in {'one', 'two'} else 'self'\n"
FILES = {
    "num/__init__.py": b"from num.inner import value\n",
    "num/inner.py": MODULE.encode(),
    "num/more.py": MODULE.encode() * 3,
    "num/template.py": b"print 'not for this Python'\n",
    "num/data.csv": b"1\n",
}
SCRIPT = "import num\nopen('out.txt', 'w').write(num.value('one'))\n"
SHARED = ("base", "system", "runtime", "packages")


def layers(lab: Lab, *kinds: str) -> list[tuple[str, str]]:
    """Kind and diff_id of the layers of some kinds."""
    return [
        (layer["kind"], layer["diff_id"])
        for layer in lab.inspect()["layers"]
        if layer["kind"] in kinds
    ]


def shot(lab: Lab, *words: str, env: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Take a snapshot; its layers but those of the project."""
    lab.repro("snapshot", "--no-self-test", "-o", str(lab.archive), *words, env=env)
    return layers(lab, *SHARED)


def test_the_base_is_the_same_for_two_projects(lab: Lab, tmp_path: Path) -> None:
    lab.write("in.txt", "1\n")
    shot(lab, "--", "sh", "-c", "cat in.txt > out.txt")
    first = layers(lab, "base")
    (tmp_path / "elsewhere").mkdir()
    other = Lab(tmp_path / "elsewhere", Path(lab.env["REPRO_CACHE"]))
    other.write("a.py", SCRIPT)
    site = environment(other.project / "venv")
    lay(site)
    for more in ((), ("--full",)):
        shot(other, *more, "--", "venv/bin/python", "a.py")
        assert layers(other, "base") == first, more
    # A run that reads base files by itself, and changes nothing of the base by it.
    shot(other, "--", "sh", "-c", "cat /usr/bin/sed /etc/passwd | wc -c > n; awk 'BEGIN{}' ")
    assert layers(other, "base") == first


def lay(site: Path, order: int = 1) -> None:
    """Installed without bytecode, as uv does: files in some order."""
    for member, data in list(wheel_files("num", "1.0", FILES).items())[::order]:
        (site / member).parent.mkdir(parents=True, exist_ok=True)
        (site / member).write_bytes(data)


def with_pip(lab: Lab, umask: int) -> None:
    """A venv by ``python -m venv`` and pip, from a wheel beside the project, made anew."""
    venv = lab.project / "venv"
    shutil.rmtree(venv, ignore_errors=True)
    wheel = lab.folder / "num-1.0-py3-none-any.whl"
    wheel.write_bytes(zipped(wheel_files("num", "1.0", FILES)))
    source = ["--no-index", f"--find-links={lab.folder}"]
    environ = {**os.environ, "PIP_CONFIG_FILE": os.devnull}
    for words in (
        [sys.executable, "-m", "venv", venv],
        [venv / "bin/python", "-m", "pip", "install", "-q", *source, "num"],
    ):
        subprocess.run(
            words, check=True, env=environ, capture_output=True, umask=umask
        )  # fmt: skip


def test_two_environments_made_at_different_times(lab: Lab) -> None:
    lab.write("a.py", SCRIPT)
    with_pip(lab, 0o022)
    if not (lab.project / "venv/bin/pip").exists():
        pytest.fail("venv made no pip")
    first = shot(lab, "--", "venv/bin/python", "a.py")
    assert [path for path in lab.packed("packages") if path.endswith("inner.cpython-" + tag())]
    with_pip(lab, 0o077)
    for place in (lab.project / "venv").rglob("*"):
        if not place.is_symlink() and place.suffix != ".py":  # a pyc knows its source's time
            os.utime(place, (1_500_000_000, 1_500_000_000))
    use(lab)
    assert shot(lab, "--", "venv/bin/python", "a.py", env={"HOSTNAME": "other"}) == first


def use(lab: Lab) -> None:
    """Run the script as its author would, bytecode and all."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    words = [lab.project / "venv/bin/python", "a.py"]
    subprocess.run(words, cwd=lab.project, env=environ, check=True)
    (lab.project / "out.txt").unlink()


def tag() -> str:
    return f"{sys.version_info.major}{sys.version_info.minor}.pyc"


def test_what_was_imported_before_leaves_no_trace(lab: Lab) -> None:
    lab.write("a.py", SCRIPT)
    site = environment(lab.project / "venv")
    lay(site)
    first = shot(lab, "--", "venv/bin/python", "a.py")
    packed = {path.rpartition("/")[2] for path in lab.packed("packages")}
    # Compiled for the image, also what the run did not import; nothing of what no Python 3 reads.
    assert {f"inner.cpython-{tag()}", f"more.cpython-{tag()}"} <= packed
    assert not any(name.startswith("template.cpython") for name in packed)
    assert not list(site.rglob("*.pyc")), "the author's environment stays as it was"
    use(lab)
    assert list(site.rglob("*.pyc"))
    assert shot(lab, "--", "venv/bin/python", "a.py") == first


def test_the_order_and_the_owner_of_files_leave_no_trace(lab: Lab) -> None:
    lab.write("a.py", SCRIPT)
    found = []
    for order, owner in ((1, 0), (-1, 1234)):
        shutil.rmtree(lab.project / "venv", ignore_errors=True)
        site = environment(lab.project / "venv")
        lay(site, order)
        if os.getuid() == 0:
            for place in site.rglob("*"):
                os.chown(place, owner, owner)
        found.append(shot(lab, "--", "venv/bin/python", "a.py"))
    assert found[0] == found[1]


def test_the_host_name_leaves_no_trace(lab: Lab) -> None:
    lab.write("in.txt", "1\n")
    script = ("sh", "-c", "uname -n > /dev/null; cat in.txt > out.txt")
    first = shot(lab, "--", *script)
    words = [sys.executable, "-m", "repro", "snapshot", "--no-self-test", "-o", str(lab.archive)]
    shell = 'hostname somewhere-else && exec "$@"'
    done = subprocess.run(
        ["unshare", "--map-root-user", "--uts", "sh", "-c", shell, "sh", *words, "--", *script],
        cwd=lab.project, env=lab.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare" in done.stderr or "hostname:" in done.stderr:
        pytest.skip(f"no host name of its own here: {done.stderr.strip()[:100]}")
    assert done.returncode == 0, done.stderr
    assert layers(lab, *SHARED) == first


def test_bytecode_for_the_image_is_used(lab: Lab) -> None:
    lab.write("a.py", SCRIPT)
    lay(environment(lab.project / "venv"))
    shot(lab, "--", "venv/bin/python", "a.py")
    done = lab.repro(
        "run", str(lab.archive), "--", "venv/bin/python", "-v", "-c", "import num.more"
    )  # fmt: skip
    assert "num/__pycache__/more.cpython" in done.stderr and "matches" in done.stderr
