"""Which files of a run are its results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from repro.errors import ProjectError
from repro.model.observation import Change, Observation
from repro.model.ports import OutputFile
from repro.model.project import OutputRule, Project
from repro.model.recording import Output
from repro.primitives.texts import printable
from repro.project.detect import is_cache
from repro.project.globs import matches, matches_any

_DEFAULT_RULE = OutputRule(pattern="**")


def made_environments(observation: Observation) -> tuple[str, ...]:
    """Folders of the project that the run itself made an environment (a venv, a conda prefix)."""
    folders = set()
    for path, change in observation.changes:
        folder, _, leaf = path.rpartition("/")
        if change is Change.CREATED and leaf == "pyvenv.cfg" and folder:
            folders.add(folder)
        elif change is Change.CREATED and "/conda-meta/" in path:
            folders.add(path.partition("/conda-meta/")[0])
    return tuple(sorted(folders))


def written_paths(
    observation: Observation, exclude: Sequence[str], environments: Iterable[str]
) -> list[str]:
    """Project paths the run created or changed: no caches, no excluded, nothing in a venv."""
    folders = tuple(f"{folder}/" for folder in environments)
    return sorted(
        path
        for path, change in observation.changes
        if change is not Change.DELETED
        and not is_cache(path)
        and not matches_any(path, exclude)
        and not path.startswith(folders)
    )


def choose_outputs(project: Project, written: Sequence[str]) -> dict[str, OutputRule]:
    """The results among the written paths with the rule of each (the last that matches).

    Raises ProjectError when a required declared output was not written, or nothing was.
    """
    if not project.declared:
        chosen = dict.fromkeys(written, _DEFAULT_RULE)
    else:
        chosen = {}
        for rule in project.outputs:
            found = [path for path in written if matches(path, rule.pattern)]
            if not found and rule.required:
                raise ProjectError(
                    f"the run did not write the declared output {printable(rule.pattern)}",
                    hint="correct `outputs` in repro.yml, or mark it `required: false`",
                    slug="output-missing",
                )
            chosen.update(dict.fromkeys(found, rule))
    if not chosen:
        raise ProjectError(
            "the run wrote nothing in the project, so there is nothing to compare",
            hint="if results were up to date, hide the old ones: --fresh 'results/**'; "
            "if it only prints: repro snapshot -- sh -c 'COMMAND > output.txt'",
            slug="no-outputs",
        )
    return chosen


def hidden_paths(
    existing: Iterable[str],
    project: Project,
    earlier: Iterable[str],
    fresh: Sequence[str],
) -> tuple[str, ...]:
    """Old results to hide before the run, so that it really makes them again.

    They are: what repro.yml declares, what the last archive recorded (``earlier``), and
    what the person named with ``--fresh``.
    """
    patterns = [rule.pattern for rule in project.outputs] + list(fresh)
    known = set(earlier)
    if not patterns and not known:
        # ``existing`` may be a walk over everything: not begun without need.
        return ()
    return tuple(
        path
        for path in sorted(existing)
        if path in known or (patterns and matches_any(path, patterns))
    )


def output_records(
    files: Mapping[str, OutputFile], rules: Mapping[str, OutputRule]
) -> tuple[Output, ...]:
    """The claims' outputs, sorted by path."""
    return tuple(
        Output(
            path=path,
            size=files[path].size,
            digest=files[path].digest,
            required=rules[path].required,
            compare=rules[path].compare,
            link=files[path].link,
        )
        for path in sorted(files)
    )
