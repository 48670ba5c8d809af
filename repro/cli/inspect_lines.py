"""What ``repro inspect`` shows people, as lines; every text of an archive is made harmless."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repro.model.scope import Scope
from repro.primitives.texts import human_size, human_time, printable
from repro.report.stability import is_probe, numerics_lines, probe_lines

_OF_PACKAGE = re.compile(r"[a-z]+:|python ")
_SHOWN = 12
_EACH_REASON = 20
_STATES = {
    "committed": "as in commit {commit}",
    "changed": "changed since commit {commit}",
    "uncommitted": "in no commit (the project was at {commit})",
    None: "commit {commit} of the project; whether this file was in it is not known",
}


def archive_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The whole archive on one page (``repro.inspect/1``)."""
    archive = document["archive"]
    yield f"{printable(archive['name'])}:{archive['tag']}  {archive['digest']}"
    if archive["title"]:
        yield f"  title     {printable(archive['title'])}"
    yield f"  file      {human_size(archive['size'])}, linux/{printable(archive['architecture'])}"
    yield f"  checked   {document['checked']}"
    if document["thin"]:
        yield from _thin_lines(document["thin"])
    if len(document["versions"]) > 1:
        tags = ", ".join(version["tag"] for version in document["versions"])
        yield f"  versions  {printable(tags)} (the last is the default)"
    yield f"  project   {printable(document['root'])}"
    for step in document["steps"]:
        what = step["notebook"] or " ".join(step["argv"])
        yield f"  step      {printable(step['name'], 40)}: {printable(what, 120)}"
    for source in document["remote_inputs"]:
        place = f"{source['sha256'][:12]}  {printable(source['path'])}"
        yield f"  fetched   {place} from {printable(source['url'])}"
    if document.get("anonymous"):
        yield "  anonymous paths are mapped; names were looked for"
    yield from _run_lines(document)
    yield "layers, lowest first"
    for layer in document["layers"]:
        yield from _layer_lines(layer)
    grades = ", ".join(
        f"{count} {printable(g, 20)}" for g, count in sorted(document["pins"]["grades"].items())
    )
    yield f"packages  {len(document['pins']['packages'])} ({grades or 'none'})"
    yield "outputs"
    for output in document["outputs"]:
        need = "" if output["required"] else "  (not required)"
        size = human_size(output["size"])
        yield f"  {output['sha256'][:12]}  {size:>8}  {printable(output['path'])}{need}"
    if is_probe(document["probe"]):
        yield from probe_lines(document["probe"])


def _thin_lines(thin: Mapping[str, Any]) -> Iterator[str]:
    """What a thin archive lacks."""
    count, download = len(thin["artifacts"]), human_size(thin["download"])
    yield (
        f"  thin      {len(thin['layers'])} layers are not here: {count} wheels and Debian packages "
        f"({download}) are fetched to make them"
    )
    whole = thin["whole"]
    yield f"  whole     {human_size(whole['size'])}, sha256:{printable(whole['sha256'], 64)}"
    yield "  to rerun  first: repro fatten ARCHIVE -o WHOLE.repro"


def pin_lines(pins: Mapping[str, Any]) -> Iterator[str]:
    """Each package with its grade, then what the sources could not say."""
    for package in pins["packages"]:
        grade = printable(str(package.get("grade")), 20)
        yield f"  {grade:<10} {printable(str(package.get('purl')))}"
    for name, reason in pins["skipped"].items():
        yield f"  {printable(str(name), 40)}: {printable(str(reason))}"


def left_out_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """What was not packed, by reason; what is no part of a package comes first."""
    items = [item for item in document["left_out"] if isinstance(item, dict)]
    if not items:
        yield "left out  nothing of the project, of packages or of what the run read"
        return
    yield f"left out  {len(items)} entries; recorded results are in no layer either"
    known = document["left_out_count"]
    if isinstance(known, int) and known > len(items):
        yield f"  !         the recording names only the first {len(items)} of {known}"
    by_reason: dict[str, list[str]] = {}
    for item in items:
        by_reason.setdefault(str(item.get("reason")), []).append(str(item.get("path")))
    of_packages = {
        reason: all(_OF_PACKAGE.match(path) for path in paths)
        for reason, paths in by_reason.items()
    }
    for reason, paths in sorted(
        by_reason.items(), key=lambda item: (of_packages[item[0]], -len(item[1]), item[0])
    ):
        yield f"  {printable(reason)} ({len(paths)})"
        for path in paths[:_EACH_REASON]:
            yield f"    {printable(path)}"
        if len(paths) > _EACH_REASON:
            yield f"    and {len(paths) - _EACH_REASON} more (--json lists them)"


