"""Embeddings of synthetic subjects for the benchmarks of galleries: enrolled, returning, impostors, cohort.

Every subject is enrolled by two walks of day 0 in normal clothes and seen on day 1 in any of the three
conditions, each time from a view drawn from eleven. Impostors and cohort are subjects who are not
enrolled. Walks of 48 frames, noise level 1, are made once into a folder (11 CPU-ms each) and embedded
once per encoder (4 CPU-ms).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.encoders.base import Encoder
from gaitid.records import SILHOUETTE, GaitSequence
from gaitid.synthetic import CONDITIONS, VIEWS, Population, WalkPlan
from gaitid.training.corpus import Corpus
from gaitid.training.shards import ShardEntry, WalkLabel, write_shard

log = logging.getLogger("benchmarks")

Vectors = NDArray[np.float32]

SEED, FRAMES, WALKS = 6, 48, 2
SHARD, BATCH = 250, 32


@dataclass(frozen=True, slots=True)
class Crowd:
    """Number of subjects in each part.

    Attributes:
        enrolled: In the gallery.
        returning: Enrolled subjects who are seen again.
        impostors: Subjects who are seen and not enrolled.
        cohort: Other subjects who are not enrolled, for calibration and normalisation.
    """

    enrolled: int
    returning: int
    impostors: int
    cohort: int


CROWDS = {"validation": Crowd(2_000, 2_000, 2_000, 1_000), "test": Crowd(10_000, 2_000, 4_000, 1_000)}
"""By split: settings are chosen on the first, figures are reported of the second."""


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedSplit:
    """Unit vectors (N, D) float32 of each part of a split, in the order of subjects and their walks."""

    enrolled: Vectors
    returning: Vectors
    impostors: Vectors
    cohort: Vectors


def embedded(folder: Path, split: str, encoder: Encoder) -> EmbeddedSplit:
    """The embeddings of a split; missing ones are made."""
    parts = {part: _vectors(folder / split / part, split, part, encoder) for part in EmbeddedSplit.__slots__}
    return EmbeddedSplit(**parts)


def _vectors(folder: Path, split: str, part: str, encoder: Encoder) -> Vectors:
    kept = folder / f"{encoder.name}-{encoder.contract[:12]}.npz"
    if not kept.exists():
        found = embed_corpus(encoder, _walks(folder, split, part))
        np.savez(kept, vectors=found)
    with np.load(kept) as file:
        vectors: Vectors = file["vectors"]
    return vectors


def _walks(folder: Path, split: str, part: str) -> Corpus:
    cv2.setNumThreads(1)
    population = Population(SEED, split)
    people = _people(split, part)
    for start in range(people.start, people.stop, SHARD):
        shard = folder / f"{start:06d}"
        if not shard.exists():
            items = _plan(part, people[start - people.start :][:SHARD])
            count = write_shard(shard, _entries(population, items))
            log.info("%s: %d walks", shard, count)
    return Corpus(folder)


def _people(split: str, part: str) -> range:
    """Identities in that part."""
    crowd = CROWDS[split]
    if part == "returning":
        return range(crowd.returning)
    first = {"enrolled": 0, "impostors": crowd.enrolled, "cohort": crowd.enrolled + crowd.impostors}[part]
    return range(first, first + getattr(crowd, part))


def _plan(part: str, people: Sequence[int]) -> list[WalkPlan]:
    items = []
    for person in people:
        rng = np.random.default_rng((SEED, person))
        views = rng.choice(VIEWS, WALKS, replace=False)
        condition, view = str(rng.choice(CONDITIONS)), float(rng.choice(VIEWS))
        if part == "enrolled":
            items += [WalkPlan(person, 0, n, "nm", float(seen), FRAMES) for n, seen in enumerate(views)]
        else:
            items.append(WalkPlan(person, 1, 0, condition, view, FRAMES))
    return items


def _entries(population: Population, items: Sequence[WalkPlan]) -> Iterator[ShardEntry]:
    for item in items:
        walk = item.make(population)
        label = WalkLabel(walk.subject, str(item.session), item.number, item.condition, item.view)
        yield ShardEntry(label, walk.sequence(modalities=(SILHOUETTE,)))


def embed_corpus(encoder: Encoder, corpus: Corpus) -> Vectors:
    """(N, D) embeddings of all walks of a corpus."""
    found = []
    for start in range(0, len(corpus), BATCH):
        walks = [
            GaitSequence({name: corpus.stream(i, name) for name in encoder.modalities}, corpus.times(i))
            for i in range(start, min(start + BATCH, len(corpus)))
        ]
        found += [one.vector for one in encoder.batch(walks)]
    return np.stack(found)
