"""Settings of a training run: one TOML file, read into these dataclasses.

This module imports nothing from the trainer, so every other module of it can import this one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Data:
    """Sequences to train on.

    Attributes:
        train: Folder of shards. With `dataset`: root of that data set, original or prepared.
        validation: Folder of shards of other subjects, recorded by the laboratory plan. Not used with
            `dataset`.
        identities: Number of training subjects; 0 for all.
        dataset: Name of a public data set, whose training part is used; empty for synthetic shards.
        validation_subjects: Number of training subjects of `dataset` that are kept out of training for
            validation.
        gray: Whether clips of `dataset` keep the gray of resized edges, as published networks are trained.
    """

    train: Path
    validation: Path = Path()
    identities: int = 0
    dataset: str = ""
    validation_subjects: int = 0
    gray: bool = False


@dataclass(frozen=True)
class Network:
    """Network to train.

    Attributes:
        name: Name in `gaitid.encoders.architectures.ARCHITECTURES`.
        arguments: Keyword arguments of its constructor.
        part_lengths: Write weights of the network up to its parts, which are scaled to these lengths; empty
            for the whole network. The last layers fit the training data most, so on other people the parts
            are better. For strider.
    """

    name: str = "strider"
    arguments: dict[str, Any] = field(default_factory=dict)
    part_lengths: tuple[float, ...] = ()


@dataclass(frozen=True)
class Batch:
    """Composition of a batch.

    Attributes:
        subjects: P, subjects in a batch.
        each: K, sequences of each subject.
        frames: Clip lengths at the network's frame rate; one is drawn for each step.
        order: How the frames of a clip are chosen. ``resampled``: a stretch brought to the network's frame
            rate; ``ordered``: a stretch of consecutive frames; ``unordered``: any frames, as set networks
            are trained.
        skip: Frames that are left out at random from a stretch, which is longer by as many. With ``ordered``.
        cameras: Cameras in a batch, each with a view of its own; 0 for walks of any view. A camera sees each
            subject at most once, in the walk whose view is nearest to its own.
    """

    subjects: int = 16
    each: int = 6
    frames: tuple[int, ...] = (12, 16, 20)
    order: str = "resampled"
    skip: int = 0
    cameras: int = 0


@dataclass(frozen=True)
class Loss:
    """Weights and parameters of the losses. A weight of 0 switches a loss off.

    Attributes:
        contrastive: Weight of the supervised contrastive loss.
        cross_entropy: Weight of the normalised cross-entropy.
        triplet: Weight of the batch-all triplet loss.
        hard_triplet: Weight of the batch-hard triplet loss.
        projected: Weight of the supervised contrastive loss on the projected embedding.
        temperature: Temperature of the contrastive losses.
        scale: Scale of the cosines in the cross-entropy.
        smoothing: Label smoothing of the cross-entropy.
        margin: Margin of the triplet losses.
        centred: Weight of the supervised contrastive loss on embeddings that are centred by camera, as camera
            profiles do at run time; needs `Batch.cameras`.
        open_set: Weight of the open-set loss; see `losses.open_set`.
        traits: Weight of the error in predicting the traits of synthetic subjects; see `traits`.
        per_part: Compute triplets for each horizontal part separately and cross-entropy on its BNNeck, as
            published recipes do. For networks with parts, without the contrastive losses.
        neck: Batch-normalise embeddings before the losses. For networks without normalisation, such as
            GaitSet, whose embeddings of different subjects start at cosines of 0.98.
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
    centred: float = 0.0
    open_set: float = 0.0
    traits: float = 0.0
    per_part: bool = False
    neck: bool = False


