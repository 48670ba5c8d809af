"""Read ``repro.yml`` (field list: docs/repro-yml.md) into a Project, strictly.

Every field is optional. An unknown field is an error that names the nearest known one,
since a misspelt ``outputs`` would otherwise weaken a verdict in silence.
"""

from __future__ import annotations

import difflib
import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from repro.errors import ProjectError, UsageError
from repro.model.limits import NO_LIMITS, Limits, limits
from repro.model.project import OutputRule
from repro.model.remote_input import DEFAULT_MOST, RemoteInput
from repro.model.step import Step
from repro.primitives.digest import Digest
from repro.primitives.frozen import frozen
from repro.primitives.texts import printable

VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
CONFIG_NAMES = ("repro.yml", "repro.yaml")
_MAX_CONFIG = 1 << 20
MOST_JOBS = 256
_TOP = (
    "version", "name", "run", "steps", "notebooks", "inputs", "outputs", "environment",
    "seed", "resources", "secrets", "allow", "paper", "jobs",
)  # fmt: skip
_STEP = ("name", "run", "needs", "cwd", "timeout")
_INPUTS = ("include", "exclude", "remote")
_REMOTE = ("url", "sha256", "path", "max_size")
_OUTPUT = ("path", "compare", "required")
_ENVIRONMENT = ("python", "conda", "apt", "r", "variables", "pass", "base")
_RESOURCES = ("cpus", "memory", "pids", "disk", "time", "gpu")
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_COMPARE = (
    "rtol", "atol", "as", "ignore", "max_pixels", "min_ssim", "sort", "key",
)  # fmt: skip


