"""JSON: depth, size, types, numbers, keys, encodings, at every place where some is read."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Any

from repro.model.oci import LOCK
from repro.primitives.canonical import dump
from tests.hostile.parts import (
    INDEX,
    Change,
    Parts,
    circumstances,
    claims,
    config,
    edit,
    image,
    replace,
    set_key,
)

HEAD = "ivxr"
"""Every command: inspect, verify, extract, extract --results."""
PINS = "iv"


def lock(parts: Parts) -> str:
    return parts.part(LOCK, 0)


DEEP = b'{"a":' * 100 + b"1" + b"}" * 100
LISTS = b"[" * 200_000 + b"]" * 200_000
WIDE = b'{"schema":"repro.claims/1","a":[' + b"{}," * 1_200_000 + b"{}]}"
LONG = b'{"schema":"repro.claims/1","a":[' + b"9," * 3_600_000 + b"9]}"
QUOTED = b'{"a":"' + b"[" * 100 + b'","b":' + b"[" * 100 + b"]" * 100 + b"}"


def spelled(where: Callable[[Parts], str] | str, old: bytes, new: bytes) -> Change:
    """Other bytes inside a document that ``dump`` would never write."""

    def apply(parts: Parts) -> None:
        name = where if isinstance(where, str) else where(parts)
        assert old in parts.members[name]
        parts.put(name, parts.members[name].replace(old, new, 1))

    return apply


def encoded(where: Callable[[Parts], str], codec: str, mark: bytes = b"") -> Change:
    def apply(parts: Parts) -> None:
        name = where(parts)
        parts.put(name, mark + parts.members[name].decode().encode(codec))

    return apply


def fields(where: Callable[[Parts], str], *path: Any, to: Any) -> Change:
    return edit(where, set_key(*path, to=to))


_AT = {
    "index": (INDEX, "index.json"),
    "docker's manifest": ("manifest.json", "manifest.json"),
    "manifest": (image, "manifest"),
    "config": (config, "image config"),
    "claims": (claims, "claims"),
    "circumstances": (circumstances, "circumstances"),
}
_GARBAGE = {
    "deep": (DEEP, "nested more than 64 deep"),
    "lists in lists": (LISTS, "nested more than 64 deep"),
    "deep behind a string": (QUOTED, "nested more than 64 deep"),
    "cut": (b'{"a":', "not valid JSON"),
    "of two values": (b"{}{}", "not valid JSON"),
    "empty": (b"", "not valid JSON"),
    "a list": (b"[1]", ""),
    "a number": (b"1", "is not a"),
    "null": (b"null", "is not a"),
    "infinite": (b'{"a":-Infinity}', "Infinity is not JSON"),
    "key twice": (b'{"a":1,"a":2}', "a key appears twice"),
    "a number of 5,000 digits": (b'{"a":' + b"9" * 5000 + b"}", "not valid JSON"),
}

JSON: dict[str, tuple[Change, str, str]] = {
    f"{place}: {what}": (replace(where, data), says, HEAD)
    for place, (where, name) in _AT.items()
    for what, (data, says) in _GARBAGE.items()
} | {f"lock: {what}": (replace(lock, data), says, PINS) for what, (data, says) in _GARBAGE.items()}
JSON |= {
    "layout: deep": (replace("oci-layout", DEEP), "oci-layout is not what repro writes", HEAD),
    "layout: empty": (replace("oci-layout", b""), "oci-layout is not what repro writes", HEAD),
    "claims: a million objects": (replace(claims, WIDE), "claims has more than", HEAD),
    "claims: millions of numbers": (replace(claims, LONG), "claims has more than", HEAD),
    "claims: UTF-16": (encoded(claims, "utf-16-le", codecs.BOM_UTF16_LE), "not valid JSON", HEAD),
    "claims: UTF-32": (encoded(claims, "utf-32-be"), "claims is not valid JSON", HEAD),
    "claims: a byte order mark": (encoded(claims, "utf-8", codecs.BOM_UTF8), "not valid", HEAD),
    "claims: not UTF-8": (spelled(claims, b'"name":"', b'"name":"\xff'), "not valid JSON", HEAD),
    "claims: an escape in a string": (spelled(claims, b'"name":"', b'"name":"\x1b'), "JSON", HEAD),
    "claims: a key twice inside": (
        spelled(claims, b'"required":true', b'"required":false,"required":true'),
        "a key appears twice",
        HEAD,
    ),
    "manifest of five megabytes": (
        replace(image, dump({"a": "x" * (5 << 20)})), "the manifest of bad.repro has 5242", HEAD,
    ),
    "config of five megabytes": (
        replace(config, dump({"a": "x" * (5 << 20)})), "the image config of bad.repro has 5242",
        HEAD,
    ),
    "index of five megabytes": (
        replace(INDEX, dump({"a": "x" * (5 << 20)})), "index.json is larger than", HEAD,
    ),
    "manifest: a float as size": (
        spelled(image, b'"schemaVersion":2', b'"schemaVersion":2.5'), "schemaVersion", HEAD,
    ),
    "config: a key with escapes": (
        fields(config, "config", "Labels", "\x1b[2J\n\u202e", to=1), r"\x1b[2J\x0a\u202e", HEAD,
    ),
    "claims: a variable with escapes": (
        fields(claims, "environment", "\x1b]0;x\x07", to=1), r"\x1b]0;x\x07", HEAD,
    ),
    "lock: newer schema": (fields(lock, "schema", to="repro.lock/9"), "repro.lock/9", PINS),
    "lock: schema with escapes": (fields(lock, "schema", to="\x1b[1m\n"), r"\x1b[1m\x0a", PINS),
    "lock: packages of numbers": (fields(lock, "packages", to=[1]), "is not an object", PINS),
    "lock: packages an object": (fields(lock, "packages", to={}), "is not an array", PINS),
    "lock: an unknown grade": (
        fields(lock, "packages", to=[{"grade": "sure"}]), "unknown grade", PINS,
    ),
    "lock: a grade that is a list": (
        fields(lock, "packages", to=[{"grade": []}]), "unknown grade", PINS,
    ),
    "lock: a skipped number": (fields(lock, "skipped", to={"pip\n": 1}), r"pip\x0a is not", PINS),
}  # fmt: skip
