"""Who the author is, in what is about to be packed: said, or (``--anonymous``) taken out of it.

Paths are mapped wherever a path is a path: in the image, in recorded values, in the files of
environments (start lines, settings, programs). The author's own files and results are never
changed: what they give away stops an anonymous snapshot, by name.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from repro.errors import ProjectError
from repro.image.plan import plan_layers
from repro.model.entry import EntryType, FileEntry
from repro.model.ports import OutputFile
from repro.primitives.events import Event, EventKind, Observer, done
from repro.primitives.texts import printable
from repro.project.environment import cache_folder
from repro.project.globs import matches_any
from repro.project.identity import PROJECT, Identity, Person, tells_home
from repro.project.path_map import PathMap, path_map
from repro.store.archive import Archive
from repro.workflows.anonymous_files import Anonymised, anonymised_files
from repro.workflows.anonymous_values import documents_mapped, mapped
from repro.workflows.guarding import is_authors, recorded_values
from repro.workflows.packing import PackRequest
from repro.workflows.repository import git_author

_MOST = 100
_HINT = (
    "take it out; or leave the file out (--exclude FILE); or, when it tells nobody, let it pass "
    "(--allow FILE, `allow:` in repro.yml). Results that hold a path: print it relative to the "
    "project"
)
_LIMITS = (
    "the contents of installed packages are searched for the home path alone, not for names",
    "inside compressed files and pictures nothing is searched",
)


def identified(
    ready: PackRequest,
    person: Person,
    *,
    anonymous: bool,
    allow: Sequence[str],
    folder: Path,
    observer: Observer,
) -> PackRequest:
    """What is packed, with what it tells of its author said in ``facts``, or taken out of it.

    ``folder`` takes files that are written anew. Raises ProjectError (slug
    ``identity``) when something that stays would tell who the author is.
    """
    if anonymous:
        return _anonymous(ready, person, allow, folder, observer)
    identity = person.telling(whole=False)
    files = list(_in_files(ready.closure.files, ready.files, ready.claims.root, identity))
    values = _in_values(ready, identity)
    if files or values:
        text = _said(files, values)
        observer(Event(kind=EventKind.WARNING, phase="identity", text=text, code="identity"))
    facts = {"files": files[:_MOST], "files_count": len(files), "values": values[:_MOST]}
    return replace(ready, facts={**ready.facts, "identity": facts, "anonymous": None})


def check_versions(path: Path) -> None:
    """Raises ProjectError when an archive to add to holds a version that is not anonymous."""
    if not path.is_file():
        return
    with Archive.open(path) as archive:
        for version in archive.versions:
            if not archive.recording(version).circumstances.get("anonymous"):
                raise ProjectError(
                    f"{printable(path.name)} holds the version {printable(version.tag, 60)}, "
                    "which is not anonymous",
                    hint="write the anonymous version into an archive of its own: -o FILE",
                    slug="identity",
                )


def _anonymous(
    ready: PackRequest, person: Person, allow: Sequence[str], folder: Path, observer: Observer
) -> PackRequest:
    started = time.monotonic()
    claims = ready.claims
    name, mail = git_author(claims.root, ready.environ)
    person = replace(person, name=name or person.name, mails=(*person.mails, mail))
    folder = folder / "anonymous"
    folder.mkdir()
    paths = _paths(ready, person)
    identity = person.telling(whole=True).with_word(PROJECT, claims.root)
    if kinds := identity.in_text(claims.name):
        raise _refusal([f"the name {claims.name}: {kind} (give another: --name)" for kind in kinds])
    found = [
        _line(each) for each in _in_files(ready.closure.files, ready.files, claims.root, identity)
    ]
    made = anonymised_files(ready.closure.files, paths, identity, folder)
    new_claims = mapped(claims, paths.text)
    lock = mapped(ready.lock, paths.text)
    found += [
        *made.found,
        *_left_in_documents(made, new_claims.to_json(), lock.to_json(), ready.message, identity),
    ]
    refused = [line for line in dict.fromkeys(found) if not matches_any(line.split(":")[0], allow)]
    if refused:
        raise _refusal(refused)
    observation, closure, remote, warnings, others = documents_mapped(ready, paths, identity)
    closure = replace(closure, files=made.files)
    many = f"{made.rewritten} file{'s' * (made.rewritten != 1)} of environments rewritten"
    text = f"{printable(claims.root)} is {new_claims.root} inside · {many}"
    observer(done("anonymous", text, time.monotonic() - started))
    for line in found[:5]:
        said = f"{printable(line)} (allowed)"
        observer(Event(kind=EventKind.WARNING, phase="anonymous", text=said, code="identity"))
    facts = {
        "root": new_claims.root,
        "rewritten": made.rewritten,
        "left": [identity.removed(line) for line in found[:_MOST]],
        "limits": list(_LIMITS),
    }
    return replace(
        ready, claims=new_claims, closure=closure, lock=lock, observation=observation,
        remote=remote, warnings=warnings, git=None, plan=plan_layers(made.files),
        facts={**others, "identity": None, "anonymous": facts},
    )  # fmt: skip


def _paths(ready: PackRequest, person: Person) -> PathMap:
    claims = ready.claims
    texts = [entry.path for entry in ready.closure.files]
    texts += [*claims.environment.values(), *(word for step in claims.steps for word in step.argv)]
    cache = cache_folder(claims.root)
    return path_map(
        root=claims.root,
        homes=[home for home in person.homes if tells_home(home)],
        name=claims.name,
        caches=(cache, cache_folder(f"/home/repro/{claims.name}")),
        user=person.user if person.tells_user else "",
        texts=texts,
    )


def _in_files(
    entries: Iterable[FileEntry], results: Mapping[str, OutputFile], root: str, identity: Identity
) -> Iterator[dict[str, Any]]:
    """The author's files and results that hold one of the words: path, line and what it is."""
    if not identity.words:
        return
    for entry in entries:
        if entry.type is EntryType.FILE and entry.content is None and is_authors(entry):
            path = entry.path.removeprefix(root + "/")
            try:
                with open(entry.source or entry.path, "rb") as stream:
                    found = identity.in_stream(stream)
            except OSError:
                continue  # the packing itself says what cannot be read
            yield from ({"path": path, "line": line, "kind": kind} for line, kind in found)
    for path, output in results.items():
        with output.open() as stream:
            found = identity.in_stream(stream)
        yield from ({"path": path, "line": line, "kind": kind} for line, kind in found)


