"""R's own files: what one R session writes twice, with noise, and with another result."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from repro.compare.judge import judge_folders
from repro.model.outcome import Outcome

pytestmark = pytest.mark.real
SCRIPT = """
args <- commandArgs(TRUE); v <- as.numeric(args[2]); keep <- args[3] == "source"
options(keep.source = keep); setwd(args[1])
times <- eval(parse(text = "function(q) { force(q); function(x) {\\n x * q } }", keep.source = keep))
if (keep) { f <- times(2); for (i in 1:5) f(i) }
df <- data.frame(a = c(v, 2, NA), s = c("x", NA, "\\u00e9"), f = factor(c("u", "v", "u")))
d <- data.frame(u = c(v, 2, 3.5, 7), w = 1:4)
saveRDS(df, "frame.rds", version = if (keep) 2 else 3)
saveRDS(list(times(v), 1:1000, as.character(1:5), NULL, c(a = 1i), as.raw(1:3)), "list.rds")
saveRDS(lm(u ~ w, d), "lm.rds", compress = if (keep) "xz" else "gzip")
saveRDS(ecdf(d$u), "ecdf.rds")
saveRDS(structure(list(m = matrix(d$u, 2)), class = "mine"), "s3.rds", compress = !keep)
setClass("P", representation(n = "numeric")); saveRDS(new("P", n = v), "s4.rds")
e <- new.env(); e$self <- e; e$v <- v; save(df, e, d, file = "all.RData")
"""
FILES = {"frame.rds", "list.rds", "lm.rds", "ecdf.rds", "s3.rds", "s4.rds", "all.RData"}


def written(folder: Path, value: str, source: str = "no") -> str:
    """A folder of files that R wrote."""
    program = shutil.which("Rscript")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Rscript is not installed")
        pytest.skip("Rscript is not installed")
    folder.mkdir()
    command = [program, "--vanilla", "-e", SCRIPT, str(folder), value, source]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in folder.iterdir()} == FILES
    return str(folder)


def outcomes(old: str, new: str) -> dict[str, Outcome]:
    return {output.path: output.outcome for output in judge_folders(old, new).outputs}


def test_what_r_writes(tmp_path: Path) -> None:
    base = written(tmp_path / "base", "1.5")
    packed = outcomes(base, written(tmp_path / "source", "1.5", "source"))
    assert set(packed.values()) <= {Outcome.IDENTICAL, Outcome.EQUIVALENT}, packed
    assert packed["list.rds"] is packed["lm.rds"] is Outcome.EQUIVALENT
    noise = outcomes(base, written(tmp_path / "noise", "1.5000000000000004"))
    assert set(noise.values()) == {Outcome.CLOSE}, noise
    other = outcomes(base, written(tmp_path / "other", "1.6", "source"))
    assert set(other.values()) == {Outcome.DIFFERENT}, other
