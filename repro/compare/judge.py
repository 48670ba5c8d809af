"""Recorded and produced outputs in, a Verdict out: every path of either side gets an outcome."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence

from repro.compare.base import read_head
from repro.compare.child import release
from repro.compare.choose import choose
from repro.compare.crew import judge_all, workers
from repro.compare.sides import outputs_in
from repro.model.outcome import Outcome
from repro.model.ports import OutputFile
from repro.model.verdict import Comparison, Difference, OutputVerdict, Verdict
from repro.primitives.files import walk
from repro.primitives.frozen import frozen
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
    pairs = []
    for path in sorted(recorded.keys() | produced.keys()):
        old, new = recorded.get(path), produced.get(path)
        if old is not None or not declared:
            pairs.append(_Pair(path=path, old=old, new=new, rule=rules.get(path, _NO_RULE)))
    outputs = _judge_pairs(pairs, reviewer_options, inputs)
    for output in outputs:
        warnings.extend(_warnings(output))
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
    pairs, outputs = [], []
    for path in sorted(kinds[0].keys() | kinds[1].keys()):
        special = [kind[path] for kind in kinds if path in kind and not _comparable(kind[path])]
        if special:
            note = f"not compared: {_KIND.get(stat.S_IFMT(special[0]), 'a special file')}"
            comparison = _plain(Outcome.UNDECIDED, "a special file", note=note)
            outputs.append(OutputVerdict(path=path, required=True, comparison=comparison))
        else:
            pairs.append(_Pair(path=path, old=sides[0].get(path), new=sides[1].get(path)))
    outputs += _judge_pairs(pairs, None, {})
    outputs.sort(key=lambda output: output.path)
    return Verdict(outputs=_strict(outputs), required=required)


@frozen
class _Pair:
    """What one output is judged by."""

    path: str
    old: OutputFile | None
    new: OutputFile | None
    rule: Rule = _NO_RULE


def _judge_pairs(
    pairs: Sequence[_Pair], reviewer: Mapping[str, object] | None, inputs: Mapping[str, str]
) -> list[OutputVerdict]:
    """Every pair's verdict in their order, by several processes where that is worth it."""

    def job(pair: _Pair) -> Callable[[], OutputVerdict]:
        return lambda: _output(pair, reviewer, inputs)

    def killed(number: int) -> OutputVerdict:
        pair = pairs[number]
        text = "its judge was killed (memory?)"
        comparison = _plain(Outcome.UNDECIDED, text, note=f"not compared: {text}")
        required = pair.rule[0] and pair.old is not None
        return OutputVerdict(path=pair.path, required=required, comparison=comparison)

    both = [p for p in pairs if p.old is not None and p.new is not None]
    size = sum(side.size for p in both for side in (p.old, p.new) if side is not None)
    try:
        return judge_all([job(pair) for pair in pairs], workers(len(both), size), killed)
    finally:
        release()


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
        output = _judge_pairs([_Pair(path=name, old=pair[0], new=pair[1])], None, {})[0]
    return Verdict(outputs=(output,), required=required)


def _kinds(root: str) -> dict[str, int]:
    return {path: status.st_mode for path, status in walk(root) if not stat.S_ISDIR(status.st_mode)}


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
    pair: _Pair, reviewer: Mapping[str, object] | None, inputs: Mapping[str, str]
) -> OutputVerdict:
    path, old, new = pair.path, pair.old, pair.new
    required, options = pair.rule
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
