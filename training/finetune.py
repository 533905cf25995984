"""Fine-tuning: a silhouette encoder and a few walks of your own subjects give a weight file of your own.

Your own subjects are few, so every batch also contains synthetic subjects whom the encoder never saw. The
network learns your subjects without forgetting how other people differ. The last quarter of each subject's
walks (at least one, in order of name) is kept for validation. The encoder is compared before and after on
these walks and on synthetic impostors. With so few walks, rank-1 is coarse; the result is judged by d',
which uses every score.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gaitid import __version__
from gaitid.datasets.base import Dataset, DatasetEntry
from gaitid.encoders import networks, weights
from gaitid.encoders.learned import LearnedEncoder
from gaitid.encoders.networks import Network as TorchNetwork
from gaitid.errors import InputError
from gaitid.evaluation.verification import d_prime
from gaitid.records import SILHOUETTE, GaitSequence
from gaitid.synthetic import Population, plan_varied

from .batches import stream
from .pack import FMR, threshold, today
from .recipe import Augmentation, Batch, Data, Loss, Network, Recipe, Schedule
from .run import Run
from .shards import ShardEntry, WalkLabel, synthetic_entries, write_shard

_UNSEEN = 1_000_000
"""Number from which synthetic subjects were in no training of ours."""
_FMR = 0.01
"""False match rate of the threshold in a comparison."""

Progress = Callable[[str, int, int], None]
LabelledWalk = tuple[DatasetEntry, GaitSequence]


@dataclass(frozen=True)
class FinetunePlan:
    """How to fine-tune.

    Attributes:
        steps: Optimiser steps.
        rate: Peak learning rate.
        company: Synthetic subjects who train together with your own.
        impostors: Synthetic subjects who are compared with your own in the validation.
        augmentation: Changes to all walks.
        seed: Seed of the weights, the batches and the synthetic subjects.
    """

    steps: int = 150
    rate: float = 3e-4
    company: int = 60
    impostors: int = 60
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 1


@dataclass(frozen=True)
class FinetuneCheck:
    """Results of an encoder on the validation walks.

    Attributes:
        rank_one: Share of validation walks whose nearest training walk is of the same subject, 0..1.
        d_prime: Distance of the mated from the non-mated scores, in standard deviations.
        accepted: Share of mated pairs above `threshold`, 0..1.
        threshold: Score that 1 % of the non-mated pairs exceed.
        impostors: (N,) non-mated scores.
    """

    rank_one: float
    d_prime: float
    accepted: float
    threshold: float
    impostors: NDArray[np.float32]


@dataclass(frozen=True)
class FinetuneResult:
    """A fine-tuned network and its validation.

    Attributes:
        tensors: Weights of the network.
        before: Results of the original encoder.
        after: Results of the fine-tuned network.
        people: Number of your own subjects.
        walks: Number of their walks in training.
    """

    tensors: dict[str, NDArray[np.generic]]
    before: FinetuneCheck
    after: FinetuneCheck
    people: int
    walks: int

    @property
    def better(self) -> bool:
        """Whether the network separates the subjects better than before on the validation walks."""
        return self.after.d_prime > self.before.d_prime


def finetune(
    encoder: LearnedEncoder, dataset: Dataset, folder: Path, plan: FinetunePlan, progress: Progress
) -> FinetuneResult:
    """Train on all but the last quarter of each subject's walks, and validate on those.

    Args:
        encoder: A silhouette encoder.
        dataset: Your own subjects; every sequence of its test part is used.
        folder: Folder for intermediate files.
        plan: How to fine-tune.
        progress: Called with a phase, the steps done and the number of steps.

    Raises:
        InputError: The encoder does not read silhouettes, or there are too few subjects or walks.
    """
    if encoder.architecture.modality != SILHOUETTE:
        raise InputError(
            f"Encoder {encoder.name} reads {', '.join(encoder.modalities)}",
            "a silhouette encoder",
            "Fine-tune strider, or use the skeleton encoder as it is",
        )
    kept, learned = split_walks(dataset.entries("test"))
    own = [(entry, dataset.load(entry)) for entry in learned]
    probes = [(entry, dataset.load(entry)) for entry in kept]
    _write_shards(folder, own, plan, progress)
    recipe = _recipe(encoder, folder, plan, len({entry.subject for entry in learned}))
    run = _train(encoder, recipe, progress)
    impostors = _impostors(plan)
    before, after = (check(network, own, probes, impostors) for network in (encoder.network, run.average))
    tensors = {name: value.numpy() for name, value in run.average.state_dict().items()}
    return FinetuneResult(tensors, before, after, len({e.subject for e in learned}), len(learned))


def split_walks(entries: Sequence[DatasetEntry]) -> tuple[list[DatasetEntry], list[DatasetEntry]]:
    """Split walks into the last quarter of each subject's, for validation, and the rest, for training.

    Raises:
        InputError: Fewer than two subjects have two walks or more.
    """
    walks: dict[str, set[str]] = {}
    for entry in entries:
        walks.setdefault(entry.subject, set()).add(entry.sequence)
    kept = {
        subject: set(sorted(names)[-max(1, len(names) // 4) :])
        for subject, names in walks.items()
        if len(names) > 1
    }
    if len(kept) < 2:
        raise InputError(
            f"The folder has {len(kept)} subjects with two walks or more, of {len(walks)} subjects",
            "at least two subjects with two walks or more, preferably on several days",
            "Record more walks; see docs/training.md",
        )
    last = [e for e in entries if e.sequence in kept.get(e.subject, ())]
    rest = [e for e in entries if e.subject in kept and e.sequence not in kept[e.subject]]
    return last, rest


def _write_shards(folder: Path, own: Sequence[LabelledWalk], plan: FinetunePlan, progress: Progress) -> None:
    """Write shards of your own subjects and of the synthetic ones."""
    write_shard(folder / "own", _own_entries(own))
    population = Population(plan.seed, "train")
    for done in range(plan.company):
        items = plan_varied([_UNSEEN + done], per_identity=6, sessions=3, frames=40, seed=plan.seed)
        write_shard(folder / f"company-{done:03d}", synthetic_entries(population, items, 1, (0.5, 1.5)))
        progress("company", done + 1, plan.company)


def _own_entries(own: Sequence[LabelledWalk]) -> Iterator[ShardEntry]:
    numbers = {key: i for i, key in enumerate(sorted({(e.subject, e.sequence) for e, _ in own}))}
    for entry, walk in own:
        number = numbers[entry.subject, entry.sequence]
        label = WalkLabel(f"own-{entry.subject}", entry.sequence, number, entry.condition or "nm", 0.0)
        yield ShardEntry(label, GaitSequence({SILHOUETTE: walk.streams[SILHOUETTE]}, walk.times))


def _recipe(encoder: LearnedEncoder, folder: Path, plan: FinetunePlan, people: int) -> Recipe:
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


def _train(encoder: LearnedEncoder, recipe: Recipe, progress: Progress) -> Run:
    run = Run(recipe, classes=1)
    for network in (run.network, run.average):
        network.load_state_dict(encoder.network.state_dict())
    for clips, classes, _ in stream(recipe, range(recipe.schedule.steps), workers=0):
        run.network.train()
        run.advance(clips, classes)
        progress("training", run.step, recipe.schedule.steps)
    return run


def _impostors(plan: FinetunePlan) -> list[GaitSequence]:
    """A walk each of synthetic subjects who are not in training."""
    population = Population(plan.seed, "validation")
    items = plan_varied(
        range(_UNSEEN, _UNSEEN + plan.impostors), per_identity=1, sessions=1, frames=50, seed=plan.seed
    )
    return [entry.sequence for entry in synthetic_entries(population, items, 1, (1.0, 1.0))]


def check(
    network: TorchNetwork,
    own: Sequence[LabelledWalk],
    probes: Sequence[LabelledWalk],
    impostors: Sequence[GaitSequence],
) -> FinetuneCheck:
    """Compare validation walks and impostors with the training walks.

    Args:
        network: The network; is put into evaluation mode.
        own: Training walks.
        probes: Validation walks of the same subjects.
        impostors: Walks of other subjects.
    """
    network.eval()
    gallery = _embed(network, [walk for _, walk in own])
    owners = np.array([entry.subject for entry, _ in own])
    asked = np.array([entry.subject for entry, _ in probes])
    scores = _embed(network, [walk for _, walk in probes]) @ gallery.T
    same = asked[:, None] == owners
    non_mated = np.concatenate([scores[~same], (_embed(network, impostors) @ gallery.T).ravel()])
    limit = float(np.quantile(non_mated, 1 - _FMR))
    best = owners[scores.argmax(1)] == asked
    return FinetuneCheck(
        rank_one=float(best.mean()),
        d_prime=d_prime(scores[same], non_mated),
        accepted=float((scores[same] >= limit).mean()),
        threshold=limit,
        impostors=non_mated,
    )


def _embed(network: TorchNetwork, walks: Sequence[GaitSequence]) -> NDArray[np.float32]:
    vectors = [networks.embed(network, [walk.streams[SILHOUETTE]], [walk.times]) for walk in walks]
    return np.concatenate(vectors)


def save(encoder: LearnedEncoder, result: FinetuneResult, target: Path, source: str) -> weights.Weights:
    """Write the fine-tuned weights with a card that describes them.

    Args:
        encoder: The original encoder.
        result: From `finetune`.
        target: File to write, NAME.safetensors.
        source: Name of the data, for the card.
    """
    old = encoder.card
    card = dataclasses.replace(
        old,
        name=target.stem,
        threshold=threshold(result.after.impostors),
        threshold_rule=f"FMR {FMR:g} among own people and synthetic impostors",
        licence=f"{old.licence}, and the terms of your own data",
        training_data=f"{old.training_data}; then {result.walks} walks of {result.people} people ({source})",
        date=today(),
        commit=f"gaitid {__version__}",
        command=f"gaitid model finetune --encoder {old.name}",
        metrics=_figures(result),
        impostors=weights.Impostors.of(result.after.impostors, "own people and synthetic impostors"),
    )
    golden = weights.load(encoder.path).golden
    network = networks.load(old, result.tensors)
    vector = networks.embed(network, [golden.clip], [golden.times])[0]
    return weights.save(target, card, result.tensors, dataclasses.replace(golden, vector=vector))


def _figures(result: FinetuneResult) -> tuple[weights.Figure, ...]:
    protocol = (
        f"last quarter of the walks of {result.people} people against the other {result.walks}; "
        "threshold at FMR 1 % with synthetic impostors"
    )
    return tuple(
        weights.Figure(f"{measure}, {when}", round(value, 4), protocol)
        for when, one in (("before", result.before), ("after", result.after))
        for measure, value in (("rank-1", one.rank_one), ("d'", one.d_prime), ("accepted", one.accepted))
    )


def summary(result: FinetuneResult) -> str:
    """The result as one line of JSON."""
    rows = {
        when: {
            "rank_1": round(one.rank_one, 4),
            "d_prime": round(one.d_prime, 3),
            "accepted_at_fmr_1_percent": round(one.accepted, 4),
        }
        for when, one in (("before", result.before), ("after", result.after))
    }
    return json.dumps({"people": result.people, "walks": result.walks, **rows})
