"""Adaptation by gradients: all layers of a silhouette encoder learn from a few walks of your own subjects.

Your own subjects are few, so every batch also contains synthetic subjects whom the encoder never saw. The
network learns your subjects without forgetting how other people differ. The last quarter of each subject's
walks (at least one, in order of name) is kept for validation. The encoder is compared before and after on
these walks and on synthetic impostors. With so few walks, rank-1 is coarse; the result is judged by d',
which uses every score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gaitid.datasets.base import Dataset, DatasetEntry
from gaitid.encoders import networks
from gaitid.encoders.learned import LearnedEncoder
from gaitid.encoders.networks import Network as TorchNetwork
from gaitid.errors import InputError
from gaitid.records import SILHOUETTE, GaitSequence
from gaitid.synthetic import Population, plan_varied

from .adapt import Adaptation, Check, Progress, check_plain
from .batches import stream
from .recipe import Augmentation, Batch, Data, Loss, Network, Recipe, Schedule
from .run import Run
from .shards import ShardEntry, WalkLabel, synthetic_entries, write_shard

_UNSEEN = 1_000_000
"""Number from which synthetic subjects were in no training of ours."""
_BATCH = 16
"""Walks that are embedded at once."""

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


def finetune(
    encoder: LearnedEncoder, dataset: Dataset, folder: Path, plan: FinetunePlan, progress: Progress
) -> Adaptation:
    """Train on all but the last quarter of each subject's walks, and validate on those.

    Args:
        encoder: A silhouette encoder.
        dataset: Your own subjects; every sequence of its test part is used.
        folder: Folder for intermediate files.
        plan: How to fine-tune.
        progress: See `adapt.Progress`; the phases are own, company, training and validation.

    Raises:
        InputError: The encoder does not read silhouettes, has a head, or there are too few subjects or walks.
    """
    check_plain(encoder)
    if encoder.architecture.modality != SILHOUETTE:
        raise InputError(
            f"Encoder {encoder.name} reads {', '.join(encoder.modalities)}",
            "a silhouette encoder",
            "Adapt strider, or choose whitening or lda",
        )
    kept, learned = split_walks(dataset.entries("test"))
    own, probes = _read(dataset, learned, kept, progress)
    _write_shards(folder, own, plan, progress)
    recipe = _recipe(encoder, folder, plan, len({entry.subject for entry in learned}))
    run = _train(encoder, recipe, progress)
    rivals = encoder.network, run.average
    compared = _Comparison(own, probes, _impostors(plan), progress, len(rivals))
    before, after = (compared(network) for network in rivals)
    tensors = {name: value.numpy() for name, value in run.average.state_dict().items()}
    return Adaptation(
        method="gradient",
        tensors=tensors,
        before=before,
        after=after,
        people=len({e.subject for e in learned}),
        walks=len({(e.subject, e.sequence) for e in learned}),
        cameras=len({e.view for e in learned}),
        validation=f"last quarter of each subject's walks, with {plan.impostors} synthetic impostors",
    )


def _read(
    dataset: Dataset, learned: Sequence[DatasetEntry], kept: Sequence[DatasetEntry], progress: Progress
) -> tuple[list[LabelledWalk], list[LabelledWalk]]:
    """Load the walks for training and for validation."""
    walks = []
    for done, entry in enumerate([*learned, *kept], 1):
        walks.append((entry, dataset.load(entry)))
        progress("own", done, len(learned) + len(kept))
    return walks[: len(learned)], walks[len(learned) :]


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


class _Comparison:
    """Compares validation walks and impostors with the training walks.

    Args:
        own: Training walks.
        probes: Validation walks of the same subjects.
        impostors: Walks of other subjects.
        progress: See `finetune`.
        networks: Networks that will be compared.
    """

    def __init__(
        self,
        own: Sequence[LabelledWalk],
        probes: Sequence[LabelledWalk],
        impostors: Sequence[GaitSequence],
        progress: Progress,
        networks: int,
    ) -> None:
        self._walks = [walk for _, walk in (*own, *probes)] + list(impostors)
        self._gallery = len(own)
        owners = np.array([entry.subject for entry, _ in own])
        asked = np.array([entry.subject for entry, _ in probes] + [""] * len(impostors))
        self._same = asked[:, None] == owners
        self._progress, self._done, self._total = progress, 0, networks * len(self._walks)

    def __call__(self, network: TorchNetwork) -> Check:
        """Results of a network; puts it into evaluation mode."""
        network.eval()
        vectors = np.concatenate([self._embed(network, a) for a in range(0, len(self._walks), _BATCH)])
        scores = vectors[self._gallery :] @ vectors[: self._gallery].T
        return Check.of(scores, self._same, ~self._same)

    def _embed(self, network: TorchNetwork, first: int) -> NDArray[np.float32]:
        walks = self._walks[first : first + _BATCH]
        self._done += len(walks)
        vectors = networks.embed(network, [w.streams[SILHOUETTE] for w in walks], [w.times for w in walks])
        self._progress("validation", self._done, self._total)
        return vectors
