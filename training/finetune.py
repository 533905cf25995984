"""Fine-tuning: a silhouette encoder and a few walks of own people -> a weight file of one's own.

Own people are few, so synthetic walkers whom the encoder never saw walk among them in every batch: the
network learns its own people without forgetting how strangers differ. The last quarter of each person's
walks (one at least, by name) is kept out of training; the result is judged on them, before and after, and
on synthetic strangers. So few walks say little one by one, so the judge is d', which uses every score.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gaitid import __version__
from gaitid.datasets.base import Dataset
from gaitid.datasets.base import DatasetEntry as Listed
from gaitid.encoders import networks, weights
from gaitid.encoders.learned import LearnedEncoder
from gaitid.errors import InputError
from gaitid.evaluation.verification import d_prime
from gaitid.records import SILHOUETTE, GaitSequence
from gaitid.synthetic import Population, plan_varied

from .augment import Augmentation
from .batches import stream
from .pack import FMR
from .recipe import Batch, Data, Loss, Network, Recipe, Schedule
from .shards import Entry, Label, synthetic_entries, write_shard
from .train import Run

_UNSEEN = 1_000_000
"""Number from which synthetic people were in no training of ours."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Plan:
    """How to fine-tune.

    Attributes:
        steps: Optimiser steps.
        rate: Peak learning rate.
        company: Synthetic people who walk among the own ones.
        strangers: Synthetic people of the check.
        augmentation: Of all walks.
        seed: Of everything.
    """

    steps: int = 150
    rate: float = 3e-4
    company: int = 60
    strangers: int = 60
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 1


@dataclass(frozen=True)
class Check:
    """What an encoder does with walks that were kept out: fractions 0..1.

    Attributes:
        rank_one: Share of them whose nearest other walk is of the same person.
        d_prime: Distance of the scores of one person from those of different people, in deviations.
        accepted: Share of pairs of one person above the threshold of `FMR` 1 % among different people.
        threshold: That one.
        impostors: Scores of different people.
    """

    rank_one: float
    d_prime: float
    accepted: float
    threshold: float
    impostors: NDArray[np.float32]


@dataclass(frozen=True)
class Outcome:
    """A fine-tuned network and what it is worth.

    Attributes:
        tensors: Of the network.
        before: Of the encoder that it came from.
        after: Of itself.
        people: Own people.
        walks: Own walks in training.
    """

    tensors: dict[str, NDArray[np.generic]]
    before: Check
    after: Check
    people: int
    walks: int

    @property
    def better(self) -> bool:
        """It tells people apart better on what was kept out."""
        return self.after.d_prime > self.before.d_prime


def finetune(
    encoder: LearnedEncoder, dataset: Dataset, folder: Path, plan: Plan, progress: Progress
) -> Outcome:
    """Train on all but the last quarter of each person's walks, and check on those.

    Args:
        encoder: A silhouette encoder.
        dataset: Own people; every sequence of its test part is used.
        folder: Where intermediate files go.
        plan: How.
        progress: Called with a phase, steps done, and steps in all.

    Raises:
        InputError: Another kind of encoder, or too few people or walks.
    """
    if encoder.architecture.modality != SILHOUETTE:
        raise InputError(
            f"encoder {encoder.name} reads {', '.join(encoder.modalities)}",
            "an encoder of silhouettes",
            "fine-tune strider, or compare skeletons with the encoder as it is",
        )
    kept, learned = _divide(dataset.entries("test"))
    own = [(entry, dataset.load(entry)) for entry in learned]
    probes = [(entry, dataset.load(entry)) for entry in kept]
    _write(folder, own, plan, progress)
    recipe = _recipe(encoder, folder, plan, len({entry.subject for entry in learned}))
    run = _trained(encoder, recipe, progress)
    strangers = _strangers(plan)
    before, after = (check(network, own, probes, strangers) for network in (encoder.network, run.average))
    tensors = {name: value.numpy() for name, value in run.average.state_dict().items()}
    return Outcome(tensors, before, after, len({e.subject for e in learned}), len(learned))


