"""Lock files in the forms that their tools write, broken ones too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repro.pin.lock_files import read_lock_files
from repro.pin.statements import Statement

A, B, C = "a" * 64, "b" * 64, "c" * 64
URL = "https://files.example.org/x/num-1.0-py3-none-any.whl"
SDIST = "https://files.example.org/x/num-1.0.tar.gz"

UV = f"""
version = 1
revision = 5
[[package]]
name = "paper"
version = "0.1"
source = {{ virtual = "." }}
[[package]]
name = "num"
version = "1.0"
source = {{ registry = "https://index.example.org/simple" }}
sdist = {{ url = "{SDIST}", hash = "sha256:{B}", size = 1, upload-time = "2024-08-06T20:33:50Z" }}
wheels = [
    {{ url = "{URL}", hash = "sha256:{A}", size = 2 }},
    {{ path = "../wheels/num-1.0-cp311-cp311-win32.whl", hash = "sha256:{C}" }},
]
"""
PYLOCK = f"""
lock-version = "1.0"
created-by = "uv"
[[packages]]
name = "num"
version = "1.0"
sdist = {{ url = "{SDIST}", size = 3, hashes = {{ sha256 = "{B}" }} }}
wheels = [{{ name = "num-1.0-py3-none-any.whl", url = "{URL}", hashes = {{ md5 = "1", sha256 = "{A}" }} }}]
[[packages]]
name = "far"
version = "2"
archive = {{ url = "https://example.org/far-2.zip", hashes = {{ sha512 = "{A}{B}" }} }}
[[packages]]
name = "here"
directory = {{ path = "." }}
"""
POETRY = f"""
[[package]]
name = "num"
version = "1.0"
files = [
    {{file = "num-1.0-py3-none-any.whl", hash = "sha256:{A}"}},
    {{file = "num-1.0.tar.gz", hash = "sha256:{B}"}},
]
[metadata]
lock-version = "2.1"
"""
POETRY_1 = f"""
[[package]]
name = "num"
version = "1.0"
[metadata.files]
num = [{{file = "num-1.0-py3-none-any.whl", hash = "sha256:{A}"}}]
"""
PDM = f"""
[metadata]
strategy = ["static_urls"]
[[package]]
name = "num"
version = "1.0"
files = [{{url = "{URL}", hash = "sha256:{A}"}}]
"""
PIPFILE = json.dumps(
    {
        "_meta": {"hash": {"sha256": C}, "sources": []},
        "default": {"num": {"hashes": [f"sha256:{A}", f"sha256:{B}"], "version": "==1.0"},
                    "local": {"path": "."}},
        "develop": {"tool": {"hashes": [f"sha256:{C}"], "version": "==3"}},
    }
)  # fmt: skip
REQUIREMENTS = f"""
# num==9.9 --hash=sha256:{C}
-r other.txt
num[fast]==1.0 ; python_version >= "3.8" \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
loose>=2 --hash=sha256:{C}
plain==3
"""
RENV = json.dumps(
    {
        "R": {"Version": "4.2.2"},
        "Packages": {"tibble": {"Package": "tibble", "Version": "3.2.1", "Source": "Repository",
                                "Repository": "CRAN", "Hash": "d" * 32, "Requirements": ["R"]}},
    }
)  # fmt: skip
WHEEL = ("num", "1.0", "num-1.0-py3-none-any.whl", URL, f"sha256:{A}")
SOURCE = ("num", "1.0", "num-1.0.tar.gz", SDIST, f"sha256:{B}")


def of(tmp_path: Path, name: str, text: str) -> list[Statement]:
    (tmp_path / name).write_text(text)
    found = read_lock_files(str(tmp_path))
    assert found.unread == {}
    assert {each.said_by for each in found.statements} == {name}
    return list(found.statements)


def bare(statements: list[Statement]) -> list[tuple[object, ...]]:
    return [(s.name, s.version, s.filename, s.url, s.hash) for s in statements]


def test_uv(tmp_path: Path) -> None:
    windows = ("num", "1.0", "num-1.0-cp311-cp311-win32.whl", None, f"sha256:{C}")
    assert bare(of(tmp_path, "uv.lock", UV)) == [WHEEL, windows, SOURCE]


@pytest.mark.parametrize("name", ["pylock.toml", "pylock.paper.toml"])
def test_pylock(tmp_path: Path, name: str) -> None:
    far = ("far", "2", "far-2.zip", "https://example.org/far-2.zip", f"sha512:{A}{B}")
    assert bare(of(tmp_path, name, PYLOCK)) == [WHEEL, SOURCE, far]


def test_poetry_old_and_new_and_pdm(tmp_path: Path) -> None:
    no_url = (*WHEEL[:3], None, WHEEL[4])
    assert bare(of(tmp_path, "poetry.lock", POETRY)) == [no_url, (*SOURCE[:3], None, SOURCE[4])]
    assert bare(of(tmp_path, "poetry.lock", POETRY_1)) == [no_url]
    (tmp_path / "poetry.lock").unlink()
    assert bare(of(tmp_path, "pdm.lock", PDM)) == [WHEEL]


def test_hashes_without_names(tmp_path: Path) -> None:
    two = [("num", "1.0", None, None, f"sha256:{A}"), ("num", "1.0", None, None, f"sha256:{B}")]
    tool = ("tool", "3", None, None, f"sha256:{C}")
    assert bare(of(tmp_path, "Pipfile.lock", PIPFILE)) == [*two, tool]
    (tmp_path / "Pipfile.lock").unlink()
    assert bare(of(tmp_path, "requirements-dev.txt", REQUIREMENTS)) == two


def test_renv(tmp_path: Path) -> None:
    (found,) = of(tmp_path, "renv.lock", RENV)
    assert (found.source, found.name, found.version, found.hash) == ("r", "tibble", "3.2.1", None)
    assert found.facts == {
        "renv-source": "Repository", "renv-repository": "CRAN", "renv-hash": "d" * 32,
    }  # fmt: skip


def test_addresses_come_before_bare_hashes(tmp_path: Path) -> None:
    for name, text in (("requirements.txt", REQUIREMENTS), ("poetry.lock", POETRY),
                       ("uv.lock", UV)):  # fmt: skip
        (tmp_path / name).write_text(text)
    names = [each.said_by for each in read_lock_files(str(tmp_path)).statements]
    assert list(dict.fromkeys(names)) == ["uv.lock", "poetry.lock", "requirements.txt"]


@pytest.mark.parametrize(
    ("name", "data"),
    [("uv.lock", b"[[package"), ("poetry.lock", b"\xff\xfe"), ("Pipfile.lock", b"[]"),
     ("renv.lock", b'{"Packages": []}'), ("renv.lock", b'{"Packages": {"a": 1}}'),
     ("Pipfile.lock", b'{"default": {"a": {"version": "==1", "hashes": 3}}}'),
     ("pylock.toml", b"packages = [[[1"), ("renv.lock", b"[" * 100_000)],
)  # fmt: skip
def test_a_broken_file_is_named_and_the_others_count(
    tmp_path: Path, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    (tmp_path / "pdm.lock").write_text(PDM)
    found = read_lock_files(str(tmp_path))
    assert list(found.unread) == [name] and found.unread[name]
    assert {each.said_by for each in found.statements} == {"pdm.lock"}


@pytest.mark.parametrize(
    ("name", "text"),
    [("uv.lock", "package = 3"), ("uv.lock", '[[package]]\nname = 1\nwheels = ["x"]'),
     ("pylock.toml", "packages = [1]"), ("poetry.lock", 'metadata = "x"\n[[package]]\nname="a"'),
     ("Pipfile.lock", '{"default": {"a": {"version": 1}, "b": 2}}'), ("renv.lock", "{}")],
)  # fmt: skip
def test_odd_forms_say_nothing(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = read_lock_files(str(tmp_path))
    assert found.statements == () and found.unread == {}
