"""Charts of an evaluation, drawn from its document; each returns a Figure and leaves no global state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from statistics import NormalDist
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's palette, which colour-blind readers can distinguish."""
MARKS = ("o", "s", "^", "D", "v", "P", "X")
GENUINE, IMPOSTOR = COLOURS[0], COLOURS[1]
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "gaitid",
}
CMC_RANKS = 20
WALK_FRAMES = 5
"""Silhouettes in a row of a walk, without the mean."""
DET_TICKS = (0.0001, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)
Groups = Sequence[Mapping[str, Any]]
Draw = TypeVar("Draw", bound=Callable[..., Figure | None])


def styled(draw: Draw) -> Draw:
    """Apply our style to a drawing function without changing matplotlib's settings."""

    @wraps(draw)
    def inside(*args: Any, **kwargs: Any) -> Figure | None:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return inside  # type: ignore[return-value]


@styled
def cmc(groups: Groups) -> Figure:
    """Rank-k rates, one line per group."""
    figure, axes = _canvas(4.6, 3.4)
    lowest = 1.0
    for group, colour, mark in zip(groups, COLOURS, MARKS, strict=False):
        rates = np.array(group["identification"]["cmc"][:CMC_RANKS], float)
        lowest = min(lowest, float(np.nanmin(rates)))
        places = np.arange(1, len(rates) + 1)
        axes.plot(places, 100 * rates, color=colour, marker=mark, markersize=4, label=group["name"])
    axes.set_xlabel("rank k")
    axes.set_ylabel("mate within rank k (%)")
    axes.set_ylim(max(-2.0, 100 * lowest - 8), 102)
    axes.set_xticks([1, *range(5, CMC_RANKS + 1, 5)])
    axes.set_xlim(0.4, CMC_RANKS + 0.6)
    axes.legend(loc="lower right")
    return figure


@styled
def det(groups: Groups) -> Figure:
    """FNMR over FMR on normal-deviate axes, where two normal distributions give a straight line."""
    figure, axes = _canvas(4.6, 4.2)
    for group, colour in zip(groups, COLOURS, strict=False):
        curve = group["verification"]["det"]
        axes.plot(
            _deviates(curve["fmr"]),
            _deviates(curve["fnmr"]),
            color=colour,
            linewidth=1.8,
            label=group["name"],
        )
    rates = np.array([r for g in groups for kind in ("fmr", "fnmr") for r in g["verification"]["det"][kind]])
    worst = max(group["verification"]["eer"] for group in groups)
    ends = _deviates([max(rates[rates > 0].min(), 5e-5), 0.6 if worst < 0.25 else 0.995])
    axes.plot(ends, ends, color="#999999", linewidth=0.9, linestyle="--", label="FMR = FNMR")
    for axis, name in ((axes.xaxis, "FMR (%)"), (axes.yaxis, "FNMR (%)")):
        axis.set_ticks(_deviates(DET_TICKS), [f"{100 * tick:g}" for tick in DET_TICKS])
        axis.set_label_text(name)
        axis.set_view_interval(ends[0], ends[1], ignore=True)
    axes.legend(loc="best", fontsize=9)
    return figure


@styled
def histogram(group: Mapping[str, Any]) -> Figure:
    """Scores of genuine and impostor pairs, each scaled to its highest bin, and the thresholds."""
    figure, axes = _canvas(3.12, 2.5)
    facts = group["verification"]
    edges = np.array(facts["histogram"]["edges"])
    for kind, colour in (("impostor", IMPOSTOR), ("genuine", GENUINE)):
        shares = np.array(facts["histogram"][kind])
        axes.stairs(shares / shares.max(), edges, fill=True, color=colour, alpha=0.35)
        axes.stairs(shares / shares.max(), edges, color=colour, linewidth=1.3, label=kind)
    lines = [("EER", facts["eer_threshold"], ":")]
    point = next((p for p in facts["tar"] if p["wanted"] == facts["tar_interval"]["fmr"]), None)
    if point is not None and point["threshold"] is not None:
        lines.append((f"FMR {100 * point['wanted']:g} %", point["threshold"], "--"))
    for name, at, stroke in lines:
        axes.axvline(at, color="#444444", linestyle=stroke, linewidth=1.1, label=f"at {name}")
    axes.set_xlabel("score")
    axes.set_ylabel("pairs, relative")
    axes.set_yticks([])
    axes.set_ylim(0, 1.5)
    axes.legend(loc="upper left", fontsize=7.5, ncols=2, columnspacing=0.8, handlelength=1.5)
    axes.set_title(group["name"], loc="left", fontsize=10, fontweight="bold")
    return figure


