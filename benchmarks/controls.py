"""How hard the synthetic task is: GEI nearest neighbour across days, with shape or motion taken away.

    python -m benchmarks.controls [--people 100] [--groups 4] [--workers 1] [--encoder NAME]

Gallery: two walks of day 0 in normal clothes at 90 degrees. Probes: walks of later days in other clothes,
one per day, at 90, 72 and 54 degrees. "Shape only": all subjects have the same style. "Motion only": all
subjects have the same body. "Neither": both. Clothes vary in all four, and what they reveal about sex
remains. Groups are disjoint subjects of the test split, each searched in its own gallery. Intervals are a
bootstrap over subjects, including those of the ratios to the full score. A ratio above chance has 1 /
people taken off both scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from gaitid.encoders.base import load_encoder
from gaitid.synthetic import CONDITIONS, Camera, Population
from gaitid.workers import pool

KINDS = {"full": (1.0, 1.0), "shape only": (1.0, 0.0), "motion only": (0.0, 1.0), "neither": (0.0, 0.0)}
DAYS = {0: 3, 18: 3, 36: 9}
"""Degrees apart to days of probes: a low rank-1 needs more probes."""
SAME_DAY = "nm 0, same day"
VIEW, GALLERY, RESAMPLES = 90.0, 2, 2000

Hits = NDArray[np.float64]


class Recogniser:
    """A population as one recogniser sees it: mean silhouettes, or the vectors of an encoder."""

    def __init__(self, kind: str, encoder: str | None) -> None:
        shape, motion = KINDS[kind]
        self._population = Population(0, "test", shape=shape, motion=motion)
        self._encoder = None if encoder is None else load_encoder(encoder)

    def walks(
        self, people: Sequence[int], turns: Sequence[tuple[int, int]], condition: str, view: float
    ) -> NDArray[np.float32]:
        """(turns, people, D); a turn is a day and the number of the walk on that day."""
        return np.stack([[self._one(i, *turn, condition, view) for i in people] for turn in turns])

    def _one(self, identity: int, day: int, number: int, condition: str, view: float) -> NDArray[np.float32]:
        camera = Camera.beside(view, distance=6.0, height=1.5, focal=330.0)
        walk = self._population.sequence(identity, day, number, condition=condition, view=view, camera=camera)
        if self._encoder is not None:
            return self._encoder(walk.sequence(modalities=tuple(self._encoder.modalities))).vector
        good = walk.silhouettes[walk.silhouettes.any((1, 2))]
        return np.asarray(good.mean(0).ravel(), np.float32)


def hits(gallery: NDArray[np.float32], probe: NDArray[np.float32]) -> Hits:
    """(N,) share of the probes (P, N, D) whose nearest gallery row (G, N, D) is of the same person."""
    people = gallery.shape[1]
    rows, asked = gallery.reshape(-1, gallery.shape[2]), probe.reshape(-1, probe.shape[2])
    distance = (rows**2).sum(1) - 2 * asked @ rows.T
    right = distance.argmin(1) % people == np.tile(np.arange(people), len(probe))
    return np.asarray(right.reshape(len(probe), people).mean(0))


def measure(kind: str, people: range, encoder: str | None, apart: Sequence[int]) -> dict[str, Hits]:
    """By cell, the share of each subject's probes that find the subject among these people."""
    cv2.setNumThreads(1)
    seen = Recogniser(kind, encoder)
    gallery = seen.walks(people, [(0, n) for n in range(GALLERY)], "nm", VIEW)
    found = {SAME_DAY: hits(gallery, seen.walks(people, [(0, GALLERY)], "nm", VIEW))}
    for condition, angle in product(CONDITIONS, apart):
        days = [(day, 0) for day in range(1, 1 + DAYS[angle])]
        found[f"{condition} {angle}"] = hits(gallery, seen.walks(people, days, condition, VIEW - angle))
    return found


def table(
    people: int,
    groups: int,
    workers: int = 1,
    encoder: str | None = None,
    kinds: Sequence[str] = tuple(KINDS),
    apart: Sequence[int] = tuple(DAYS),
) -> dict[str, dict[str, Hits]]:
    """By kind and cell, the share of each subject's probes that find the subject."""
    galleries = [range(k * people, (k + 1) * people) for k in range(groups)]
    parts = list(product(kinds, galleries, [encoder], [apart]))
    with pool(workers) as processes:
        done = list(processes.map(measure, *zip(*parts, strict=True)))
    found: dict[str, dict[str, Hits]] = {}
    for kind in kinds:
        own = [cells for (name, *_), cells in zip(parts, done, strict=True) if name == kind]
        found[kind] = {cell: np.concatenate([cells[cell] for cells in own]) for cell in own[0]}
    return found


def summary(found: dict[str, dict[str, Hits]], people: int) -> dict[str, dict[str, list[float]]]:
    """By cell: rank-1 of each kind and its share of the full score, each with a 95 % interval."""
    rng = np.random.default_rng(0)
    rows: dict[str, dict[str, list[float]]] = {}
    drawn = rng.integers(len(found["full"][SAME_DAY]), size=(RESAMPLES, len(found["full"][SAME_DAY])))
    for cell, full in found["full"].items():
        rows[cell] = {}
        for kind, cells in found.items():
            rows[cell][kind] = _interval(cells[cell], drawn)
            if kind != "full":
                rows[cell][f"{kind} / full"] = _ratio(cells[cell], full, drawn, 0.0)
                rows[cell][f"{kind} / full, above chance"] = _ratio(cells[cell], full, drawn, 1 / people)
    if "nm 0" in found["full"]:
        rows["nm 0, same day less other day"] = {
            kind: _interval(cells[SAME_DAY] - cells["nm 0"], drawn) for kind, cells in found.items()
        }
    return rows


def _ratio(some: Hits, full: Hits, drawn: NDArray[np.int64], chance: float) -> list[float]:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (some[drawn].mean(1) - chance) / (full[drawn].mean(1) - chance)
    return _rounded((some.mean() - chance) / (full.mean() - chance), ratios)


def _interval(values: Hits, drawn: NDArray[np.int64]) -> list[float]:
    return _rounded(values.mean(), values[drawn].mean(1))


def _rounded(value: float, drawn: NDArray[np.float64]) -> list[float]:
    return [round(float(v), 3) for v in (value, *np.nanquantile(drawn, (0.025, 0.975)))]


def described(people: int, found: dict[str, dict[str, Hits]], recogniser: str) -> dict[str, object]:
    """The summary with the recogniser, the number of people and the number of groups."""
    groups = len(found["full"][SAME_DAY]) // people
    made_of = {"recogniser": recogniser, "people": people, "groups": groups}
    return {**made_of, "probes of each by degrees apart": DAYS, "cells": summary(found, people)}


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--groups", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--encoder", help="search by its vectors instead of mean silhouettes")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--apart", nargs="*", type=int, choices=DAYS, default=list(DAYS))
    options = parser.parse_args()
    found = table(
        options.people, options.groups, options.workers, options.encoder, options.kinds, options.apart
    )
    report = described(options.people, found, options.encoder or "mean silhouette")
    for cell, row in report["cells"].items():
        print(f"{cell:15s}", *(f"{name} {v:.2f} ({a:.2f}-{b:.2f})" for name, (v, a, b) in row.items()))
    harness.save({**harness.facts(__file__), **report}, options.out, show=False)


if __name__ == "__main__":
    main()
