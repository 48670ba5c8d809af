"""Network programs and machine-bound paths in shell text, Makefiles and Snakefiles."""

from __future__ import annotations

import re
from collections.abc import Iterator

from repro.primitives.texts import printable
from repro.project.audit_paths import Here, path_finding
from repro.project.audited import Audited
from repro.project.finding import RISK, STOPS, Finding

NETWORK_MEND = (
    "fetch it before the run: `inputs.remote` in repro.yml ({url, sha256, path}), and read `path`"
)
INSTALL_MEND = (
    "install before the run: repro packs what is installed, a sealed rerun installs nothing"
)

_BEFORE = (
    r"(?:^|[;&|(`{!@]|\$\(|\b(?:then|do|else|if|while|sudo|time|exec|env|xargs|nohup)\s)\s*[-@+]*"
)
_FETCHES = re.compile(
    _BEFORE + r"((?:/usr/bin/)?(?:curl|wget|aria2c|axel|lftp|ftp|scp|sftp|rclone|gsutil|gdown|kaggle"
    r"|prefetch|fasterq-dump|fastq-dump)"
    r"|git\s+(?:clone|pull|fetch|submodule\s+update)"
    r"|aws\s+s3|gcloud\s+storage|dvc\s+pull|git\s+lfs\s+pull|git-annex\s+get|datalad\s+(?:get|install|clone)"
    r"|huggingface-cli\s+download|hf\s+download|zenodo_get|ssh|rsync(?=\s.*\s?\S+@?\S*:))(?=\s|$)"
)  # fmt: skip
_INSTALLS = re.compile(
    _BEFORE + r"((?:python[\d.]*\s+-m\s+)?pip[\d.]*\s+(?:install|download)"
    r"|(?:uv\s+(?:pip\s+install|sync|add|run))|(?:conda|mamba|micromamba)\s+(?:install|create|env\s+\w+)"
    r"|apt(?:-get)?\s+(?:install|update|upgrade)|npm\s+(?:install|ci|i)|poetry\s+(?:install|add)"
    r"|cargo\s+install|gem\s+install|brew\s+install|docker\s+(?:pull|run|build))(?=\s|$)"
)  # fmt: skip
_URL = re.compile(r"(?:https?|ftp)://[^\s'\"|;)>]+")
_LOCAL = re.compile(r"https?://(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]|0\.0\.0\.0)(?=[:/]|$)")
_NO_SOURCE = re.compile(r"^(?:pip|uv)\b.*--no-index|^pip.*\s-e\s+\.\s*$")
_PATH = re.compile(r"(?<![\w./:$}-])((?:~|\$HOME|\$\{HOME\})?/[\w.@+-][\w./@+{}$-]*)")


def audit_shell(text: str, path: str, here: Here, *, make: bool = False) -> Audited:
    """Findings of shell text; with ``make`` only recipes and ``$(shell …)`` are shell."""
    findings: list[Finding] = []
    for number, line in _lines(text, make):
        finding = network_in_shell(line, path, number)
        if finding is not None:
            findings.append(finding)
            continue
        for match in _PATH.finditer(line):
            word = match.group(1)
            bad = path_finding(word, here, reads=False, opens=False, path=path, line=number)
            if bad is not None:
                findings.append(bad)
    return Audited(path=path, language="shell", findings=tuple(dict.fromkeys(findings)))


def network_in_shell(line: str, path: str, number: int | None) -> Finding | None:
    """What a line of shell would fetch or install, if anything."""
    install = _INSTALLS.search(line)
    if install is not None:
        rest = line[install.start(1) :]
        if _NO_SOURCE.search(rest):
            return None
        return Finding(
            code="network", level=STOPS, text=f"`{printable(rest.strip(), 80)}` installs by network",
            mend=INSTALL_MEND, path=path, line=number,
        )  # fmt: skip
    fetch = _FETCHES.search(line)
    if fetch is None or "file://" in line or re.search(r"--(?:version|help)\b", line):
        return None
    rest = line[fetch.start(1) :].strip()
    urls = _URL.findall(rest)
    local = bool(urls) and all(is_local(url) for url in urls)
    what = "asks a service of this machine" if local else "asks the network"
    return Finding(
        code="network", level=RISK if local else STOPS,
        text=f"`{printable(rest, 80)}` {what}; a sealed rerun has none",
        mend=NETWORK_MEND, path=path, line=number, url=urls[0] if urls else None,
    )  # fmt: skip


def is_local(url: str) -> bool:
    """Whether a URL asks this machine itself."""
    return _LOCAL.match(url) is not None


def _lines(text: str, make: bool) -> Iterator[tuple[int, str]]:
    """Logical lines (continuations joined) without comments, with their first number."""
    start, held = 0, ""
    for number, raw in enumerate(text.splitlines(), 1):
        if not held:
            start = number
        held += raw
        if held.endswith("\\"):
            held = held[:-1] + " "
            continue
        line, held = held, ""
        if make:
            line = _recipe(line)
        yield start, _bare(line)
    if held:
        yield start, _bare(_recipe(held) if make else held)


def _recipe(line: str) -> str:
    if line.startswith("\t"):
        return line[1:]
    shell = re.search(r"\$\(shell\s+(.*)\)", line)
    if shell is not None:
        return shell.group(1)
    # `VARIABLE = /home/me/data` is no command, but its paths count.
    assigned = re.match(r"\s*(?:export\s+)?[\w.-]+\s*[:?+]?=\s*(.*)", line)
    return f": {assigned.group(1)}" if assigned else ""


def _bare(line: str) -> str:
    """Without a comment and without what ``echo`` says; quotes are respected."""
    quote = ""
    for index, char in enumerate(line):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "#" and (index == 0 or line[index - 1] in " \t;"):
            line = line[:index]
            break
    return re.sub(r"\b(?:echo|printf)\s+(?:'[^']*'|\"[^\"`$]*\"|[^;&|`$'\"]*)", "", line)
