"""Fusion: the index rows that represent the templates of a subject.

A subject's score is the largest inner product of the probe with its rows, so one index is exact for every
`Fusion`. The rows are all templates for MAX, their mean for MEAN (the mean of the cosines is the inner
product with the mean), and the mean scaled to norm 1 for CENTROID.

Source: Swart and Brummer 2017, arXiv 1709.09868, compare such poolings for speakers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gaitid.records import Fusion


class Pool:
    """Running sum of a subject's templates, for the fusions with one row per subject.

    Templates are added in order, so a pool that grew and one that was loaded are equal, bit for bit.
    """

    def __init__(self, dimension: int) -> None:
        self._sum = np.zeros(dimension)
        self._count = 0

    def add(self, vectors: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> None:
        """Add vectors (D,) float32."""
        for vector in vectors:
            self._sum += vector
            self._count += 1

    def row(self, fusion: Fusion) -> NDArray[np.float32]:
        """Row (D,) float32 for MEAN or CENTROID; zeros when opposite templates cancel out."""
        by = self._count if fusion is Fusion.MEAN else float(np.linalg.norm(self._sum))
        return (self._sum / by if by > 1e-9 else np.zeros_like(self._sum)).astype(np.float32)


def rows_of(vectors: NDArray[np.float32], fusion: Fusion) -> NDArray[np.float32]:
    """Rows (R, D) float32 of one subject with templates `vectors` (M, D) float32, M >= 1."""
    if fusion is Fusion.MAX:
        return vectors
    pool = Pool(vectors.shape[1])
    pool.add(vectors)
    return pool.row(fusion)[None]
