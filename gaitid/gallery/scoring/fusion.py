"""From the templates of a subject to the rows that an index holds of it.

A score is the largest inner product of the probe with those rows, so one index is exact for every
`Fusion`: all templates for MAX, their mean for MEAN (the mean of the cosines is the cosine's
linear part), the mean brought to norm 1 for CENTROID.

Source: Swart and Brummer 2017, arXiv 1709.09868, compare such poolings for speakers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gaitid.records import Fusion


class Pool:
    """The running sum of a subject's templates, for the fusions that need one row a subject.

    Sums are made in the order of the templates, so a pool that grew and one that was loaded are equal
    bit for bit.
    """

    def __init__(self, dimension: int) -> None:
        self._sum = np.zeros(dimension)
        self._count = 0

    def add(self, vectors: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> None:
        """Take in vectors (D,) float32."""
        for vector in vectors:
            self._sum += vector
            self._count += 1

    def row(self, fusion: Fusion) -> NDArray[np.float32]:
        """The row (D,) float32 of MEAN or CENTROID; zeros when opposite templates cancel out."""
        by = self._count if fusion is Fusion.MEAN else float(np.linalg.norm(self._sum))
        return (self._sum / by if by > 1e-9 else np.zeros_like(self._sum)).astype(np.float32)


def rows_of(vectors: NDArray[np.float32], fusion: Fusion) -> NDArray[np.float32]:
    """The rows (R, D) float32 of one subject with templates `vectors` (M, D) float32, M >= 1."""
    if fusion is Fusion.MAX:
        return vectors
    pool = Pool(vectors.shape[1])
    pool.add(vectors)
    return pool.row(fusion)[None]