@dataclass(frozen=True)
class Schedule:
    """Length and speed of a run.

    Attributes:
        steps: Optimiser steps.
        warmup: Steps of linear warm-up, followed by a cosine to zero.
        rate: Peak learning rate.
        optimiser: ``adamw``, ``adam`` or ``sgd`` (momentum 0.9).
        milestones: Steps after which the learning rate drops to a tenth, instead of the cosine.
        amp: Half precision: float16 on a GPU, bfloat16 on a CPU with instructions for it, such as
            AVX512-BF16. Ignored on any other CPU.
        compiled: Compile the network with torch. Needs a C++ compiler and a minute at the start, and saves
            a quarter of each step on a CPU.
        chunks: Number of parts in which a batch passes through the network, to save memory. Losses still
            see the whole batch: embeddings come first, then gradients part by part (Gao et al. 2021,
            GradCache).
        decay: Weight decay of parameters with two or more dimensions.
        decay_all: Whether all parameters decay, as in published recipes.
        clip: Largest norm of the gradient.
        ema: Decay of the moving average of the weights; the average is validated and shipped.
        check_every: Steps between validations.
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
    decay_all: bool = False
    clip: float = 5.0
    ema: float = 0.99
    check_every: int = 100
    save_every: int = 25


@dataclass(frozen=True)
class Augmentation:
    """Frequency and strength of changes to silhouette clips; see `augment`.

    Attributes:
        speed: Largest factor on the time scale, faster or slower.
        drop: Largest share of source frames that are lost.
        flip: Probability of mirroring the clip.
        shift_px: Largest shift, pixels.
        scale: Largest relative change of height and of width, drawn separately.
        widen: Largest additional relative widening; soft masks of real extractors are wider.
        shear: Largest shear, columns per row.
        morphology: Probability of a thinner or thicker body.
        coarse: Probability of a low resolution.
        rough: Probability of rough edges.
        erase: Probability of a rectangle hidden in all frames.
        blink: Probability of rectangles hidden in some frames.
        cut: Probability of missing feet or a missing head, with the rest stretched as alignment does.
        distort: Largest strength of smooth distortions of the outline; each clip draws its own.
        drift: Largest strength of distortions that grow over the clip.
        lean: Largest lean of the body, degrees. People lean in the image of a camera that looks down when
            they are away from the image centre.
        camera: Largest strength of what a camera does to all its clips alike: bends, lean, stretch, blur and
            a threshold too low or too high; see `cameras`.
        garment: Probability of other clothes: trunk, and perhaps hood or coat tails, wider in all frames.
        bands: Probability, for each of head, trunk and legs, that it is a pixel wider or narrower.
        burst: Probability of a few frames in a row without head or feet, with the rest stretched as alignment
            does.
    """

    speed: float = 1.2
    drop: float = 0.3
    flip: float = 0.5
    shift_px: float = 2.0
    scale: float = 0.07
    widen: float = 0.0
    shear: float = 0.04
    morphology: float = 0.3
    coarse: float = 0.25
    rough: float = 0.25
    erase: float = 0.3
    blink: float = 0.15
    cut: float = 0.15
    distort: float = 0.0
    drift: float = 0.0
    lean: float = 0.0
    camera: float = 0.0
    garment: float = 0.0
    bands: float = 0.0
    burst: float = 0.0


@dataclass(frozen=True)
class Published:
    """Probabilities of the changes of published recipes; see `published`.

    Attributes:
        perspective: Of a perspective distortion.
        flip: Of mirroring.
        rotate: Of a rotation by up to 10 degrees.
        erase: Of a hidden rectangle.
    """

    perspective: float = 0.0
    flip: float = 0.0
    rotate: float = 0.0
    erase: float = 0.0


@dataclass(frozen=True)
class PoseAugmentation:
    """Frequency and strength of changes to skeleton clips; see `poses`.

    Attributes:
        spread_deg: Standard deviations of the views within a batch, degrees; one is drawn for each step.
            When all clips of a batch have nearly one view, identity is the largest difference left; at 180
            the views are arbitrary.
        noise: Lowest and highest strength of the keypoint noise; 1 is a light estimator on real video.
        speed: Largest factor on the time scale, faster or slower.
        drop: Largest share of source frames that are lost.
        hide: Probability that a body part is missing in all frames.
        blink: Largest share of joints that are missing in single frames.
        stretch: Largest relative change of height against width.
        flip: Probability of a mirrored walker.
        poor: Probability that a batch of 3D skeletons comes from a poor sensor; see `Sensor.poor`.
    """

    spread_deg: tuple[float, ...] = (10.0, 40.0, 180.0)
    noise: tuple[float, ...] = (0.0, 1.5)
    speed: float = 1.1
    drop: float = 0.3
    hide: float = 0.25
    blink: float = 0.1
    stretch: float = 0.05
    flip: float = 0.0
    poor: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """All settings of a run.

    Attributes:
        data: See `Data`.
        network: See `Network`.
        batch: See `Batch`.
        loss: See `Loss`.
        schedule: See `Schedule`.
        augmentation: Changes to silhouettes.
        published: Changes to silhouettes by the rules of published recipes, instead of `augmentation`.
        poses: Changes to skeletons.
        start: Checkpoint or weight file that provides the initial network of a new run; empty for none.
        seed: Seed of the weights, the batches and the augmentation.
    """

    data: Data
    network: Network = field(default_factory=Network)
    batch: Batch = field(default_factory=Batch)
    loss: Loss = field(default_factory=Loss)
    schedule: Schedule = field(default_factory=Schedule)
    augmentation: Augmentation = field(default_factory=Augmentation)
    published: Published | None = None
    poses: PoseAugmentation = field(default_factory=PoseAugmentation)
    start: str = ""
    seed: int = 1


_LATER = (
    ("batch", "cameras", 0),
    ("loss", "centred", 0.0),
    ("batch", "order", "resampled"),
    ("batch", "skip", 0),
    ("loss", "open_set", 0.0),
    ("loss", "per_part", False),
    ("loss", "traits", 0.0),
    ("loss", "neck", False),
    ("schedule", "optimiser", "adamw"),
    ("schedule", "milestones", ()),
    ("schedule", "decay_all", False),
    ("augmentation", "widen", 0.0),
    ("augmentation", "camera", 0.0),
    ("augmentation", "garment", 0.0),
    ("augmentation", "bands", 0.0),
    ("augmentation", "burst", 0.0),
)
"""Fields added after the first runs, with their defaults."""


def fingerprint(recipe: Recipe) -> str:
    """Digest of the settings that affect the weights after a step; folders and intervals do not.

    Fields added after the first runs are left out while they have their default, so that earlier runs can
    still be resumed.
    """
    table = asdict(recipe)
    table["data"] = {"identities": recipe.data.identities}
    if recipe.data.dataset:  # "watched" is the name that the first checkpoints were made with
        table["data"] |= {"dataset": recipe.data.dataset, "watched": recipe.data.validation_subjects}
    if recipe.data.gray:
        table["data"] |= {"gray": True}
    if recipe.published is None:
        table.pop("published")
    table["network"].pop("part_lengths")
    for name in ("check_every", "save_every", "amp", "compiled", "chunks"):
        table["schedule"].pop(name)
    for group, name, default in _LATER:
        if table[group][name] == default:
            table[group].pop(name)
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
