"""Bytecode for packages whose installer left none, so that no layer depends on earlier runs.

pip compiles what it installs and says so in RECORD. uv does not: what lies in __pycache__ is
then what somebody happened to import, and the same packages would give different layers.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from repro.model.entry import EntryType, FileEntry
from repro.primitives import process
from repro.primitives.pycache import source_of

_SOURCE = re.compile(r"(/.*)/lib(?:64)?/python(\d+\.\d+)/(?:.*/)?([^/]+)\.py")
_RECORD = re.compile(r"/.*\.dist-info/RECORD")
_TIME_LIMIT = 900.0
# A process for each module: which strings marshal writes as references depends on what the
# process had loaded before.
_COMPILE = """
import json, os, py_compile, sys
timestamp = py_compile.PycInvalidationMode.TIMESTAMP
for source, name, target in json.load(open(sys.argv[1], encoding="utf-8")):
    child = os.fork()
    if child == 0:
        try:
            py_compile.compile(source, target, name, True, invalidation_mode=timestamp)
        except Exception:
            pass  # a template, or a file for another Python: installers pass it over as well
        finally:
            os._exit(0)
    os.waitpid(child, 0)
"""


def with_bytecode(
    files: Sequence[FileEntry], folder: Path, environ: Mapping[str, str]
) -> tuple[FileEntry, ...]:
    """``files`` with a ``.pyc`` (PEP 3147) for every module of distributions not compiled yet.

    What a run left of theirs is replaced. Compiled by the interpreter that is packed for
    those modules, into ``folder``, which must last as long as the entries; where none is
    packed the modules stay without.
    """
    origins = frozenset(_uncompiled(files))
    if not origins:
        return tuple(files)
    interpreters = _interpreters(files)
    kept: list[FileEntry] = []
    missing: dict[str, list[tuple[FileEntry, str]]] = {}
    for entry in files:
        if entry.origin not in origins or source_of(entry.path) is None:
            kept.append(entry)
        match = _SOURCE.fullmatch(entry.path) if entry.origin in origins else None
        if match and entry.type is EntryType.FILE and entry.source:
            prefix, short, name = match.groups()
            program = _program(prefix, short, interpreters)
            if program is not None:
                cache = f"__pycache__/{name}.cpython-{short.replace('.', '')}.pyc"
                place = f"{entry.path.rpartition('/')[0]}/{cache}"
                missing.setdefault(program, []).append((entry, place))
    for number, (program, work) in enumerate(missing.items()):
        kept += _made(program, work, folder / f"bytecode-{number}", environ)
    return tuple(sorted(kept, key=lambda entry: os.fsencode(entry.path)))


def _uncompiled(files: Iterable[FileEntry]) -> Iterator[str]:
    """Origins of distributions whose RECORD names no bytecode (PEP 376)."""
    for entry in files:
        if entry.source and entry.origin.startswith("pypi:") and _RECORD.fullmatch(entry.path):
            try:
                record = Path(entry.source).read_bytes()
            except OSError:
                continue
            if b".pyc" not in record:
                yield entry.origin


def _interpreters(files: Iterable[FileEntry]) -> dict[str, str]:
    """A packed CPython by its version."""
    found: dict[str, str] = {}
    for entry in files:
        match = re.fullmatch(r"/.*/bin/python(\d+\.\d+)", entry.path)
        if match and os.access(entry.path, os.X_OK):
            found.setdefault(match.group(1), entry.path)
    return found


def _program(prefix: str, short: str, packed: Mapping[str, str]) -> str | None:
    own = f"{prefix}/bin/python{short}"
    return own if os.access(own, os.X_OK) else packed.get(short)


def _made(
    program: str, work: Sequence[tuple[FileEntry, str]], folder: Path, environ: Mapping[str, str]
) -> Iterator[FileEntry]:
    folder.mkdir()
    jobs = [
        (entry.source or entry.path, entry.path, f"{folder}/{number}.pyc")
        for number, (entry, _) in enumerate(work)
    ]
    shares = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(shares) as pool:
        parts = [jobs[start::shares] for start in range(shares)]
        list(pool.map(lambda part: _compile(program, part, environ), parts))
    for (entry, cache), (_, _, target) in zip(work, jobs, strict=True):
        if os.path.isfile(target):
            yield replace(
                entry,
                path=cache,
                source=target,
                size=os.stat(target).st_size,
                mode=0o644,
                link_key=None,
            )


def _compile(
    program: str, jobs: Sequence[tuple[str, str, str]], environ: Mapping[str, str]
) -> None:
    """One process for many modules; what it cannot compile is left out."""
    if not jobs:
        return
    listed = Path(f"{jobs[0][2]}.json")
    listed.write_text(json.dumps(jobs), "utf-8")
    kept = {name: environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in environ}
    process.run(
        [program, "-s", "-S", "-c", _COMPILE, str(listed)],
        cwd="/",
        environment={**kept, "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"},
        timeout=_TIME_LIMIT,
    )
