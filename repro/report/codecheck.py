"""A CODECHECK certificate's ``codecheck.yml``, filled in as far as a verification can.

https://codecheck.org.uk/spec/config/1.0/ asks for ``manifest``, ``codechecker`` and
``report``, and wants no placeholders: what only a person can give is left out and named
in comments at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from repro.errors import ProjectError
from repro.primitives.texts import printable
from repro.report.tally import tally
from repro.report.text import detail

SPEC = "https://codecheck.org.uk/spec/config/1.0/"
MAX_BYTES = 256 << 10
"""What a codecheck.yml may weigh."""

_OURS = re.compile(r"\s*\[repro: [^\]]*\]$")
_KEPT = ("source", "repository", "certificate", "report")
_MAX_ENTRIES = 2000


def read_codecheck(data: bytes) -> Mapping[str, Any]:
    """The fields of somebody's codecheck.yml. Raises ProjectError when it is none."""
    if len(data) > MAX_BYTES:
        raise _wrong(f"it is larger than {MAX_BYTES >> 10} KiB")
    try:
        for event in yaml.parse(data, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise _wrong("it has aliases, which can unfold without end")
        found = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise _wrong(printable(str(problem), 100)) from None
    if not isinstance(found, dict):
        raise _wrong("it holds no fields")
    return found


def certificate(
    document: Mapping[str, Any],
    *,
    now: str,
    codechecker: str | None = None,
    earlier: Mapping[str, Any] | None = None,
    source: str | None = None,
) -> str:
    """The certificate's YAML for a ``repro.verify/1`` document.

    ``now`` is ISO 8601 in UTC. ``earlier`` holds the fields of the author's codecheck.yml
    (``source`` says where it lay): its paper, order of files and comments are kept.
    """
    old = earlier or {}
    manifest = list(_manifest(document, old.get("manifest")))
    checkers = _checkers(codechecker, old.get("codechecker"))
    found: dict[str, Any] = {"version": SPEC}
    paper = _paper(document, old.get("paper"))
    if paper:
        found["paper"] = paper
    found["manifest"] = manifest
    if checkers:
        found["codechecker"] = checkers
    found["summary"] = _summary(document, len(manifest))
    found["check_time"] = now.replace("T", " ").removesuffix("Z")
    found.update({name: _text(old[name]) for name in _KEPT if _text(old.get(name))})
    plain = all(text.isprintable() for text in _texts(found))
    body = yaml.safe_dump(found, sort_keys=False, allow_unicode=plain, width=100)
    return "".join(f"{line}\n" for line in ("---", body.rstrip("\n"), *_open(found, source)))


def _wrong(problem: str) -> ProjectError:
    return ProjectError(
        f"codecheck.yml cannot be used: {problem}", hint=f"see {SPEC}", slug="codecheck"
    )


def _paper(document: Mapping[str, Any], old: object) -> dict[str, Any]:
    if not isinstance(old, dict):
        title = document["archive"].get("title")
        return {"title": _text(title)} if title else {}
    found: dict[str, Any] = {}
    if _text(old.get("title")):
        found["title"] = _text(old["title"])
    authors = _people(old.get("authors"))
    if authors:
        found["authors"] = authors
    if _text(old.get("reference")):
        found["reference"] = _text(old["reference"])
    return found


def _people(value: object) -> list[dict[str, str]]:
    people = []
    for item in (value if isinstance(value, list) else [value])[:_MAX_ENTRIES]:
        if isinstance(item, dict) and _text(item.get("name")):
            orcid = _text(item.get("ORCID"))
            people.append({"name": _text(item["name"]), **({"ORCID": orcid} if orcid else {})})
        elif _text(item):
            people.append({"name": _text(item)})
    return people


def _checkers(name: str | None, old: object) -> list[dict[str, str]]:
    known = _people(old)
    if name is None:
        return known
    return [person for person in known if person["name"] == name] or [{"name": name}]


def _manifest(document: Mapping[str, Any], old: object) -> Iterator[dict[str, str]]:
    outputs = {output["path"]: output for output in document["outputs"]}
    if not isinstance(old, list) or not old:
        for path in sorted(outputs):
            yield {"file": path, "comment": f"[repro: {_outcome(outputs[path])}]"}
        return
    for item in old[:_MAX_ENTRIES]:
        path = _exact(item.get("file")) if isinstance(item, dict) else ""
        if not path:
            continue
        said = _OURS.sub("", _text(item.get("comment")))
        output = outputs.get(path.removeprefix("./"))
        outcome = (
            "not among the judged outputs, not checked" if output is None else _outcome(output)
        )
        yield {"file": path, "comment": f"{said} [repro: {outcome}]".strip()}


def _outcome(output: Mapping[str, Any]) -> str:
    said = detail(output)
    text = f"{output['verdict']}, {said}" if said else str(output["verdict"])
    return printable(text.replace("[", "(").replace("]", ")"), 300)


def _summary(document: Mapping[str, Any], entries: int) -> str:
    count, archive, seal = tally(document), document["archive"], document["seal"]
    network = "with the network OPEN" if seal["network"] else "without network"
    listed = "" if entries == len(document["outputs"]) else f" {entries} are listed here."
    text = (
        f"Rerun sealed ({seal['engine']}, {network}) from the archive {archive['digest']} with "
        f"repro {document['tool']['version']}. Verdict: {count.word}; {count.sentence}."
        f"{listed} Not checked: {'; '.join(document['not_checked']) or 'nothing is known'}."
    )
    return printable(text, 4000)


def _open(found: Mapping[str, Any], source: str | None) -> Iterator[str]:
    """Comments in our own words only: nothing of an archive could end one."""
    yield "# Written by `repro verify --codecheck`. Read it, and add what only you can say:"
    paper = found.get("paper") or {}
    missing = (
        (not paper.get("title") or not paper.get("authors") or not paper.get("reference"),
         "paper: title, authors (name, ORCID) and reference (a DOI)"),
        ("codechecker" not in found, "codechecker: a list with your name and ORCID (required)"),
        ("codechecker" in found and any("ORCID" not in p for p in found["codechecker"]),
         "codechecker: the ORCID"),
        ("certificate" not in found, "certificate: the number given by the register, YYYY-NNN"),
        ("repository" not in found, "repository: where the checked material lies"),
        ("report" not in found, "report: the DOI of the published certificate (required)"),
    )  # fmt: skip
    yield from (f"#   {text}" for absent, text in missing if absent)
    if source is not None:
        yield f"# Paper, order and comments are from the codecheck.yml {source}."


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, (dict, list)):
        return ""
    return printable(str(value), 1000).strip()


def _exact(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)
