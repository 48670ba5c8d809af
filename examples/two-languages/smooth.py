"""Step one, Python without packages: a seven-day mean of the counts."""

import csv

with open("data/counts.csv", newline="") as stream:
    counts = [int(row["count"]) for row in csv.DictReader(stream)]
with open("weekly.csv", "w", newline="") as stream:
    rows = csv.writer(stream)
    rows.writerow(["day", "mean"])
    for day in range(6, len(counts)):
        rows.writerow([day, sum(counts[day - 6 : day + 1]) / 7])
