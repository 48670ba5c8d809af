"""Uploads in pieces: what real registries do otherwise, and pushes that were cut off."""

from __future__ import annotations

import io
import multiprocessing
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_registry import Handler, State, running
from unit.remote.test_transfer import DATA, blob, breaks, once, registry

from repro.errors import AccessError, RemoteError
from repro.remote import upload
from repro.remote.notes import KEPT_SECONDS, Notes
from repro.remote.registry import Registry
from repro.remote.transfer import push_blob

KEY = ("lab/paper", str(blob().digest))


@pytest.fixture
def state() -> Iterator[State]:
    with running() as found:
        yield found


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "PIECE", 300_000)
    monkeypatch.setattr(upload, "_SMALLEST", 50_000)


def push(state: State, notes: Notes | None = None, waits: list[float] | None = None) -> int:
    told: list[int] = []
    push_blob(
        registry(state, waits=waits), blob(), lambda: io.BytesIO(DATA), progress=told.append,
        notes=notes,
    )  # fmt: skip
    assert state.blobs[KEY] == DATA
    return sum(told)


def patches(state: State) -> list[str]:
    return [
        headers.get("content-range", "")
        for line, headers in zip(state.asked, state.headers, strict=True)
        if line.startswith("PATCH")
    ]


def test_a_registry_whose_range_stands_still(state: State) -> None:
    """ECR: 201 for a piece, and a Range that stays at the end of the first one."""

    def ecr(handler: Handler) -> bool:
        if handler.command != "PATCH":
            return False
        session = re.search(r"uploads/(\w+)", handler.path)
        assert session is not None
        held = state.uploads[session[1]]
        assert handler.headers["Content-Range"].startswith(f"{len(held)}-")
        held += handler.body()
        handler.reply(201, Location=handler.path, Range="0-299999")
        return True

    state.faults.append(ecr)
    assert push(state) == len(DATA)
    assert state.times("GET") == 0 and state.times("POST") == 1


def test_a_registry_that_takes_small_pieces_only(state: State) -> None:
    def small(handler: Handler) -> bool:
        if handler.command not in ("PATCH", "PUT") or "uploads" not in handler.path:
            return False
        if int(handler.headers["Content-Length"]) <= 100_000:
            return False
        handler.body()
        handler.error(416, "REQUESTED_RANGE_NOT_SATISFIABLE")
        return True

    state.faults.append(small)
    assert push(state) == len(DATA)
    assert all(end - start < 75_001 for start, end in map(_span, patches(state)[1:]))


def _span(text: str) -> tuple[int, int]:
    start, _, end = text.partition("-")
    return int(start), int(end)


def test_a_registry_that_keeps_less_than_it_was_sent(state: State) -> None:
    def half(handler: Handler) -> bool:
        if handler.command != "PATCH":
            return False
        session = re.search(r"uploads/(\w+)", handler.path)
        assert session is not None
        held = state.uploads[session[1]]
        held += handler.body()[:150_000]
        handler.reply(202, Location=handler.path, Range=f"0-{len(held) - 1}")
        return True

    state.faults.append(half)
    assert push(state) == len(DATA)


def test_a_status_that_does_not_hold_ends_in_a_new_upload(state: State) -> None:
    """After a break the registry names too early a place, and refuses what is sent there."""

    def stale(handler: Handler) -> bool:
        if handler.command != "GET" or state.times("POST") > 1:
            return False
        handler.reply(204, Location=handler.path, Range="0-99999")
        return True

    def second(handler: Handler) -> bool:
        return state.times("PATCH") == 2 and breaks("PATCH", 10)(handler)

    state.faults += [once(second), stale]
    assert push(state) == len(DATA)
    assert state.times("POST") == 2


