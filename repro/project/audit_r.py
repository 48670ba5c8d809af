"""An R file by its lines: random draws, network, machine-bound paths, packages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from repro.primitives.texts import printable
from repro.project.audit_paths import Here, path_finding
from repro.project.audit_shell import INSTALL_MEND, NETWORK_MEND, is_local, network_in_shell
from repro.project.audited import Audited, Draw
from repro.project.finding import RISK, STOPS, Finding

_WORD = r"(?<![\w.$@])"
_SEED = re.compile(_WORD + r"set\.seed\s*\(\s*(?!NULL\b|\)|Sys\.)|RNGseed\s*=\s*\d")
_DRAW = re.compile(
    _WORD + r"(sample(?:\.int)?|r(?:norm|unif|binom|pois|exp|gamma|beta|t|chisq|f|multinom|weibull"
    r"|logis|cauchy|geom|hyper|nbinom|lnorm|signrank|wilcox)|rmvnorm|mvrnorm|rdirichlet"
    r"|kmeans|randomForest|ranger|createDataPartition|createFolds|sample_n|sample_frac|slice_sample"
    r"|initial_split|vfold_cv|bootstraps|boot|jitter|Rtsne|umap|stan|brm)\s*\("
)
_FETCH = re.compile(
    _WORD + r"(download\.file|curl_download|curl_fetch_\w+|curl::curl|getURL|httr::\w+|httr2::\w+"
    r"|req_perform|GET|POST|url|getSymbols|WDI|download_\w+|drive_download|gs4_get"
    r"|get_eurostat|osf_download|dataverse::\w+)\s*\("
)
_INSTALL = re.compile(
    _WORD + r"(install\.packages|(?:\w+::)?install_(?:github|gitlab|bitbucket|cran|version|url|git)"
    r"|BiocManager::install|pak::\w+|pacman::p_load|p_load|renv::(?:restore|install))\s*\("
)
_GUARDED = re.compile(r"\bif\s*\(.*(?:require|requireNamespace|installed\.packages|is_installed)")
_URL_READ = re.compile(
    _WORD + r"((?:read|readr::read|data\.table::f?read|readxl::read)[\w.]*|readLines|readRDS|fread|"
    r"source|scan|load|vroom|fromJSON|read_\w+|st_read|rast|raster|nc_open|file)\s*\(\s*"
    r"(?:\w+\s*=\s*)?(['\"])((?:https?|ftp)://.*?)\2"
)
_TEXT = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'")
_READ = re.compile(
    r"(?:read[\w.]*|fread|scan|load|source|vroom|setwd|file|list\.files|st_read|nc_open|rast"
    r"|dyn\.load)\s*\(\s*(?:\w+\s*=\s*)?$"
)
_WRITE = re.compile(
    r"(?:write[\w.]*|saveRDS|save|ggsave|pdf|png|svg|jpeg|tiff|sink|dir\.create|file\.path)\s*\(.*$"
)
_SOURCED = re.compile(r"(?:source|sys\.source)\s*\(\s*(?:file\s*=\s*)?['\"]([^'\"]+)['\"]")
_PACKAGE = re.compile(
    r"(?:library|require|requireNamespace|loadNamespace)\s*\(\s*['\"]?([A-Za-z][\w.]*)['\"]?"
    r"|(?<![\w.:])([A-Za-z][\w.]*):::?[\w.]"
)
_SYSTEM = re.compile(_WORD + r"system2?\s*\(\s*(['\"])(.*?)\1")
_SEED_MEND = "call set.seed(1) before the first draw"


def audit_r(text: str, path: str, here: Here) -> Audited:
    """What an R file shows."""
    findings: list[Finding] = []
    draws: list[Draw] = []
    seeded = False
    uses: set[str] = set()
    packages: set[str] = set()
    for number, raw in enumerate(text.splitlines(), 1):
        line = _without_comment(raw)
        code = _TEXT.sub('""', line)
        seeded = seeded or _SEED.search(code) is not None
        for match in _DRAW.finditer(code):
            draws.append(
                Draw(generator="R", call=match.group(1), line=number, mend=_SEED_MEND)
            )  # fmt: skip
        findings += _network(line, code, path, number)
        findings += _paths(line, path, number, here)
        uses.update(found.rpartition("/")[2] for found in _SOURCED.findall(line))
        packages.update(first or second for first, second in _PACKAGE.findall(line))
    return Audited(
        path=path,
        language="r",
        findings=tuple(dict.fromkeys(findings)),
        draws=tuple(draws),
        seeds=frozenset({"R"} if seeded else ()),
        uses=frozenset(uses),
        packages=frozenset(packages),
    )


def _network(line: str, code: str, path: str, number: int) -> Iterator[Finding]:
    url: str | None = None

    def found(text: str, mend: str, level: str = STOPS) -> Finding:
        return Finding(
            code="network", level=level, text=text, mend=mend, path=path, line=number, url=url
        )

    install = _INSTALL.search(code)
    if install is not None:
        level = RISK if _GUARDED.search(code) else STOPS
        yield found(f"{install.group(1)} installs by network", INSTALL_MEND, level)
        return
    read = _URL_READ.search(line)
    fetch = _FETCH.search(code)
    if read is not None:
        what, url = read.group(1), read.group(3)
    elif fetch is not None:
        urls = re.findall(r"['\"]((?:https?|ftp)://[^'\"]+)", line)
        if fetch.group(1) == "url" and not urls:
            # `url(x)` may be anything: a column's name in a formula, a plain function.
            return
        if "file://" in line:
            return
        what, url = fetch.group(1), urls[0] if urls else None
    else:
        shell = _SYSTEM.search(line)
        finding = network_in_shell(shell.group(2), path, number) if shell else None
        if finding is not None:
            yield finding
        return
    local = url is not None and is_local(url)
    asked = f" for {printable(url, 100)}" if url is not None else ""
    where = "a service of this machine" if local else "the network"
    yield found(
        f"{what} asks {where}{asked}; a sealed rerun has none", NETWORK_MEND,
        RISK if local else STOPS,
    )  # fmt: skip


def _paths(line: str, path: str, number: int, here: Here) -> Iterator[Finding]:
    for match in _TEXT.finditer(line):
        text = match.group(1) if match.group(1) is not None else match.group(2)
        before = line[: match.start()]
        reads = _READ.search(before) is not None
        opens = reads or _WRITE.search(before) is not None
        finding = path_finding(
            text.replace("\\\\", "\\"), here, reads=reads, opens=opens, path=path, line=number
        )  # fmt: skip
        if finding is not None:
            yield finding


def _without_comment(line: str) -> str:
    quote, index = "", 0
    while index < len(line):
        char = line[index]
        if quote and char == "\\":
            index += 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"`":
            quote = char
        elif char == "#":
            return line[:index]
        index += 1
    return line
