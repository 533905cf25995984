"""Charts of a walk and of its scores; each returns a Figure and leaves no global state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gaitid.quality import GaitAnalysis
from gaitid.records import GaitSequence

GENUINE, IMPOSTOR, MARK = "#0b6e4f", "#b4443c", "#d08700"


def score_histogram(
    genuine: Sequence[float],
    impostor: Sequence[float],
    threshold: float,
    names: tuple[str, str] = ("same walk", "other walks"),
) -> Figure:
    """Densities of mated and non-mated scores, labelled with `names`, and the threshold."""
    chart, axes = _figure(6.6, 3.2)
    bins = np.linspace(
        min([*genuine, *impostor, threshold]), max([*genuine, *impostor, threshold]), 41
    ).tolist()
    for scores, color, name in ((impostor, IMPOSTOR, names[1]), (genuine, GENUINE, names[0])):
        if len(scores):
            axes.hist(scores, bins, density=True, alpha=0.65, color=color, label=f"{name} ({len(scores)})")
    axes.axvline(threshold, color=MARK, linestyle="--", label=f"threshold {threshold:.3f}")
    axes.set(xlabel="score (cosine)", ylabel="density")
    axes.legend(frameon=False)
    return chart


def gait_figure(sequence: GaitSequence, analysis: GaitAnalysis, title: str) -> Figure:
    """Silhouettes over time, above the gait signal with its cycle boundaries."""
    chart = Figure(figsize=(9, 3.6), layout="constrained")
    strip, axes = chart.subplots(2, 1, height_ratios=[1, 1.5])
    chart.suptitle(title, fontsize=9)
    if sequence.silhouettes is not None:
        chosen = np.linspace(0, len(sequence) - 1, min(24, len(sequence))).round().astype(int)
        strip.imshow(1 - np.hstack([sequence.silhouettes[i] for i in chosen]), cmap="gray", vmin=-0.2, vmax=1)
    strip.axis("off")
    _style(axes)
    axes.plot(analysis.times, analysis.signal, color=GENUINE, linewidth=1.4)
    for boundary in np.unique(analysis.cycles):
        axes.axvline(boundary, color=MARK, linewidth=1, linestyle=":")
    axes.set(xlabel="time (s)", ylabel="leg spread")
    return chart


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    chart = Figure(figsize=(width, height), layout="constrained")
    axes = chart.subplots()
    _style(axes)
    return chart, axes


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
