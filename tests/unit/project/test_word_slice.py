"""The lines of R and shell text that may flow into a result."""

from __future__ import annotations

import time

import pytest

from repro.project.word_slice import R_ASSIGNS, SHELL_ASSIGNS, by_words

R = """\
x <- rnorm(5)
y = Sys.time()
fit <- lm(
  a ~ b,
  data = x
)
fit$z[1] <- 3
summary(fit) -> s
write(s, "out/fit.txt")
write(y, "now.txt")  # fit.txt
"""
SHELL = """\
now=$(date)
list=`find data`
echo "$now" \\
  > now.txt
sort in.txt > sorted.txt
"""


@pytest.mark.parametrize(
    ("result", "lines"),
    [("fit.txt", {1, 3, 4, 5, 6, 7, 8, 9}), ("now.txt", {2, 10}), ("t.txt", None)],
)
def test_r(result: str, lines: set[int] | None) -> None:
    found = by_words(R, R_ASSIGNS)(result)
    assert (None if found is None else {line for _, line in found}) == lines


@pytest.mark.parametrize(
    ("result", "lines"), [("now.txt", {1, 3, 4}), ("sorted.txt", {5}), ("none.txt", None)]
)
def test_shell(result: str, lines: set[int] | None) -> None:
    found = by_words(SHELL, SHELL_ASSIGNS)(result)
    assert (None if found is None else {line for _, line in found}) == lines


def test_text_that_is_no_source_takes_no_time() -> None:
    started = time.monotonic()
    for text in ("(" + "x,\n" * 20_000, "a " * 200_000, "a.b['c'] " * 50_000, "'" * 9_999):
        by_words(text + "\nwrite(x, 'a.txt')\n", R_ASSIGNS)("a.txt")
    assert time.monotonic() - started < 5
