"""What each choice in the default silhouette encoder is worth: short trainings that differ in one thing.

    python -m benchmarks.ablations [--data FOLDER] [--train SHARDS] [--steps 600] [--only NAME ...]

Each run is the recipe of `strider`, cut to a few hundred steps of 12 frames from random weights, with one
change. All runs see the same 2,000 subjects with the same seeds. They are measured on 50 subjects of the
split ``validation`` by the laboratory plan: rank-1 of different views, gallery day 0, probes day 1.
**Synthetic, and short**: a choice that pays off late shows less here, so only large differences mean
anything. The interval over 50 subjects is about 3 points either way.

An interrupted benchmark continues: runs in the result file that the same commit, processor and --steps made
are not repeated. FOLDER is the data folder of docs/training.md: ``train`` and ``validation`` are made there
when they are missing, and so is ``clean``, walks without noise. With --train the subjects of those shards are
used, and only the validation subjects are made.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import harness
from gaitid import settings
from gaitid.encoders.strider import network as strider
from gaitid.synthetic import VIEWS, Population, plan_varied
from gaitid.training import train as trainer
from gaitid.training.corpus import Corpus
from gaitid.training.recipe import Augmentation, Data, Network, Recipe
from gaitid.training.shards import fill, laboratory
from gaitid.training.validation import embedder, measure

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
    """More or fewer subjects."""
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
"""Which of the five statistics over time are kept; the others are zeros."""


@contextmanager
def pooled(kept: tuple[int, ...]) -> Iterator[None]:
    """Keep some statistics over time and zero the others."""
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
    """Make the shards that are missing."""
    fill(folder / "validation", Population(1, "validation"), range(JUDGED), laboratory)
    if judged_only:
        return
    varied = partial(plan_varied, per_identity=12, sessions=4, frames=50, seed=1)
    fill(folder / "train", Population(1, "train"), range(MANY), varied, levels=(0.3, 1.7))
    fill(folder / "clean", Population(1, "train"), range(PEOPLE), varied, levels=(0.0, 0.0))


def run(name: str, train: Path, validation: Path, steps: int) -> dict[str, float]:
    """Train with one change, and measure."""
    recipe = settings.load(harness.ROOT / "training" / "recipes" / "strider.toml", Recipe)
    recipe = replace(
        recipe,
        data=Data(train, validation, PEOPLE),
        batch=replace(recipe.batch, frames=(12,)),
        schedule=replace(recipe.schedule, steps=steps, check_every=steps),
    )
    recipe = CHANGES[name](recipe)
    judged, figures = Corpus(validation), {}

    def train_and_measure() -> None:
        with tempfile.TemporaryDirectory() as scratch, pooled(KEPT.get(name, (0, 1, 2, 3, 4))):
            average = trainer.train(recipe, Path(scratch), workers=1).average
            figures.update(measure(judged, embedder(average, judged), VIEWS))

    seconds = harness.cpu_s(train_and_measure)
    found = {key: round(100 * value, 1) for key, value in figures.items()}
    return {**found, "CPU-minutes": round(seconds / 60, 1)}


def earlier_runs(path: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Runs of an interrupted result; none if another commit, processor or number of steps made it."""
    earlier = json.loads(path.read_text()) if path.exists() else {"runs": {}}
    # The commit has a "+" as soon as the first save has changed the tracked result.
    if not facts["commit"] or earlier.get("commit", "").rstrip("+") != facts["commit"].rstrip("+"):
        return {}
    same = all(earlier[name] == facts[name] for name in ("processor", "steps"))
    return dict(earlier["runs"]) if same else {}


def main() -> None:
    """Make the data, train, measure, and save after each run."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--train", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--only", nargs="*", choices=CHANGES, default=list(CHANGES))
    options = parser.parse_args()
    harness.log_progress()
    torch.set_num_threads(1)
    make(options.data, judged_only=options.train is not None)
    train, validation = options.train or options.data / "train", options.data / "validation"
    result: dict[str, Any] = {
        **harness.facts(__file__),
        "what": "SYNTHETIC, short trainings of strider; see benchmarks/ablations.py",
        "steps": options.steps,
    }
    result["runs"] = earlier_runs(options.out, result)
    for name in options.only:
        if name not in result["runs"]:
            result["runs"][name] = run(name, train, validation, options.steps)
            print(name, result["runs"][name], flush=True)
            harness.save(result, options.out, show=False)


if __name__ == "__main__":
    main()
