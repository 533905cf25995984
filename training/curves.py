"""The curves of a run as a picture, drawn anew at every look at the held-out people."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

_WATCHED = ("cross_nm", "cross_bg", "cross_cl", "rank_1")


def plot(metrics: Path, picture: Path) -> bool:
    """Loss, and rank-1 of the held-out people, over steps; False without matplotlib.

    Args:
        metrics: ``metrics.csv`` of the run.
        picture: PNG to write.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return False
    with metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = np.array([int(row["step"]) for row in rows])
    loss = np.array([float(row["loss"]) for row in rows])
    width = max(1, len(loss) // 200)
    smooth = np.convolve(loss, np.ones(width) / width, "valid")
    left.plot(steps[len(steps) - len(smooth) :], smooth)
    left.set(xlabel="step", ylabel=f"loss, mean of {width}")
    for name in _WATCHED:
        seen = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
        if seen:
            right.plot(*zip(*seen, strict=True), marker="o", label=name)
    right.set(xlabel="step", ylabel="rank-1, held-out people", ylim=(0, 1))
    if right.lines:
        right.legend()
    figure.savefig(picture, dpi=110)
    return True
