"""A whole project, read but never run: every finding, and what was not examined."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from repro.primitives.frozen import frozen
from repro.primitives.texts import human_size, printable
from repro.project.audit_dependencies import audit_dependencies, is_list
from repro.project.audit_notebook import audit_notebook
from repro.project.audit_paths import Here
from repro.project.audit_python import audit_python
from repro.project.audit_r import audit_r
from repro.project.audit_shell import audit_shell
from repro.project.audited import Audited, Draw
from repro.project.chunks import chunk_text, languages
from repro.project.finding import RISK, Finding, in_order
from repro.project.globs import matches_any

HUGE = 1_000_000_000
"""Bytes from which data is called huge."""

_MAX_SOURCE = 4 << 20
_MAX_NOTEBOOK = 64 << 20
_MAKE = re.compile(r"(?:GNU)?[Mm]akefile|.*\.(?:mk|make)")
_LICENCE = re.compile(r"(?:un)?licen[cs]e(?:[.-].*)?|copying(?:[.-].*)?", re.IGNORECASE)
_LICENCE_FIELD = re.compile(r"^\s*\"?licen[cs]e\"?\s*[:=]", re.IGNORECASE | re.MULTILINE)
_LICENCE_FILES = ("CITATION.cff", "pyproject.toml", "DESCRIPTION", "codemeta.json", "setup.cfg")
_OTHER_LANGUAGES = {
    ".jl": "Julia", ".m": "Octave", ".c": "C", ".cc": "C++", ".cpp": "C++", ".f90": "Fortran",
    ".js": "JavaScript", ".pl": "Perl", ".java": "Java", ".do": "Stata", ".sas": "SAS",
    ".go": "Go", ".rs": "Rust", ".nf": "Nextflow",
}  # fmt: skip
STATIC = "code is read, not run: what it computes at run time, and what packages do, is not seen"


@frozen
class ProjectAudit:
    """``findings`` in order; ``examined`` counts the source files that were read; ``limits``
    says what was not looked at."""

    findings: tuple[Finding, ...]
    examined: int
    limits: tuple[str, ...]


def audit_project(files: Sequence[str], here: Here, exclude: Sequence[str] = ()) -> ProjectAudit:
    """Read every source among ``files`` (paths relative to ``here.root``).

    What ``exclude`` matches is never packed, so it is not looked at either.
    """
    kept = [path for path in files if not matches_any(path, exclude)]
    audits = [audited for path in kept for audited in audit_file(path, here)]
    findings = [finding for audited in audits for finding in audited.findings]
    findings += _unseeded(audits)
    lists = {path: text for path in kept if is_list(path) and (text := _text(path, here))}
    findings += audit_dependencies(
        kept, lists, python=_packages(audits, "python"), r=_packages(audits, "r")
    )
    findings += _huge(kept, here)
    findings += _licence(kept, here)
    limits = [limit for audited in audits for limit in audited.limits]
    return ProjectAudit(
        findings=tuple(sorted(dict.fromkeys(findings), key=in_order)),
        examined=len({audited.path for audited in audits}),
        limits=(STATIC, *limits, *_others(kept)),
    )


def audit_file(path: str, here: Here) -> tuple[Audited, ...]:
    """What one file shows by itself; nothing when it is in no language that is read here."""
    suffix, name = PurePosixPath(path).suffix.lower(), PurePosixPath(path).name
    make = _MAKE.fullmatch(name) is not None
    shell = suffix in (".sh", ".bash", ".zsh", ".smk") or name == "Snakefile"
    if not (make or shell or suffix in (".ipynb", ".py", ".pyw", ".r", ".rmd", ".qmd")):
        return ()
    data = _data(path, here, _MAX_NOTEBOOK if suffix == ".ipynb" else _MAX_SOURCE)
    if isinstance(data, str):
        return (Audited(path=path, language="", limits=(data,)),)
    if suffix == ".ipynb":
        return (audit_notebook(data, path, here),)
    if suffix in (".py", ".pyw"):
        return (audit_python(data, path, here),)
    text = data.decode("utf-8", "replace")
    if suffix == ".r":
        return (audit_r(text, path, here),)
    if suffix in (".rmd", ".qmd"):
        return tuple(_literate(text, path, here))
    return (audit_shell(text, path, here, make=make),)


def _literate(text: str, path: str, here: Here) -> Iterator[Audited]:
    """The chunks of an R Markdown or Quarto document, by language."""
    found = languages(text)
    if "r" in found:
        yield audit_r(chunk_text(text, "r"), path, here)
    if "python" in found:
        yield audit_python(chunk_text(text, "python"), path, here)
    for language in sorted(found & {"bash", "sh"}):
        yield audit_shell(chunk_text(text, language), path, here)
    rest = sorted(found - {"r", "python", "bash", "sh", "mermaid", "dot", "css"})
    if rest:
        limit = f"{printable(path)}: chunks in {printable(', '.join(rest), 60)} were not examined"
        yield Audited(path=path, language="", limits=(limit,))


def _data(path: str, here: Here, most: int) -> bytes | str:
    """The bytes of a project file, or the sentence why they were not read."""
    place = os.path.join(here.root, path)
    try:
        with open(place, "rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        return f"{printable(path)} was not examined: {error.strerror}"
    if len(data) > most:
        return f"{printable(path)} was not examined: larger than {human_size(most)}"
    return data


def _text(path: str, here: Here) -> str:
    data = _data(path, here, _MAX_SOURCE)
    return "" if isinstance(data, str) else data.decode("utf-8", "replace")


def _packages(audits: Sequence[Audited], language: str) -> frozenset[str]:
    return frozenset().union(*(a.packages for a in audits if a.language == language))


def _unseeded(audits: Sequence[Audited]) -> Iterator[Finding]:
    """Draws whose generator is seeded neither in their file nor in one linked to it.

    One finding for each generator of a file.
    """
    loose: dict[tuple[int, str], list[tuple[Audited, Draw]]] = {}
    for audited, draw in loose_draws(audits):
        loose.setdefault((id(audited), draw.generator or draw.mend), []).append((audited, draw))
    for found in loose.values():
        audited, first = found[0]
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        yield Finding(
            code="unseeded", level=RISK, path=audited.path, line=first.line, cell=first.cell,
            text=f"{printable(first.call, 60)}{more} without a seed: every run differs",
            mend=first.mend,
        )  # fmt: skip


def loose_draws(audits: Sequence[Audited]) -> Iterator[tuple[Audited, Draw]]:
    """Each draw whose generator is seeded neither in its file nor in one linked to it.

    Files are linked when one imports or sources the other. Whether the seed comes first is
    not known without a run.
    """
    groups = _linked(audits)
    for audited in audits:
        seeds = frozenset().union(*(a.seeds for a in groups[id(audited)]))
        for draw in audited.draws:
            if draw.generator is None or draw.generator not in seeds:
                yield audited, draw


def _linked(audits: Sequence[Audited]) -> dict[int, list[Audited]]:
    """For each source those that it loads or is loaded by, directly or not, and itself."""
    names: dict[str, list[Audited]] = {}
    for audited in audits:
        path = PurePosixPath(audited.path)
        package = path.parent.name if path.stem == "__init__" else path.stem
        for name in {package, path.name}:
            names.setdefault(name, []).append(audited)
    groups = {id(audited): [audited] for audited in audits}
    for audited in audits:
        for name in audited.uses:
            for other in names.get(name, ()):
                one, two = groups[id(audited)], groups[id(other)]
                if one is not two:
                    one += two
                    groups.update((id(each), one) for each in two)
    return groups


def _huge(files: Sequence[str], here: Here) -> Iterator[Finding]:
    """Files of more than a gigabyte, or all of them together."""
    total, single = 0, False
    mend = "leave out what the run does not read (`inputs.exclude`), or pack a part of it"
    for path in files:
        try:
            size = os.lstat(os.path.join(here.root, path)).st_size
        except OSError:
            continue
        total += size
        if size > HUGE:
            single = True
            yield Finding(
                code="huge-data", level=RISK, path=path, mend=mend,
                text=f"is {human_size(size)}: slow to pack and to send",
            )  # fmt: skip
    if total > HUGE and not single:
        yield Finding(
            code="huge-data", level=RISK, mend=mend,
            text=f"its files are {human_size(total)} together: slow to pack and to send",
        )  # fmt: skip


def _licence(files: Sequence[str], here: Here) -> Iterator[Finding]:
    if any(_LICENCE.fullmatch(path.partition("/")[0]) for path in files):
        return
    if any(path.startswith("LICENSES/") for path in files):
        return
    for path in _LICENCE_FILES:
        if path in files and _LICENCE_FIELD.search(_text(path, here)):
            return
    yield Finding(
        code="no-licence", level=RISK, mend="add a LICENSE file",
        text="has no licence: nobody else may use or pass on what is packed",
    )  # fmt: skip


def _others(files: Sequence[str]) -> Iterator[str]:
    counts: dict[str, int] = {}
    for path in files:
        language = _OTHER_LANGUAGES.get(PurePosixPath(path).suffix)
        if language is not None:
            counts[language] = counts.get(language, 0) + 1
    for language, count in sorted(counts.items()):
        yield f"{count} {language} file{'s' * (count != 1)}: not examined"
