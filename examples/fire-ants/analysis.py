"""Do warmer plots hold more mounds? A regression with a bootstrap, a table and two figures."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

results, figures = Path("results"), Path("figs")
results.mkdir(exist_ok=True)
figures.mkdir(exist_ok=True)

plots = pd.read_csv("data/plots.csv")
table = plots.groupby("habitat").agg(
    plots=("mounds", "size"), mean_mounds=("mounds", "mean"), mean_temperature=("celsius", "mean")
)
table.round(4).to_csv(results / "table.csv")


def slope(rows):
    return np.polyfit(rows["celsius"], rows["mounds"], 1)[0]


rng = np.random.default_rng(20260101)
draws = [slope(plots.iloc[rng.integers(0, len(plots), len(plots))]) for _ in range(400)]
low, high = np.percentile(draws, [2.5, 97.5])
fit = {"slope": slope(plots), "low": low, "high": high, "n": len(plots)}
(results / "fit.json").write_text(json.dumps(fit, indent=1) + "\n")

fig, axes = plt.subplots(figsize=(5, 3.5), layout="constrained")
for habitat, rows in plots.groupby("habitat"):
    axes.scatter(rows["celsius"], rows["mounds"], label=habitat, s=18)
line = np.array([plots["celsius"].min(), plots["celsius"].max()])
axes.plot(line, np.polyval(np.polyfit(plots["celsius"], plots["mounds"], 1), line), color="black")
axes.set(xlabel="mean temperature (°C)", ylabel="mounds per plot")
axes.legend(frameon=False)
fig.savefig(figures / "mounds.png", dpi=110)

fig, axes = plt.subplots(figsize=(5, 3), layout="constrained")
axes.hist(draws, bins=30)
axes.set(xlabel="bootstrap slope (mounds per °C)", ylabel="draws")
fig.savefig(figures / "bootstrap.png", dpi=110)
print(f"slope {fit['slope']:.3f} [{low:.3f}, {high:.3f}]")
