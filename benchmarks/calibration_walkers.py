"""Do strangers pass as often as was asked, with embeddings of walkers? And does normalising help?

    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/calibration_walkers.py [--data FOLDER] [--encoder NAME]

People, walks and splits are those of `made_up.py`: nobody who calibrates is among those who are measured,
and the split on which settings were chosen is another. Each gallery of 100, 1,000 and 10,000 subjects, two
templates each, is calibrated on 1,000 strangers, on its own subjects, and by what an encoder's card would
say (of the validation split); as the rival, by the plain quantile of its own cross-subject scores. Then
4,000 other strangers search it once at FPIR 1 % and are compared with everybody at FMR 0.1 %.

Normalised: the cohort that calibrates also normalises. Detection and identification rate (DIR) is of
2,000 returning subjects, on another day, in any clothes, from any view, at the threshold that 1 % of the
4,000 strangers reach, and the check's own verdict stands beside it.

The first run with an encoder makes the walks (7 CPU minutes) and embeds them (2 CPU minutes); all is kept.
"""

from __future__ import annotations

import argparse
import json
import logging
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.calibration import FMR, FPIR, RESULTS, summary
from benchmarks.made_up import WALKS, Embedded, Vectors, embedded
from gaitid.encoders.base import load_encoder
from gaitid.encoders.weights import Impostors
from gaitid.errors import NotCalibrated
from gaitid.evaluation.provenance import machine_name, provenance
from gaitid.gallery.scoring.calibration import ScoreLaw, learn, of_card, subject_scores
from gaitid.gallery.scoring.normalisation import Normaliser, gain
from gaitid.records import Fusion, OperatingPoint

GALLERIES = {100: 20, 1_000: 10, 10_000: 1}
"""Subjects: galleries of people who share nobody."""
WAYS = ("strangers", "normalised", "own", "card", "plain")


def names(count: int) -> list[str]:
    """The owner of each template of so many subjects."""
    return [f"s{n:05}" for n in range(count) for _ in range(WALKS)]


def scores_of(gallery: Vectors, probes: Vectors, by: Normaliser | None) -> np.ndarray:
    """Score (P, S) of each probe with each subject."""
    starts = np.arange(0, len(gallery), WALKS)
    if by is None:
        return subject_scores(probes, starts, lambda some: some @ gallery.T)
    ready, offsets = by.probes(probes)
    rows = by.rows(gallery)
    return by.scores(subject_scores(ready, starts, lambda some: some @ rows.T), offsets[:, None])


def passed(scores: np.ndarray, law: ScoreLaw, subjects: int) -> dict[str, float]:
    """Measured FPIR and FMR of strangers at the thresholds for the asked ones."""
    bars = [
        law.resolve(point, subjects, WALKS).threshold
        for point in (OperatingPoint(fpir=FPIR), OperatingPoint(fmr=FMR))
    ]
    return {"fpir": float((scores.max(1) >= bars[0]).mean()), "fmr": float((scores >= bars[1]).mean())}


