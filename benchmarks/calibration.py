"""Do strangers pass as often as was asked? FPIR 1 % and FMR 0.1 % on galleries of 100, 1,000 and 10,000.

People are made up (`tests/impostors.py`: unit vectors of eight kinds, 48 dimensions, 3 templates a
subject), so this judges the calibration, not an encoder. Each gallery is calibrated on its own
subjects, on 1,000 strangers and, as the rival, by the plain binomial rule on the empirical FMR of its
own subjects without a tail law.

OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/calibration.py
"""

from __future__ import annotations

import json
import subprocess
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.evaluation.provenance import machine_name, processor
from gaitid.gallery.scoring.calibration import learn
from gaitid.records import Fusion, OperatingPoint
from tests.impostors import names, people

RESULTS = Path(__file__).parent / "results"
WALKS, STRANGERS = 3, 4000
GALLERIES = {100: 40, 1_000: 12, 10_000: 3}
"""Subjects: how many galleries are drawn."""
FPIR, FMR = 0.01, 0.001


def scores_of(gallery: NDArray[np.float32], probes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score (P, S) of each probe with each subject, fused by MAX."""
    blocks = [probes[at : at + 100] @ gallery.T for at in range(0, len(probes), 100)]
    return np.concatenate([block.reshape(len(block), -1, WALKS).max(axis=2) for block in blocks])


def plain_threshold(gallery: NDArray[np.float32], subjects: int) -> float:
    """The rival: the quantile of the own cross-subject scores at ``1 - (1 - FPIR)^(1/N)``."""
    drawn = np.linspace(0, len(gallery) - 1, min(len(gallery), 1000)).astype(int)
    scores = scores_of(gallery, gallery[drawn])
    others = scores[(drawn // WALKS)[:, None] != np.arange(subjects)[None]]
    return float(np.quantile(others, (1 - FPIR) ** (1 / subjects)))


def measure(subjects: int, seed: int) -> dict[str, float]:
    """Measured rates of one gallery, and the CPU seconds of its calibration."""
    gallery = people(subjects, WALKS, seed=10 * seed + 1)
    start = time.process_time()
    law = learn(gallery, names(subjects, WALKS), Fusion.MAX)
    cpu_s = time.process_time() - start
    count = STRANGERS if subjects < 10_000 else STRANGERS // 2
    cohort = people(1_000, 1, seed=10 * seed + 3)
    by_cohort = learn(gallery, names(subjects, WALKS), Fusion.MAX, cohort)
    scores = scores_of(gallery, people(count, 1, seed=10 * seed + 2))
    best = scores.max(axis=1)
    by_fmr = law.resolve(OperatingPoint(fmr=FMR), subjects).threshold
    return {
        "fpir": float((best >= law.resolve(OperatingPoint(fpir=FPIR), subjects).threshold).mean()),
        "fpir_cohort": float(
            (best >= by_cohort.resolve(OperatingPoint(fpir=FPIR), subjects).threshold).mean()
        ),
        "fpir_plain": float((best >= plain_threshold(gallery, subjects)).mean()),
        "fmr": float((scores >= by_fmr).mean()),
        "clustering": law.info.clustering,
        "shape": law.tail.shape,
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


def draw(figures: dict[str, Any], path: Path) -> None:
    """Measured over asked, one point a gallery."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullFormatter

    series = [
        ("fpir", "calibrated on its own subjects", "#0072b2", -0.24, "o"),
        ("fpir_cohort", "calibrated on 1,000 strangers", "#009e73", 0.0, "s"),
        ("fpir_plain", "rival: own subjects, no tail law", "#d55e00", 0.24, "x"),
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
    for axis, asked, what in ((axes[0], FPIR, "FPIR"), (axes[1], FMR, "FMR")):
        axis.set_yscale("log")
        axis.axhline(100 * asked, color="black", lw=1)
        axis.axhspan(50 * asked, 200 * asked, color="#009e73", alpha=0.15)
        axis.set_xticks(range(len(figures)), [f"{int(size):,}" for size in figures])
        axis.set_xlabel("subjects in the gallery")
        axis.set_ylabel(f"measured {what} of strangers (%)")
        axis.set_title(f"asked {what} {100 * asked:g} %; band: half to twice", fontsize=10)
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
    axes[1].set_yticks([0.05, 0.1, 0.2])
    axes[0].legend(fontsize=8, loc="upper right")
    figure.suptitle("Calibration on made-up people; a point is a gallery, a bar their median", fontsize=11)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, draw and save."""
    figures = {}
    for subjects, repeats in GALLERIES.items():
        figures[str(subjects)] = summary([measure(subjects, seed) for seed in range(repeats)])
        print(
            subjects,
            {name: round(value["median"], 5) for name, value in figures[str(subjects)].items()},
            flush=True,
        )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    result = {
        "command": "OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/calibration.py",
        "commit": commit.stdout.strip(),
        "cpu": processor(),
        "date": date.today().isoformat(),
        "data": "made-up people of tests/impostors.py, not gait",
        "asked": {"fpir": FPIR, "fmr": FMR},
        "subjects": figures,
    }
    stem = RESULTS / f"calibration-{date.today().isoformat()}-{machine_name()}"
    stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    draw(figures, stem.with_suffix(".png"))


if __name__ == "__main__":
    main()
