"""Session and transfer against a registry that misbehaves."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_registry import Fault, Handler, State, running

from repro.errors import RemoteError
from repro.model.oci import Descriptor
from repro.primitives.digest import Digest
from repro.remote import registry as module
from repro.remote import upload
from repro.remote.credentials import Credential
from repro.remote.registry import Registry
from repro.remote.session import Session
from repro.remote.transfer import pull_blob, push_blob

DATA = bytes(range(256)) * 4000


@pytest.fixture
def state() -> Iterator[State]:
    with running() as found:
        yield found


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "PIECE", 300_000)


def registry(
    state: State, credential: Credential | None = None, waits: list[float] | None = None
) -> Registry:
    def sleep(seconds: float) -> None:
        if waits is not None:
            waits.append(seconds)

    session = Session(
        f"127.0.0.1:{state.port}", lambda: credential, insecure=True, sleep=sleep
    )  # fmt: skip
    return Registry(session, "lab/paper")


def blob(data: bytes = DATA) -> Descriptor:
    return Descriptor(media_type="x", digest=Digest.of(data), size=len(data))


def push(where: Registry, data: bytes = DATA, **more: object) -> tuple[str, int]:
    told: list[int] = []
    how = push_blob(where, blob(data), lambda: io.BytesIO(data), progress=told.append, **more)  # type: ignore[arg-type]
    return how, sum(told)


def once(fault: Fault) -> Fault:
    done: list[bool] = []
    lock = threading.Lock()

    def wrapped(handler: Handler) -> bool:
        with lock:
            if done or not fault(handler):
                return False
            done.append(True)
            return True

    return wrapped


def breaks(method: str, after: int = 0) -> Fault:
    """The connection breaks after ``after`` bytes of the body, once."""

    def fault(handler: Handler) -> bool:
        if handler.command != method or "/blobs/" not in handler.path:
            return False
        if after:
            handler.rfile.read(after)
        handler.close_connection = True
        handler.connection.close()
        return True

    return once(fault)


def answers(method: str, status: int, **headers: str) -> Fault:
    def fault(handler: Handler) -> bool:
        if handler.command != method:
            return False
        handler.body()
        handler.error(status, "TOOMANYREQUESTS", **headers)
        return True

    return once(fault)


def test_there_and_back(state: State, tmp_path: Path) -> None:
    where = registry(state)
    assert push(where) == ("sent", len(DATA))
    assert state.times("PATCH") == 3  # the fourth piece closes the upload
    assert push(where) == ("there", len(DATA))
    told: list[int] = []
    path = pull_blob(where, blob(), tmp_path, progress=told.append)
    assert path.read_bytes() == DATA and sum(told) == len(DATA)
    assert [each.name for each in tmp_path.iterdir()] == [blob().digest.hex]


def test_a_small_blob_goes_in_one_piece(state: State) -> None:
    assert push(registry(state), b"small") == ("sent", 5)
    assert push(registry(state), b"") == ("sent", 0)
    assert state.times("PATCH") == 0


def test_a_mount_sends_nothing(state: State) -> None:
    state.blobs[("lab/old", str(blob().digest))] = DATA
    assert push(registry(state), mounts=["lab/none", "lab/old"])[0] == "mounted"
    assert state.times("PUT") == state.times("PATCH") == 0
    state.mounts = False
    state.blobs.pop(("lab/paper", str(blob().digest)))
    assert push(registry(state), mounts=["lab/old"])[0] == "sent"


@pytest.mark.parametrize("after", [0, 1000])
def test_a_broken_piece_is_sent_again_from_where_the_registry_is(state: State, after: int) -> None:
    state.faults.append(breaks("PATCH", after))
    assert push(registry(state)) == ("sent", len(DATA))
    assert state.blobs[("lab/paper", str(blob().digest))] == DATA
    assert state.times("GET") == 1


def test_a_session_that_is_gone_is_begun_anew(state: State) -> None:
    def forget(handler: Handler) -> bool:
        if handler.command == "PATCH" and state.times("PATCH") == 3:
            state.uploads.clear()
        return False

    state.faults.append(forget)
    assert push(registry(state)) == ("sent", len(DATA))
    assert state.times("POST") == 2


def test_a_registry_that_never_takes_it_ends_in_an_error(state: State) -> None:
    def refuse(handler: Handler) -> bool:
        if handler.command != "PATCH":
            return False
        handler.body()
        handler.error(503, "UNAVAILABLE")
        return True

    state.faults.append(refuse)
    with pytest.raises(RemoteError) as caught:
        push(registry(state))
    assert (caught.value.exit_code, caught.value.slug) == (7, "http-503")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_tired_registry_is_asked_again_after_a_pause(state: State, status: int) -> None:
    waits: list[float] = []
    state.faults.append(answers("HEAD", status, Retry_After="7"))
    assert push(registry(state, waits=waits), b"x")[0] == "sent"
    assert waits == [7.0]


def test_retry_after_as_a_date_and_without(state: State) -> None:
    waits: list[float] = []
    state.faults.append(answers("HEAD", 429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"))
    state.faults.append(answers("HEAD", 503))
    assert push(registry(state, waits=waits), b"x")[0] == "sent"
    assert waits == [0.0, 4.0]


@pytest.mark.parametrize(("status", "word"), [(403, "rights"), (404, "name"), (413, "large")])
def test_a_refusal_is_final_and_names_the_mend(state: State, status: int, word: str) -> None:
    waits: list[float] = []
    state.faults.append(answers("POST", status))
    with pytest.raises(RemoteError) as caught:
        push(registry(state, waits=waits), b"x")
    assert word in (caught.value.hint or "") and waits == []
    assert "TOOMANYREQUESTS" in caught.value.message


def test_a_pull_goes_on_where_it_broke_off(state: State, tmp_path: Path) -> None:
    state.blobs[("lab/paper", str(blob().digest))] = DATA

    def cut(handler: Handler) -> bool:
        if handler.command != "GET":
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA[:500_000])
        handler.close_connection = True
        return True

    state.faults.append(once(cut))
    told: list[int] = []
    assert pull_blob(registry(state), blob(), tmp_path, progress=told.append).read_bytes() == DATA
    assert state.headers[1].get("range", "").startswith("bytes=") and sum(told) == len(DATA)


@pytest.mark.parametrize("ranges", [True, False])
def test_an_earlier_part_is_used(state: State, tmp_path: Path, ranges: bool) -> None:
    state.blobs[("lab/paper", str(blob().digest))] = DATA
    state.ranges = ranges
    (tmp_path / f"{blob().digest.hex}.part").write_bytes(DATA[:777_777])
    assert pull_blob(registry(state), blob(), tmp_path).read_bytes() == DATA
    assert state.headers[0]["range"] == "bytes=777777-"


@pytest.mark.parametrize("ending", [".part", ""])
@pytest.mark.parametrize("size", [1000, len(DATA)])
def test_a_wrong_part_is_thrown_away_and_the_blob_fetched_whole(
    state: State, tmp_path: Path, ending: str, size: int
) -> None:
    """What a machine kept that lost its power: cut off, or of other bytes."""
    state.blobs[("lab/paper", str(blob().digest))] = DATA
    (tmp_path / f"{blob().digest.hex}{ending}").write_bytes(b"?" * size)
    told: list[int] = []
    assert pull_blob(registry(state), blob(), tmp_path, progress=told.append).read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == [blob().digest.hex]
    assert sum(told) == len(DATA)


def test_a_whole_blob_of_an_earlier_try_is_not_fetched_again(state: State, tmp_path: Path) -> None:
    (tmp_path / blob().digest.hex).write_bytes(DATA)
    assert pull_blob(registry(state), blob(), tmp_path).read_bytes() == DATA
    assert not state.headers


def test_a_wrong_part_and_a_lie(state: State, tmp_path: Path) -> None:
    state.blobs[("lab/paper", str(blob().digest))] = DATA[:-1] + b"?"
    (tmp_path / f"{blob().digest.hex}.part").write_bytes(b"?" * 1000)
    with pytest.raises(RemoteError) as caught:
        pull_blob(registry(state), blob(), tmp_path)
    assert caught.value.slug == "remote-digest" and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lie", [DATA[:-1] + b"?", DATA + b"more", DATA[:-5]])
def test_lies_are_never_taken_for_the_blob(state: State, tmp_path: Path, lie: bytes) -> None:
    state.blobs[("lab/paper", str(blob().digest))] = lie
    with pytest.raises(RemoteError) as caught:
        pull_blob(registry(state), blob(), tmp_path)
    assert caught.value.exit_code == 7
    assert not (tmp_path / blob().digest.hex).exists()


def test_a_range_that_was_not_asked_for(state: State, tmp_path: Path) -> None:
    def other(handler: Handler) -> bool:
        handler.reply(206, DATA[5:], Content_Range=f"bytes 5-{len(DATA) - 1}/{len(DATA)}")
        return True

    state.faults.append(other)
    with pytest.raises(RemoteError, match="another range"):
        pull_blob(registry(state), blob(), tmp_path)


def test_basic_authentication(state: State) -> None:
    state.user = ("ada", "pw")
    assert push(registry(state, Credential(user="ada", secret="pw")), b"x")[0] == "sent"
    with pytest.raises(RemoteError) as caught:
        push(registry(state, Credential(user="ada", secret="no")), b"y")
    assert caught.value.slug == "http-401" and "login" in (caught.value.hint or "")
    with pytest.raises(RemoteError):
        push(registry(state), b"z")


@pytest.mark.parametrize(
    "credential",
    [Credential(user="ada", secret="pw"), Credential(user="", secret="refresh-me")],
)
def test_bearer_tokens_are_fetched_kept_and_renewed(state: State, credential: Credential) -> None:
    state.user, state.token = ("ada", "pw"), True
    where = registry(state, credential)
    assert push(where)[0] == "sent"
    assert state.tokens_given == 1
    state.tokens_given += 1  # the old token holds no longer
    assert push(where, b"later")[0] == "sent"
    assert state.tokens_given == 3


def test_a_password_never_follows_a_redirect(state: State, tmp_path: Path) -> None:
    state.user = ("ada", "pw")
    state.blobs[("lab/paper", str(blob().digest))] = DATA
    with running() as elsewhere:
        elsewhere.blobs[("lab/paper", str(blob().digest))] = DATA

        def away(handler: Handler) -> bool:
            if handler.command != "GET" or "authorization" not in state.headers[-1]:
                return False
            handler.reply(307, Location=f"http://127.0.0.1:{elsewhere.port}{handler.path}")
            return True

        state.faults.append(away)
        where = registry(state, Credential(user="ada", secret="pw"))
        assert pull_blob(where, blob(), tmp_path).read_bytes() == DATA
        assert all("authorization" not in headers for headers in elsewhere.headers)
        assert elsewhere.times("GET") == 1


def test_redirects_in_a_circle_and_strange_places(state: State, tmp_path: Path) -> None:
    target = {"to": ""}

    def away(handler: Handler) -> bool:
        handler.reply(302, Location=target["to"] or handler.path)
        return True

    state.faults.append(away)
    with pytest.raises(RemoteError, match="circle"):
        pull_blob(registry(state), blob(), tmp_path)
    for place in ("file:///etc/passwd", "ftp://127.0.0.1/x"):
        target["to"] = place
        with pytest.raises(RemoteError, match="strange address"):
            pull_blob(registry(state), blob(), tmp_path)


def test_https_never_becomes_http() -> None:
    session = Session("host.example", lambda: None)
    with pytest.raises(RemoteError, match="plain HTTP"):
        session.absolute("http://host.example/v2/")
    assert session.absolute("/v2/") == "https://host.example/v2/"


def test_nobody_there_is_said_at_once() -> None:
    waits: list[float] = []
    session = Session("127.0.0.1:9", lambda: None, insecure=True, sleep=waits.append)
    with pytest.raises(RemoteError) as caught:
        session.request("GET", "/v2/")
    assert caught.value.slug == "unreachable" and waits == []


def test_manifests_are_checked(state: State) -> None:
    where = registry(state)
    where.put_manifest("v1", b'{"a":1}', "m")
    data, found = where.manifest("v1")
    assert data == b'{"a":1}' and found.digest == Digest.of(data) and found.media_type == "m"
    state.manifests[("lab/paper", str(found.digest))] = ("m", b'{"a":2}')
    with pytest.raises(RemoteError) as caught:
        where.manifest(str(found.digest))
    assert caught.value.slug == "remote-digest"


def test_tags_over_many_pages(state: State) -> None:
    where = registry(state)
    state.page = 3
    hidden = f"sha256-{hashlib.sha256(b'x').hexdigest()}"
    for tag in [*(f"v{number}" for number in range(10)), hidden]:
        where.put_manifest(tag, tag.encode().join((b'{"t":"', b'"}')), "m")
    assert where.tags() == [f"v{number}" for number in range(10)]


def test_a_list_without_an_end(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_PAGES", 20)

    def endless(handler: Handler) -> bool:
        handler.reply(200, b'{"tags":["a"]}', Link=f'<{handler.path}>; rel="next"')
        return True

    state.faults.append(endless)
    with pytest.raises(RemoteError, match="without an end"):
        registry(state).tags()


@pytest.mark.parametrize("body", [b"", b"[]", b'{"tags": 3}', b'{"tags": ["a"]', b"\xff"])
def test_rubbish_instead_of_a_list(state: State, body: bytes) -> None:
    def rubbish(handler: Handler) -> bool:
        handler.reply(200, body)
        return True

    state.faults.append(rubbish)
    with pytest.raises(RemoteError):
        registry(state).tags()
