"""Lines of R and shell where the machine comes in."""

from __future__ import annotations

import pytest

from repro.project.variation_text import r_variations, shell_variations

R = [
    ("clock", "x <- Sys.time()", "x <- Sys.sleep(1)"),
    ("host-name", "x <- Sys.info()[['nodename']]", "x <- info()"),
    ("cpus", "n <- parallel::detectCores()", "n <- cores"),
    ("threads", "x <- solve(a, b)", "x <- a * b"),
    ("threads", "x <- a %*% b", "x <- a + b"),
    ("order", "mclapply(x, f)", "lapply(x, f)"),
    ("clock", "a <- 1 ; date()", "a <- 1 # date()"),
]
SHELL = [
    ("clock", "date > out.txt", "update > out.txt"),
    ("clock", "x=$(date)", "x=$(cat date.txt)"),
    ("random", "echo $RANDOM", "echo random"),
    ("random", "shuf in.txt", "shuf --random-source=in.txt in.txt"),
    ("directory-order", "find d -type f", "find d -type f | sort"),
    ("host-name", "hostname > h", "echo host"),
    ("user-id", "whoami > u", "echo who"),
    ("cpus", "make -j", "make -j 2"),
    ("process", "echo $$", "echo $x"),
]


@pytest.mark.parametrize(("axis", "loose", "fixed"), R)
def test_r(axis: str, loose: str, fixed: str) -> None:
    assert [s.line for s in r_variations(f"\n{loose}", "a.R") if s.axis == axis] == [2]
    assert axis not in {s.axis for s in r_variations(fixed, "a.R")}


@pytest.mark.parametrize(("axis", "loose", "fixed"), SHELL)
def test_shell(axis: str, loose: str, fixed: str) -> None:
    assert [s.line for s in shell_variations(f"\n{loose}", "a.sh") if s.axis == axis] == [2]
    assert axis not in {s.axis for s in shell_variations(fixed, "a.sh")}