def plain(gallery: Vectors, scores: np.ndarray) -> dict[str, float]:
    """The rival: quantiles of the own cross-subject scores, 1,000 templates drawn."""
    drawn = np.linspace(0, len(gallery) - 1, min(len(gallery), 1000)).astype(int)
    own = scores_of(gallery, gallery[drawn], None)
    subjects = own.shape[1]
    others = own[(drawn // WALKS)[:, None] != np.arange(subjects)[None]]
    bars = [float(np.quantile(others, q)) for q in ((1 - FPIR) ** (1 / subjects), 1 - FMR)]
    return {"fpir": float((scores.max(1) >= bars[0]).mean()), "fmr": float((scores >= bars[1]).mean())}


def card_law(known: Embedded) -> ScoreLaw:
    """What the card of an encoder made beside the validation split would give."""
    scores = known.strangers @ known.enrolled.T
    law = of_card(*(getattr(Impostors.of(scores.ravel(), ""), name) for name in ("fmr", "scores", "pairs")))
    assert law is not None
    return law


def measure(people: Embedded, card: ScoreLaw, by: Normaliser, subjects: int, number: int) -> dict[str, Any]:
    """All ways of calibrating one gallery."""
    rows = slice(WALKS * subjects * number, WALKS * subjects * (number + 1))
    gallery, owners = people.enrolled[rows], names(subjects)
    scores = scores_of(gallery, people.strangers, None)
    found = {
        "strangers": passed(scores, learn(gallery, owners, Fusion.MAX, people.cohort), subjects),
        "own": passed(scores, learn(gallery, owners, Fusion.MAX), subjects),
        "card": passed(scores, card, subjects),
        "plain": plain(gallery, scores),
    }
    law = learn(gallery, owners, Fusion.MAX, people.cohort, normaliser=by)
    found["normalised"] = passed(scores_of(gallery, people.strangers, by), law, subjects)
    return {f"{way} {rate}": value for way in WAYS for rate, value in found[way].items()}


def detected(people: Embedded, by: Normaliser, subjects: int) -> dict[str, Any]:
    """DIR of returning subjects at FPIR 1 % with and without, and what the check said."""
    gallery, genuine = people.enrolled[: WALKS * subjects], people.returning[:subjects]
    found: dict[str, Any] = {}
    for name, way in (("plain", None), ("normalised", by)):
        scores = scores_of(gallery, genuine, way)
        bar = np.quantile(scores_of(gallery, people.strangers, way).max(1), 1 - FPIR)
        own = scores.diagonal()
        found[f"DIR, {name}"] = float(((own >= bar) & (own >= scores.max(1))).mean())
    try:
        before, after, probes = gain(gallery, names(subjects), Fusion.MAX, by, FPIR)
        found["check"] = {"before": before, "after": after, "probes": probes}
    except NotCalibrated as error:
        found["check"] = str(error)
    return found


def draw(figures: dict[str, Any], path: Path, title: str) -> None:
    """Measured over asked, one point a gallery."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullFormatter

    looks = {
        "strangers": ("on 1,000 strangers", "#009e73", "s"),
        "normalised": ("on 1,000 strangers, normalised scores", "#0072b2", "o"),
        "own": ("on its own subjects", "#e69f00", "^"),
        "card": ("by a card (provisional)", "#cc79a7", "D"),
        "plain": ("rival: own subjects, no tail law", "#d55e00", "x"),
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
        axis.set_yscale("log")
        axis.set_yticks(ticks)
        axis.axhline(100 * asked, color="black", lw=1)
        axis.axhspan(50 * asked, 200 * asked, color="#009e73", alpha=0.12)
        axis.set_xticks(range(len(figures)), [f"{int(size):,}" for size in figures])
        axis.set_xlabel("subjects in the gallery")
        axis.set_ylabel(f"measured {rate.upper()} of strangers (%)")
        axis.set_title(f"asked {rate.upper()} {100 * asked:g} %; band: half to twice", fontsize=10)
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=5)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Make, measure, draw and save."""
    parser = argparse.ArgumentParser(prog="benchmarks/calibration_walkers.py")
    parser.add_argument("--data", type=Path, default=Path("out/made_up"))
    parser.add_argument("--encoder", default="strider")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    encoder = load_encoder(options.encoder)
    known, people = (embedded(options.data, split, encoder) for split in ("validation", "test"))
    card, by = card_law(known), Normaliser.of(people.cohort)
    figures = {
        str(subjects): summary([measure(people, card, by, subjects, n) for n in range(repeats)])
        for subjects, repeats in GALLERIES.items()
    }
    for size, rows in figures.items():
        print(size, {name: round(value["median"], 6) for name, value in rows.items()}, flush=True)
    result = {
        **provenance("OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/calibration_walkers.py"),
        "what": "SYNTHETIC held-out people; see benchmarks/made_up.py",
        "encoder": {"name": encoder.name, "contract": encoder.contract},
        "asked": {"fpir": FPIR, "fmr": FMR},
        "galleries": GALLERIES,
        "subjects": figures,
        "normalising": {str(n): detected(people, by, n) for n in (100, 1_000, 2_000)},
    }
    print(json.dumps(result["normalising"], indent=1))
    stem = RESULTS / f"calibration-walkers-{date.today().isoformat()}-{machine_name()}"
    stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    draw(
        figures, stem.with_suffix(".png"), f"Encoder {encoder.name} on synthetic people; a point is a gallery"
    )


if __name__ == "__main__":
    main()
