"""The sealed child: what it may do, and that every bad end is undecided with its reason."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from repro.compare import child
from repro.compare.arrays import Array
from repro.compare.base import Beyond, Malformed
from repro.compare.contents import Blob, Texts, Tree
from repro.compare.wire import read_leaves, write_leaves

BOOT = """
import sys, types; sys.path.append(sys.argv.pop(1)); from repro.compare.sealed import main
module = types.ModuleType("repro.compare.readers.fake"); module.EXTRA = "fake"
sys.modules[module.__name__] = module
exec({code!r}, module.__dict__)
"""


def run(monkeypatch: pytest.MonkeyPatch, code: str, data: bytes = b"", **options: float) -> object:
    """What a reader made of ``code`` gives; ``body`` in it runs after the lock."""
    source = "from repro.compare.contents import Tree\n" + code
    if "def start(fd)" in code:
        source += "\n_open = start\ndef start(): return lambda fd, in_parts: _open(fd)\n"
    monkeypatch.setattr(child, "_BOOT", BOOT.format(code=source).strip())
    return child.reader("fake", **options)(data)  # type: ignore[arg-type]


def attempt(statement: str) -> str:
    """A reader that tells what trying ``statement`` after the lock raised."""
    return f"""
import ctypes, os, signal, socket, subprocess, sys
def start(fd):
    def read():
        try:
            {statement}
            told = "done"
        except OSError as error:
            told = error.strerror
        yield "told", Tree(value=told)
    return read
"""


@pytest.mark.parametrize(
    "statement",
    [
        "open('/etc/passwd')",
        "open('/tmp/written', 'w')",
        "os.listdir('/')",
        "os.readlink('/proc/self/exe')",
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "os.fork()",
        "os.kill(os.getppid(), 0)",
        "os.execv('/bin/true', ['true'])",
        "os.memfd_create('x')",
        "subprocess.run(['/bin/true'])",
        "os.unlink('/tmp/written')",
    ],
)
def test_a_locked_reader_reaches_nothing(monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    found = run(monkeypatch, attempt(statement))
    assert found["told"].value == "Operation not permitted"  # type: ignore[index]


def test_it_reads_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os\ndef start(fd): return lambda: [('n', Tree(value=len(os.read(fd, 99))))]"
    found = run(monkeypatch, code, b"12345")
    assert found == {"n": Tree(value=5)}


def test_it_gets_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET_TOKEN", "x")
    code = "import os\ndef start(fd): return lambda: [('e', Tree(value=dict(os.environ)))]"
    found = run(monkeypatch, code)
    assert "A_SECRET_TOKEN" not in found["e"].value  # type: ignore[index]


BAD_ENDS = {
    "crash": ("import ctypes; ctypes.string_at(0)", "crashed"),
    "memory": ("x = bytearray(3 << 30)", "MiB of memory"),
    "exit": ("import os; os._exit(3)", "ended early"),
    "exception": ("raise RecursionError('deep')", "RecursionError"),
    "much": ("for n in range(1 << 20): yield str(n), Tree(value=n)", "more than 100000"),
}


@pytest.mark.parametrize("name", BAD_ENDS)
def test_every_bad_end_is_beyond(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    body, reason = BAD_ENDS[name]
    code = f"def start(fd):\n  def read():\n    yield 'a', Tree(value=1)\n    {body}\n  return read"
    with pytest.raises(Beyond, match=reason):
        run(monkeypatch, code)


def test_a_hang_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import time\ndef start(fd):\n  while True: pass"
    begin = time.monotonic()
    with pytest.raises(Beyond, match="more than 1 seconds"):
        run(monkeypatch, code, seconds=1.0)
    assert time.monotonic() - begin < 30


def test_preparing_that_hangs_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Beyond, match="more than 1 seconds"):
        run(monkeypatch, "def start():\n  while True: pass", seconds=1.0)


@pytest.mark.parametrize("body", ["raise ValueError('odd')", "import os; os._exit(1)"])
def test_preparing_that_fails_is_beyond(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    with pytest.raises(Beyond, match="its reader"):
        run(monkeypatch, f"def start():\n  {body}")


TAKEN_OVER = """
import builtins, ctypes, json, os
from repro.compare import sealed, wire
state = {"files": 0}
def start(fd):
    def read():
        state["files"] += 1
        fds = [n for n in range(1024) if held(n)]
        yield "told", Tree(value={**state, "fds": fds, "me": os.getpid()})
        if os.read(fd, 3) == b"bad":
            wire.write_leaves = sealed.write_leaves = json.dumps = builtins.len = None
            ctypes.memset(id(state), 0, 8)
    return read
