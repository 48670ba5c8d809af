"""``repro diff``: two folders, files or archives, judged by the same judge as verify."""

from __future__ import annotations

from pathlib import Path

from repro.compare.judge import judge, judge_folders
from repro.errors import UsageError
from repro.model.outcome import Outcome
from repro.model.verdict import Verdict
from repro.primitives.texts import printable
from repro.store.archive import Archive
from repro.workflows.names import no_file, parse_reference


def diff(old: str, new: str, required: Outcome) -> Verdict:
    """Compare two folders, two files, or the recorded results of two archives.

    Raises UsageError when the two sides are of different kinds.
    """
    kinds = (_kind(old), _kind(new))
    if kinds == ("archive", "archive"):
        return _archives(old, new, required)
    if "archive" in kinds or kinds[0] != kinds[1]:
        raise UsageError(
            f"{printable(old)} is {_article(kinds[0])}, {printable(new)} is {_article(kinds[1])}",
            hint="compare two folders, two files or two archives "
            "(repro extract --results ARCHIVE FOLDER takes results out)",
        )
    return judge_folders(old, new, required=required)


def are_archives(old: str, new: str) -> bool:
    """Whether both sides are archives. Raises UsageError when one is not there."""
    return _kind(old) == _kind(new) == "archive"


def _kind(text: str) -> str:
    path = Path(text)
    if path.is_dir():
        return "folder"
    reference = text if path.exists() else text.rpartition(":")[0]
    if reference.endswith(".repro") and Path(reference).is_file():
        return "archive"
    if path.exists():
        return "file"
    raise no_file(f"there is no {printable(text)}", text)


def _article(kind: str) -> str:
    return f"an {kind}" if kind == "archive" else f"a {kind}"


def _archives(old: str, new: str, required: Outcome) -> Verdict:
    old_path, old_tag = parse_reference(old)
    new_path, new_tag = parse_reference(new)
    with Archive.open(old_path) as one, Archive.open(new_path) as two:
        first, second = one.version(old_tag), two.version(new_tag)
        claims = one.recording(first).claims
        return judge(
            one.results(first),
            two.results(second),
            rules={o.path: (o.required, o.compare) for o in claims.outputs},
            required=required,
            declared=claims.declared,
        )