def _in_values(ready: PackRequest, identity: Identity) -> list[dict[str, Any]]:
    """Names of recorded values that hold one of the words, with what they hold."""
    values = [
        ("root", ready.claims.root),
        *recorded_values(ready.claims, ready.observation, ready.message),
    ]
    found: dict[str, tuple[str, ...]] = {}
    for name, text in values:
        if kinds := identity.in_text(text):
            found.setdefault(name, kinds)
    return [{"name": name, "kinds": list(kinds)} for name, kinds in found.items()]


def _said(files: Sequence[Mapping[str, Any]], values: Sequence[Mapping[str, Any]]) -> str:
    kinds = [each["kind"] for each in files] + [kind for each in values for kind in each["kinds"]]
    names = list(dict.fromkeys(each["path"] for each in files))
    parts = []
    if names:
        more = f" and {len(names) - 3} more files" if len(names) > 3 else ""
        parts.append(", ".join(printable(name, 50) for name in names[:3]) + more)
    if values:
        count = len(values)
        parts.append(
            f"{count} recorded value{'s' * (count != 1)} ({', '.join(v['name'] for v in values[:3])})"
        )
    what = ", ".join(dict.fromkeys(kinds))
    return f"your {what} in {' and '.join(parts)}; --anonymous takes out what can be taken out"


def _line(found: Mapping[str, Any]) -> str:
    return f"{found['path']}:{found['line']}: {found['kind']}"


def _left_in_documents(
    made: Anonymised, claims: Mapping[str, Any], lock: Mapping[str, Any], message: str | None,
    identity: Identity,
) -> Iterator[str]:  # fmt: skip
    """What mapping did not take out of names that must stay as they are."""
    for entry in made.files:
        for kind in identity.in_text(
            f"{entry.path} {entry.target or ''} {entry.origin} {entry.group or ''}"
        ):
            yield f"{entry.path}: {kind} in its name"
    for key, value in claims.items():
        for kind in identity.in_text(json.dumps(value, ensure_ascii=False)):
            yield f"{'name' if key == 'name' else f'recorded {key}'}: {kind}"
    for package in lock["packages"]:
        for kind in identity.in_text(json.dumps(package, ensure_ascii=False)):
            yield f"lock of {package['name']}: {kind}"
    for kind in identity.in_text(json.dumps(lock["skipped"], ensure_ascii=False)):
        yield f"lock: {kind}"
    for kind in identity.in_text(message or ""):
        yield f"message: {kind}"


def _refusal(lines: Sequence[str]) -> ProjectError:
    shown = [printable(line) for line in lines[:_MOST]]
    if len(lines) > _MOST:
        shown.append(f"and {len(lines) - _MOST} more")
    count = len(lines)
    return ProjectError(
        f"{count} place{'s' * (count != 1)} would tell who you are: nothing was packed",
        details=shown, hint=_HINT, slug="identity",
    )  # fmt: skip
