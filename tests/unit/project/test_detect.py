from __future__ import annotations

from pathlib import Path

from repro.project.detect import is_cache, survey


def test_survey(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("all:\n")
    (tmp_path / "a.py").write_text("")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "paper.ipynb").write_text("{}")
    (tmp_path / ".venv" / "lib").mkdir(parents=True)
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin")
    (tmp_path / ".venv" / "lib" / "x.py").write_text("")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.cpython-311.pyc").write_text("")
    found = survey(str(tmp_path))
    assert found.files == 3
    assert found.notebooks == ("sub/paper.ipynb",)
    assert found.builds == ("Makefile",)
    assert found.scripts == ("a.py",)
    assert found.environments == (".venv",)
    assert "3 files · 1 notebook · Makefile" in found.sentence()


def test_caches() -> None:
    assert is_cache("a/__pycache__/b.pyc")
    assert is_cache(".ipynb_checkpoints/x.ipynb")
    assert not is_cache("results/cache.csv")
