"""A head on a network's embedding, learned in closed form from a few labelled people; runs by numpy alone.

The embedding is moved by one mean and multiplied by one matrix. Then each part of the body gets back the
length that it had, so that learned weights of parts survive and camera profiles work as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MEAN, MATRIX = "adapted.mean", "adapted.matrix"
"""Names of the head's tensors in a weight file, beside those of the network."""
_NOTHING = 1e-12
"""Smallest length that is divided by."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A linear map of embeddings that keeps the length of their parts.

    Attributes:
        mean: (D,) float32, subtracted first.
        matrix: (D, D) float32, multiplied from the right.
        parts: Number P of equal blocks of an embedding; see `base.parts_of`.
    """

    mean: Floats
    matrix: Floats
    parts: int = 1

    def __call__(self, vectors: Floats) -> Floats:
        """(N, D) float32 unit vectors of (N, D) embeddings."""
        shape = (len(vectors), self.parts, -1)
        mapped = ((vectors - self.mean) @ self.matrix).reshape(shape)
        lengths = _norm(vectors.reshape(shape))
        whole = (mapped * (lengths / _norm(mapped).clip(_NOTHING))).reshape(vectors.shape)
        return np.asarray(whole / _norm(whole).clip(_NOTHING), np.float32)

    @property
    def tensors(self) -> dict[str, Floats]:
        """Tensors for a weight file."""
        return {MEAN: self.mean, MATRIX: self.matrix}


def split(tensors: Mapping[str, NDArray[Any]], parts: int) -> tuple[dict[str, NDArray[Any]], Head | None]:
    """Split the tensors of a weight file into those of the network and the head, if there is one.

    Args:
        tensors: By name.
        parts: Number of equal blocks of an embedding.

    Raises:
        ValueError: The head's shapes do not go together.
    """
    network = {name: array for name, array in tensors.items() if name not in (MEAN, MATRIX)}
    if MATRIX not in tensors:
        return network, None
    mean, matrix = (np.asarray(tensors[name], np.float32) for name in (MEAN, MATRIX))
    if matrix.shape != (len(mean), len(mean)) or len(mean) % parts:
        raise ValueError(f"{MATRIX} is {matrix.shape} with {len(mean)} means and {parts} parts")
    return network, Head(mean, matrix, parts)


def _norm(vectors: NDArray[np.floating]) -> Floats:
    length: Floats = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return length
