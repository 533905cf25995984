"""Outlines of real and synthetic walkers side by side, in eight bands from head to foot.

    python -m benchmarks.outlines [--root FOLDER] [--people 40]

FOLDER is CASIA-B as a prepared data set (`gaitid dataset prepare`); all of its subjects are measured.
Synthetic subjects pass one camera on one day, usual ones and those of `Population(lifelike=True)`. Widths are
pixels of the 64x44 frame, means over the eight rows of a band. This script writes figures only: the data may
be used for research and not be passed on. Two CPU-minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from gaitid.datasets.base import TEST, TRAIN
from gaitid.datasets.opening import open_dataset
from gaitid.synthetic import Camera, Population

SOURCE = "CASIA-B (Yu, Tan, Tan, ICPR 2006)"
VIEWS = (90, 36)
BANDS = 8
WALKS = {"nm": 6, "bg": 2, "cl": 2}
"""Walks of a subject by condition, as in CASIA-B."""

Row = NDArray[np.float64]
Walks = dict[tuple[str, str], list[Row]]
"""(3, BANDS) facts of each walk (see `outline`), by subject and condition."""


def outline(silhouettes: NDArray[np.uint8]) -> Row:
    """(3, BANDS) mean width, its deviation over time, and mean place of the middle of a (T, 64, 44) walk."""
    columns = np.arange(silhouettes.shape[2])
    width = silhouettes.sum(2, dtype=np.float64)  # (T, 64)
    place = (silhouettes * columns).sum(2) / np.maximum(width, 1)
    filled = width.reshape(len(width), BANDS, -1)
    bands = filled.mean(2)
    weight = filled.sum((0, 2))
    middle = (place.reshape(filled.shape) * filled).sum((0, 2)) / np.maximum(weight, 1)
    return np.stack([bands.mean(0), bands.std(0), middle])


def real(root: Path, view: int) -> Walks:
    """Walks of all subjects of CASIA-B from one view."""
    dataset = open_dataset("casia-b", root)
    found: Walks = {}
    entries = [entry for part in (TRAIN, TEST) for entry in dataset.entries(part)]
    for entry in entries:
        if int(entry.view) == view and entry.condition in WALKS:
            silhouettes = dataset.load(entry).silhouettes
            assert silhouettes is not None
            found.setdefault((entry.subject, entry.condition), []).append(outline(silhouettes))
    return found


def synthetic(population: Population, people: int, view: int) -> Walks:
    """Walks of synthetic subjects, all on one day and through one camera as far away as the laboratory's."""
    camera = Camera.beside(float(view), distance=7.0, height=1.4, focal=490.0)
    found: Walks = {}
    for identity in range(people):
        for condition, count in WALKS.items():
            for number in range(count):
                walk = population.sequence(
                    identity, 0, number, condition=condition, view=float(view), frames=50, camera=camera
                )
                sequence = walk.sequence(modalities=("silhouette",))
                found.setdefault((walk.subject, condition), []).append(
                    outline(np.asarray(sequence.silhouettes))
                )
    return found


def table(walks: Walks) -> dict[str, list[float]]:
    """Rows of the table: BANDS figures each."""
    subjects = sorted({subject for subject, _ in walks})
    every = {
        condition: [
            np.array(walks[subject, condition]) for subject in subjects if (subject, condition) in walks
        ]
        for condition in WALKS
    }
    mean = {condition: np.array([one.mean(0) for one in rows]) for condition, rows in every.items()}
    both = {c: [s for s in subjects if (s, c) in walks and (s, "nm") in walks] for c in ("cl", "bg")}
    rows = {
        "NM mean width": mean["nm"][:, 0].mean(0),
        "between people": mean["nm"][:, 0].std(0, ddof=1),
        "within": np.sqrt(np.mean([one[:, 0].var(0, ddof=1) for one in every["nm"] if len(one) > 1], axis=0)),
    }
    for condition, names in both.items():
        change = np.array(
            [np.mean(walks[s, condition], axis=0)[0] - np.mean(walks[s, "nm"], axis=0)[0] for s in names]
        )
        rows[f"{condition.upper()} less NM"] = change.mean(0)
        rows[f"{condition.upper()} less NM, deviation"] = change.std(0, ddof=1)
    rows["temporal deviation"] = mean["nm"][:, 1].mean(0)
    rows["middle"] = mean["nm"][:, 2].mean(0)
    rows["middle, between people"] = mean["nm"][:, 2].std(0, ddof=1)
    return {name: [round(float(value), 2) for value in row] for name, row in rows.items()}


def tables(root: Path, people: int) -> Iterator[tuple[str, str, dict[str, list[float]]]]:
    """View, who, and table."""
    makers: dict[str, Callable[[int], Walks]] = {
        "real": lambda view: real(root, view),
        "synthetic": lambda view: synthetic(Population(7, "validation"), people, view),
        "lifelike": lambda view: synthetic(Population(7, "validation", lifelike=True), people, view),
    }
    for view in VIEWS:
        for who, make in makers.items():
            yield f"{view} degrees", who, table(make(view))


def shown(view: str, found: dict[str, dict[str, list[float]]]) -> Iterable[str]:
    """Lines of the tables of one view, side by side."""
    yield view
    for name in next(iter(found.values())):
        yield f"  {name}"
        for who, rows in found.items():
            yield f"    {who:10s} " + " ".join(f"{value:5.1f}" for value in rows[name])


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--root", type=Path, default=Path("out/casia-b-dev"), help="prepared CASIA-B")
    parser.add_argument("--people", type=int, default=40, help="synthetic subjects; default: %(default)s")
    options = parser.parse_args()
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for view, who, rows in tables(options.root, options.people):
        found.setdefault(view, {})[who] = rows
    for view, by in found.items():
        print(*shown(view, by), sep="\n")
    harness.save(
        {**harness.facts(__file__), "source": SOURCE, "people": options.people, **found},
        options.out,
        show=False,
    )


if __name__ == "__main__":
    main()
