"""What a training run is: one TOML file, read into these dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .augment import Augmentation
from .poses import PoseAugmentation


@dataclass(frozen=True)
class Data:
    """Which sequences.

    Attributes:
        train: Folder of shards; with `dataset`, the root of that data set, original or prepared.
        validation: Folder of shards of other people, walked by the laboratory plan; not with `dataset`.
        identities: Subjects used for training; 0 for all.
        dataset: Name of a public data set; its training part is used. Empty for synthetic shards.
        watched: Training subjects of the data set that are kept out of training and looked at instead.
    """

    train: Path
    validation: Path = Path()
    identities: int = 0
    dataset: str = ""
    watched: int = 0


@dataclass(frozen=True)
class Network:
    """Which network; `arguments` go to its constructor.

    Attributes:
        name: Name in `gaitid.encoders.architectures.ARCHITECTURES`.
        arguments: Keyword arguments.
    """

    name: str = "strider"
    arguments: dict = field(default_factory=dict)  # type: ignore[type-arg]


@dataclass(frozen=True)
class Batch:
    """What a step sees.

    Attributes:
        subjects: P, subjects a batch.
        each: K, sequences of each.
        frames: Lengths of clips, at the networks' rate; one is drawn for each step.
        order: ``resampled``: a stretch brought to the network's rate; ``ordered``: a stretch of the frames
            as they are; ``unordered``: any frames, as set networks are trained.
    """

    subjects: int = 16
    each: int = 6
    frames: tuple[int, ...] = (12, 16, 20)
    order: str = "resampled"


@dataclass(frozen=True)
class Loss:
    """Weights of the losses; 0 leaves one out.

    Attributes:
        contrastive: Of supervised contrastive.
        cross_entropy: Of normalised cross-entropy.
        triplet: Of batch-all triplet.
        hard_triplet: Of batch-hard triplet.
        projected: Of supervised contrastive on the projected embedding.
        temperature: Of the contrastive losses.
        scale: Of the cross-entropy.
        smoothing: Of its labels.
        margin: Of the triplets.
        open_set: Of the open-set loss; see `losses.open_set`.
        traits: Of the error of guesses at what makes a synthetic person; see `traits`.
        per_part: Triplets for each horizontal part apart, and cross-entropy on its BNNeck, as published
            recipes have it; for networks with parts, without the contrastive losses.
        neck: The losses see the embedding batch-normalised; for networks that normalise nothing, such as
            GaitSet, whose embeddings of different subjects begin at cosines of 0.98.
    """

    contrastive: float = 1.0
    cross_entropy: float = 1.0
    triplet: float = 0.0
    hard_triplet: float = 0.0
    projected: float = 0.5
    temperature: float = 0.1
    scale: float = 24.0
    smoothing: float = 0.05
    margin: float = 0.2
    open_set: float = 0.0
    traits: float = 0.0
    per_part: bool = False
    neck: bool = False


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes:
        steps: Optimiser steps.
        warmup: Steps of linear warm-up; a cosine to zero follows.
        rate: Peak learning rate.
        optimiser: ``adamw``, ``adam`` or ``sgd`` (momentum 0.9).
        milestones: Steps after which the rate falls to a tenth, instead of the cosine.
        amp: Half precision: float16 on a GPU, bfloat16 on a CPU with instructions for it,
            such as AVX512-BF16; on any other CPU nothing.
        compiled: Let torch compile the network; needs a C++ compiler, a minute at the start, and saves a
            quarter of each step on a CPU.
        chunks: Parts in which a batch goes through the network, to save memory. Losses still see the whole
            batch: embeddings come first, then gradients part by part (Gao et al. 2021, GradCache).
        decay: Weight decay, on weights of two and more dimensions.
        clip: Largest norm of the gradient.
        ema: Decay of the average of the weights that is evaluated and shipped.
        check_every: Steps between looks at the held-out people.
        save_every: Steps between checkpoints.
    """

    steps: int = 1000
    warmup: int = 50
    rate: float = 1e-3
    optimiser: str = "adamw"
    milestones: tuple[int, ...] = ()
    amp: bool = False
    compiled: bool = False
    chunks: int = 1
    decay: float = 5e-4
    clip: float = 5.0
    ema: float = 0.99
    check_every: int = 100
    save_every: int = 25


@dataclass(frozen=True)
class Recipe:
    """All of a run.

    Attributes:
        data: See `Data`.
        network: See `Network`.
        batch: See `Batch`.
        loss: See `Loss`.
        schedule: See `Schedule`.
        augmentation: Of silhouettes.
        poses: Of skeletons.
        start: Checkpoint or weight file whose network a new run starts with; empty for none.
        seed: Of the weights, the batches and the augmentation.
    """

    data: Data
    network: Network = field(default_factory=Network)
    batch: Batch = field(default_factory=Batch)
    loss: Loss = field(default_factory=Loss)
    schedule: Schedule = field(default_factory=Schedule)
    augmentation: Augmentation = field(default_factory=Augmentation)
    poses: PoseAugmentation = field(default_factory=PoseAugmentation)
    start: str = ""
    seed: int = 1
