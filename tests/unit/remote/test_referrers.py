"""The fallback list of artifacts when several write it, and when the registry lies about it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator

import pytest
from fake_registry import Fault, Handler, State, running

from repro.errors import RemoteError
from repro.model.oci import INDEX, MANIFEST, Descriptor
from repro.primitives.aside import in_threads
from repro.primitives.digest import Digest
from repro.remote.registry import Registry
from repro.remote.session import Session

SUBJECT = Digest.of(b"subject")
KEY = ("lab/paper", f"sha256-{SUBJECT.hex}")


@pytest.fixture
def state() -> Iterator[State]:
    with running() as found:
        found.knows_referrers = False
        yield found


def registry(state: State) -> Registry:
    session = Session(f"127.0.0.1:{state.port}", lambda: None, insecure=True, sleep=lambda _: None)
    return Registry(session, "lab/paper")


def artifact(name: str) -> Descriptor:
    data = name.encode()
    return Descriptor(media_type=MANIFEST, digest=Digest.of(data), size=len(data))


def index(*listed: Descriptor) -> tuple[str, bytes]:
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [d.to_json() for d in listed]}
    return INDEX, json.dumps(document).encode()


def listed(state: State) -> set[Digest]:
    return {each.digest for each in registry(state).referrers(SUBJECT)}


def on_put(act: Callable[[Handler], bool]) -> Fault:
    """A fault for what stores the list."""

    def fault(handler: Handler) -> bool:
        return handler.command == "PUT" and KEY[1] in handler.path and act(handler)

    return fault


def test_a_list_that_another_push_overwrites(state: State) -> None:
    mine, other = artifact("mine"), artifact("other")

    def overwritten(handler: Handler) -> bool:
        # The other one had read the list before we stored ours.
        state.faults.clear()
        handler.body()
        state.manifests[KEY] = index(other)
        handler.reply(201)
        return True

    state.faults.append(on_put(overwritten))
    registry(state).add_referrers(SUBJECT, [mine])
    assert listed(state) == {mine.digest, other.digest}


def test_it_is_overwritten_after_it_was_seen(state: State) -> None:
    mine, other = artifact("mine"), artifact("other")
    gets: list[int] = []

    def late(handler: Handler) -> bool:
        if handler.command == "GET" and KEY[1] in handler.path:
            gets.append(1)
            if len(gets) == 3:  # before the second look
                state.manifests[KEY] = index(other)
        return False

    state.faults.append(late)
    registry(state).add_referrers(SUBJECT, [mine])
    assert listed(state) == {mine.digest, other.digest}


def conditional(state: State) -> Fault:
    """A registry that knows conditions (RFC 9110, 13): an ETag, and 412."""
    lock = threading.Lock()

    def fault(handler: Handler) -> bool:
        if KEY[1] not in handler.path:
            return False
        with lock:
            held = state.manifests.get(KEY)
            etag = f'"{hashlib.sha256(held[1]).hexdigest()}"' if held else None
            if handler.command == "GET":
                if held is None or etag is None:
                    return False
                handler.reply(200, held[1], Content_Type=held[0], ETag=etag)
                return True
            data = handler.body()
            match, none = handler.headers.get("If-Match"), handler.headers.get("If-None-Match")
            assert match or none == "*", "stored without a condition"
            if (match and match != etag) or (none == "*" and held):
                handler.error(412, "PRECONDITION_FAILED")
                return True
            state.manifests[KEY] = (INDEX, data)
            handler.reply(201)
            return True

    return fault


@pytest.mark.parametrize("knows_conditions", [True, False])
def test_many_at_once(state: State, knows_conditions: bool) -> None:
    if knows_conditions:
        state.faults.append(conditional(state))
    names = [artifact(f"a{number}") for number in range(4)]
    both = threading.Barrier(len(names))

    def one(each: Descriptor) -> None:
        session = Session(f"127.0.0.1:{state.port}", lambda: None, insecure=True)
        where = Registry(session, "lab/paper")
        both.wait()
        where.add_referrers(SUBJECT, [each])

    in_threads([lambda each=each: one(each) for each in names], len(names))
    assert listed(state) == {each.digest for each in names}


@pytest.mark.parametrize("status", [400, 501])
def test_a_registry_that_refuses_conditions(state: State, status: int) -> None:
    def refuses(handler: Handler) -> bool:
        if not (handler.headers.get("If-Match") or handler.headers.get("If-None-Match")):
            return False
        handler.body()
        handler.error(status, "UNSUPPORTED")
        return True

    state.faults.append(on_put(refuses))
    registry(state).add_referrers(SUBJECT, [artifact("mine")])
    assert listed(state) == {artifact("mine").digest}


def test_a_registry_that_only_says_it_keeps_the_list(state: State) -> None:
    def lies(handler: Handler) -> bool:
        handler.body()
        handler.reply(201)
        return True

    state.faults.append(on_put(lies))
    with pytest.raises(RemoteError, match="does not keep the list") as caught:
        registry(state).add_referrers(SUBJECT, [artifact("mine")])
    assert caught.value.exit_code == 7 and caught.value.temporary and caught.value.hint
    assert 2 < state.times("PUT") <= 12


def test_what_is_listed_already_is_not_stored_again(state: State) -> None:
    state.manifests[KEY] = index(artifact("mine"))
    registry(state).add_referrers(SUBJECT, [artifact("mine")])
    assert state.times("PUT") == 0 and state.times("GET") == 1
