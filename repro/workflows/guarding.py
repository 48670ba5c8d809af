"""Nothing that looks like a credential goes into an archive unless its author says so."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from repro.errors import ProjectError
from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.model.observation import Observation
from repro.model.ports import OutputFile
from repro.model.recording import Claims
from repro.primitives.events import Event, EventKind, Observer, done
from repro.primitives.frozen import frozen
from repro.primitives.texts import human_size, printable
from repro.project.globs import matches_any
from repro.project.secrets import SecretFound, search, search_name, search_text

_MOST = 100
_HINT = (
    "take it out; or leave the file out (--exclude FILE, `inputs.exclude` in repro.yml); or, when "
    "it is no secret, let it pass (--allow FILE, `allow:` in repro.yml)"
)


@frozen
class Guard:
    """What was searched for credentials: files and their bytes; what was not; what passed."""

    files: int
    size: int
    skipped: tuple[str, ...]
    allowed: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The field ``secrets`` of the circumstances."""
        return {
            "searched_files": self.files,
            "searched_bytes": self.size,
            "not_searched": list(self.skipped[:_MOST]),
            "not_searched_count": len(self.skipped),
            "allowed": list(self.allowed[:_MOST]),
        }


def refuse_secrets(
    *,
    entries: Iterable[FileEntry],
    results: Mapping[str, OutputFile],
    values: Iterable[tuple[str, str]],
    documents: Mapping[str, object],
    root: str,
    allow: Sequence[str],
    deny: Sequence[str],
    observer: Observer,
) -> Guard:
    """Search everything of the author's that is about to be packed.

    ``entries`` are the image's files, ``results`` the recorded outputs, ``values`` recorded
    texts with the name of each, ``documents`` further ones (JSON). ``allow`` and ``deny`` are patterns of files, relative to
    the project (or absolute); ``allow`` names a value as well. Raises ProjectError (slug
    ``secret``) that lists places and kinds, never a secret.
    """
    started = time.monotonic()
    found: list[SecretFound] = []
    skipped: list[str] = []
    files = size = 0
    for path in results:
        found += search_name(path)
    for path, length, foreign, opened in _files(entries, results, root):
        if matches_any(path, deny):
            found.append(SecretFound(path=path, line=0, kind="on the list secrets.deny"))
        try:
            with opened() as stream:
                searched = search(path, stream, length, foreign=foreign)
        except OSError:
            continue  # the packing itself says what cannot be read
        found += searched.found
        files, size = files + 1, size + length
        if searched.skipped:
            skipped.append(path)
    for name, text in values:
        found += search_text(name, text)
    for name, document in documents.items():
        found += search_text(name, json.dumps(document), certain=True)
    refused = [each for each in dict.fromkeys(found) if not matches_any(each.path, allow)]
    if refused:
        raise _refusal(refused)
    allowed = tuple(str(each) for each in dict.fromkeys(found))
    observer(done("secrets", _text(files, size, skipped), time.monotonic() - started))
    for line in allowed[:5]:
        text = f"{printable(line)} (allowed)"
        observer(Event(kind=EventKind.WARNING, phase="secrets", text=text))
    return Guard(files=files, size=size, skipped=tuple(skipped), allowed=allowed)


def is_authors(entry: FileEntry) -> bool:
    """Whether the author wrote a file or gathered it, and no installer did.

    The project's, sources that are installed editable, and data from anywhere.
    """
    own = entry.origin in ("project", "unowned") or entry.origin.startswith("editable:")
    return own and entry.kind in (LayerKind.CODE, LayerKind.DATA)


def recorded_values(
    claims: Claims, observation: Observation, message: str | None
) -> Iterator[tuple[str, str]]:
    """Values that an archive's documents hold, each with the name that ``--allow`` takes."""
    if message:
        yield "message", message
    for name, value in claims.environment.items():
        yield f"env:{name}", f"{name}={value}"
    for step in claims.steps:
        yield f"argv:{step.name}", " ".join(step.argv)
    seen = set()
    for process in observation.processes:
        text = " ".join(process.argv)
        if text not in seen:
            seen.add(text)
            yield f"argv:{process.exe.rpartition('/')[2]}", text


def _files(
    entries: Iterable[FileEntry], results: Mapping[str, OutputFile], root: str
) -> Iterator[tuple[str, int, bool, Callable[[], BinaryIO]]]:
    """Path for people, size, whether it is an environment's, and how to open it."""
    for entry in entries:
        searched = entry.type is EntryType.FILE and entry.content is None
        if searched and (is_authors(entry) or entry.origin == "unowned"):
            path = entry.path.removeprefix(root + "/")
            yield path, entry.size, not is_authors(entry), _opener(entry.source or entry.path)
    for path, output in results.items():
        yield path, output.size, False, output.open


def _opener(path: str) -> Callable[[], BinaryIO]:
    return lambda: open(path, "rb")


def _text(files: int, size: int, skipped: Sequence[str]) -> str:
    text = f"{files} file{'s' * (files != 1)} ({human_size(size)}) searched"
    if skipped:
        text += f" · {len(skipped)} big binary file{'s' * (len(skipped) != 1)} not searched"
    return text


def _refusal(found: Sequence[SecretFound]) -> ProjectError:
    lines = [printable(str(each)) for each in found[:_MOST]]
    if len(found) > _MOST:
        lines.append(f"and {len(found) - _MOST} more")
    count = len(found)
    places = "1 place looks like a secret" if count == 1 else f"{count} places look like secrets"
    return ProjectError(f"{places}: nothing was packed", details=lines, hint=_HINT, slug="secret")
