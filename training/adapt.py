"""Adaptation: an encoder and a few walks of your own people give a weight file of your own.

Two methods work in closed form on the embeddings, in seconds, for any encoder with a weight file:

- ``whitening``: directions in which the walks of one person differ, over cameras, clothes and days, are
  shortened (within-class covariance normalisation). Source: Hatch et al. 2006, "Within-Class Covariance
  Normalization for SVM-Based Speaker Recognition". The covariance has a ridge of `RIDGE` times its mean
  variance.
- ``lda``: the same, then directions in which the people differ are lengthened by `EMPHASIS`. Source: LDA
  (Fisher 1936). Deviation: the other directions are kept, because with a few people most of what tells others
  apart lies in them.

The map keeps every part of the body in its place and at its length; see `gaitid.encoders.adapted`. Embeddings
are not centred by camera before: the shift between cameras is one of the things to be shortened. The third
method, ``gradient``, trains all layers; see `finetune`.

A closed-form head is judged on people whom it was not made of: it is made again without a fifth of them, and
their walks are compared with other walks of all people, before and after.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid import __version__
from gaitid.datasets.base import Dataset, DatasetEntry
from gaitid.encoders import adapted, weights
from gaitid.encoders.learned import LearnedEncoder
from gaitid.errors import InputError, SequenceError
from gaitid.evaluation.verification import d_prime
from gaitid.gallery.scoring.profiles import corrected
from gaitid.records import GaitSequence

from .origin import FMR, threshold, today

METHODS = ("whitening", "lda", "gradient")
RIDGE = 3.0
"""Ridge in mean variances within people. Of 1, 3 and 6, the best for 5 to 16 people; see docs/training.md."""
EMPHASIS = 0.3
"""By how much `lda` lengthens the directions between people. Of 0, 0.3 and 0.6, the best for 16 people."""
LDA_FROM = 16
"""Number of people from which `lda` is the default; with fewer, its directions are of those few people."""
MIN_PEOPLE, MIN_CAMERAS = 3, 2
"""Fewest people and cameras for a head; with one camera, accuracy across cameras falls."""
FOLDS = 5
"""Parts into which people are split for the validation."""
_FMR = 0.01
"""False match rate of the threshold in a comparison."""

Vectors = NDArray[np.float32]
Progress = Callable[[str, int, int], None]
"""Called with a phase, what is done of it, and its whole."""


@dataclass(frozen=True)
class Check:
    """Results of an encoder on the validation walks.

    Attributes:
        rank_one: Share of walks whose nearest other walk is of the same subject, 0..1.
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

    @classmethod
    def of(cls, scores: Vectors, mated: NDArray[np.bool_], other: NDArray[np.bool_]) -> Check:
        """Judge scores (N, M); the masks (N, M) say which pairs are mated and which are of two people."""
        non_mated = scores[other]
        limit = float(np.quantile(non_mated, 1 - _FMR))
        best = np.where(mated | other, scores, -np.inf).argmax(1)
        asked = mated.any(1)
        return cls(
            rank_one=float(mated[np.arange(len(best)), best][asked].mean()),
            d_prime=d_prime(scores[mated], non_mated),
            accepted=float((scores[mated] >= limit).mean()),
            threshold=limit,
            impostors=non_mated,
        )


@dataclass(frozen=True)
class Adaptation:
    """Adapted weights and their validation.

    Attributes:
        method: One of `METHODS`.
        tensors: Of the weight file.
        before: Results of the original encoder.
        after: Results of the adapted one.
        people: Number of your own subjects.
        walks: Number of their walks that were used.
        cameras: Number of cameras or views that saw them.
        validation: How `before` and `after` were measured.
        corrected: (N,) non-mated scores with camera profiles; empty if unknown.
    """

    method: str
    tensors: Mapping[str, NDArray[Any]]
    before: Check
    after: Check
    people: int
    walks: int
    cameras: int
    validation: str
    corrected: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))

    @property
    def better(self) -> bool:
        """Whether subjects are separated better than before on the validation walks."""
        return self.after.d_prime > self.before.d_prime


@dataclass(frozen=True, eq=False)
class People:
    """Embeddings of labelled walks.

    Attributes:
        vectors: (N, D) float32 unit vectors, one per sequence.
        subjects: (N,) names.
        walks: (N,) names of the recordings; several cameras may see one.
        cameras: (N,) names of the cameras or views.
    """

    vectors: Vectors
    subjects: NDArray[np.str_]
    walks: NDArray[np.str_]
    cameras: NDArray[np.str_]

    @classmethod
    def of(cls, encoder: LearnedEncoder, dataset: Dataset, progress: Progress) -> People:
        """Embed all sequences of a data set's test part that the encoder accepts."""
        entries = dataset.entries("test")
        kept: list[DatasetEntry] = []
        vectors: list[Vectors] = []
        for done, entry in enumerate(entries, 1):
            vector = _embed(encoder, dataset.load(entry))
            if vector is not None:
                kept.append(entry)
                vectors.append(vector)
            progress("embedding", done, len(entries))
        names = [(e.subject, f"{e.subject}/{e.sequence}", e.view) for e in kept]
        columns = np.array(names, str).reshape(-1, 3).T
        return cls(np.array(vectors, np.float32).reshape(-1, encoder.dimension), *columns)

    def but(self, others: Sequence[str]) -> People:
        """The embeddings of all people but these."""
        kept = ~np.isin(self.subjects, others)
        return People(self.vectors[kept], self.subjects[kept], self.walks[kept], self.cameras[kept])

    @property
    def names(self) -> list[str]:
        """Names of the people, sorted."""
        return sorted(set(self.subjects.tolist()))