def held(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
"""


def test_no_file_finds_what_another_one_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that takes its reader over, here all of Python, has a fork of its own to spoil."""
    told = []
    for data in (b"bad", b"one", b"bad", b"bad", b"two"):
        if data == b"bad":
            with pytest.raises(Beyond):
                run(monkeypatch, TAKEN_OVER, data)
        else:
            told.append(run(monkeypatch, TAKEN_OVER, data)["told"].value)  # type: ignore[index]
    assert [each["files"] for each in told] == [1, 1]
    assert [each["fds"] for each in told] == [[0, 1, 2, 3]] * 2
    assert told[0]["me"] != told[1]["me"]
    child.release()


def test_a_crash_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
import ctypes, os
def start(fd):
    def read():
        if os.read(fd, 5) == b"crash":
            ctypes.string_at(0)
        yield "parent", Tree(value=os.getppid())
    return read
"""
    parents = []
    for data in (b"calm", b"crash", b"calm", b"crash", b"crash", b"calm", b"calm"):
        if data == b"crash":
            with pytest.raises(Beyond, match="crashed"):
                run(monkeypatch, code, data)
        else:
            parents.append(run(monkeypatch, code, data)["parent"].value)  # type: ignore[index]
    assert len(parents) == 4
    child.release()
    for pid in set(parents):
        assert not os.path.exists(f"/proc/{pid}")


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "def start():\n  import a_library_nobody_has"
    with pytest.raises(Beyond, match=r"needs a_library_nobody_has: install repro\[fake\]"):
        run(monkeypatch, code)


def test_no_magic_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_answer", lambda *rest: pytest.fail("a child was started"))
    with pytest.raises(Malformed):
        child.reader("fake", (b"MAGIC",))(b"other")


def test_no_descriptor_and_no_child_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    child.release()
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(Beyond):
        run(monkeypatch, "def start(fd):\n  while True: pass", seconds=0.2)
    assert set(os.listdir("/proc/self/fd")) == before
    run(monkeypatch, "def start(fd): return lambda: []")
    child.release()
    assert set(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


LEAVES = {
    "array": Array(type="<f8", shape=(1, 2), data=bytes(16)),
    "texts": Texts(values=("a", None, "\udcff"), shape=(3,)),
    "tree": Tree(value={"a": [1, 2.5, None]}),
    "bytes": Blob(data=b"\n{"),
}


def answer(tmp_path: Path) -> bytes:
    path = tmp_path / "answer"
    with path.open("wb") as stream:
        write_leaves(stream, LEAVES.items())
    return path.read_bytes()


def test_leaves_make_the_round(tmp_path: Path) -> None:
    assert read_leaves(answer(tmp_path)) == LEAVES


def test_no_part_of_an_answer_passes(tmp_path: Path) -> None:
    whole = answer(tmp_path)
    for cut in range(len(whole)):
        with pytest.raises(Beyond):
            read_leaves(whole[:cut])
    with pytest.raises(Beyond):
        read_leaves(whole + b"x")


@pytest.mark.parametrize(
    "head",
    [
        {"kind": "array", "type": "<f8", "shape": [3], "fortran": False},
        {"kind": "array", "type": "<f8", "shape": [-1, -1], "fortran": False},
        {"kind": "array", "type": "<f8", "shape": "x", "fortran": False},
        {"kind": "texts", "shape": []},
        {"kind": "tree"},
        {"kind": "other"},
        {},
    ],
)
def test_a_lying_answer_is_refused(head: dict[str, object]) -> None:
    line = json.dumps({**head, "at": "x", "bytes": 8}).encode() + b"\n"
    with pytest.raises(Beyond):
        read_leaves(line + b"[1, 2] x" + b'{"leaves": 1}\n')
