from __future__ import annotations

from pathlib import Path

from repro.pin.locker import make_lock, sources
from tests.unit.pin.fake_host import FakeHost

SITE = "/home/ann/venv/lib/python3.11/site-packages"


def test_sources_come_by_rank(tmp_path: Path) -> None:
    assert [source.name for source in sources(str(tmp_path))] == [
        "apt", "conda", "pip", "r", "node", "interpreter",
    ]  # fmt: skip


def test_a_lock_is_sorted_whatever_the_order_asked_in(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.deb("zlib", ["/usr/lib/libz.so"])
    host.deb("abc", ["/usr/lib/libabc.so"])
    host.dist(SITE, "num", files=["num.py"])
    known = sources(host.root)
    paths = ("/usr/lib/libz.so", f"{SITE}/num.py", "/usr/lib/libabc.so")
    found = [next(filter(None, (s.owner(path) for s in known))) for path in paths]
    lock = make_lock(found, known)
    assert [package.name for package in lock.packages] == ["abc", "zlib", "num"]
    assert lock == make_lock(reversed(found), known)
    assert lock.to_json()["schema"] == "repro.lock/1"


def test_sources_with_nothing_to_say_give_the_reason(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.dist(SITE, "num", files=["num.py"])
    known = sources(host.root)
    ref = known[2].owner(f"{SITE}/num.py")
    assert ref is not None
    assert make_lock([ref], known).skipped == {
        "apt": "no dpkg database on this system",
        "conda": "nothing of it was used",
        "r": "nothing of it was used",
        "node": "nothing of it was used",
        "interpreter": "nothing of it was used",
    }


def test_what_pins_lack_is_said(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.deb("abc", ["/usr/lib/libabc.so"])
    known = sources(host.root)
    ref = known[0].owner("/usr/lib/libabc.so")
    assert ref is not None
    assert "no hash of an archive" in make_lock([ref], known).skipped["apt (in part)"]


def test_lock_files_of_the_project_complete_the_pins(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.dist(SITE, "num", files=["num.py"], extra={"WHEEL": "Tag: py3-none-any\n"})
    known = sources(host.root)
    ref = known[2].owner(f"{SITE}/num.py")
    assert ref is not None
    project = tmp_path / "paper"
    project.mkdir()
    (project / "uv.lock").write_text(
        '[[package]]\nname = "num"\nversion = "1.0"\n'
        'wheels = [{ url = "https://example.org/num-1.0-py3-none-any.whl", '
        f'hash = "sha256:{"a" * 64}" }}]\n'
    )
    (project / "poetry.lock").write_text("[[")
    lock = make_lock([ref], known, str(project))
    assert lock.packages[0].url == "https://example.org/num-1.0-py3-none-any.whl"
    assert lock.packages[0].facts["said-by"] == "uv.lock"
    assert lock.skipped["poetry.lock"].startswith("not used, it cannot be read: ")
    assert make_lock([ref], known).packages[0].url is None
