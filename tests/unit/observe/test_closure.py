"""What goes into the image of the project itself, and of files that no package owns."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from repro.model.entry import EntryType, LayerKind
from repro.model.observation import Access, Observation
from repro.observe import closure as module
from repro.observe import project_files
from repro.pin.sources.apt import Apt
from tests.unit.observe.closure_sample import Sample


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


def test_inputs_are_packed_with_their_state_before_the_run(sample: Sample) -> None:
    sample.read(sample.write("/project/data.csv", "1,2\n"))
    sample.read(sample.write("/project/run.sh", "#!/bin/sh\n", 0o700))
    found = sample.close()
    data, script = (sample.entry(found, f"/project/{name}") for name in ("data.csv", "run.sh"))
    assert (data.type, data.kind, data.origin) == (EntryType.FILE, LayerKind.CODE, "project")
    assert (data.source, data.size, data.mode) == (f"{sample.project}/data.csv", 4, 0o644)
    assert script.mode == 0o755


def test_old_results_stay_out_and_their_folder_stays(sample: Sample) -> None:
    sample.write("/project/results/figure.png")
    sample.write("/project/results/deep/er/table.csv")
    sample.outputs = {"results/figure.png", "results/deep/er/table.csv"}
    sample.wrote("/project/results/figure.png", read=True)
    entries = sample.entries(sample.close())
    assert "/project/results/figure.png" not in entries
    assert "/project/results/deep/er/table.csv" not in entries
    for folder in ("/project/results", "/project/results/deep/er"):
        assert entries[folder].type is EntryType.FOLDER


def test_a_file_that_is_read_and_then_rewritten_is_an_input(sample: Sample) -> None:
    sample.read(sample.write("/project/counter.txt", "41"))
    sample.outputs = {"counter.txt"}
    assert sample.entry(sample.close(), "/project/counter.txt").size == 2


def test_small_unread_files_travel_along(sample: Sample) -> None:
    sample.write("/project/LICENSE")
    sample.write("/project/docs/method.md")
    entries = sample.entries(sample.close())
    assert {"/project/LICENSE", "/project/docs/method.md"} <= entries.keys()


def test_large_unread_files_are_named_instead(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_files, "UNREAD_LIMIT", 10)
    sample.write("/project/unread.bin", b"x" * 11)
    sample.write("/project/wanted.bin", b"x" * 11)
    sample.read(sample.write("/project/read.bin", b"x" * 11))
    sample.write("/project/listed/one.csv", b"x" * 11)
    sample.listed("/project/listed")
    found = sample.close(include=["wanted.*"])
    entries = sample.entries(found)
    assert "/project/unread.bin" not in entries
    assert {"/project/read.bin", "/project/wanted.bin", "/project/listed/one.csv"} <= entries.keys()
    assert [item.reason for item in found.left_out if item.path == sample.project] == [
        "1 project files (11 B) that the run did not read; inputs.include in repro.yml packs them"
    ]


def test_small_files_come_along_also_beside_large_ones(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_files, "UNREAD_LIMIT", 10)
    monkeypatch.setattr(project_files, "SMALL", 4)
    sample.write("/project/data/large.bin", b"x" * 100)
    for name, size in (("flag", 0), ("a.txt", 4), ("b.txt", 4), ("c.txt", 4), ("d.txt", 5)):
        sample.write(f"/project/data/{name}", b"x" * size)
    found = sample.close()
    packed = {path.rpartition("/")[2] for path in sample.entries(found) if "/data/" in path}
    assert packed == {"flag", "a.txt", "b.txt"}
    (said,) = [text for text in found.warnings if "exist" in text]
    assert said.startswith("3 project files (109 B) that the run did not read; inputs.include")


def test_caches_repositories_and_environments_of_the_project_stay_out(sample: Sample) -> None:
    for path in (".git/config", "__pycache__/a.cpython-311.pyc", ".ipynb_checkpoints/a.ipynb",
                 "venv/pyvenv.cfg", "venv/lib/x.py", "web/node_modules/left/index.js"):  # fmt: skip
        sample.write(f"/project/{path}")
    entries = sample.entries(sample.close())
    assert {path for path in entries if path.startswith("/project")} == {
        "/project", "/project/web",
    }  # fmt: skip


def test_excluded_files_stay_out_unless_read(sample: Sample) -> None:
    sample.write("/project/raw/a.csv")
    sample.read(sample.write("/project/raw/b.csv"))
    entries = sample.entries(sample.close(exclude=["raw/*"]))
    assert "/project/raw/a.csv" not in entries and "/project/raw/b.csv" in entries


def test_own_bytecode_stays_out_even_when_it_was_read(sample: Sample) -> None:
    source = sample.write("/project/tools.py", "x = 1\n")
    sample.read(sample.pyc(source))
    entries = sample.entries(sample.close())
    assert source in entries and "/project/__pycache__/tools.cpython-311.pyc" not in entries


def test_files_that_cannot_be_packed_are_named(sample: Sample) -> None:
    os.mkfifo(f"{sample.project}/pipe")
    with socket.socket(socket.AF_UNIX) as server:
        folder = os.open(sample.project, os.O_RDONLY)
        try:
            server.bind(f"/proc/self/fd/{folder}/sock")
        finally:
            os.close(folder)
    found = sample.close()
    reasons = {item.path.rpartition("/")[2]: item.reason for item in found.left_out}
    assert reasons["pipe"] == reasons["sock"] == "neither a file, a folder nor a link"
    assert not {"/project/pipe", "/project/sock"} & sample.entries(found).keys()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(sample: Sample) -> None:
    sample.write("/project/locked", mode=0)
    sample.path("/project/folder").mkdir(mode=0)
    found = sample.close()
    sample.path("/project/folder").chmod(0o755)
    assert {"locked", "folder"} <= {item.path.rpartition("/")[2] for item in found.left_out}
    assert any("locked cannot be read" in warning for warning in found.warnings)


def test_links_of_the_project_are_links(sample: Sample) -> None:
    sample.write("/project/data/v2/x.csv")
    sample.link("/project/data/latest", "v2")
    sample.link("/project/dangling", "nowhere")
    sample.read("/project/data/latest/x.csv")
    found = sample.close()
    assert sample.entry(found, "/project/data/latest").target == "v2"
    assert sample.entry(found, "/project/dangling").target == "nowhere"
    assert sample.entry(found, "/project/data/v2/x.csv").type is EntryType.FILE


def test_hard_links_are_told_by_their_key(sample: Sample) -> None:
    one = sample.write("/project/one")
    os.link(sample.root + one, f"{sample.project}/two")
    sample.write("/project/three")
    found = sample.close()
    keys = [sample.entry(found, f"/project/{name}").link_key for name in ("one", "two", "three")]
    assert keys[0] == keys[1] is not None and keys[2] is None


def test_large_inputs_are_data(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE_DATA", 3)
    sample.write("/project/large.bin", "1234")
    sample.write("/project/small.bin", "123")
    found = sample.close()
    assert sample.entry(found, "/project/large.bin").kind is LayerKind.DATA
    assert sample.entry(found, "/project/small.bin").kind is LayerKind.CODE


def test_seeded_files_come_from_the_layer_of_the_run(sample: Sample) -> None:
    sample.write("/upper/.repro/notebook.py", "runner")
    sample.read("/project/.repro/notebook.py")
    entry = sample.entry(sample.close(), "/project/.repro/notebook.py")
    assert (entry.source, entry.origin) == (f"{sample.upper}/.repro/notebook.py", "repro")


def test_names_of_every_kind(sample: Sample) -> None:
    odd = [
        os.fsdecode(b"/project/\xff\xfe"),
        "/project/a\nb",
        "/project/ä b",
        "/project/" + "n" * 255,
    ]
    sample.read(*(sample.write(path) for path in odd))
    found = sample.close()
    assert set(odd) <= sample.entries(found).keys()
    paths = [os.fsencode(entry.path) for entry in found.files]
    assert paths == sorted(set(paths))


def test_the_project_and_home_and_further_folders_are_there_without_a_run(sample: Sample) -> None:
    entries = sample.entries(sample.close(folders=[f"{sample.root}/scratch/cache"]))
    assert {"/project", "/home", "/scratch/cache"} <= entries.keys()
    assert {entries[path].type for path in entries} == {EntryType.FOLDER}


def test_data_from_outside_is_packed_and_said(sample: Sample) -> None:
    sample.read(sample.write("/shared/a.csv"), sample.write("/home/.config/matplotlib/rc"))
    found = sample.close()
    entry = sample.entry(found, "/shared/a.csv")
    assert (entry.kind, entry.origin) == (LayerKind.DATA, "unowned")
    assert sample.entry(found, "/home/.config/matplotlib/rc").kind is LayerKind.DATA
    said = "\n".join(found.warnings)
    assert "packed as data" in said and f"{sample.root}/shared"[:12] in said


def test_a_listed_data_folder_brings_its_files_but_no_secrets(sample: Sample) -> None:
    sample.read(sample.write("/shared/a.csv"))
    sample.write("/shared/b.csv")
    sample.write("/shared/server.key")
    sample.write("/shared/deeper/c.csv")
    sample.listed("/shared")
    entries = sample.entries(sample.close())
    assert {"/shared/a.csv", "/shared/b.csv"} <= entries.keys()
    assert not {"/shared/server.key", "/shared/deeper/c.csv"} & entries.keys()


def test_a_large_listed_folder_outside_is_named_instead(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNREAD_LIMIT", 3)
    sample.read(sample.write("/shared/a.csv", "12345"))
    sample.write("/shared/b.csv", "1234")
    sample.listed("/shared")
    found = sample.close()
    assert "/shared/b.csv" not in sample.entries(found)
    assert [item.reason for item in found.left_out if item.path == f"{sample.root}/shared"] == [
        "1 files (4 B) beside those that the run read"
    ]


def test_home_is_never_emptied_into_the_archive(sample: Sample) -> None:
    sample.read(sample.write("/home/a.csv"), sample.write("/home/.config/tool/rc"))
    sample.write("/home/letter.txt")
    sample.write("/home/.config/tool/token")
    sample.listed("/home", "/home/.config/tool")
    entries = sample.entries(sample.close())
    assert "/home/letter.txt" not in entries and "/home/.config/tool/token" not in entries
    assert {"/home/a.csv", "/home/.config/tool/rc"} <= entries.keys()


def test_a_folder_that_was_only_listed_is_made(sample: Sample) -> None:
    sample.write("/elsewhere/x")
    sample.listed("/elsewhere", "/not/there")
    found = sample.close()
    assert sample.entry(found, "/elsewhere").type is EntryType.FOLDER
    assert "/elsewhere/x" not in sample.entries(found)
    assert "/not/there" not in sample.entries(found)


@pytest.mark.parametrize(
    "path",
    ["/home/.ssh/config", "/home/.netrc", "/home/.aws/credentials", "/project/.env",
     "/project/id_ed25519", "/shared/server.pem", "/home/.git-credentials",
     "/home/.config/gcloud/access.db", "/home/.bash_history"],
)  # fmt: skip
def test_what_looks_secret_stays_out_and_is_said(sample: Sample, path: str) -> None:
    sample.read(sample.write(path, "hunter2"))
    found = sample.close()
    assert path not in sample.entries(found)
    assert "it looks like a secret" in {
        item.reason for item in found.left_out if item.path == sample.root + path
    }
    assert any("secret" in warning for warning in found.warnings)


def test_certificates_are_no_secret(sample: Sample) -> None:
    path = sample.write("/venv/lib/python3.11/site-packages/certifi/cacert.pem")
    sample.read(path)
    assert path in sample.entries(sample.close())


def test_caches_stay_out_and_are_said(sample: Sample) -> None:
    path = sample.write("/home/.cache/tool/model.bin")
    sample.read(path)
    found = sample.close()
    assert path not in sample.entries(found)
    assert any(".cache were read; caches are left out" in line for line in found.warnings)


def test_what_was_written_elsewhere_is_said(sample: Sample) -> None:
    # Below /srv, since what is written to temporary folders is nobody's loss.
    sample.wrote("/project/out.txt")
    sample.accesses += [Access(path="/srv/lab/log.txt", written=True)]
    assert [line for line in sample.close().warnings if "/srv/lab/log.txt" in line] == [
        "the run also wrote outside the project (not recorded): /srv/lab/log.txt"
    ]


def test_links_on_the_way_are_recorded_each_one(sample: Sample) -> None:
    sample.write("/store/v1/a.csv")
    sample.link("/store/current", "v1")
    sample.link("/mnt", "store")
    sample.link("/project/input", "../mnt/current/a.csv")
    sample.read("/project/input")
    found = sample.close()
    assert [
        sample.entry(found, path).target for path in ("/project/input", "/mnt", "/store/current")
    ] == ["../mnt/current/a.csv", "store", "v1"]
    assert sample.entry(found, "/store/v1/a.csv").type is EntryType.FILE


def test_dots_are_resolved_after_links_as_the_kernel_does(sample: Sample) -> None:
    sample.write("/far/away/sub/x")
    sample.write("/far/away/y")
    sample.link("/project/sub", "../far/away/sub")
    sample.read("/project/sub/../y")
    assert "/far/away/y" in sample.entries(sample.close())


def test_a_ring_of_links_ends(sample: Sample) -> None:
    sample.link("/project/a", "b")
    sample.link("/project/b", "a")
    sample.read("/project/a")
    assert sample.entry(sample.close(), "/project/a").target == "b"


def test_nothing_lies_below_a_link_or_a_file(sample: Sample) -> None:
    sample.write("/real/x")
    sample.link("/project/link", f"{sample.root}/real")
    sample.read("/project/link/x")
    found = sample.close()
    folders = {entry.path for entry in found.files if entry.type is EntryType.FOLDER}
    listed = {entry.path for entry in found.files}
    for entry in found.files:
        parent = os.path.dirname(entry.path)
        assert parent not in listed or parent in folders, entry.path


OURS = ("passwd", "group", "hosts", "hostname", "nsswitch.conf", "resolv.conf")


def test_files_of_the_system_are_written_by_us(sample: Sample) -> None:
    sample.read(*(f"/etc/{name}" for name in (*OURS, "localtime", "machine-id", "shadow")))
    found = {entry.path: entry for entry in sample.close().files}
    for name in OURS:
        entry = found[f"/etc/{name}"]
        assert (entry.origin, entry.source) == ("repro", None) and entry.content is not None
        assert entry.size == len(entry.content)
    assert found["/etc/localtime"].target == "/usr/share/zoneinfo/UTC"
    assert not {"/etc/machine-id", "/etc/shadow"} & found.keys()
    assert sample.home.encode() in (found["/etc/passwd"].content or b"")


def test_nothing_of_the_kernel_is_packed(sample: Sample) -> None:
    sample.read("/proc/self/status")
    sample.accesses += [Access(path="/sys/devices", listed=True)]
    found = [entry.path for entry in sample.close().files]
    assert not [path for path in found if path.startswith(("/proc/", "/sys/", "/dev/"))]


@pytest.mark.parametrize(
    ("library", "needed"),
    [("/opt/lib/libx.so.1", True), ("/usr/lib/libc.so.6", False),
     ("/usr/lib/x86_64-linux-gnu/libc.so.6", False), ("/lib64/ld-linux-x86-64.so.2", False),
     ("/usr/lib/x86_64-linux-gnu/fakeroot/libf.so", True), ("/opt/other/liby.so", False)],
)  # fmt: skip
def test_the_cache_of_the_loader_only_when_a_library_needs_it(
    sample: Sample, monkeypatch: pytest.MonkeyPatch, library: str, needed: bool
) -> None:
    folders = frozenset({"/opt/lib", "/usr/lib/x86_64-linux-gnu",
                         "/usr/lib/x86_64-linux-gnu/fakeroot"})  # fmt: skip
    monkeypatch.setattr(module, "configured_folders", lambda: folders)
    builder = module._Builder(
        Observation(
            tracer="notify", capture="overlay", steps=(), processes=(), accesses=(),
            connections=(), changes=(), limits=(), upper=sample.upper,
        ),
        sample.project, sample.home, [],
    )  # fmt: skip
    builder._needed.add(library)
    assert builder._needs_ld_cache() is needed


def test_the_same_run_gives_the_same_closure(sample: Sample) -> None:
    for name in ("b", "a", "c/d"):
        sample.read(sample.write(f"/project/{name}"), sample.write(f"/shared/{name}"))
    sample.listed("/shared", "/project")
    first = sample.close()
    sample.indexes = [type(index)() for index in sample.indexes]
    sample.accesses.reverse()
    assert sample.close() == first


def test_the_base_layer_does_not_depend_on_the_run(sample: Sample) -> None:
    """Also not when the run read manuals or translations of a base package."""
    apt = Apt()
    if apt.usable() is not None:
        if os.environ.get("CI"):
            pytest.fail("no dpkg here")
        pytest.skip("no dpkg here")
    sample.indexes = [apt]

    def base() -> list[object]:
        return [entry for entry in sample.close().files if entry.kind is LayerKind.BASE]

    plain = base()
    manual = next(
        path
        for package in apt.always()
        for path, reason in apt._listed(package)
        if reason == "documentation" and os.path.isfile(path) and not os.path.islink(path)
    )
    sample.read(manual, "/usr/bin/cat", "/usr/bin/sh", "/lib64/ld-linux-x86-64.so.2")
    sample.listed("/usr/share")
    assert base() == plain
    assert sample.entry(sample.close(), manual).kind is LayerKind.SYSTEM


def test_a_home_behind_a_link(sample: Sample) -> None:
    """Secrets and caches are known by their real place, and the link is there."""
    sample.write("/disk/ann/.ssh/config", "Host x")
    sample.write("/disk/ann/.cache/tool/x")
    sample.write("/disk/ann/.Rprofile")
    sample.link("/users", "disk")
    sample.home = f"{sample.root}/users/ann"
    sample.read("/users/ann/.ssh/config", "/users/ann/.cache/tool/x", "/users/ann/.Rprofile")
    found = sample.close()
    entries = sample.entries(found)
    assert entries["/users"].target == "disk"
    assert entries["/disk/ann"].type is EntryType.FOLDER
    assert {path for path in entries if path.startswith("/disk/ann/")} == {"/disk/ann/.Rprofile"}
    passwd = sample.entry(found, "/etc/passwd").content or b""
    assert sample.home.encode() in passwd


def test_a_home_that_is_not_there(sample: Sample) -> None:
    sample.home = f"{sample.root}/nobody"
    assert "/nobody" not in sample.entries(sample.close())


def test_what_strace_cannot_keep_is_named(sample: Sample) -> None:
    """It tells of a change when it has happened."""
    sample.write("/elsewhere/data.txt")
    sample.write("/project/own.txt")
    for path in ("/elsewhere/data.txt", "/project/own.txt"):
        sample.accesses.append(
            Access(path=sample.absolute(path), read=True, read_first=True, written=True)
        )
    assert not [text for text in sample.close().warnings if "cannot keep" in text]
    sample.tracer = "strace"
    (warning,) = [text for text in sample.close().warnings if "cannot keep" in text]
    assert "/else" in warning and "/project/" not in warning
