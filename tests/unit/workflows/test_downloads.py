"""Who asked for which host in which line, from a recording and a failed run's log."""

from __future__ import annotations

from pathlib import Path

from repro.model.observation import Access, Connection, Observation, ProcessSeen
from repro.project.audit_paths import Here
from repro.workflows.downloads import hidden_downloads


def seen(
    folder: Path, connections: list[tuple[int | None, str, int]], **sources: str
) -> Observation:
    for name, text in sources.items():
        (folder / name.replace("__", ".")).write_text(text)
    argvs = [
        ("python3", "main.py"),
        ("/usr/lib/R/bin/exec/R", "--no-echo", "--file=a.R"),
        ("curl", "-O"),
    ]
    return Observation(
        tracer="notify", capture="overlay", steps=(), changes=(), limits=(), upper="",
        processes=tuple(
            ProcessSeen(number=n, pid=n, parent=None, exe=argv[0], argv=argv, cwd=str(folder))
            for n, argv in enumerate(argvs)
        ),
        accesses=tuple(
            Access(path=str(folder / name.replace("__", ".")), read=True) for name in sources
        ),
        connections=tuple(
            Connection(process=process, family="inet6" if ":" in address else "inet",
                       address=address, port=port)
            for process, address, port in connections
        ),
    )  # fmt: skip


def lines(folder: Path, observation: Observation, log: str = "") -> tuple[str, ...]:
    here = Here(root=str(folder), home="/home/ada", exists=lambda path: False)
    return hidden_downloads(observation, log, here, None)


def traceback(folder: Path, line: int, said: str) -> str:
    return f'  File "{folder}/main.py", line {line}, in <module>\n{said}\n'


GET = "import urllib.request as u\nu.urlopen('http://data.org:81/x')\n"


def test_the_source_line_and_the_name(tmp_path: Path) -> None:
    found = lines(tmp_path, seen(tmp_path, [(0, "10.0.0.1", 81)], main__py=GET))
    assert found == (
        "main.py:2 (from reading the source): python3 main.py wanted data.org port 81 (10.0.0.1)",
    )


def test_the_log_wins(tmp_path: Path) -> None:
    log = traceback(tmp_path, 7, "URLError: Connection refused")
    found = lines(tmp_path, seen(tmp_path, [(0, "10.0.0.1", 81)], main__py=GET), log)
    assert found[0].startswith("main.py:7 (from the log of the sealed run): python3 main.py wanted")


def test_a_place_in_the_log_without_a_host_is_of_the_first(tmp_path: Path) -> None:
    observation = seen(tmp_path, [(0, "10.0.0.1", 80), (0, "10.0.0.2", 81)], main__py=GET)
    found = lines(tmp_path, observation, traceback(tmp_path, 7, "URLError"))
    assert [line.partition(" ")[0] for line in found] == ["main.py:7", "main.py:2"]


def test_another_port_is_another_download(tmp_path: Path) -> None:
    found = lines(tmp_path, seen(tmp_path, [(0, "10.0.0.1", 443)], main__py=GET))
    assert found == ("python3 main.py wanted 10.0.0.1 port 443; which line asked is not known",)


def test_r_and_its_own_file_first(tmp_path: Path) -> None:
    observation = seen(
        tmp_path, [(1, "10.0.0.1", 443)],
        b__R="read.csv('https://data.org/b')", a__R="\nread.csv('https://data.org/a')",
    )  # fmt: skip
    assert lines(tmp_path, observation) == (
        "a.R:2 (from reading the source): R a.R wanted data.org port 443 (10.0.0.1)",
    )


def test_look_ups_only_where_nothing_followed(tmp_path: Path) -> None:
    observation = seen(tmp_path, [(0, "10.0.0.53", 53), (0, "10.0.0.1", 81)], main__py=GET)
    assert len(lines(tmp_path, observation)) == 1
    found = lines(tmp_path, seen(tmp_path, [(0, "10.0.0.53", 53)], main__py=GET))
    assert "data.org (only its look-up was seen, at 10.0.0.53 port 53)" in found[0]


def test_a_service_of_this_machine_only_when_it_was_missed(tmp_path: Path) -> None:
    observation = seen(tmp_path, [(0, "127.0.0.1", 5432)], main__py="x = 1\n")
    assert lines(tmp_path, observation) == ()
    assert lines(tmp_path, observation, traceback(tmp_path, 1, "KeyError: 3")) == ()
    log = traceback(tmp_path, 1, "Failed to connect to localhost port 5432: Connection refused")
    assert lines(tmp_path, observation, log) == (
        "main.py:1 (from the log of the sealed run): python3 main.py wanted localhost port 5432 "
        "(127.0.0.1), a service of this machine that is not in the archive",
    )


def test_a_refusal_without_a_port_means_this_machine(tmp_path: Path) -> None:
    observation = seen(tmp_path, [(0, "127.0.0.1", 5432)], main__py="x = 1\n")
    found = lines(tmp_path, observation, traceback(tmp_path, 1, "[Errno 111] Connection refused"))
    assert found[0].endswith("127.0.0.1 port 5432, a service of this machine that is not in the "
                             "archive")  # fmt: skip
    found = lines(tmp_path, observation, traceback(tmp_path, 1, "Network is unreachable"))
    assert found == ("main.py:1 (from the log of the sealed run): wanted the network",)


def test_nothing_observed_but_the_log_speaks(tmp_path: Path) -> None:
    log = traceback(tmp_path, 2, "Could not resolve host: data.org")
    assert lines(tmp_path, seen(tmp_path, [], main__py=GET), log) == (
        "main.py:2 (from the log of the sealed run): wanted data.org",
    )
    assert lines(tmp_path, seen(tmp_path, [], main__py=GET), "KeyError") == ()
