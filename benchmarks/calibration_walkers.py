"""Whether impostors pass as often as asked with embeddings of walkers, and whether normalisation helps.

    OMP_NUM_THREADS=1 python -m benchmarks.calibration_walkers [--data FOLDER] [--encoder NAME]

Subjects, walks and splits are those of `embeddings.py`: nobody who calibrates is measured, and settings
were chosen on another split. Each gallery of 100, 1,000 and 10,000 subjects, two templates each, is
calibrated on 1,000 impostors, on its own subjects, and by what the card of an encoder would say (from the
validation split). The rival is the plain quantile of its own cross-subject scores. Then 4,000 other
impostors search it once at FPIR 1 % and are compared with every subject at FMR 0.1 %.

Normalised: the cohort that calibrates also normalises. The detection and identification rate (DIR) is of
2,000 returning subjects, on another day, in any clothes, from any view, at the threshold that 1 % of the
4,000 impostors reach. The verdict of the product's own check is recorded beside it.

The first run with an encoder makes the walks (7 CPU minutes) and embeds them (2 CPU minutes); both are kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.calibration import FMR, FPIR, frame, summary
from benchmarks.embeddings import WALKS, EmbeddedSplit, Vectors, embedded
from gaitid.encoders.base import load_encoder
from gaitid.encoders.weights import Impostors
from gaitid.errors import NotCalibrated
from gaitid.gallery.scoring.calibration import ScoreCalibration, learn, of_card
from gaitid.gallery.scoring.comparisons import subject_scores
from gaitid.gallery.scoring.normalisation import Normaliser, gain
from gaitid.records import Fusion, OperatingPoint

GALLERIES = {100: 20, 1_000: 10, 10_000: 1}
"""Subjects to number of galleries, which share no subject."""
WAYS = ("impostors", "normalised", "own", "card", "plain")


def names(count: int) -> list[str]:
    """The subject of each template."""
    return [f"s{n:05}" for n in range(count) for _ in range(WALKS)]


def scores_of(gallery: Vectors, probes: Vectors, by: Normaliser | None) -> np.ndarray:
    """Score (P, S) of each probe with each subject."""
    starts = np.arange(0, len(gallery), WALKS)
    if by is None:
        return subject_scores(probes, starts, lambda some: some @ gallery.T)
    ready, offsets = by.probes(probes)
    rows = by.rows(gallery)
    return by.scores(subject_scores(ready, starts, lambda some: some @ rows.T), offsets[:, None])


def passed(scores: np.ndarray, calibration: ScoreCalibration, subjects: int) -> dict[str, float]:
    """Measured FPIR and FMR of impostors at the thresholds for the asked rates."""
    bars = [
        calibration.resolve(point, subjects, WALKS).threshold
        for point in (OperatingPoint(fpir=FPIR), OperatingPoint(fmr=FMR))
    ]
    return {"fpir": float((scores.max(1) >= bars[0]).mean()), "fmr": float((scores >= bars[1]).mean())}


def plain(gallery: Vectors, scores: np.ndarray) -> dict[str, float]:
    """The rival: quantiles of the gallery's own cross-subject scores, 1,000 templates drawn."""
    drawn = np.linspace(0, len(gallery) - 1, min(len(gallery), 1000)).astype(int)
    own = scores_of(gallery, gallery[drawn], None)
    subjects = own.shape[1]
    others = own[(drawn // WALKS)[:, None] != np.arange(subjects)[None]]
    bars = [float(np.quantile(others, q)) for q in ((1 - FPIR) ** (1 / subjects), 1 - FMR)]
    return {"fpir": float((scores.max(1) >= bars[0]).mean()), "fmr": float((scores >= bars[1]).mean())}


def card_calibration(known: EmbeddedSplit) -> ScoreCalibration:
    """The calibration that an encoder's card would give, from the validation split."""
    scores = known.impostors @ known.enrolled.T
    card = Impostors.of(scores.ravel(), "")
    calibration = of_card(card)
    assert calibration is not None
    return calibration


def measure(
    people: EmbeddedSplit, card: ScoreCalibration, by: Normaliser, subjects: int, number: int
) -> dict[str, Any]:
    """Measured rates of one gallery by every way of calibration."""
    rows = slice(WALKS * subjects * number, WALKS * subjects * (number + 1))
    gallery, owners = people.enrolled[rows], names(subjects)
    scores = scores_of(gallery, people.impostors, None)
    found = {
        "impostors": passed(scores, learn(gallery, owners, Fusion.MAX, people.cohort), subjects),
        "own": passed(scores, learn(gallery, owners, Fusion.MAX), subjects),
        "card": passed(scores, card, subjects),
        "plain": plain(gallery, scores),
    }
    calibration = learn(gallery, owners, Fusion.MAX, people.cohort, normaliser=by)
    found["normalised"] = passed(scores_of(gallery, people.impostors, by), calibration, subjects)
    return {f"{way} {rate}": value for way in WAYS for rate, value in found[way].items()}


def detected(people: EmbeddedSplit, by: Normaliser, subjects: int) -> dict[str, Any]:
    """DIR of returning subjects at FPIR 1 %, plain and normalised, and the verdict of the check."""
    gallery, genuine = people.enrolled[: WALKS * subjects], people.returning[:subjects]
    found: dict[str, Any] = {}
    for name, way in (("plain", None), ("normalised", by)):
        scores = scores_of(gallery, genuine, way)
        bar = np.quantile(scores_of(gallery, people.impostors, way).max(1), 1 - FPIR)
        own = scores.diagonal()
        found[f"DIR, {name}"] = float(((own >= bar) & (own >= scores.max(1))).mean())
    try:
        before, after, probes = gain(gallery, names(subjects), Fusion.MAX, by, FPIR)
        found["check"] = {"before": before, "after": after, "probes": probes}
    except NotCalibrated as error:
        found["check"] = str(error)
    return found


def draw(figures: dict[str, Any], path: Path, title: str) -> None:
    """Draw measured over asked rates, one point per gallery."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    looks = {
        "impostors": ("on 1,000 impostors", "#009e73", "s"),
        "normalised": ("on 1,000 impostors, normalised scores", "#0072b2", "o"),
        "own": ("on its own subjects", "#e69f00", "^"),
        "card": ("by a card (provisional)", "#cc79a7", "D"),
        "plain": ("rival: own subjects, no tail model", "#d55e00", "x"),
    }
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), constrained_layout=True)
    marks = (0.1, 0.2, 0.5, 1, 2, 5), (0.02, 0.05, 0.1, 0.2)
    for axis, rate, asked, ticks in ((axes[0], "fpir", FPIR, marks[0]), (axes[1], "fmr", FMR, marks[1])):
        for place, (way, (label, colour, mark)) in enumerate(looks.items()):
            for at, size in enumerate(figures):
                rates = 100 * np.maximum(figures[size][f"{way} {rate}"]["all"], 1e-5)
                middle = at + 0.15 * (place - 2)
                where = middle + np.linspace(-0.05, 0.05, len(rates)) * (len(rates) > 1)
                axis.plot(where, rates, mark, color=colour, alpha=0.6, ms=4, label=None if at else label)
                axis.hlines(np.median(rates), middle - 0.06, middle + 0.06, colour, lw=2)
        frame(axis, rate.upper(), asked, [int(size) for size in figures])
        axis.set_yticks(ticks)
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=5)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Make the data, measure, draw and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--data", type=Path, default=Path("out/embeddings"))
    parser.add_argument("--encoder", default="strider")
    options = parser.parse_args()
    harness.log_progress()
    encoder = load_encoder(options.encoder)
    known, people = (embedded(options.data, split, encoder) for split in ("validation", "test"))
    card, by = card_calibration(known), Normaliser.of(people.cohort)
    figures = {
        str(subjects): summary([measure(people, card, by, subjects, n) for n in range(repeats)])
        for subjects, repeats in GALLERIES.items()
    }
    for size, rows in figures.items():
        print(size, {name: round(value["median"], 6) for name, value in rows.items()}, flush=True)
    report = {
        **harness.facts(__file__),
        "what": "SYNTHETIC subjects of the test split; see benchmarks/embeddings.py",
        "encoder": {"name": encoder.name, "contract": encoder.contract},
        "asked": {"fpir": FPIR, "fmr": FMR},
        "galleries": GALLERIES,
        "subjects": figures,
        "normalising": {str(n): detected(people, by, n) for n in (100, 1_000, 2_000)},
    }
    print(json.dumps(report["normalising"], indent=1))
    harness.save(report, options.out, show=False)
    title = f"Encoder {encoder.name} on synthetic subjects; a point is a gallery"
    draw(figures, options.out.with_suffix(".png"), title)


if __name__ == "__main__":
    main()
