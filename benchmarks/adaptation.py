"""A head from a few real people: what `gaitid model adapt` brings, by method and number of people.

    python -m benchmarks.adaptation --root FOLDER [--encoder NAME-OR-FILE]

FOLDER is CASIA-B as a prepared data set. Heads are learned from all walks of 5, 10 or 20 people of its train
part, and tested on all people of the test part by the published protocol (`benchmarks.real`). For 40 people,
16 of the test part are taken as well, and tested are the others, beside a head of 20 people for the same
ones. A view stands for a camera; with profiles, the mean of a view is that of the same few people. Means over
three draws of people. It writes figures only: the data may be used for research and not be passed on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.real import PROBES, SOURCE, Walks, embedded, mean_of, rank_1
from gaitid.datasets.base import TEST, TRAIN
from gaitid.datasets.opening import open_dataset
from gaitid.encoders.base import load_encoder, parts_of
from gaitid.training.adapt import People, fit

SIZES, LARGEST, DRAWS = (5, 10, 20), 40, 3
METHODS = ("whitening", "lda")


def measure(trained: Walks, tested: Walks, parts: int) -> dict[str, Any]:
    """Rank-1 in percent by group of people tested, number of people adapted to, and method."""
    everyone, fewer = [], []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        order = rng.permutation(np.unique(trained.subject))
        everyone.append(_sizes(trained, order, tested, SIZES, parts))
        taken = rng.permutation(np.unique(tested.subject))[: LARGEST - len(order)]
        mask = np.isin(tested.subject, taken)
        more = _joined(trained, tested.where(mask))
        people = np.concatenate([order, taken])
        fewer.append(_sizes(more, people, tested.where(~mask), (SIZES[-1], LARGEST), parts))
    left = len(np.unique(tested.subject)) - (LARGEST - len(np.unique(trained.subject)))
    return {
        f"{len(np.unique(tested.subject))} people": mean_of(everyone),
        f"{left} of them": mean_of(fewer),
    }


def _joined(one: Walks, other: Walks) -> Walks:
    columns = ("vectors", "subject", "view", "sequence")
    return Walks(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in columns))


def _sizes(source: Walks, order: Any, tested: Walks, sizes: Sequence[int], parts: int) -> dict[str, Any]:
    """One draw: the encoder as it is, and with a head of each method from the first people of `order`."""
    found: dict[str, Any] = {}
    for size in sizes:
        few = source.where(np.isin(source.subject, order[:size]))
        found[f"{size} people, no head"] = _row(tested, few, parts)
        people = People(few.vectors, few.subject, np.char.add(few.subject, few.sequence), few.view)
        for method in METHODS:
            head = fit(people, method, parts)
            mapped = [replace(walks, vectors=head(walks.vectors)) for walks in (tested, few)]
            found[f"{size} people, {method}"] = _row(*mapped, parts)
    return found


def _row(tested: Walks, few: Walks, parts: int) -> dict[str, list[float]]:
    """Rank-1 of each condition, plain and with profiles from `few`."""
    ways = {"plain": tested, "profiles": tested.profiled(few, parts)}
    return {way: [rank_1(walks, name)["different views"] for name in PROBES] for way, walks in ways.items()}


def table(found: dict[str, Any]) -> str:
    """The figures as text."""
    lines = []
    for group, rows in found.items():
        lines.append(f"{group}, {SOURCE}: rank-1 %, {' / '.join(PROBES)}")
        for name, row in rows.items():
            shown = [f"{way} " + " / ".join(f"{value:.1f}" for value in row[way]) for way in row]
            lines.append(f"  {name:<24}" + "   ".join(shown))
    return "\n".join(lines)


def main() -> None:
    """Embed, adapt, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--root", type=Path, default=Path("out/casia-b-dev"), help="prepared CASIA-B")
    parser.add_argument("--encoder", default="strider", help="name or weight file (default: strider)")
    parser.add_argument("--workers", type=int, default=2, help="processes that embed (default: 2)")
    options = parser.parse_args()
    dataset, encoder = open_dataset("casia-b", options.root), load_encoder(options.encoder)
    entries = [*dataset.entries(TRAIN), *dataset.entries(TEST)]
    walks = embedded(options.root, options.encoder, entries, options.workers)
    of_train = np.isin(walks.subject, sorted({entry.subject for entry in dataset.entries(TRAIN)}))
    began = time.process_time()
    results = measure(walks.where(of_train), walks.where(~of_train), parts_of(encoder))
    print(table(results), f"\n{time.process_time() - began:.0f} CPU-s", file=sys.stdout, flush=True)
    report = {**harness.facts(__file__), "source": SOURCE, "encoder": encoder.name, "unit": "percent"}
    harness.save({**report, "results": results}, options.out, show=False)


if __name__ == "__main__":
    main()