@frozen
class Config:
    """repro.yml as read. ``notes`` name fields that are accepted but not applied yet."""

    path: str
    name: str | None = None
    title: str | None = None
    steps: tuple[Step, ...] = ()
    notebooks: tuple[str, ...] = ()
    outputs: tuple[OutputRule, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    remote: tuple[RemoteInput, ...] = ()
    variables: Mapping[str, str] | None = None
    passed: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    time_limit: float | None = None
    limits: Limits = NO_LIMITS
    jobs: int = 1
    notes: tuple[str, ...] = ()


def find_config(root: Path) -> Path | None:
    """The project's repro.yml, when there is one."""
    for name in CONFIG_NAMES:
        if (root / name).is_file():
            return root / name
    return None


def read_config(path: Path) -> Config:
    """Parse a repro.yml. Raises ProjectError naming the field (and line) that is wrong."""
    fields = _document(path)
    _known(fields, _TOP, "")
    if fields.get("version", 1) != 1:
        raise _wrong("version", "this repro reads version 1", "install a newer repro")
    environment = _table(fields.get("environment"), "environment", _ENVIRONMENT)
    inputs = _table(fields.get("inputs"), "inputs", _INPUTS)
    resources = _table(fields.get("resources"), "resources", _RESOURCES)
    secrets = _table(fields.get("secrets"), "secrets", ("deny",))
    paper = fields.get("paper")
    return Config(
        path=str(path),
        name=_name(fields.get("name")),
        title=_title(paper),
        steps=_steps(fields),
        notebooks=tuple(_text_list(fields.get("notebooks"), "notebooks")),
        outputs=tuple(_outputs(fields.get("outputs"))),
        include=tuple(_text_list(inputs.get("include"), "inputs.include")),
        exclude=tuple(_text_list(inputs.get("exclude"), "inputs.exclude")),
        remote=tuple(_remote(inputs.get("remote"))),
        variables=_variables(environment.get("variables"), fields.get("seed")),
        passed=tuple(_passed(environment.get("pass"))),
        allow=tuple(_texts(fields.get("allow"), "allow")),
        deny=tuple(_text_list(secrets.get("deny"), "secrets.deny")),
        time_limit=_duration(resources.get("time"), "resources.time"),
        limits=_limits(resources),
        jobs=_jobs(fields.get("jobs", 1)),
        notes=tuple(_notes(fields, environment, resources)),
    )


def command_step(argv: Iterable[str]) -> Step:
    """A step from a command line as typed after ``--``."""
    words = tuple(argv)
    return Step(name=Path(words[0]).name, argv=words)


def _document(path: Path) -> Mapping[str, Any]:
    try:
        data = path.read_bytes()
        if len(data) > _MAX_CONFIG:
            raise ProjectError(f"{path.name} is larger than 1 MiB")
        found = yaml.safe_load(data)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise ProjectError(f"{path.name}{where}: {problem}", slug="config") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ProjectError(f"{path.name} cannot be read: {error}", slug="config") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ProjectError(f"{path.name} must hold fields, such as `run: make all`", slug="config")
    return found


def _wrong(field: str, problem: str, hint: str | None = None) -> ProjectError:
    return ProjectError(f"repro.yml: {field}: {problem}", hint=hint, slug="config")


def _known(fields: Mapping[Any, Any], names: tuple[str, ...], where: str) -> None:
    for key in fields:
        if key in names:
            continue
        near = difflib.get_close_matches(str(key), names, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known fields: {', '.join(names)}"
        raise _wrong(f"{where}{printable(str(key), 60)}", "unknown field", hint)


def _table(value: object, field: str, names: tuple[str, ...]) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(field, "must hold fields")
    _known(value, names, f"{field}.")
    return value


def _text_list(value: object, field: str) -> list[str]:
    return [_inside(item, field) for item in _texts(value, field)]


def _texts(value: object, field: str) -> list[str]:
    if value is None:
        return []
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise _wrong(field, "must be a list of texts")
    return items


def _inside(path: str, field: str) -> str:
    if path.startswith("/") or ".." in path.split("/") or not path:
        raise _wrong(field, f"{printable(path, 80)!r} must be a path inside the project")
    return path


def _name(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value):
        raise _wrong("name", "use letters, digits, '.', '_' and '-', at most 100")
    return value


def _title(paper: object) -> str | None:
    if paper is None:
        return None
    fields = _table(paper, "paper", ("title", "doi", "citation"))
    title = fields.get("title")
    return title if isinstance(title, str) else None


def _steps(fields: Mapping[str, Any]) -> tuple[Step, ...]:
    if "run" in fields and "steps" in fields:
        raise _wrong("run", "give either `run` or `steps`, not both")
    if "run" in fields:
        return (Step(name="run", argv=_argv(fields["run"], "run")),)
    listed = fields.get("steps") or []
    if not isinstance(listed, list):
        raise _wrong("steps", "must be a list")
    steps = tuple(_step(item, number) for number, item in enumerate(listed))
    return _ordered(steps)


def _jobs(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_JOBS:
        raise _wrong("jobs", f"must be a number from 1 to {MOST_JOBS}: how many steps run at once")
    return value


def _step(value: object, number: int) -> Step:
    where = f"steps[{number}]"
    if isinstance(value, str):
        return Step(name=f"step{number + 1}", argv=_argv(value, where))
    fields = _table(value, where, _STEP)
    name = fields.get("name", f"step{number + 1}")
    if not isinstance(name, str):
        raise _wrong(f"{where}.name", "must be text")
    cwd = fields.get("cwd", ".")
    if not isinstance(cwd, str):
        raise _wrong(f"{where}.cwd", "must be text")
    return Step(
        name=name,
        argv=_argv(fields.get("run"), f"{where}.run"),
        cwd=_inside(cwd, f"{where}.cwd"),
        needs=tuple(_text_list(fields.get("needs"), f"{where}.needs")),
        timeout=_duration(fields.get("timeout"), f"{where}.timeout"),
    )


def _argv(value: object, field: str) -> tuple[str, ...]:
    """A list is taken as it is; text with shell syntax goes through ``sh -c``."""
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        return tuple(value)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(field, "must be a command")
    if re.search(r"[|&;<>$`*?(){}\n~#]|\[|\\", value) or re.match(r"\s*\w+=", value):
        return ("sh", "-e", "-c", value)
    try:
        return tuple(shlex.split(value))
    except ValueError as error:
        raise _wrong(field, f"{error}") from None


def _ordered(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Steps so that each comes after those it needs; the listed order otherwise."""
    names = [step.name for step in steps]
    for name in names:
        if names.count(name) > 1:
            raise _wrong("steps", f"two steps are named {name!r}")
    done: list[Step] = []
    waiting = list(steps)
    while waiting:
        ready = next(
            (
                step
                for step in waiting
                if all(need in {d.name for d in done} for need in step.needs)
            ),
            None,
        )
        if ready is None:
            missing = [n for step in waiting for n in step.needs if n not in names]
            problem = f"needs {missing[0]!r}, which is no step" if missing else "need each other"
            raise _wrong("steps", f"{waiting[0].name!r}: {problem}")
        done.append(ready)
        waiting.remove(ready)
    return tuple(done)


def _remote(value: object) -> Iterable[RemoteInput]:
    if value is None:
        return
    if not isinstance(value, list):
        raise _wrong("inputs.remote", "must be a list of {url, sha256, path}")
    paths: set[str] = set()
    for number, item in enumerate(value):
        where = f"inputs.remote[{number}]"
        if not isinstance(item, dict):
            raise _wrong(where, "must hold url, sha256 and path")
        fields = _table(item, where, _REMOTE)
        url = _remote_url(fields.get("url"), f"{where}.url")
        path = fields.get("path")
        if not isinstance(path, str) or path.endswith("/"):
            raise _wrong(f"{where}.path", "must be a file's path inside the project")
        path = posixpath.normpath(_inside(path, f"{where}.path"))
        if path == "." or path in paths:
            raise _wrong(f"{where}.path", f"{printable(path, 80)!r} is no file of its own")
        paths.add(path)
        yield RemoteInput(
            url=url, path=path,
            digest=_remote_digest(fields.get("sha256"), url, f"{where}.sha256"),
            most=_size(fields.get("max_size"), f"{where}.max_size") or DEFAULT_MOST,
        )  # fmt: skip


def _remote_url(value: object, field: str) -> str:
    if not isinstance(value, str) or re.search(r"[\s\x00-\x1f\x7f]", value):
        raise _wrong(field, "must be a URL without blanks")
    try:
        parts = urlsplit(value)
        host, password = parts.hostname, parts.username or parts.password
    except ValueError as error:
        raise _wrong(field, f"{error}") from None
    if password:
        raise _wrong(field, "must not hold a name or password: it is written into the archive")
    if parts.scheme in ("http", "https") and host:
        return value
    if parts.scheme == "file" and host in (None, "localhost") and parts.path.startswith("/"):
        return value
    hint = "https://…, http://… or file:///…"
    raise _wrong(field, f"{printable(value, 80)!r} cannot be fetched", hint)


def _remote_digest(value: object, url: str, field: str) -> Digest:
    # YAML takes 64 digits without a letter for a number.
    text = str(value).lower().removeprefix("sha256:") if value is not None else ""
    if re.fullmatch(r"[0-9a-f]{64}", text):
        return Digest(text)
    problem = "is missing" if value is None else "must be 64 hexadecimal digits, in quotes"
    raise _wrong(field, problem, f"curl -L {shlex.quote(url)} | sha256sum")


def _size(value: object, field: str) -> int | None:
    """Bytes from ``5000``, ``"500MB"``, ``"50GB"`` (powers of 1000)."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,15})\s*(|B|kB|KB|MB|GB|TB)", str(value))
    if match is None or int(match.group(1)) == 0:
        raise _wrong(field, f"{printable(str(value), 40)!r} is no size", "write 500MB or 50GB")
    return int(match.group(1)) * _UNITS[match.group(2).upper()]


def _outputs(value: object) -> Iterable[OutputRule]:
    if value is None:
        return
    if not isinstance(value, list):
        raise _wrong("outputs", "must be a list")
    for number, item in enumerate(value):
        where = f"outputs[{number}]"
        if isinstance(item, str):
            yield OutputRule(pattern=_inside(item, where))
            continue
        fields = _table(item, where, _OUTPUT)
        path = fields.get("path")
        if not isinstance(path, str):
            raise _wrong(f"{where}.path", "must be a path")
        required = fields.get("required", True)
        if not isinstance(required, bool):
            raise _wrong(f"{where}.required", "must be true or false")
        compare = _table(fields.get("compare"), f"{where}.compare", _COMPARE)
        yield OutputRule(
            pattern=_inside(path, f"{where}.path"),
            required=required,
            compare={key: _option(item, f"{where}.compare.{key}") for key, item in compare.items()},
        )


def _option(value: object, field: str) -> object:
    """Numbers become text: the options are sealed, and canonical JSON has no floats."""
    if isinstance(value, bool) or isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return [_option(item, field) for item in value]
    raise _wrong(field, "must be a number, text or a list of them")


def _variables(value: object, seed: object) -> dict[str, str]:
    found: dict[str, str] = {}
    for field, table in (("seed", seed), ("environment.variables", value)):
        if table is None:
            continue
        if not isinstance(table, dict):
            raise _wrong(field, "must hold NAME: value")
        for key, item in table.items():
            if not re.fullmatch(VARIABLE, str(key)):
                raise _wrong(f"{field}.{printable(str(key), 60)}", "not a variable's name")
            if not isinstance(item, (str, int, float)) or isinstance(item, bool):
                raise _wrong(f"{field}.{key}", "must be text or a number")
            found[str(key)] = str(item)
    return found


def _passed(value: object) -> Iterable[str]:
    """Names of variables whose values come from the author's shell."""
    names = [value] if isinstance(value, str) else value or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _wrong("environment.pass", "must be a list of names")
    for name in names:
        if not re.fullmatch(VARIABLE, name):
            raise _wrong("environment.pass", f"{printable(name, 60)!r} is not a variable's name")
        yield name


def _limits(resources: Mapping[str, Any]) -> Limits:
    """``memory: 2G``, ``cpus: 2``, ``pids: 512``, ``disk: 10G`` for the sealed reruns."""
    names = ("memory", "cpus", "pids", "disk")
    given = {name: str(resources[name]) for name in names if resources.get(name) is not None}
    try:
        return limits(**given)
    except UsageError as error:
        raise _wrong("resources", error.message, error.hint) from None


def _duration(value: object, field: str) -> float | None:
    """Seconds from ``90``, ``"90s"``, ``"30m"``, ``"2h"``."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value))
    if match is None or float(match.group(1)) <= 0:
        raise _wrong(field, f"{printable(str(value), 40)!r} is no duration", "write 90s, 30m or 2h")
    return float(match.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600}[match.group(2)]


def _notes(
    fields: Mapping[str, Any],
    environment: Mapping[str, Any],
    resources: Mapping[str, Any],
) -> Iterable[str]:
    if "gpu" in resources:
        yield "repro.yml: resources.gpu is not enforced by this version"
    for key in ("python", "conda", "apt", "r", "base"):
        if environment.get(key, "auto") != "auto":
            yield f"repro.yml: environment.{key} is not applied: what the run used is packed"
