"""The recording: paths out, absurd numbers, steps that do not match, lists that lie."""

from __future__ import annotations

from typing import Any

import zstandard

from repro.primitives.digest import Digest
from repro.primitives.tarformat import END
from tests.hostile.parts import (
    Change,
    Parts,
    circumstances,
    claims,
    del_key,
    edit,
    reports,
    set_key,
)
from tests.hostile.tarbits import folder, link, member, pax

HEAD, RESULTS = "ivxr", "vr"
HEX = "0" * 64


def sealed(*path: Any, to: Any) -> Change:
    return edit(claims, set_key(*path, to=to))


def told(*path: Any, to: Any) -> Change:
    return edit(circumstances, set_key(*path, to=to))


def outputs(*paths: str) -> Change:
    """Recorded outputs with these paths, each an empty file that the results hold."""
    empty = Digest.of(b"").hex

    def apply(parts: Parts) -> None:
        named = [{"path": path, "size": 0, "sha256": empty} for path in paths]
        parts.edit(claims(parts), set_key("outputs", to=named))
        tar = b"".join(member(path.encode()) for path in paths) + END
        parts.put(reports(parts), zstandard.compress(tar))

    return apply


def results(tar: bytes) -> Change:
    def apply(parts: Parts) -> None:
        parts.put(reports(parts), zstandard.compress(tar))

    return apply


def absurd(size: int) -> Change:
    """An output of this size, of nothing but zeros, that the results really begin."""

    def apply(parts: Parts) -> None:
        parts.edit(claims(parts), set_key("outputs", 0, "size", to=size))

    return apply


