"""Exact scores and their order, in the one arithmetic that all indexes share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHORTLIST_TOLERANCE = 2e-5
"""Bound on the float32 error of an inner product of unit vectors: 256 x 2**-24 = 1.5e-5 when summed
sequentially; the eight or more lanes of every kernel keep 2,048 dimensions below it too."""

_BLOCK = 8192
"""Rows scored at once: 16 MiB of float64 at 256 dimensions."""


def among(known: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark which of `ids` (M,) occur in `known` (N,), which must ascend."""
    at = np.searchsorted(known, ids)
    found = at < len(known)
    found[found] = known[at[found]] == ids[found]
    return found


def exact_scores(vectors: NDArray[np.float32], probe: NDArray[np.float32]) -> NDArray[np.float64]:
    """Inner products (M,) float64 of `vectors` (M, D) and `probe` (D,), both float32.

    The product of two float32 is exact in float64, and each row is summed alone and in the same order.
    Equal vectors therefore score equally at any position, which no BLAS matrix product guarantees.
    """
    wide = probe.astype(np.float64)
    scores = np.empty(len(vectors))
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        scores[start : start + _BLOCK] = (block * wide).sum(axis=1)
    return scores


def best(
    ids: NDArray[np.int64], scores: NDArray[np.float64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the `k` highest of `scores` (M,) with their ids, best first, equal scores by id; k <= M."""
    if k == 0:
        return ids[:0], scores[:0]
    lowest = np.partition(scores, len(scores) - k)[len(scores) - k]
    shortlist = np.flatnonzero(scores >= lowest)  # more than k when scores tie at the limit
    order = shortlist[np.lexsort((ids[shortlist], -scores[shortlist]))][:k]
    return ids[order], scores[order]