def file_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """One path and where it comes from (``repro.inspect-file/1``)."""
    yield printable(document["path"])
    for link in document["links"]:
        yield f"  link      {printable(link['path'])} -> {printable(str(link['target']))}"
    if document["links"]:
        yield f"  file      {printable(document['real'])}"
    if document["found"] == "left-out":
        for item in document["left_out"]:
            reason = printable(str(item.get("reason")))
            yield f"  not packed: {reason} ({printable(str(item.get('path')))})"
        return
    yield f"  from      {_from(document)}"
    for package in document.get("packages", []):
        yield f"  package   {printable(package['purl'])}, pinned by {package['grade']}"
        for key in ("url", "hash"):
            if key in package:
                yield f"  {key:<9} {printable(package[key])}"
    if document.get("member"):
        yield f"  member    {printable(document['member'])}"
    if document.get("remote"):
        how = "fetched" if document["remote"]["placed"] else "declared"
        yield f"  {how:<9} from {printable(document['remote']['url'])}"
    if document.get("commit"):
        commit = document["commit"]
        yield "  commit    " + _STATES[commit["state"]].format(
            commit=printable(commit["commit"], 64)
        )
    yield from _content_lines(document)


def _from(document: Mapping[str, Any]) -> str:
    if document.get("packages") and len(document["packages"]) > 1:
        return f"one of {len(document['packages'])} packages of this name"
    if document["from"] == "a package":
        return f"a package ({printable(document['origin'])})"
    return str(document["from"])


def _content_lines(document: Mapping[str, Any]) -> Iterator[str]:
    if document["found"] == "image":
        layer = document["layer"]
        yield f"  layer     {layer['number']} of {layer['of']} ({layer['kind']})  {layer['diff_id']}"
        if document["hidden_in_layers"]:
            numbers = ", ".join(map(str, document["hidden_in_layers"]))
            yield f"  hides     a file of this name in layer {numbers}"
    if document["type"] == "folder":
        yield from _weights(document["holds"], "  holds     ")
        return
    if document.get("same_file_as"):
        yield f"  same file as {printable(document['same_file_as'])}"
    if document["sha256"]:
        yield f"  size      {document['size']} bytes"
        yield f"  sha256    {document['sha256']}"
    yield f"  checked   {document['checked']}"


def _layer_lines(layer: Mapping[str, Any]) -> Iterator[str]:
    sizes = f"{human_size(layer['size']):>8} of {human_size(layer['uncompressed_size']):>8}"
    yield f"  {printable(layer['kind'], 12):<9} {sizes}  diff_id {layer['diff_id']}"
    if "contents" in layer:
        yield from _weights(layer["contents"], "            ")


def _weights(contents: Sequence[Mapping[str, Any]], indent: str) -> Iterator[str]:
    """The heaviest origins; sizes are before compression."""
    blank = " " * len(indent)
    for number, item in enumerate(contents[:_SHOWN]):
        name = printable(item["origin"] or "(folders)", 80)
        files = f"{item['files']} file{'s' * (item['files'] != 1)}"
        yield f"{blank if number else indent}{human_size(item['size']):>8}  {name}, {files}"
    rest = contents[_SHOWN:]
    if rest:
        size = human_size(sum(item["size"] for item in rest))
        yield f"{blank}{size:>8}  {len(rest)} more"


def _packed(scope: str) -> str:
    """What a scope means, in words; a newer repro's is shown as it is."""
    return Scope(scope).sentence if scope in {s.value for s in Scope} else printable(scope, 40)


def _run_lines(document: Mapping[str, Any]) -> Iterator[str]:
    run = document["run"]
    if run["seconds"] is not None:
        peak = f", peak {human_size(run['peak_memory'])}" if run["peak_memory"] else ""
        yield (
            f"  run       {human_time(run['seconds'])}{peak}, {run['processes']} programs, "
            f"{run['files']} files seen by {printable(str(run['tracer']), 20)}"
        )
        if run["cpu_seconds"] is not None:
            yield f"  cpu       {human_time(run['cpu_seconds'])} of processor time"
        if run["read_bytes"] is not None and run["written_bytes"] is not None:
            read, written = human_size(run["read_bytes"]), human_size(run["written_bytes"])
            yield f"  moved     {read} read, {written} written (pipes included)"
    yield f"  packed    {_packed(str(run['scope']))}"
    host = document["host"]
    if isinstance(host, dict):
        facts = [host.get("distribution"), host.get("kernel"), host.get("cpu")]
        yield f"  host      {printable(' · '.join(str(f) for f in facts if f))}"
    test = document["self_test"]
    if isinstance(test, dict):
        yield f"  self-test {printable(str(test.get('outcome', 'unknown')))}"
    yield from numerics_lines(document)
    for kind in ("not_observed", "warnings"):
        for text in document[kind][:20]:
            yield f"  !         {printable(str(text))}"
