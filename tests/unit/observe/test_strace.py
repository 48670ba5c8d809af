"""strace's text: odd names, halves of calls, connections; and whole runs by it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.model.observation import Change
from repro.observe import strace
from repro.observe.ledger import Ledger
from repro.observe.recorder import RecordRequest, record
from tests.unit.observe.recording_sample import ENVIRONMENT, Lab, changes, got, need


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    need("strace")
    made = Lab(tmp_path, {"in.csv": "1\n", "data/a": "a"})
    yield made
    made.close()


def read(folder: Path, *lines: str) -> tuple[Ledger, strace.StraceReader]:
    log = folder / "log"
    log.write_text("".join(line + "\n" for line in lines), encoding="latin-1")
    ledger = Ledger()
    reader = strace.StraceReader(ledger, str(folder))
    reader.read(log)
    return ledger, reader


def paths(ledger: Ledger) -> dict[str, str]:
    return {
        each.path: "".join("rw"[n] for n, on in enumerate((each.read, each.written)) if on)
        for each in ledger.accesses()
    }


def test_opens_by_every_base(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in ("a", "b", "d/c"):
        (tmp_path / name).write_text("x")
    ledger, reader = read(
        tmp_path,
        f'7 openat(AT_FDCWD<{tmp_path}>, "a", O_RDONLY|O_CLOEXEC) = 3<{tmp_path}/a>',
        f'7 open("{tmp_path}/./b", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3<{tmp_path}/b>',
        f'7 openat(4<{tmp_path}/d>, "c", O_RDWR) = 5<{tmp_path}/d/c>',
        '7 openat(AT_FDCWD, "gone", O_RDONLY) = -1 ENOENT (No such file or directory)',
        '7 openat(AT_FDCWD, "stuck", O_RDONLY) = ?',
        '7 +++ exited with 0 +++',
    )  # fmt: skip
    assert paths(ledger) == {
        f"{tmp_path}/a": "r", f"{tmp_path}/b": "w", f"{tmp_path}/d/c": "rw",
    }  # fmt: skip
    assert reader.lost == 0


def test_names_that_need_escapes(tmp_path: Path) -> None:
    odd = [b'q"uote', b"back\\slash", b"new\nline", b"\xff\xfe", b"com, ma", b"a = 3", b"t\tab"]
    for name in odd:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_text("x")
    told = [r"q\"uote", r"back\\slash", r"new\nline", r"\377\376", "com, ma", "a = 3", r"t\tab"]
    ledger, reader = read(
        tmp_path, *(f'7 openat(AT_FDCWD, "{each}", O_RDONLY) = 3' for each in told)
    )
    assert set(paths(ledger)) == {f"{tmp_path}/{os.fsdecode(name)}" for name in odd}
    assert reader.lost == 0


def test_halves_of_calls_of_two_programs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("x")
    ledger, _ = read(
        tmp_path,
        '7 openat(AT_FDCWD, "a", O_RDONLY <unfinished ...>',
        '8 openat(AT_FDCWD, "b", O_RDONLY <unfinished ...>',
        "7 <... openat resumed>) = 3",
        "8 <... openat resumed>) = 3",
    )
    assert set(paths(ledger)) == {f"{tmp_path}/a", f"{tmp_path}/b"}


def test_folders_follow_the_program_and_its_children(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/x").write_text("x")
    ledger, _ = read(
        tmp_path,
        '7 chdir("d") = 0',
        "7 clone(child_stack=NULL, flags=SIGCHLD) = 8",
        '8 openat(AT_FDCWD, "x", O_RDONLY) = 3',
    )
    assert set(paths(ledger)) == {f"{tmp_path}/d/x"}


def test_programs_and_their_parents(tmp_path: Path) -> None:
    ledger, _ = read(
        tmp_path,
        '7 execve("/bin/sh", ["sh", "-c", "a \\"b\\""], 0x7ff /* 3 vars */) = 0',
        "7 vfork() = 8",
        '8 execve("/no/such", ["x"], 0x7ff /* 3 vars */) = -1 ENOENT (No such file)',
        '8 execve("/bin/true", ["true"], 0x7ff /* 3 vars */) = 0',
    )
    shell, true = ledger.programs
    assert shell.argv == ("sh", "-c", 'a "b"') and shell.parent is None
    assert true.exe == "/bin/true" and true.parent == 0


def test_connections(tmp_path: Path) -> None:
    ledger, _ = read(
        tmp_path,
        "7 connect(3, {sa_family=AF_INET, sin_port=htons(443), "
        'sin_addr=inet_addr("192.0.2.7")}, 16) = -1 EINPROGRESS (Operation now in progress)',
        "7 connect(3, {sa_family=AF_INET6, sin6_port=htons(53), sin6_flowinfo=htonl(0), "
        'inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = 0',
        '7 connect(3, {sa_family=AF_UNIX, sun_path="/run/x.sock"}, 110) = 0',
    )
    assert [str(each) for each in ledger.seen_connections()] == [
        "192.0.2.7:443", "2001:db8::1:53", "/run/x.sock",
    ]  # fmt: skip


def test_a_whole_run(lab: Lab) -> None:
    seen = lab.sh(
        "cat in.csv > out; ln data/a hard; mv out moved; rm data/a; ls > l", tracer="strace"
    )
    assert seen.tracer == "strace"
    cost = seen.steps[0].cost  # strace's own work would be in it
    assert (cost.cpu_user, cost.cpu_system, cost.read, cost.written) == (None,) * 4
    assert changes(seen) == {
        "moved": Change.CREATED, "hard": Change.CREATED, "data/a": Change.DELETED,
        "l": Change.CREATED,
    }  # fmt: skip
    assert got(seen, lab.root / "in.csv").read_first
    assert got(seen, lab.root / "data/a").read_first
    assert not got(seen, lab.root / "moved").read
    assert got(seen, lab.root).listed
    assert [each.exe.rpartition("/")[2] for each in seen.processes] == [
        "sh", "cat", "ln", "mv", "rm", "ls",
    ]  # fmt: skip


def test_in_place_the_state_before_the_run_counts(lab: Lab) -> None:
    before = lab.tree()
    seen = lab.sh(
        "cat in.csv; rm in.csv; echo n > new; cat new; rm -r data",
        tracer="strace", capture="in-place",
    )  # fmt: skip
    assert got(seen, lab.root / "in.csv").read_first
    assert not got(seen, lab.root / "new").read
    from repro.observe.capture import restore

    restore(seen, str(lab.root))
    assert lab.tree() == before


def test_a_program_that_the_run_made_is_seen(lab: Lab) -> None:
    seen = lab.sh("printf '#!/bin/sh\\n:' > t; chmod +x t; ./t", tracer="strace")
    assert seen.processes[-1].exe == str(lab.root / "t")


def test_the_fallback_is_said(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.observe.recorder.reason_against_notify", lambda: "not today")
    seen = lab.sh("cat in.csv")
    assert seen.tracer == "strace"
    assert any("strace" in limit and "not today" in limit for limit in seen.limits)
    monkeypatch.setattr("repro.observe.strace.support", lambda environ: "no strace")
    seen = lab.sh("cat in.csv")
    assert seen.tracer == "none"
    assert any("not today" in limit and "no strace" in limit for limit in seen.limits)


def test_the_status_and_the_signal_of_the_program_come_through(lab: Lab) -> None:
    assert lab.run("/bin/sh", "-c", "exit 7", tracer="strace").steps[0].exit == 7
    assert lab.run("/bin/sh", "-c", "kill -9 $$", tracer="strace").steps[0].exit == 137


def test_no_strace_is_a_reason(tmp_path: Path) -> None:
    assert "not installed" in (strace.support({"PATH": str(tmp_path)}) or "")


def test_a_demanded_tracer_that_does_not_work_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from repro.errors import RuntimeUnavailable
    from repro.model.step import Step

    monkeypatch.setattr("repro.observe.recorder.reason_against_notify", lambda: "not today")
    lab = Lab(tmp_path)
    with pytest.raises(RuntimeUnavailable) as caught:
        record(
            RecordRequest(
                root=str(lab.root), steps=(Step(name="s", argv=("/bin/true",)),),
                environment=ENVIRONMENT, scratch=str(lab.scratch), tracer="notify",
            )
        )  # fmt: skip
    assert caught.value.slug == "no-tracer"
