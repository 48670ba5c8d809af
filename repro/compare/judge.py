"""Recorded and produced outputs in, a Verdict out: every path of either side gets an outcome."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from repro.compare.base import read_head
from repro.compare.choose import choose
from repro.compare.sides import outputs_in
from repro.model.outcome import Outcome
from repro.model.ports import OutputFile
from repro.model.verdict import Comparison, Difference, OutputVerdict, Verdict
from repro.model.written import FOLDER_MARK
from repro.primitives.files import walk
from repro.primitives.texts import printable

Rule = tuple[bool, Mapping[str, object]]
"""Whether an output is required, and the sealed options of its comparison."""

_NO_RULE: Rule = (True, {})


def judge(
    recorded: Mapping[str, OutputFile],
    produced: Mapping[str, OutputFile],
    *,
    rules: Mapping[str, Rule],
    required: Outcome = Outcome.CLOSE,
    declared: bool = False,
    reviewer_options: Mapping[str, object] | None = None,
    input_digests: Mapping[str, str] | None = None,
) -> Verdict:
    """Judge a rerun's outputs against the recorded ones; never raises for what they hold.

    ``rules`` by path. With ``declared`` outputs only recorded paths are judged; otherwise
    what only the rerun wrote is UNEXPECTED, not required, and named in a warning.
    ``input_digests`` (sha256 hex to path) are the files the run was given: an output equal
    to one of them is marked ``copied_from`` and warned about.
    """
    inputs = input_digests or {}
    warnings: list[str] = []
    outputs = []
    for path in sorted(recorded.keys() | produced.keys()):
        old, new = recorded.get(path), produced.get(path)
        if old is None and declared:
            continue
        rule = rules.get(path, _NO_RULE)
        outputs.append(_output(path, old, new, rule, reviewer_options, inputs))
        warnings.extend(_warnings(outputs[-1]))
    if not any(output.required for output in outputs):
        warnings.append("no output is required, so there is nothing a verdict could rest on")
    return Verdict(outputs=tuple(outputs), required=required, warnings=tuple(warnings))


def judge_folders(old: str, new: str, required: Outcome = Outcome.CLOSE) -> Verdict:
    """Compare two folders, or two single files; every relative path gets an outcome.

    Links are compared by their target and never followed. Special files and files that
    cannot be read are UNDECIDED; empty folders are not looked at. Raises OSError when a
    folder cannot be listed.
    """
    if not (os.path.isdir(old) and os.path.isdir(new)):
        return _judge_files(old, new, required)
    kinds = [_kinds(side) for side in (old, new)]
    sides = [outputs_in(side, kind) for side, kind in zip((old, new), kinds, strict=True)]
    outputs = []
    for path in sorted(kinds[0].keys() | kinds[1].keys()):
        pair = [side.get(path) for side in sides]
        special = [kind[path] for kind in kinds if path in kind and not _comparable(kind[path])]
        if special:
            note = f"not compared: {_KIND.get(stat.S_IFMT(special[0]), 'a special file')}"
            comparison = _plain(Outcome.UNDECIDED, "a special file", note=note)
            outputs.append(OutputVerdict(path=path, required=True, comparison=comparison))
        else:
            outputs.append(_output(path, pair[0], pair[1], _NO_RULE, None, {}))
    return Verdict(outputs=_strict(outputs), required=required)


_KIND = {
    stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device", stat.S_IFBLK: "a block device",
}  # fmt: skip


def _judge_files(old: str, new: str, required: Outcome) -> Verdict:
    pair = []
    for path in (old, new):
        folder, name = os.path.split(os.path.realpath(path))
        pair.append(outputs_in(folder, [name]).get(name))
    name = os.path.basename(os.path.realpath(new))
    if None in pair:
        comparison = _plain(
            Outcome.UNDECIDED, "not a plain file", note="not compared: no plain file"
        )
        output = OutputVerdict(path=name, required=True, comparison=comparison)
    else:
        output = _output(name, pair[0], pair[1], _NO_RULE, None, {})
    return Verdict(outputs=(output,), required=required)


def _kinds(root: str) -> dict[str, int]:
    """Modes by path. The mark that repro leaves in folders it made is no result."""
    return {
        path: status.st_mode
        for path, status in walk(root)
        if path != FOLDER_MARK and not stat.S_ISDIR(status.st_mode)
    }


def _comparable(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def _strict(outputs: list[OutputVerdict]) -> tuple[OutputVerdict, ...]:
    # Between two folders a path in only one of them is a difference like any other.
    return tuple(
        OutputVerdict(
            path=output.path,
            required=True,
            comparison=output.comparison,
            old_digest=output.old_digest,
            new_digest=output.new_digest,
            old_size=output.old_size,
            new_size=output.new_size,
        )
        for output in outputs
    )


def _output(
    path: str,
    old: OutputFile | None,
    new: OutputFile | None,
    rule: Rule,
    reviewer: Mapping[str, object] | None,
    inputs: Mapping[str, str],
) -> OutputVerdict:
    required, options = rule
    try:
        comparison = _compare(path, old, new, options, reviewer)
        digests = [None if side is None else side.digest.hex for side in (old, new)]
    except OSError as error:
        text = f"cannot be read: {error.strerror or error}"
        comparison = _plain(Outcome.UNDECIDED, text, note=f"not compared: {text}")
        digests = [None, None]
    copied = inputs.get(digests[1] or "") if new is not None and new.size > 0 else None
    return OutputVerdict(
        path=path,
        required=required and old is not None,
        comparison=comparison,
        old_digest=digests[0],
        new_digest=digests[1],
        old_size=None if old is None else old.size,
        new_size=None if new is None else new.size,
        copied_from=copied,
    )


def _compare(
    path: str,
    old: OutputFile | None,
    new: OutputFile | None,
    options: Mapping[str, object],
    reviewer: Mapping[str, object] | None,
) -> Comparison:
    if new is None:
        return _plain(Outcome.MISSING, "not written by the rerun")
    if old is None:
        return _plain(Outcome.UNEXPECTED, "written by the rerun, not recorded")
    if old.link or new.link:
        return _links(old, new)
    if old.digest == new.digest:
        return _plain(Outcome.IDENTICAL, "")
    heads = (read_head(old), read_head(new))
    return choose(path, heads, options).compare(old, new, options, path=path, reviewer=reviewer)


def _links(old: OutputFile, new: OutputFile) -> Comparison:
    if old.link and new.link:
        if old.digest == new.digest:
            return _plain(Outcome.IDENTICAL, "a link to the same target")
        return _plain(Outcome.DIFFERENT, "a link to another target", _target(old), _target(new))
    texts = ["a link" if side.link else "a file" for side in (old, new)]
    return _plain(Outcome.DIFFERENT, f"{texts[0]} became {texts[1]}")


def _target(output: OutputFile) -> str:
    with output.open() as stream:
        return os.fsdecode(stream.read(4096))


def _plain(
    outcome: Outcome, summary: str, old: str | None = None, new: str | None = None, note: str = ""
) -> Comparison:
    differences: tuple[Difference, ...] = ()
    if outcome is Outcome.DIFFERENT:
        differences = (Difference(where="the file", text=summary, old=old, new=new),)
    return Comparison(
        outcome=outcome,
        comparator="bytes/1",
        summary=summary,
        differences=differences,
        notes=(note,) if note else (),
    )


def _warnings(output: OutputVerdict) -> list[str]:
    name = printable(output.path, 100)
    if output.outcome is Outcome.UNEXPECTED:
        return [f"{name} was written by the rerun but not recorded"]
    if output.copied_from is not None:
        source = printable(output.copied_from, 100)
        return [f"{name} has the same bytes as the input {source}: copied, not computed?"]
    return []
