"""How hard the synthetic task is: GEI nearest neighbour across days, with shape or motion taken away.

    PYTHONPATH=. python benchmarks/controls.py [--people 100] [--days 3] [--walks 2] [--out JSON]

Gallery: two walks of day 0 in normal clothes at 90 degrees. Probes: walks of later days in other clothes,
at 90, 72 and 54 degrees. "Shape only": everybody has the same style. "Motion only": everybody has the same
body; clothes vary in all. Intervals are a bootstrap over people, ratios to the full score included.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gaitid.evaluation.provenance import provenance
from gaitid.synthetic import CONDITIONS, Camera, Cohort

KINDS = {"full": (1.0, 1.0), "shape only": (1.0, 0.0), "motion only": (0.0, 1.0)}
APART = (0, 18, 36)
VIEW, GALLERY, RESAMPLES = 90.0, 2, 2000

Hits = NDArray[np.float64]


def energy(
    cohort: Cohort, identity: int, session: int, number: int, condition: str, view: float
) -> NDArray[np.float32]:
    """Mean silhouette of one noisy walk."""
    camera = Camera.beside(view, distance=6.0, height=1.5, focal=330.0)
    walk = cohort.sequence(identity, session, number, condition=condition, view=view, camera=camera)
    good = walk.silhouettes[walk.silhouettes.any((1, 2))]
    return np.asarray(good.mean(0).ravel(), np.float32)


def hits(gallery: NDArray[np.float32], probe: NDArray[np.float32]) -> Hits:
    """(N,) share of the probes (P, N, D) whose nearest gallery row (G, N, D) is of the same person."""
    people = gallery.shape[1]
    rows, asked = gallery.reshape(-1, gallery.shape[2]), probe.reshape(-1, probe.shape[2])
    distance = (rows**2).sum(1) - 2 * asked @ rows.T
    right = distance.argmin(1) % people == np.tile(np.arange(people), len(probe))
    return np.asarray(right.reshape(len(probe), people).mean(0))


def walks(cohort: Cohort, people: int, days: range, numbers: range, condition: str, view: float) -> Hits:
    """(days * numbers, people, D) energies."""
    return np.stack(
        [
            [energy(cohort, i, day, number, condition, view) for i in range(people)]
            for day in days
            for number in numbers
        ]
    )


def table(
    people: int, days: int, each: int, conditions: Sequence[str] = CONDITIONS
) -> dict[str, dict[str, Hits]]:
    """By kind and cell, the share of each person's probes that found the person."""
    found: dict[str, dict[str, Hits]] = {}
    for kind, (shape, motion) in KINDS.items():
        cohort = Cohort(0, "test", shape=shape, motion=motion)
        gallery = walks(cohort, people, range(1), range(GALLERY), "nm", VIEW)
        found[kind] = {
            f"{condition} {apart}": hits(
                gallery, walks(cohort, people, range(1, 1 + days), range(each), condition, VIEW - apart)
            )
            for condition in conditions
            for apart in APART
        }
        same = walks(cohort, people, range(1), range(GALLERY, GALLERY + each), "nm", VIEW)
        found[kind]["nm 0, same day"] = hits(gallery, same)
    return found


def summary(found: dict[str, dict[str, Hits]]) -> dict[str, dict[str, list[float]]]:
    """By cell: rank-1 of each kind and its share of the full score, each with a 95 % interval."""
    rng = np.random.default_rng(0)
    rows: dict[str, dict[str, list[float]]] = {}
    for cell, full in found["full"].items():
        drawn = rng.integers(len(full), size=(RESAMPLES, len(full)))
        rows[cell] = {}
        for kind, cells in found.items():
            values = cells[cell]
            rows[cell][kind] = _interval(values.mean(), values[drawn].mean(1))
            if kind != "full":
                with np.errstate(divide="ignore", invalid="ignore"):
                    ratios = values[drawn].mean(1) / full[drawn].mean(1)
                rows[cell][f"{kind} / full"] = _interval(values.mean() / full.mean(), ratios)
    return rows


def _interval(value: float, drawn: NDArray[np.float64]) -> list[float]:
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return [round(float(v), 3) for v in (value, low, high)]


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="benchmarks/controls.py")
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--walks", type=int, default=2)
    parser.add_argument("--conditions", nargs="*", default=CONDITIONS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = summary(table(options.people, options.days, options.walks, options.conditions))
    for cell, row in rows.items():
        print(f"{cell:15s}", *(f"{name} {v:.2f} ({a:.2f}-{b:.2f})" for name, (v, a, b) in row.items()))
    if options.out:
        people = {"people": options.people, "probes of each": options.days * options.walks}
        text = json.dumps({**provenance("python benchmarks/controls.py"), **people, "cells": rows}, indent=1)
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