_CLAIMS: dict[str, tuple[Change, str]] = {
    # where
    "a relative root": (sealed("root", to="home/ada"), "root 'home/ada' is no absolute path"),
    "a root upwards": (sealed("root", to="/home/../../etc"), "is no absolute path"),
    "no root": (sealed("root", to=""), "is no absolute path"),
    "the whole file system as root": (sealed("root", to="/"), "is no absolute path"),
    "a root with two slashes": (sealed("root", to="//home"), "is no absolute path"),
    "a root with a zero byte": (sealed("root", to="/home/\0"), "is no absolute path"),
    "a root of 5,000 bytes": (sealed("root", to="/a" * 2500), "is no absolute path"),
    "a root with escapes": (sealed("root", to="\x1b[2Jx"), r"'\x1b[2Jx' is no absolute"),
    "a root of numbers": (sealed("root", to=1), "claims.root is not text"),
    "a step outside": (sealed("steps", 0, "cwd", to="../.."), "outside the project"),
    "a step in /etc": (sealed("steps", 0, "cwd", to="/etc"), "outside the project"),
    "a step outside by detour": (sealed("steps", 0, "cwd", to="a/../../b"), "outside the project"),
    "a step in a zero byte": (sealed("steps", 0, "cwd", to="a\0b"), "outside the project"),
    # steps
    "no steps": (sealed("steps", to=[]), "there is no step"),
    "steps a text": (sealed("steps", to="sh"), "steps is not an array"),
    "a step of numbers": (sealed("steps", 0, to=1), "steps[] is not an object"),
    "a step without a command": (sealed("steps", 0, "argv", to=[]), "no command"),
    "an empty command": (sealed("steps", 0, "argv", to=[""]), "no command that can be run"),
    "a command a text": (sealed("steps", 0, "argv", to="sh -c x"), "argv is not an array"),
    "a command of numbers": (sealed("steps", 0, "argv", to=[1]), "argv is not text"),
    "a word with a zero byte": (sealed("steps", 0, "argv", to=["sh", "a\0b"]), "no command that"),
    "a step without a name": (edit(claims, del_key("steps", 0, "name")), "name is not text"),
    "a step of nobody's need": (sealed("steps", 0, "needs", to=["none"]), "needs a step that"),
    "needs a text": (sealed("steps", 0, "needs", to="x"), "needs is not an array"),
    "a notebook of numbers": (sealed("steps", 0, "notebook", to=1), "notebook is not text"),
    "stdin from outside": (sealed("steps", 0, "stdin", to="/etc/../etc/shadow"), "stdin is no abs"),
    "stdin relative": (sealed("steps", 0, "stdin", to="x"), "stdin is no absolute path"),
    # numbers
    "a limit of nan": (sealed("steps", 0, "timeout", to="nan"), "a time limit that is none"),
    "a limit without end": (sealed("steps", 0, "timeout", to="inf"), "a time limit that is none"),
    "a negative limit": (sealed("steps", 0, "timeout", to="-1"), "a time limit that is none"),
    "a limit of no time": (sealed("steps", 0, "timeout", to="0"), "a time limit that is none"),
    "a limit of ages": (sealed("steps", 0, "timeout", to="1e300"), "a time limit that is none"),
    "a limit that is no number": (sealed("steps", 0, "timeout", to="soon"), "is not a number"),
    "a limit as a number": (sealed("steps", 0, "timeout", to=5), "timeout is not text"),
    "no processors": (sealed("limits", to={"cpus": "0"}), "is no limit for cpus"),
    "processors of nan": (sealed("limits", to={"cpus": "nan"}), "is no limit for cpus"),
    "negative memory": (sealed("limits", to={"memory": -1}), "claims.limits.memory"),
    "memory of one byte": (sealed("limits", to={"memory": 1}), "is no limit for memory"),
    "memory of everything": (sealed("limits", to={"memory": 1 << 60}), "claims.limits.memory"),
    "no processes": (sealed("limits", to={"pids": 0}), "is no limit for pids"),
    "limits a list": (sealed("limits", to=[1]), "claims.limits is not an object"),
    # environment
    "a variable with a sign": (sealed("environment", "A=B", to="c"), "is no environment variable"),
    "a variable without a name": (sealed("environment", "", to="c"), "is no environment variable"),
    "a variable cut by zero": (sealed("environment", "A", to="b\0LD_PRELOAD=x"), "no environment"),
    "a name cut by zero": (sealed("environment", "A\0B", to="c"), r"'A\x00B' is no environment"),
    "a variable of numbers": (sealed("environment", "PATH", to=1), "environment.PATH is not text"),
    "an environment of pairs": (sealed("environment", to=[["A", "b"]]), "is not an object"),
    # lists of outputs
    "an output upwards": (outputs("../evil"), "output path '../evil' leaves the project"),
    "an output in /etc": (outputs("/etc/passwd"), "output path '/etc/passwd' leaves"),
    "an output upwards inside": (outputs("a/../../b"), "leaves the project"),
    "an output of dots": (outputs("."), "leaves the project"),
    "an output without a name": (outputs(""), "output path '' leaves the project"),
    "an output with two slashes": (outputs("a//b"), "leaves the project"),
    "an output that is a folder": (outputs("a/"), "leaves the project"),
    "an output with a zero byte": (sealed("outputs", 0, "path", to="a\0b"), "leaves the project"),
    "an output of 5,000 bytes": (sealed("outputs", 0, "path", to="a/" * 2500 + "b"), "leaves the"),
    "an output with escapes": (outputs("/\x1b[2J\n"), r"'/\x1b[2J\n' leaves the project"),
    "an output twice": (outputs("a", "a"), "an output is named twice"),
    "an output below another": (outputs("a", "a/b"), "'a/b' lies below another output"),
    "an output far below another": (outputs("a/b/c/d", "a"), "lies below another output"),
    "outputs an object": (sealed("outputs", to={}), "outputs is not an array"),
    "an output of numbers": (sealed("outputs", to=[1]), "outputs[] is not an object"),
    "an output without digest": (edit(claims, del_key("outputs", 0, "sha256")), "is not text"),
    "an output's digest short": (sealed("outputs", 0, "sha256", to="ff"), "not a sha256 digest"),
    "an output's size negative": (sealed("outputs", 0, "size", to=-1), "size is not a whole"),
    "an output's size a float": (sealed("outputs", 0, "size", to="1.5"), "size is not a whole"),
    "an output's size astronomic": (sealed("outputs", 0, "size", to=1 << 70), "size is not a who"),
    "a rule of words": (sealed("outputs", 0, "compare", to="loose"), "compare is not an object"),
    "patterns of numbers": (sealed("exclude", to=[1]), "claims.exclude is not text"),
    "patterns a text": (sealed("exclude", to="*"), "claims.exclude is not an array"),
    "a title of numbers": (sealed("title", to=1), "claims.title is not text"),
    "a name of numbers": (sealed("name", to=1), "claims.name is not text"),
    "claims of tomorrow": (sealed("schema", to="repro.claims/2"), "schema 'repro.claims/2'"),
    "claims of nothing": (sealed("schema", to=None), "claims.schema is not text"),
    # circumstances
    "steps of a number": (told("steps", to=5), "circumstances.steps is not an array"),
    "left out: a number": (told("left_out", to=5), "circumstances.left_out is not an array"),
    "files an object": (told("files", to={}), "circumstances.files is not an array"),
    "the host a text": (told("host", to="pc"), "circumstances.host is not an object"),
    "warnings of numbers": (told("warnings", to=[1]), "something that is no text"),
    "not observed: nothing": (told("not_observed", to=None), "not_observed is not an array"),
    "in place: lists": (told("in_place", to=[[]]), "something that is no text"),
    "git a text": (told("git", to="x"), "circumstances.git is not an object"),
    "the time a number": (told("created", to=1), "circumstances.created is not text"),
    "counts of words": (told("files_count", to="many"), "files_count is not a number"),
    "counts that are true": (told("files_count", to=True), "files_count is not a number"),
    "a self-test of words": (told("self_test", to="fine"), "self_test is not an object"),
    "a remote input outside": (
        told("remote_inputs", to=[{"path": "../x", "url": "u", "sha256": HEX, "size": 1}]),
        "remote_inputs: '../x' leaves the project",
    ),
    "remote inputs of numbers": (told("remote_inputs", to=[1]), "remote_inputs[] is not an object"),
}  # fmt: skip

