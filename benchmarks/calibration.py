"""Whether impostors pass as often as asked: FPIR 1 % and FMR 0.1 % on galleries of 100, 1,000 and 10,000.

    OMP_NUM_THREADS=1 python -m benchmarks.calibration

Embeddings are drawn (`tests/impostors.py`: unit vectors of eight kinds, 48 dimensions, 3 templates per
subject), so this measures the calibration, not an encoder. Each gallery is calibrated on its own
subjects, on 1,000 impostors and, as the rival, by the plain binomial rule on the empirical FMR of its
own subjects, without a model of the tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from gaitid.gallery.scoring.calibration import ScoreCalibration, learn
from gaitid.records import Fusion, OperatingPoint
from tests.impostors import names, people

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WALKS, IMPOSTORS = 3, 4000
GALLERIES = {100: 40, 1_000: 12, 10_000: 3}
"""Subjects to number of galleries drawn."""
FPIR, FMR = 0.01, 0.001


def scores_of(gallery: NDArray[np.float32], probes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score (P, S) of each probe with each subject, fused by MAX."""
    blocks = [probes[at : at + 100] @ gallery.T for at in range(0, len(probes), 100)]
    return np.concatenate([block.reshape(len(block), -1, WALKS).max(axis=2) for block in blocks])


def plain_threshold(gallery: NDArray[np.float32], subjects: int) -> float:
    """The rival: the quantile ``(1 - FPIR)^(1/N)`` of the gallery's own cross-subject scores."""
    drawn = np.linspace(0, len(gallery) - 1, min(len(gallery), 1000)).astype(int)
    scores = scores_of(gallery, gallery[drawn])
    others = scores[(drawn // WALKS)[:, None] != np.arange(subjects)[None]]
    return float(np.quantile(others, (1 - FPIR) ** (1 / subjects)))


def measure(subjects: int, seed: int) -> dict[str, float]:
    """Measured rates of one gallery, and the CPU seconds of its calibration."""
    gallery = people(subjects, WALKS, seed=10 * seed + 1)
    learnt: list[ScoreCalibration] = []
    cpu_s = harness.cpu_s(lambda: learnt.append(learn(gallery, names(subjects, WALKS), Fusion.MAX)))
    (own,) = learnt
    count = IMPOSTORS if subjects < 10_000 else IMPOSTORS // 2
    cohort = people(1_000, 1, seed=10 * seed + 3)
    by_cohort = learn(gallery, names(subjects, WALKS), Fusion.MAX, cohort)
    scores = scores_of(gallery, people(count, 1, seed=10 * seed + 2))
    best = scores.max(axis=1)
    by_fmr = own.resolve(OperatingPoint(fmr=FMR), subjects).threshold
    return {
        "fpir": float((best >= own.resolve(OperatingPoint(fpir=FPIR), subjects).threshold).mean()),
        "fpir_cohort": float(
            (best >= by_cohort.resolve(OperatingPoint(fpir=FPIR), subjects).threshold).mean()
        ),
        "fpir_plain": float((best >= plain_threshold(gallery, subjects)).mean()),
        "fmr": float((scores >= by_fmr).mean()),
        "clustering": own.info.clustering,
        "shape": own.tail.shape,
        "cpu_s": cpu_s,
    }


def summary(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Median and range of each figure."""
    return {
        name: {
            "median": float(np.median([run[name] for run in runs])),
            "p10": float(np.quantile([run[name] for run in runs], 0.1)),
            "p90": float(np.quantile([run[name] for run in runs], 0.9)),
            "all": [run[name] for run in runs],
        }
        for name in runs[0]
    }


def frame(axis: Axes, rate: str, asked: float, sizes: Sequence[int]) -> None:
    """Label an axis of measured rates over gallery sizes, with the asked rate and a band around it."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_yscale("log")
    axis.axhline(100 * asked, color="black", lw=1)
    axis.axhspan(50 * asked, 200 * asked, color="#009e73", alpha=0.15)
    axis.set_xticks(range(len(sizes)), [f"{size:,}" for size in sizes])
    axis.set_xlabel("subjects in the gallery")
    axis.set_ylabel(f"measured {rate} of impostors (%)")
    axis.set_title(f"asked {rate} {100 * asked:g} %; band: half to twice", fontsize=10)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draw measured over asked rates, one point per gallery."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    series = [
        ("fpir", "calibrated on its own subjects", "#0072b2", -0.24, "o"),
        ("fpir_cohort", "calibrated on 1,000 impostors", "#009e73", 0.0, "s"),
        ("fpir_plain", "rival: own subjects, no tail model", "#d55e00", 0.24, "x"),
    ]
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), constrained_layout=True)
    for name, label, colour, side, mark in series:
        for at, size in enumerate(figures):
            rates = 100 * np.maximum(figures[size][name]["all"], 1e-4)
            where = at + side + np.linspace(-0.07, 0.07, len(rates))
            axes[0].plot(where, rates, mark, color=colour, alpha=0.6, ms=4, label=label if at == 0 else None)
            axes[0].hlines(np.median(rates), at + side - 0.1, at + side + 0.1, colour, lw=2)
    for at, size in enumerate(figures):
        rates = 100 * np.array(figures[size]["fmr"]["all"])
        where = at + np.linspace(-0.1, 0.1, len(rates))
        axes[1].plot(where, rates, "o", color="#0072b2", alpha=0.6, ms=4)
        axes[1].hlines(np.median(rates), at - 0.14, at + 0.14, "#0072b2", lw=2)
    for axis, asked, rate in ((axes[0], FPIR, "FPIR"), (axes[1], FMR, "FMR")):
        frame(axis, rate, asked, [int(size) for size in figures])
    axes[1].set_yticks([0.05, 0.1, 0.2])
    axes[0].legend(fontsize=8, loc="upper right")
    figure.suptitle("Calibration on drawn embeddings; a point is a gallery, a bar their median", fontsize=11)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, draw and save."""
    options = harness.command_line(__file__, __doc__).parse_args()
    figures = {}
    for subjects, repeats in GALLERIES.items():
        figures[str(subjects)] = summary([measure(subjects, seed) for seed in range(repeats)])
        medians = {name: round(value["median"], 5) for name, value in figures[str(subjects)].items()}
        print(subjects, medians, flush=True)
    report = {
        **harness.facts(__file__),
        "data": "embeddings drawn by tests/impostors.py, not gait",
        "asked": {"fpir": FPIR, "fmr": FMR},
        "subjects": figures,
    }
    harness.save(report, options.out, show=False)
    draw(figures, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
