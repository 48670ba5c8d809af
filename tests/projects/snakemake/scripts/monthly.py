"""Millimetres per month and their standard deviation."""

import statistics
from collections import defaultdict

months = defaultdict(list)
with open(snakemake.input[0], encoding="utf-8") as stream:  # noqa: F821 (Snakemake gives it)
    for line in stream:
        day, rain = line.split()
        months[day[:7]].append(float(rain))
with open(snakemake.output[0], "w", encoding="utf-8") as stream:  # noqa: F821
    for month, rain in sorted(months.items()):
        stream.write(f"{month},{sum(rain):.2f},{statistics.stdev(rain):.4f}\n")
