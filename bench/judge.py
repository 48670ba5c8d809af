"""Judge the labelled set (tests/labelled) and print what came of it.

    python bench/judge.py [--only MODULE ...] [--write]

Prints the confusion matrix, one line a format, the rate of right causes, and every pair that
was judged wrongly with its findings. Ends with 1 when a planted fault was judged equivalent or
better, a benign pair different, or less than 90 % of the causes named rightly; with 6 when a
library that makes the pairs is missing.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from labelled import score  # noqa: E402
from labelled.pair import Pair  # noqa: E402

MODULES = ("edges", "tables", "documents", "arrays", "pictures", "office", "science")
CAUSES_AIM = 0.9


def pairs(modules: tuple[str, ...]) -> Iterator[Pair]:
    """The pairs of some modules, made anew."""
    for name in modules:
        print(f".. {name}", file=sys.stderr, flush=True)
        yield from importlib.import_module(f"labelled.{name}").pairs()


def report(all_: list[score.Judged], seconds: float) -> str:
    """Everything there is to say, as Markdown."""
    explained = sum(one.explained for one in all_)
    graded = sum(one.graded for one in all_)
    edges = sum("(edges)" in p or "(declared)" in p or "(oddities)" in p or "large int" in p
                for p in (one.pair.format for one in all_))  # fmt: skip
    return "\n\n".join(
        [
            "# How well the judge judges",
            f"`make judge` makes {len(all_)} labelled pairs ({edges} of them around the tolerances), "
            "judges them as a rerun's outputs are judged, and prints this. Written by `make judge "
            f"WRITE=--write`, {seconds:.0f} s.",
            score.matrix(all_),
            f"Graded right: {graded} of {len(all_)}. Planted faults told to be equivalent or better: "
            f"{len(score.missed(all_))}. Benign pairs told to be different: "
            f"{len(score.alarms(all_))}. Cause named rightly: {explained} of {len(all_)} "
            f"({explained / len(all_):.1%}).",
            score.by_format(all_),
            "## Every wrong one\n\n" + (score.wrong(all_) or "None."),
            "Labels: *benign* must be equivalent or better, *close* exactly close, *fault* different, "
            "*opaque* undecided with its reason (formats that are refused on purpose). The cause is "
            "right when the findings name the one that was planted, and make no other guess; for "
            "some pairs more than one guess is right (a picture whose axes' labels changed places). "
            "The pairs were labelled by those who wrote the comparators: they show what is caught "
            "of what was thought of, not what nobody thought of. The words for causes and the comparators "
            "were mended on this very set: its rate of right causes is no estimate for other files.",
        ]
    )


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", nargs="*", default=[], help=", ".join(MODULES))
    parser.add_argument("--write", action="store_true", help="put it into bench/judge.md")
    options = parser.parse_args()
    started = time.perf_counter()
    try:
        all_ = [score.judged(pair) for pair in pairs(tuple(options.only) or MODULES)]
    except ImportError as error:
        print(f"the pairs cannot be made: {error} (bench/judge.txt lists what they need)")
        return 6
    text = report(all_, time.perf_counter() - started) + "\n"
    print(text)
    if options.write:
        (ROOT / "bench/judge.md").write_text(text)
    right = sum(one.explained for one in all_) >= CAUSES_AIM * len(all_)
    return 0 if right and not score.missed(all_) and not score.alarms(all_) else 1


if __name__ == "__main__":
    sys.exit(main())
