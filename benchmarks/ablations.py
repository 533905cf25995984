"""What each choice in the default silhouette encoder is worth: short trainings that differ in one thing.

    python benchmarks/ablations.py [--data FOLDER] [--train SHARDS] [--steps 600] [--only NAME ...] [--out F]

Each run is the recipe of `strider`, cut to a few hundred steps of 12 frames from nothing, with one change;
all see the same 2,000 people with the same seeds. Judged on 50 people of the split ``validation`` by the
laboratory plan: rank-1 of different views, gallery day 0, probes day 1. **Synthetic, and short**: a choice
that pays late shows less here, so only large differences say anything; the interval over 50 people is about
3 points either way. Runs that are in the JSON already are not run again. FOLDER is that of docs/training.md:
``train`` and ``validation`` are made there when they are missing, and ``clean``, walks without noise; with
--train the people of those shards are taken, and none are made but the judged ones.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gaitid import settings
from gaitid.encoders import strider
from gaitid.evaluation.provenance import provenance
from gaitid.synthetic import VIEWS, Population, plan_varied
from gaitid.training import train as trainer
from gaitid.training.augment import Augmentation
from gaitid.training.corpus import Corpus
from gaitid.training.heldout import embedder, measure
from gaitid.training.recipe import Data, Network, Recipe
from gaitid.training.shards import fill, laboratory

log = logging.getLogger("benchmarks")

ROOT = Path(__file__).resolve().parents[1]
PEOPLE, MANY, FEW, JUDGED = 2000, 8000, 500, 50
Change = Callable[[Recipe], Recipe]
PLAIN = dict.fromkeys(Augmentation.__dataclass_fields__, 0.0) | {"speed": 1.0}


def network(**arguments: Any) -> Change:
    """Other arguments of the network."""
    return lambda recipe: replace(
        recipe, network=Network("strider", {**recipe.network.arguments, **arguments})
    )


def loss(**weights: float) -> Change:
    """Other weights of the losses."""
    return lambda recipe: replace(recipe, loss=replace(recipe.loss, **weights))


def people(count: int) -> Change:
    """More or fewer people."""
    return lambda recipe: replace(recipe, data=replace(recipe.data, identities=count))


def clean(recipe: Recipe) -> Recipe:
    """Walks without noise."""
    return replace(recipe, data=replace(recipe.data, train=recipe.data.train.with_name("clean")))


def augmentation(**chances: float) -> Change:
    """Other changes of clips."""
    return lambda recipe: replace(recipe, augmentation=replace(recipe.augmentation, **chances))


CHANGES: dict[str, Change] = {
    "as it is": lambda recipe: recipe,
    "pooling: maximum only": lambda recipe: recipe,
    "pooling: maximum and mean": lambda recipe: recipe,
    "pooling: no motion channels": lambda recipe: recipe,
    "two later layers on frames": network(later=2),
    "trunk: 256, 256, 256": network(trunk=[256, 256, 256]),
    "loss: no traits": loss(traits=0.0),
    "loss: traits at a quarter": loss(traits=5.0),
    "loss: traits and projection only": loss(contrastive=0.0, cross_entropy=0.0),
    "loss: no traits, cross-entropy only": loss(traits=0.0, contrastive=0.0),
    "loss: no traits, contrastive only": loss(traits=0.0, cross_entropy=0.0),
    "loss: no traits, batch-all triplet, cross-entropy": loss(traits=0.0, contrastive=0.0, triplet=1.0),
    "loss: open-set added": loss(open_set=0.5),
    "projection: 128": network(projection=128),
    "projection: 64": network(projection=64),
    "projection: none (512)": network(projection=0),
    "augmentation: none": augmentation(**PLAIN),
    "augmentation: never mirrored": augmentation(flip=0.0),
    "noise in training: none": clean,
    f"people: {FEW}": people(FEW),
    f"people: {MANY}": people(MANY),
}
KEPT = {
    "pooling: maximum only": (0,),
    "pooling: maximum and mean": (0, 1),
    "pooling: no motion channels": (0, 1, 2),
}
"""Which of the five statistics over time stay; the others are zeros."""


@contextmanager
def pooled(kept: tuple[int, ...]) -> Iterator[None]:
    """Some statistics only."""
    whole = strider._pool

    def some(x: Tensor) -> Tensor:
        parts = whole(x).chunk(5, 1)
        return torch.cat([p if i in kept else torch.zeros_like(p) for i, p in enumerate(parts)], 1)

    strider._pool = some
    try:
        yield
    finally:
        strider._pool = whole


def make(folder: Path, *, judged_only: bool) -> None:
    """The shards that are not there yet."""
    fill(folder / "validation", Population(1, "validation"), range(JUDGED), laboratory)
    if judged_only:
        return
    varied = partial(plan_varied, per_identity=12, sessions=4, frames=50, seed=1)
    fill(folder / "train", Population(1, "train"), range(MANY), varied, levels=(0.3, 1.7))
    fill(folder / "clean", Population(1, "train"), range(PEOPLE), varied, levels=(0.0, 0.0))


def run(name: str, train: Path, validation: Path, steps: int) -> dict[str, float]:
    """Train with one change, and judge."""
    recipe = settings.load(ROOT / "training" / "recipes" / "strider.toml", Recipe)
    recipe = replace(
        recipe,
        data=Data(train, validation, PEOPLE),
        batch=replace(recipe.batch, frames=(12,)),
        schedule=replace(recipe.schedule, steps=steps, check_every=steps),
    )
    recipe = CHANGES[name](recipe)
    judged = Corpus(validation)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as scratch, pooled(KEPT.get(name, (0, 1, 2, 3, 4))):
        average = trainer.train(recipe, Path(scratch), workers=1).average
        figures = measure(judged, embedder("strider", average, judged), VIEWS)
    found = {key: round(100 * value, 1) for key, value in figures.items()}
    return {**found, "CPU-minutes": round((time.process_time() - started) / 60, 1)}


def main() -> None:
    """Make, train, judge, print, and write."""
    parser = argparse.ArgumentParser(prog="benchmarks/ablations.py")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--train", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--only", nargs="*", choices=CHANGES, default=list(CHANGES))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    make(options.data, judged_only=options.train is not None)
    train, validation = options.train or options.data / "train", options.data / "validation"
    result: dict[str, Any] = {
        **provenance("python benchmarks/ablations.py"),
        "what": "SYNTHETIC, short trainings of strider; see benchmarks/ablations.py",
        "steps": options.steps,
        "runs": {},
    }
    if options.out and options.out.exists():
        result["runs"] = json.loads(options.out.read_text())["runs"]
    for name in options.only:
        if name not in result["runs"]:
            result["runs"][name] = run(name, train, validation, options.steps)
            print(name, result["runs"][name], flush=True)
            if options.out:
                options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