def _embed(encoder: LearnedEncoder, walk: GaitSequence) -> Vectors | None:
    try:
        return encoder(walk).vector
    except SequenceError:  # too short, or empty
        return None


def default_method(people: int) -> str:
    """The method that is best for a number of people; see docs/training.md."""
    return "lda" if people >= LDA_FROM else "whitening"


def adapt(encoder: LearnedEncoder, dataset: Dataset, method: str, progress: Progress) -> Adaptation:
    """Learn a head in closed form, and validate it.

    Args:
        encoder: An encoder without a head.
        dataset: Your own subjects; every sequence of its test part is used.
        method: ``whitening``, ``lda``, or empty for `default_method`.
        progress: See `Progress`.

    Raises:
        InputError: The encoder has a head, or there are too few people, walks or cameras.
    """
    check_plain(encoder)
    people = People.of(encoder, dataset, progress)
    _check_people(people)
    method = method or default_method(len(people.names))
    before, after, corrected_scores = validate(people, method, encoder.parts, progress)
    head = fit(people, method, encoder.parts)
    tensors = {**weights.load(encoder.path).tensors, **head.tensors}
    return Adaptation(
        method=method,
        tensors=tensors,
        before=before,
        after=after,
        people=len(people.names),
        walks=len(set(people.walks.tolist())),
        cameras=len(set(people.cameras.tolist())),
        validation=f"people left out in turn, {min(FOLDS, len(people.names))} parts, against all others",
        corrected=corrected_scores,
    )


def check_plain(encoder: LearnedEncoder) -> None:
    """Refuse an encoder that has a head.

    Raises:
        InputError: It has one.
    """
    if encoder.head is not None:
        raise InputError(
            f"Encoder {encoder.name} was adapted before",
            "an encoder without a head",
            "Adapt the encoder that it was made of, with all walks together",
        )


def _check_people(people: People) -> None:
    walks: dict[str, set[str]] = {}
    for subject, walk in zip(people.subjects.tolist(), people.walks.tolist(), strict=True):
        walks.setdefault(subject, set()).add(walk)
    able = sum(len(names) > 1 for names in walks.values())
    if able < MIN_PEOPLE:
        raise InputError(
            f"The folder has {able} people with two usable walks or more, of {len(walks)} people",
            f"at least {MIN_PEOPLE}, preferably ten, seen in other clothes or on several days",
            "Record more walks; see docs/training.md",
        )
    cameras = set(people.cameras.tolist())
    if len(cameras) < MIN_CAMERAS:
        raise InputError(
            f"All walks are from one camera or view, {', '.join(cameras)}",
            f"walks from at least {MIN_CAMERAS}, as SUBJECT/WALK/VIEW.npz",
            "Add walks from the other cameras; for one camera, use gaitid camera learn instead",
        )


def fit(people: People, method: str, parts: int) -> adapted.Head:
    """The head of a method, as `METHODS` describe it.

    Args:
        people: Embeddings of labelled walks.
        method: ``whitening`` or ``lda``.
        parts: Number of equal blocks of an embedding.
    """
    codes = np.unique(people.subjects, return_inverse=True)[1]
    vectors = people.vectors.astype(np.float64)
    means = _means(vectors, codes)
    inner = vectors - means[codes]
    covariance = inner.T @ inner / max(1, len(vectors) - len(means))
    ridge = RIDGE * np.trace(covariance) / len(covariance)
    values, axes = np.linalg.eigh(covariance + max(ridge, 1e-9) * np.eye(len(covariance)))
    matrix = (axes / np.sqrt(values)) @ axes.T  # symmetric: dimensions keep their meaning, parts their place
    if method == "lda":
        between = means @ matrix
        directions = np.linalg.svd(between - between.mean(0), full_matrices=False)[2][: len(means) - 1]
        matrix = matrix + EMPHASIS * (matrix @ directions.T) @ directions
    scale = np.sqrt(len(matrix)) / np.linalg.norm(matrix)
    mean = vectors.mean(0)
    return adapted.Head(mean.astype(np.float32), (matrix * scale).astype(np.float32), parts)


def _means(vectors: NDArray[np.float64], codes: NDArray[np.intp]) -> NDArray[np.float64]:
    """(K, D) mean of each class."""
    total = np.zeros((codes.max() + 1, vectors.shape[1]))
    np.add.at(total, codes, vectors)
    return total / np.bincount(codes)[:, None]


