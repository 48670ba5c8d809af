from __future__ import annotations

from pathlib import Path

import pytest

from repro.pin.pip_settings import PYPI, folder_of, is_local, pip_settings, shown


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_any_setting(tmp_path: Path) -> None:
    found = pip_settings({"HOME": str(tmp_path)}, root=str(tmp_path))
    assert found.indexes == (PYPI,) and found.links == () and found.certificates is None


def test_later_places_win(tmp_path: Path) -> None:
    write(tmp_path / "etc/pip.conf", "[global]\nindex-url = https://a.example/simple/\ncert = /c\n")
    env = {"HOME": str(tmp_path / "h")}
    assert pip_settings(env, root=str(tmp_path)).indexes == ("https://a.example/simple",)
    write(tmp_path / "h/.config/pip/pip.conf", "[global]\nindex_url = https://b.example/s\n")
    assert pip_settings(env, root=str(tmp_path)).indexes == ("https://b.example/s",)
    own = {**env, "PIP_INDEX_URL": "https://c.example/s", "PIP_EXTRA_INDEX_URL": "https://d/s /e"}
    found = pip_settings(own, root=str(tmp_path))
    assert found.indexes == ("https://c.example/s", "https://d/s", "/e")
    assert found.certificates == "/c"
    assert pip_settings(own, str(tmp_path), index="https://z/s").indexes == ("https://z/s",)


def test_no_files_when_asked(tmp_path: Path) -> None:
    write(tmp_path / "etc/pip.conf", "[global]\nindex-url = https://a.example/simple/\n")
    env = {"HOME": "/x", "PIP_CONFIG_FILE": "/dev/null"}
    assert pip_settings(env, root=str(tmp_path)).indexes == (PYPI,)


def test_an_index_that_was_switched_off(tmp_path: Path) -> None:
    env = {"HOME": "/x", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/a file:///b"}
    found = pip_settings(env, root=str(tmp_path))
    assert found.indexes == () and found.links == ("/a", "file:///b")


def test_a_damaged_file_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "etc/pip.conf", "no section\n[global\n")
    assert pip_settings({"HOME": "/x"}, root=str(tmp_path)).indexes == (PYPI,)


@pytest.mark.parametrize(("text", "seconds"), [("180", 180.0), ("x", 15.0), ("99999", 600.0)])
def test_the_time_limit(tmp_path: Path, text: str, seconds: float) -> None:
    assert pip_settings({"PIP_DEFAULT_TIMEOUT": text}, str(tmp_path)).timeout == seconds


def test_no_password_is_shown() -> None:
    assert shown("https://ann:secret@a.example/simple?token=1") == "https://a.example/simple"


def test_places_of_this_machine() -> None:
    assert is_local("/a") and is_local("file:///a") and not is_local("https://a/b")
    assert folder_of("file:///a%20b") == Path("/a b")
