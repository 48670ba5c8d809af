"""A project that downloads while it is recorded: the self-test fails, and says who and where."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from http_server import serve

from tests.workflows.lab import need_an_engine

# The system's Python where there is one: a small archive.
PYTHON = shutil.which("python3", path="/usr/bin:/bin") or sys.executable


@pytest.fixture(scope="module", autouse=True)
def sandbox() -> None:
    need_an_engine()


def snapshot(folder: Path, *command: str, status: int) -> subprocess.CompletedProcess[str]:
    project = folder / "project"
    done = subprocess.run(
        [sys.executable, "-m", "repro", "snapshot", "-o", str(folder / "a.repro"), "--", *command],
        cwd=project, env={**os.environ, "REPRO_CACHE": str(folder / "cache")},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done


def test_the_line_the_program_and_the_port_are_named(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    with serve() as server:
        server.files["/d.csv"] = b"a,b\n1,2\n"
        port = server.server_address[1]
        (project / "get.py").write_text(
            "import urllib.request\n\n\ndef get(url):\n    return urllib.request.urlopen(url).read()\n"
        )
        (project / "main.py").write_text(
            f"import get\n\nopen('out.csv', 'wb').write(get.get('{server.url('/d.csv')}'))\n"
        )
        done = snapshot(tmp_path, PYTHON, "main.py", status=5)
        assert server.asked == [("/d.csv", None)], "the sealed rerun cannot ask"
    assert "error[self-test]" in done.stderr
    assert f"get.py:5 (from the log of the sealed run): {Path(PYTHON).name}" in done.stderr
    assert f"wanted 127.0.0.1 port {port}, a service of this machine" in done.stderr
    assert "`inputs.remote` in repro.yml" in done.stderr
    assert not (tmp_path / "a.repro").exists()


def test_without_a_traceback_the_source_is_read(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    with serve() as server:
        server.files["/d.csv"] = b"1\n"
        (project / "main.py").write_text(
            "import sys\nimport urllib.request\n\ntry:\n"
            f"    data = urllib.request.urlopen('{server.url('/d.csv')}').read()\n"
            "except OSError as error:\n    sys.exit(f'sorry: {error}')\n"
            "open('out.csv', 'wb').write(data)\n"
        )
        done = snapshot(tmp_path, PYTHON, "main.py", status=5)
    assert "main.py:5 (from reading the source)" in done.stderr


def test_a_failure_of_another_kind_names_no_host(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    with serve() as server:
        server.files["/d.csv"] = b"1\n"
        (project / "main.py").write_text(
            "import os, urllib.request\n\n"
            "if os.path.exists('/proc/self/root" + str(tmp_path) + "/marker'):\n"
            f"    urllib.request.urlopen('{server.url('/d.csv')}').read()\n"
            "    open('out.txt', 'w').write('1')\nelse:\n    raise KeyError('nothing to do with it')\n"
        )
        (tmp_path / "marker").write_text("")
        done = snapshot(tmp_path, PYTHON, "main.py", status=5)
    assert "KeyError" in done.stderr
    assert "asked for by network" not in done.stderr


def test_a_download_that_the_program_can_do_without_is_told_with_the_difference(
    tmp_path: Path,
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    with serve() as server:
        server.files["/d.csv"] = b"1\n"
        (project / "main.py").write_text(
            "import urllib.request\n\ntry:\n"
            f"    data = urllib.request.urlopen('{server.url('/d.csv')}').read().decode()\n"
            "except OSError as error:\n    print('no data:', error)\n    data = 'none'\n"
            "open('out.csv', 'w').write(data)\n"
        )
        done = snapshot(tmp_path, PYTHON, "main.py", status=0)
    assert "asked for by network while recording, not in the sealed rerun: main.py:4" in done.stderr
    assert "out.csv different" in done.stderr
