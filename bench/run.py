"""Measure repro beside its peers, in interleaved rounds, and print one Markdown table.

    python bench/run.py [--rounds N] [--only GROUP ...] [--write]

Ratios within one run are what counts: two shared cores give no stable seconds. Each line
says what is measured and what stands beside it; a peer that is absent is named.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from closure import closure
from ground import Ground
from growth import growth
from judging import judging
from machines import machines
from measure import ROOT, Row, say
from packing import again, packing
from pulling import pulling
from recording import recording
from sealing import sealing
from starting import starting
from writing import sizes, writing

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
GROUPS: Mapping[str, Callable[[Ground], Iterator[Row]]] = {
    "recording": recording,
    "closure": closure,
    "packing": packing,
    "again": again,
    "starting": starting,
    "writing": writing,
    "sizes": sizes,
    "pulling": pulling,
    "growth": growth,
    "sealing": sealing,
    "machines": machines,
    "judging": judging,
}
"""Each measures rows that belong together."""


def table(rows: list[Row]) -> str:
    lines = ["| what | aim (ratio) | measured (median) | ratio to the first |", "|---|---|---|---|"]
    for row in rows:
        first = next(iter(row.sides.values()))
        digits = 3 if row.unit == "s" else 1
        shown = " · ".join(
            f"{name} {value:.{digits}f} {row.unit}" for name, value in row.sides.items() if value
        )
        ratios = " · ".join(
            f"{name} {value / first:.2f}"
            for name, value in list(row.sides.items())[1:]
            if value and first
        )
        note = f" ({row.note})" if row.note else ""
        cells = (row.what, row.aim, shown + note, ratios)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def merged(old: str, new: str) -> str:
    """The new table, and of the old one the rows that were not measured again."""
    lines = new.splitlines()
    names = {line.split("|")[1] for line in lines if line.startswith("|")}
    kept = [
        line
        for line in old.splitlines()
        if line.startswith("|") and line.split("|")[1] not in names
    ]
    end = max(number for number, line in enumerate(lines) if line.startswith("|")) + 1
    return "\n".join([*lines[:end], *kept, *lines[end:]])


def facts(count: int) -> str:
    return (
        f"Python {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} cores "
        f"shared, {count} rounds; written {time.strftime('%Y-%m-%d')}."
    )


def publish(rows: list[Row], count: int) -> None:
    """Put rows into bench/README.md; those of other groups stay."""
    path = ROOT / "bench/README.md"
    before, _, rest = path.read_text().partition(BEGIN)
    text = merged(rest.partition(END)[0], table(rows) + "\n\n" + facts(count))
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=sorted(GROUPS), nargs="+")
    parser.add_argument("--write", action="store_true", help="update bench/README.md")
    options = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory(prefix="repro-bench-", dir="/var/tmp") as name:
        ground = Ground(Path(name), options.rounds)
        for group in options.only or GROUPS:
            rows = []
            try:
                for row in GROUPS[group](ground):
                    say(row.what)
                    rows.append(row)
            except SystemExit as ending:  # one that cannot be measured costs no other
                failed.append(group)
                say(f"{group}: {ending}")
            if rows:
                print(table(rows), flush=True)
                if options.write:
                    publish(rows, options.rounds)
    print(f"\n{facts(options.rounds)}")
    if failed:
        raise SystemExit(f"not measured whole: {', '.join(failed)}")


if __name__ == "__main__":
    main()