def test_a_registry_that_forgets_each_upload_after_a_piece_is_given_up(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A balancer sends every second request to a server that knows nothing of the upload."""

    def forgets(handler: Handler) -> bool:
        if handler.command not in ("PATCH", "GET") or "uploads" not in handler.path:
            return False
        begun = int(handler.headers.get("Content-Range", "1-").partition("-")[0]) == 0
        if handler.command == "PATCH" and begun:
            return False
        handler.body() if handler.command == "PATCH" else None
        handler.error(404, "BLOB_UPLOAD_UNKNOWN")
        return True

    state.faults.append(forgets)
    begin = upload.begin

    def counted(registry: Registry) -> tuple[str, int]:
        assert state.times("POST") < 50, "it never ends"
        return begin(registry)

    monkeypatch.setattr(upload, "begin", counted)
    with pytest.raises(RemoteError) as caught:
        push(state)
    assert caught.value.slug == "http-404"
    assert state.times("POST") <= 2 * upload._TRIES


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 17])
def test_numbers_of_a_registry_that_are_none(state: State, number: str) -> None:
    """No number is too long to be read, and no piece is larger than what is kept in memory."""
    sizes: list[int] = []

    def strange(handler: Handler) -> bool:
        if handler.command == "POST":
            begun = handler.reply
            handler.reply = (  # type: ignore[method-assign]
                lambda *a, **k: begun(*a, **{**k, "OCI_Chunk_Min_Length": number})
            )
        if handler.command in ("PATCH", "PUT"):
            sizes.append(int(handler.headers["Content-Length"]))
        return False

    def ranges(handler: Handler) -> bool:
        if handler.command != "PATCH":
            return False
        session = re.search(r"uploads/(\w+)", handler.path)
        assert session is not None
        held = state.uploads[session[1]]
        held += handler.body()
        handler.reply(202, Location=handler.path, Range=f"0-{number}")
        return True

    state.faults += [strange, ranges]
    assert push(state) == len(DATA)
    assert max(sizes) <= 300_000


def test_the_answer_to_the_end_is_lost(state: State) -> None:
    def lost(handler: Handler) -> bool:
        if handler.command != "PUT":
            return False
        handler.reply = lambda *a, **k: handler.connection.close()  # type: ignore[method-assign]
        handler.close_connection = True
        return False

    state.faults.append(once(lambda handler: lost(handler)))
    assert push(state) == len(DATA)
    assert state.times("POST") == 1


def test_the_registry_names_its_pause(state: State) -> None:
    def tired(handler: Handler) -> bool:
        if handler.command != "PATCH":
            return False
        handler.body()
        handler.error(429, "TOOMANYREQUESTS", Retry_After="11")
        return True

    state.faults.append(once(tired))
    waits: list[float] = []
    assert push(state, waits=waits) == len(DATA)
    assert waits == [11.0]


def test_a_mount_that_is_not_allowed_is_no_error(state: State) -> None:
    def refused(handler: Handler) -> bool:
        if "mount=" not in handler.path:
            return False
        handler.error(403, "DENIED")
        return True

    state.faults.append(refused)
    how = push_blob(registry(state), blob(b"x"), lambda: io.BytesIO(b"x"), mounts=["other/lab"])
    assert how == "sent"


def _killed(port: int, folder: Path) -> None:
    """Push until the third piece, which never ends."""
    state = State()
    state.port = port
    push_blob(registry(state), blob(), lambda: io.BytesIO(DATA), notes=Notes(folder))


def cut_off(state: State, folder: Path) -> None:
    """A process that pushes is killed with two pieces sent."""

    def hangs(handler: Handler) -> bool:
        if handler.command != "PATCH" or state.times("PATCH") != 3:
            return False
        state.faults.clear()
        handler.rfile.read(1000)
        time.sleep(5)
        handler.close_connection = True
        return True

    state.faults.append(hangs)
    process = multiprocessing.get_context("fork").Process(target=_killed, args=(state.port, folder))
    process.start()
    while state.times("PATCH") < 3:
        time.sleep(0.01)
        assert process.is_alive()
    process.kill()
    process.join()


def test_a_killed_push_goes_on_in_another_process(state: State, tmp_path: Path) -> None:
    cut_off(state, tmp_path / "uploads")
    (note,) = (tmp_path / "uploads").iterdir()
    assert note.stat().st_mode & 0o777 == 0o600
    notes = Notes(tmp_path / "uploads")
    assert push(state, notes) == len(DATA)
    assert notes.resumed == 600_000 and state.times("POST") == 1
    assert patches(state)[3:] == ["600000-899999"]
    assert list((tmp_path / "uploads").iterdir()) == []


@pytest.mark.parametrize("what", ["gone", "other bytes", "rubbish", "longer", "strange"])
def test_an_upload_that_is_not_what_the_note_says(state: State, tmp_path: Path, what: str) -> None:
    cut_off(state, tmp_path / "uploads")
    (note,) = (tmp_path / "uploads").iterdir()
    if what == "gone":
        state.uploads.clear()
    elif what == "other bytes":
        (held,) = state.uploads.values()
        held[:5] = b"other"
    elif what == "longer":
        (held,) = state.uploads.values()
        held += DATA
    elif what == "strange":
        note.write_text('{"location": "ftp://127.0.0.1/x"}')
    else:
        note.write_text('{"location": 5')
    notes = Notes(tmp_path / "uploads")
    assert push(state, notes) == len(DATA)
    assert notes.resumed == 0 and list((tmp_path / "uploads").iterdir()) == []


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "uploads")
    with notes.claim("a", "b", "c") as first, notes.claim("a", "b", "c") as second:
        first.write("http://there")
        second.write("http://elsewhere")
        assert (first.read(), second.read()) == ("http://there", None)
    with notes.claim("a", "b", "c") as again:
        assert again.read() == "http://there"


def test_old_notes_go_and_a_disk_that_refuses_is_no_error(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "uploads")
    with notes.claim("old") as note:
        note.write("http://there")
    (path,) = (tmp_path / "uploads").iterdir()
    os.utime(path, (1, time.time() - KEPT_SECONDS - 10))
    with notes.claim("old") as note:
        assert note.read() is None
    (tmp_path / "file").write_text("")
    with Notes(tmp_path / "file" / "below").claim("x") as note:
        note.write("http://there")
        assert note.read() is None


def test_who_may_not_push_is_told_with_exit_8(state: State) -> None:
    state.user = ("ada", "pw")
    with pytest.raises(AccessError) as caught:
        push(state)
    assert caught.value.exit_code == 8 and isinstance(caught.value, RemoteError)
    assert "docker login 127.0.0.1" in (caught.value.hint or "")
