"""Whether a project says which versions of which packages it needs."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator, Mapping

import yaml

from repro.primitives.texts import printable
from repro.project.finding import RISK, Finding

PYTHON_LOCKS = frozenset(
    {
        "uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock", "pixi.lock",
        "conda-lock.yml", "conda-linux-64.lock",
    }
)  # fmt: skip
"""Files that name every package with its exact version."""

_PYTHON_LISTS = re.compile(
    r"(?:requirements[\w.-]*\.(?:txt|in)|environment[\w.-]*\.ya?ml|pyproject\.toml|setup\.(?:py|cfg)"
    r"|Pipfile)"
)
_PINNED = re.compile(r"[^=]===?\s*[\w.!+-]*[\w]\s*(?:$|[\s;\\#,])")
_COMMIT = re.compile(r"@[0-9a-f]{40}\b|#.*sha256=|@\s*file:")
_MEND_PYTHON = "pip freeze > requirements.txt, or a lock file (uv lock, pip lock)"
_MEND_R = "renv::snapshot() writes renv.lock"
_BASE_R = frozenset(
    "base compiler datasets grDevices graphics grid methods parallel splines stats stats4 tcltk "
    "tools utils R".split()
)
_OWN = frozenset(
    {"IPython", "ipykernel", "setuptools", "pkg_resources", "pip", "google", "__main__"}
)
_OTHERS = (
    ("Project.toml", "Manifest.toml", "Julia packages", "commit Manifest.toml"),
    ("package.json", "package-lock.json", "Node packages", "npm install writes package-lock.json"),
    ("Cargo.toml", "Cargo.lock", "Rust packages", "cargo generate-lockfile"),
)


def audit_dependencies(
    files: Collection[str],
    read: Mapping[str, str],
    python: Collection[str],
    r: Collection[str],
) -> Iterator[Finding]:
    """Findings about locks. ``files`` are all project files, ``read`` the texts of the lists
    among them, ``python`` and ``r`` the packages that the sources load.
    """
    tops = {path for path in files if "/" not in path}
    if not tops & PYTHON_LOCKS:
        lists = sorted(path for path in tops if _PYTHON_LISTS.fullmatch(path))
        foreign = foreign_modules(python, files)
        if foreign and not lists:
            yield Finding(
                code="no-lock", level=RISK, mend=_MEND_PYTHON,
                text=f"uses {_some(foreign)}, and no file says in which versions",
            )  # fmt: skip
        yield from _lists(lists, read)
    if r and not tops & {"renv.lock", "pak.lock", "packrat"}:
        foreign = sorted(set(r) - _BASE_R)
        if foreign:
            yield Finding(
                code="no-lock", level=RISK, mend=_MEND_R,
                text=f"uses the R packages {_some(foreign)}, and no renv.lock says in which versions",
            )  # fmt: skip
    for listed, lock, what, mend in _OTHERS:
        if listed in tops and lock not in tops:
            yield Finding(
                code="no-lock", level=RISK, path=listed, mend=mend,
                text=f"lists {what}; there is no {lock} with their versions",
            )  # fmt: skip


def foreign_modules(imported: Collection[str], files: Collection[str]) -> list[str]:
    """Imported top-level modules that neither Python nor the project brings; sorted."""
    own = {part.removesuffix(".py") for path in files for part in path.split("/")}
    return sorted(
        name
        for name in imported
        if name and name not in sys.stdlib_module_names and name not in own and name not in _OWN
    )


def is_list(path: str) -> bool:
    """Whether a file's text is wanted by ``audit_dependencies``."""
    return "/" not in path and _PYTHON_LISTS.fullmatch(path) is not None


def _lists(lists: list[str], read: Mapping[str, str]) -> Iterator[Finding]:
    """Entries without an exact version. A pyproject alone is a wish list, so it says so once."""
    exact = [path for path in lists if path.startswith(("requirements", "environment"))]
    for path in exact:
        text = read.get(path, "")
        found = _conda(text) if path.startswith("environment") else _pip(text)
        if found:
            line, _ = found[0]
            names = [name for _, name in found]
            yield Finding(
                code="unpinned", level=RISK, path=path, line=line, mend=_MEND_PYTHON,
                text=f"{_some(names)} without an exact version",
            )  # fmt: skip
    if lists and not exact:
        yield Finding(
            code="no-lock", level=RISK, path=lists[0], mend=_MEND_PYTHON,
            text="says which packages are wanted; there is no lock file with their versions",
        )  # fmt: skip


def _pip(text: str) -> list[tuple[int, str]]:
    """Requirement lines that do not fix one version (PEP 440 `==` without a star, a commit)."""
    found = []
    number, held, start = 0, "", 1
    for number, raw in enumerate(text.splitlines(), 1):
        start = number if not held else start
        held += re.sub(r"(?:^|\s)#.*$", "", raw)
        if held.endswith("\\"):
            held = held[:-1]
            continue
        line, held = held.strip(), ""
        name = _loose(line)
        if name is not None:
            found.append((start, name))
    return found


def _loose(line: str) -> str | None:
    """The name in a requirement that is not pinned."""
    editable = re.match(r"(?:-e|--editable)[\s=]+(.*)", line)
    if editable is not None:
        line = editable.group(1)
    if not line or line.startswith(("-", ".", "/")):
        return None
    if "://" in line:
        return None if _COMMIT.search(line) or re.search(r"\.whl\b|\.tar\.gz\b", line) else line
    bare = line.partition(";")[0]
    if _PINNED.search(bare + " ") and "*" not in bare:
        return None
    match = re.match(r"[A-Za-z0-9][\w.-]*", line)
    return match.group(0) if match else None


def _conda(text: str) -> list[tuple[int, str]]:
    """Entries of environment.yml without ``name=version``; an unreadable file has none."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return []
    entries = document.get("dependencies") if isinstance(document, dict) else None
    found = []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            wanted = entry.get("pip")
            nested = [str(item) for item in wanted] if isinstance(wanted, list) else []
            found += [(_line_of(text, item), name) for item in nested if (name := _loose(item))]
        elif isinstance(entry, str):
            name = re.split(r"[\s=<>!\[]", entry.rpartition("::")[2])[0]
            exact = re.fullmatch(
                r"\s*==?\s*[\w.!+-]+(?:=[\w.]+)?", entry.rpartition("::")[2][len(name) :]
            )
            if not exact and name != "pip":
                found.append((_line_of(text, entry), name))
    return found


def _line_of(text: str, entry: str) -> int:
    for number, line in enumerate(text.splitlines(), 1):
        if entry in line:
            return number
    return 1


def _some(names: Collection[str]) -> str:
    listed = [printable(name, 40) for name in list(names)[:4]]
    rest = len(names) - len(listed)
    return ", ".join(listed) + (f" and {rest} more" if rest > 0 else "")
