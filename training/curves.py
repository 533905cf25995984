"""Picture of a run's loss and validation results, updated after every validation."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

_MEASURES = ("cross_nm", "cross_bg", "cross_cl", "rank_1")


def plot(metrics: Path, picture: Path) -> bool:
    """Plot the loss and the rank-1 of the validation subjects over steps.

    Args:
        metrics: ``metrics.csv`` of the run.
        picture: PNG file to write.

    Returns:
        Whether it was written; False if matplotlib is not installed.
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
    left.set(xlabel="step", ylabel=f"loss, mean of {width} steps")
    for name in _MEASURES:
        seen = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
        if seen:
            right.plot(*zip(*seen, strict=True), marker="o", label=name)
    right.set(xlabel="step", ylabel="rank-1, validation subjects", ylim=(0, 1))
    if right.lines:
        right.legend()
    figure.savefig(picture, dpi=110)
    return True