_RESULTS: dict[str, tuple[Change, str]] = {
    "results of another size": (absurd(3), "does not match the claims"),
    "results of terabytes": (absurd(1 << 45), "recorded outputs of 35 TB"),
    "results upwards": (results(member(b"../evil", b"x") + END), "'../evil' has an empty, . or"),
    "results absolute": (results(member(b"/etc/evil", b"x") + END), "absolute name"),
    "results of others": (results(member(b"evil", b"x") + END), "not among the claims"),
    "results twice": (results(member(b"empty") * 2 + END), "is there twice"),
    "results as a link": (results(link(b"empty", b"/etc/passwd") + END), "does not match"),
    "results as a hard link": (results(link(b"empty", b"x", b"1") + END), "is no plain file"),
    "results as a device": (results(member(b"empty", kind=b"3") + END), "is no plain file"),
    "results as a folder": (results(folder(b"empty") + END), "is missing"),
    "results with a pax size": (
        results(pax((b"size", b"1")) + member(b"empty") + END), "two different sizes",
    ),
    "results that are more": (
        results(member(b"empty", bytes(1 << 20)) + END), "exceeds the limit",
    ),
    "results cut": (results(member(b"empty")), "ends early"),
    "results that are damaged": (
        lambda p: p.put(reports(p), b"\x28\xb5\x2f\xfd" + bytes(40)), "the recorded results: ",
    ),
    "results of another media type": (
        lambda p: p.edit(
            p.artifact("application/vnd.repro.recording.v1+json"),
            set_key("layers", 2, "mediaType", to="application/x"),
        ),
        "has no results.v1.tar+zstd",
    ),
}  # fmt: skip

RECORDING_CASES: dict[str, tuple[Change, str, str]] = {
    **{f"claims: {name}": (*case, HEAD) for name, case in _CLAIMS.items()},
    **{f"results: {name}": (*case, RESULTS) for name, case in _RESULTS.items()},
}