def validate(
    people: People, method: str, parts: int, progress: Progress
) -> tuple[Check, Check, NDArray[np.float32]]:
    """Compare walks of left-out people with other walks of all, before and after a head without them.

    Returns:
        Results before and after, and (N,) non-mated scores after, corrected by profiles of the cameras.
    """
    count = min(FOLDS, len(people.names))
    before, after, profiled, mated, other = [], [], [], [], []
    for done in range(count):
        names = people.names[done::count]
        probes = np.isin(people.subjects, names)
        same = people.subjects[probes][:, None] == people.subjects
        mated.append(same & (people.walks[probes][:, None] != people.walks))
        other.append(~same)
        before.append(people.vectors[probes] @ people.vectors.T)
        mapped = fit(people.but(names), method, parts)(people.vectors)
        after.append(mapped[probes] @ mapped.T)
        moved = corrected(mapped, _camera_means(mapped, people.cameras, ~probes), parts)
        profiled.append((moved[probes] @ moved.T)[~same])
        progress("validation", done + 1, count)
    masks = np.concatenate(mated), np.concatenate(other)
    checks = Check.of(np.concatenate(before), *masks), Check.of(np.concatenate(after), *masks)
    return *checks, np.concatenate(profiled)


def _camera_means(vectors: Vectors, cameras: NDArray[np.str_], learned: NDArray[np.bool_]) -> Vectors:
    """(N, D) mean of each vector's camera, over the `learned` ones (N,); over all of them if it has none."""
    means = np.empty_like(vectors)
    for camera in np.unique(cameras):
        here = cameras == camera
        chosen = here & learned
        means[here] = vectors[chosen if chosen.any() else learned].mean(0)
    return means


def save(encoder: LearnedEncoder, result: Adaptation, target: Path, source: str) -> weights.Weights:
    """Write adapted weights with a card that describes them.

    Args:
        encoder: The original encoder.
        result: What was learned.
        target: File to write, NAME.safetensors.
        source: Name of the data, for the card.
    """
    old = encoder.card
    made_of = (
        f"{result.method} on {result.walks} walks of {result.people} people seen by {result.cameras} cameras "
        f"({source}), not centred by camera"
    )
    card = dataclasses.replace(
        old,
        name=target.stem,
        threshold=threshold(result.after.impostors),
        threshold_rule=f"FMR {FMR:g} among own people",
        licence=f"{old.licence}, and the terms of your own data",
        training_data=f"{old.training_data}; then {made_of}",
        date=today(),
        commit=f"gaitid {__version__}",
        command=f"gaitid model adapt --encoder {old.name} --method {result.method}",
        metrics=_figures(result),
        impostors=weights.Impostors.of(result.after.impostors, f"own people: {result.validation}"),
        corrected=_corrected(result),
    )
    golden = weights.load(encoder.path).golden
    vector = _golden_vector(encoder, card, result.tensors, golden)
    return weights.save(target, card, result.tensors, dataclasses.replace(golden, vector=vector))


def _corrected(result: Adaptation) -> weights.Impostors | None:
    if not len(result.corrected):
        return None
    protocol = f"own people: {result.validation}, with profiles of their cameras"
    return weights.Impostors.of(result.corrected, protocol)


def _golden_vector(
    encoder: LearnedEncoder, card: weights.Card, tensors: Mapping[str, NDArray[Any]], golden: weights.Golden
) -> Vectors:
    """(D,) what the new weights make of the golden example."""
    network, head = adapted.split(tensors, card.parts)
    build = encoder.architecture.numpy
    if build is None:
        from gaitid.encoders import networks

        made = networks.embed(networks.load(card, tensors), [golden.clip], [golden.times])
        return np.asarray(made[0])
    forward = build(network, card.arguments)

    def batch(clips: Sequence[NDArray[Any]]) -> Vectors:
        vectors = np.stack([forward(clip) for clip in clips])
        return vectors if head is None else head(vectors)

    return np.asarray(encoder.architecture.embed(batch, [golden.clip], [golden.times])[0])


def _figures(result: Adaptation) -> tuple[weights.Figure, ...]:
    protocol = (
        f"{result.people} own people, {result.walks} walks, {result.validation}; threshold at FMR {_FMR:.0%}"
    )
    return tuple(
        weights.Figure(f"{measure}, {when}", round(value, 4), protocol)
        for when, one in (("before", result.before), ("after", result.after))
        for measure, value in (("rank-1", one.rank_one), ("d'", one.d_prime), ("accepted", one.accepted))
    )


def summary(result: Adaptation) -> str:
    """The result as one line of JSON."""
    rows = {
        when: {
            "rank_1": round(one.rank_one, 4),
            "d_prime": round(one.d_prime, 3),
            "accepted_at_fmr_1_percent": round(one.accepted, 4),
        }
        for when, one in (("before", result.before), ("after", result.after))
    }
    facts = {name: getattr(result, name) for name in ("method", "people", "walks", "cameras")}
    return json.dumps({**facts, **rows})
