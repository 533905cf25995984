"""Drawn subjects and impostors: unit vectors of eight kinds with unequal variances, like embeddings."""

from __future__ import annotations

import numpy as np

from gaitid.records import Embedding, GaitSequence

DIMENSION = 48
_SPREAD = 1 / np.sqrt(1 + np.arange(DIMENSION) / 6)
_KINDS = 0.35 * np.random.default_rng(5).standard_normal((8, DIMENSION)) * _SPREAD


def people(count: int, walks: int, seed: int) -> np.ndarray:
    """(count * walks, D) float32 of unit norm; the walks of a subject adjoin."""
    random = np.random.default_rng(seed)
    selves = _KINDS[random.integers(0, 8, count)] + random.standard_normal((count, DIMENSION)) * _SPREAD
    noise = 0.5 * random.standard_normal((count * walks, DIMENSION)) * _SPREAD
    vectors = np.repeat(selves, walks, axis=0) + noise
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def names(count: int, walks: int) -> list[str]:
    """The subject of each walk."""
    return [f"s{n:05}" for n in range(count) for _ in range(walks)]


class Ready:
    """Stub of an encoder for tests whose probes are ready embeddings."""

    name, modalities, min_frames, dimension, threshold = "ready", ("silhouette",), 5, DIMENSION, 0.9
    contract = "c0ffee"

    def __call__(self, sequence: GaitSequence) -> Embedding:
        raise AssertionError("no sequence is embedded here")


def embedding(seed: int) -> Embedding:
    """The embedding of one drawn subject."""
    return Embedding(people(1, 1, seed)[0], Ready.contract)
