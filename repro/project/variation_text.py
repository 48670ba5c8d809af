"""Lines of R and shell text where the clock, an order or the machine comes in."""

from __future__ import annotations

import re
from collections.abc import Iterator

from repro.model.stability import Spot

_W = r"(?<![\w.$@])"
_R = tuple(
    (axis, re.compile(_W + pattern), mend)
    for axis, pattern, mend in (
        ("clock", r"(?:Sys\.time|Sys\.Date|date|proc\.time|system\.time|lubridate::now)\s*\(|"
         + _W + r"(?:now|today)\s*\(\s*\)",
         "take the date from the data; keep times out of results"),
        ("host-name", r"Sys\.info\s*\(", "keep the machine's and the user's name out of results"),
        ("user-id", r"(?:Sys\.info\s*\(|Sys\.getenv\s*\(\s*['\"](?:USER|HOME|LOGNAME))",
         "keep the machine's and the user's name out of results"),
        ("cpus", r"(?:parallel::)?detectCores\s*\(|" + _W + r"availableCores\s*\(",
         "give a fixed number of workers"),
        ("threads", r"(?:solve|svd|qr|crossprod|tcrossprod|lm|glm|prcomp|eigen|chol)\s*\(|%\*%",
         "hold the number of threads (OMP_NUM_THREADS), or allow a tolerance"),
        ("order", r"(?:mclapply|parLapply|foreach|future_lapply|future_map|clusterApply)\s*\(",
         "set RNGkind(\"L'Ecuyer-CMRG\") and a seed before parallel work"),
        ("locale", r"(?:sort|order|Sys\.setlocale|toupper|format)\s*\(|" + _W + r"factor\s*\(",
         "sort with method = \"radix\", or set LC_ALL in repro.yml"),
        ("time-zone", r"(?:as\.POSIX[cl]t|strptime|Sys\.timezone|ISOdatetime)\s*\(",
         "name the zone: tz = \"UTC\""),
        ("directory-order", r"(?:system2?|fs::dir_ls)\s*\(", "sort what is listed"),
        ("process", r"(?:Sys\.getpid|tempfile|tempdir)\s*\(", "keep it out of results"),
    )
)  # fmt: skip
_LONGEST = 4_000  # characters of a line; what is longer is data
_B = r"(?:^|[;&|(`{!@\s]|\$\()"
_SHELL = tuple(
    (axis, re.compile(pattern), mend)
    for axis, pattern, mend in (
        ("clock", _B + r"date(?:\s+(?!.*(?:-d|-r|--date|--reference))|\s*$|[)`])|\$\{?EPOCH(?:SECONDS|REALTIME)",
         "take the date from the data; keep times out of results"),
        ("random", r"\$\{?S?RANDOM\b|/dev/u?random|" + _B + r"(?:shuf|uuidgen|mktemp)\b(?!.*--random-source)|"
         + r"\bsort\s+(?:-\w*R|--random-sort)",
         "give a source of its own: shuf --random-source=FILE"),
        ("directory-order", _B + r"(?:find|ls\s+-\w*[Uf]\w*)\s(?!.*\|\s*sort)", "sort it: find … | sort"),
        ("host-name", _B + r"(?:hostname|uname\s+-\w*[an]|hostnamectl)\b|\$\{?HOSTNAME",
         "keep the machine's name out of results"),
        ("user-id", _B + r"(?:whoami|id|logname)\b(?!\s*=)|\$\{?(?:USER|UID|LOGNAME)\b",
         "keep the user's name and number out of results"),
        ("cpus", _B + r"(?:nproc|getconf\s+_NPROCESSORS\w*)\b|\bmake\b.*-j(?!\s*\d)",
         "give a fixed number of workers"),
        ("order", _B + r"(?:xargs\b.*-P|parallel)\b|&\s*$", "wait for each, or sort what they write"),
        ("locale", _B + r"sort\b", "sort under LC_ALL=C"),
        ("process", r"\$\$", "keep it out of results"),
    )
)  # fmt: skip


def r_variations(text: str, path: str) -> Iterator[Spot]:
    """The lines of an R source; what stands behind a ``#`` is not looked at."""
    yield from _found(text, path, _R)


def shell_variations(text: str, path: str) -> Iterator[Spot]:
    """The lines of shell text or of a Makefile."""
    yield from _found(text.replace("$$$$", "$$"), path, _SHELL)


def _found(
    text: str, path: str, table: tuple[tuple[str, re.Pattern[str], str], ...]
) -> Iterator[Spot]:
    for number, line in enumerate(text.splitlines(), 1):
        code = re.sub(r"(?:^|(?<=\s))#.*", "", line[:_LONGEST])
        for axis, pattern, mend in table:
            match = pattern.search(code)
            if match is not None:
                shown = match.group().strip(" \t;&|(`{!@$") or match.group().strip()
                yield Spot(axis=axis, path=path, line=number, text=shown[:60], mend=mend)