@styled
def views(group: Mapping[str, Any]) -> Figure | None:
    """Rank-1 of each pair of views as a heat map; None for a pooled protocol."""
    facts = group["identification"]
    if facts["cells"] is None:
        return None
    rows, columns = facts["cell_names"]
    cells = 100 * np.array(facts["cells"], float)
    width, height = (max(2.2, 0.34 * count) for count in (len(columns), len(rows)))
    figure, axes = _canvas(width + 0.9, height + 0.95)
    axes.grid(False)
    axes.set_facecolor("#eeeeee")
    axes.imshow(cells, vmin=0, vmax=100, cmap="cividis")
    axes.set_xticks(range(len(columns)), columns, rotation=90 if len(columns) > 6 else 0)
    axes.set_yticks(range(len(rows)), rows)
    for row, column in np.ndindex(*cells.shape):
        value = cells[row, column]
        if np.isfinite(value):
            axes.text(
                column, row, f"{value:.0f}", ha="center", va="center", fontsize=7.5,
                color="white" if value < 55 else "black",
            )  # fmt: skip
    axes.set_xlabel("gallery view")
    axes.set_ylabel("probe view")
    axes.set_title(f"{group['name']}: rank-1 (%)", loc="left", fontsize=10, fontweight="bold")
    axes.spines[:].set_visible(False)
    return figure


@styled
def gallery_growth(groups: Groups) -> Figure | None:
    """FPIR and FNIR as the gallery grows; None when no group has open-set figures."""
    shown = [group for group in groups if group["open_set"]]
    if not shown:
        return None
    figure = Figure(figsize=(8.6, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for group, colour, mark in zip(shown, COLOURS, MARKS, strict=False):
        growth = group["open_set"]["law"]
        sizes = [row["subjects"] for row in growth]
        fpir = [100 * row["fpir"] for row in growth]
        left.plot(sizes, fpir, color=colour, marker=mark, markersize=4, label=group["name"])
        expected = [100 * row["fpir_if_independent"] for row in growth]
        left.plot(sizes, expected, color=colour, linewidth=1, linestyle=":")
        fnir = [100 * row["fnir"] for row in growth]
        right.plot(sizes, fnir, color=colour, marker=mark, markersize=4, label=group["name"])
    left.plot([], [], color="#666666", linewidth=1, linestyle=":", label="if independent")
    left.set_ylabel("FPIR (%) at one fixed threshold")
    wanted = 100 * shown[0]["open_set"]["law_fpir"]
    right.set_ylabel(f"FNIR (%) at FPIR {wanted:g} %")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.set_xlabel("subjects in the gallery")
        axes.set_ylim(bottom=0)
    left.legend(loc="upper left", fontsize=9)
    return figure


@styled
def tail(group: Mapping[str, Any]) -> Figure | None:
    """FMR over the threshold, as counted and by the fitted tail; None without a fit."""
    facts = group["calibration"] and group["calibration"]["tail"]
    if not facts:
        return None
    figure, axes = _canvas(3.12, 2.5)
    curve = group["verification"]["det"]
    counted = [(t, f) for t, f in zip(curve["threshold"], curve["fmr"], strict=True) if t is not None and f]
    axes.plot(*zip(*counted, strict=True), color=IMPOSTOR, linewidth=1.8, label="counted")
    points = [(row["threshold"], row["fmr"]) for row in facts["thresholds"] if row["threshold"] is not None]
    points = sorted(p for p in points if p[1] <= facts["share"])
    if points:
        axes.plot(
            *zip(*points, strict=True), color="#444444", linestyle="--", marker="o", markersize=3.5,
            label=f"Pareto tail, p {facts['p_value']:.2f}",
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(5e-7, 1.5)
    axes.set_xlabel("threshold (score)")
    axes.set_ylabel("FMR")
    axes.legend(loc="lower left", fontsize=8.5)
    axes.set_title(group["name"], loc="left", fontsize=10, fontweight="bold")
    return figure


@styled
def walks(strips: Mapping[str, NDArray[np.uint8]]) -> Figure:
    """Rows of silhouettes: frames spread over a walk, then their mean.

    Args:
        strips: Label of each row with its (T, H, W) silhouettes, 0 or 1.
    """
    rows = []
    for silhouettes in strips.values():
        at = np.linspace(0, len(silhouettes) - 1, WALK_FRAMES).round().astype(int)
        pictures = [*silhouettes[at], silhouettes.mean(axis=0)]
        framed = [np.pad(one.astype(np.float32), 2, constant_values=np.nan) for one in pictures]
        rows.append(np.hstack(framed))
    figure, axes = _canvas(0.5 * (WALK_FRAMES + 1) + 1.2, 0.75 * len(rows))
    axes.imshow(np.ma.masked_invalid(np.vstack(rows)), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    height = len(rows[0])
    axes.set_yticks([height * (row + 0.5) for row in range(len(rows))], list(strips), fontsize=8.5)
    axes.set_xticks([rows[0].shape[1] * (WALK_FRAMES + 0.5) / (WALK_FRAMES + 1)], ["mean"], fontsize=8.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _deviates(rates: Sequence[float]) -> NDArray[np.float64]:
    normal = NormalDist()
    return np.array([normal.inv_cdf(min(max(float(rate), 1e-6), 1 - 1e-6)) for rate in rates])