def _divide(entries: Sequence[Listed]) -> tuple[list[Listed], list[Listed]]:
    """(last quarter of each person's walks, the rest)."""
    walks: dict[str, set[str]] = {}
    for entry in entries:
        walks.setdefault(entry.subject, set()).add(entry.sequence)
    ready = {
        subject: set(sorted(names)[-max(1, len(names) // 4) :])
        for subject, names in walks.items()
        if len(names) > 1
    }
    if len(ready) < 2:
        raise InputError(
            f"{len(ready)} of {len(walks)} people have two walks or more",
            "at least two people, each with two walks or more, better of several days",
            "record more walks; see docs/training.md",
        )
    last = [e for e in entries if e.sequence in ready.get(e.subject, ())]
    rest = [e for e in entries if e.subject in ready and e.sequence not in ready[e.subject]]
    return last, rest


def _write(folder: Path, own: Sequence[tuple[Listed, GaitSequence]], plan: Plan, progress: Progress) -> None:
    """Shards of own walks and of the company's."""
    numbers = {key: i for i, key in enumerate(sorted({(e.subject, e.sequence) for e, _ in own}))}
    write_shard(
        folder / "own",
        (
            Entry(
                Label(
                    f"own-{e.subject}", e.sequence, numbers[e.subject, e.sequence], e.condition or "nm", 0.0
                ),
                GaitSequence({SILHOUETTE: walk.streams[SILHOUETTE]}, walk.times),
            )
            for e, walk in own
        ),
    )
    population = Population(plan.seed, "train")
    for done in range(plan.company):
        items = plan_varied([_UNSEEN + done], per_identity=6, sessions=3, frames=40, seed=plan.seed)
        write_shard(folder / f"company-{done:03d}", synthetic_entries(population, items, 1, (0.5, 1.5)))
        progress("company", done + 1, plan.company)


def _recipe(encoder: LearnedEncoder, folder: Path, plan: Plan, people: int) -> Recipe:
    subjects = min(16, people + plan.company)
    return Recipe(
        data=Data(train=folder, validation=folder),
        network=Network(encoder.card.architecture, dict(encoder.card.arguments)),
        batch=Batch(subjects=subjects, each=4, frames=(12, 16)),
        loss=Loss(cross_entropy=0.0),
        schedule=Schedule(steps=plan.steps, warmup=min(20, plan.steps), rate=plan.rate, ema=0.95),
        augmentation=plan.augmentation,
        seed=plan.seed,
    )


def _trained(encoder: LearnedEncoder, recipe: Recipe, progress: Progress) -> Run:
    run = Run(recipe, classes=1)
    for network in (run.network, run.average):
        network.load_state_dict(encoder.network.state_dict())
    for clips, labels in stream(recipe, range(recipe.schedule.steps), workers=0):
        run.network.train()
        run.advance(clips, labels)
        progress("training", run.step, recipe.schedule.steps)
    return run


def _strangers(plan: Plan) -> list[GaitSequence]:
    population = Population(plan.seed, "validation")
    items = plan_varied(
        range(_UNSEEN, _UNSEEN + plan.strangers), per_identity=1, sessions=1, frames=50, seed=plan.seed
    )
    return [entry.sequence for entry in synthetic_entries(population, items, 1, (1.0, 1.0))]


def check(
    network: networks.Network,
    own: Sequence[tuple[Listed, GaitSequence]],
    probes: Sequence[tuple[Listed, GaitSequence]],
    strangers: Sequence[GaitSequence],
) -> Check:
    """Compare walks that were kept out, and strangers, with the walks of training."""
    network.eval()

    def vectors(walks: Sequence[GaitSequence]) -> NDArray[np.float32]:
        return np.concatenate(
            [networks.embed(network, [walk.streams[SILHOUETTE]], [walk.times]) for walk in walks]
        )

    gallery = vectors([walk for _, walk in own])
    owners = np.array([entry.subject for entry, _ in own])
    asked = np.array([entry.subject for entry, _ in probes])
    scores = vectors([walk for _, walk in probes]) @ gallery.T
    same = asked[:, None] == owners
    impostors = np.concatenate([scores[~same], (vectors(strangers) @ gallery.T).ravel()])
    threshold = float(np.quantile(impostors, 0.99))
    best = owners[scores.argmax(1)] == asked
    return Check(
        rank_one=float(best.mean()),
        d_prime=d_prime(scores[same], impostors),
        accepted=float((scores[same] >= threshold).mean()),
        threshold=threshold,
        impostors=impostors,
    )


def save(encoder: LearnedEncoder, outcome: Outcome, target: Path, source: str) -> weights.Weights:
    """Write the fine-tuned weights, with a card that says what they are."""
    held, old = outcome.after, encoder.card
    protocol = (
        f"last quarter of the walks of {outcome.people} people against the other {outcome.walks}; "
        "threshold at FMR 1 % with synthetic strangers"
    )
    card = dataclasses.replace(
        old,
        name=target.stem,
        threshold=round(float(np.quantile(held.impostors, 1 - FMR)), 4),
        threshold_rule=f"FMR {FMR:g} among own people and synthetic strangers",
        licence=f"{old.licence}, and the terms of your own data",
        training_data=f"{old.training_data}; then {outcome.walks} walks of {outcome.people} people "
        f"({source})",
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        commit=f"gaitid {__version__}",
        command=f"gaitid model finetune --encoder {old.name}",
        metrics=tuple(
            weights.Figure(f"{measure}, {when}", round(value, 4), protocol)
            for when, one in (("before", outcome.before), ("after", held))
            for measure, value in (("rank-1", one.rank_one), ("d'", one.d_prime), ("accepted", one.accepted))
        ),
        impostors=weights.Impostors.of(held.impostors, "own people and synthetic strangers"),
    )
    golden = weights.load(encoder.path).golden
    network = networks.load(old, outcome.tensors)
    vector = networks.embed(network, [golden.clip], [golden.times])[0]
    return weights.save(target, card, outcome.tensors, dataclasses.replace(golden, vector=vector))


def words(outcome: Outcome) -> str:
    """The outcome as JSON, for people and programs."""
    rows = {
        when: {
            "rank_1": round(one.rank_one, 4),
            "d_prime": round(one.d_prime, 3),
            "accepted_at_fmr_1_percent": round(one.accepted, 4),
        }
        for when, one in (("before", outcome.before), ("after", outcome.after))
    }
    return json.dumps({"people": outcome.people, "walks": outcome.walks, **rows})
