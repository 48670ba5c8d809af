"""R by its lines: draws, network, paths, packages; and documents with chunks."""

from __future__ import annotations

import pytest

from repro.project.audit_paths import Here
from repro.project.audit_r import audit_r
from repro.project.audited import Audited
from repro.project.chunks import chunk_text, languages
from repro.project.finding import RISK, STOPS

HERE = Here(root="/p", home="/home/ada", exists=lambda path: False)


def audit(text: str) -> Audited:
    return audit_r(text, "a.R", HERE)


@pytest.mark.parametrize(
    "line", ["sample(1:3)", "x <- rnorm(3)", "y = stats::runif (2)", "kmeans(x, 3)", "rt(3, 2)"]
)
def test_draws(line: str) -> None:
    found = audit(f"# x\n{line}")
    assert [(d.generator, d.line) for d in found.draws] == [("R", 2)]
    assert not found.seeds
    assert audit(f"set.seed(42)\n{line}").seeds == {"R"}


@pytest.mark.parametrize(
    "line",
    ["# sample(3)", "print('sample(3)')", "my.sample(3)", "resample(3)", "x$sample(3)", "rt <- 3"],
)
def test_no_draws(line: str) -> None:
    assert not audit(line).draws


@pytest.mark.parametrize("line", ["set.seed(NULL)", "set.seed(Sys.time())", "# set.seed(1)"])
def test_no_seeds(line: str) -> None:
    assert not audit(line).seeds


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("download.file(u, 'x')", STOPS), ("read.csv('http://a.org/b')", STOPS),
        ("readr::read_csv(\"https://a.org/b\")", STOPS), ("source('https://a.org/b.R')", STOPS),
        ("con <- url('http://a.org')", STOPS), ("httr::GET(u)", STOPS),
        ("system('wget http://a.org')", STOPS), ("install.packages('x')", STOPS),
        ("remotes::install_github('a/b')", STOPS), ("read.csv('http://localhost:1/b')", RISK),
        ("if (!require(x)) install.packages('x')", RISK), ("fread('ftp://a.org/b')", STOPS),
    ],
)  # fmt: skip
def test_network(line: str, level: str) -> None:
    found = audit(f"\n{line}").findings
    assert [(f.code, f.level, f.line) for f in found] == [("network", level, 2)]


@pytest.mark.parametrize(
    "line",
    ["read.csv('b.csv')", "# download.file(u)", "url(x)", "cat('http://a.org')", "system('ls')",
     "'install.packages(x)'", "source('b.R')"],
)  # fmt: skip
def test_no_network(line: str) -> None:
    assert not audit(line).findings


@pytest.mark.parametrize(
    ("line", "code", "level"),
    [
        ("setwd('/home/bob/x')", "absolute-path", STOPS), ("x <- '/home/bob/x'", "home-path", RISK),
        ("read.csv('~/x.csv')", "home-path", STOPS), (r"read.csv('C:\\x\\y.csv')", "absolute-path", STOPS),
        ("write.csv(d, '/data/x.csv')", "absolute-path", RISK), ("y <- '/tmp/x'", "", ""),
        ("y ~ x / 3", "", ""), ("f('~')", "", ""),
    ],
)  # fmt: skip
def test_paths(line: str, code: str, level: str) -> None:
    found = [(f.code, f.level) for f in audit(line).findings]
    assert found == ([(code, level)] if code else [])


def test_packages_and_sourced_files() -> None:
    found = audit("library(dplyr)\nrequire('zoo')\nx <- MASS::y\nsource('lib/b.R') # library(no)")
    assert found.packages == {"dplyr", "zoo", "MASS"}
    assert found.uses == {"b.R"}


def test_chunks_keep_their_lines() -> None:
    text = (
        "t\n```{r a, echo=FALSE}\nx\n```\n```{python}\ny\n```\n```{r, eval=FALSE}\nz\n```\n"
        "````{r}\n```\nw\n````\n```r\nshown\n```"
    )
    r = chunk_text(text, "r").split("\n")
    assert {number: line for number, line in enumerate(r, 1) if line} == {
        3: "x",
        12: "```",
        13: "w",
    }
    assert chunk_text(text, "python").split("\n")[5] == "y"
    assert languages(text) == {"r", "python"}
