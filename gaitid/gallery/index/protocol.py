"""The protocol of an index: what a gallery asks of it, in this process or in an engine.

An index is a projection of the store: it can be discarded and refilled at any time.

An exact index orders its answer by the exact score (float32 vectors, multiplied and summed in float64)
and equal scores by id, so two indexes with the same content give the same answer, bit for bit. An index
that compresses its vectors only finds candidates; the gallery scores those from their `vectors`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError


class VectorsGone(Exception):
    """A vector was erased from the store, and the index has not removed it yet."""


Fetch = Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.float32]]]
"""Return which of the ids (M,) exist, ascending, with their vectors."""


@runtime_checkable
class Index(Protocol):
    """Finds the stored vectors with the largest inner product.

    Any number of threads may search while one thread adds or removes; a search sees the content before
    or after a change, never a mixture. Constructed as ``Index(dimension, fetch)``. An index that keeps
    all vectors ignores `fetch`; an index constructed without it must keep them.
    """

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Store `vectors` (M, D) float32 under `ids` (M,) int64, all new and distinct."""
        ...

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove the vectors of `ids` (M,) int64, all present; no later answer contains them."""
        ...

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Find the best `k` ids for each of `vectors` (N, D) float32.

        Returns:
            ids: (N, K) int64 with K = min(k, len(self)), best first, equal scores by id.
            scores: (N, K) float64 inner products, exact if the index is.
        """
        ...

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the stored vectors (M, D) float32 of `ids` (M,) int64, all present."""
        ...

    def ids(self, among: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return all ids, ascending; with `among` (M,), those of them that the storage holds now."""
        ...

    def __len__(self) -> int: ...


def check_vectors(vectors: NDArray[np.float32], dimension: int) -> None:
    """Raise `InputError` unless `vectors` are (any, dimension) float32."""
    if vectors.ndim != 2 or vectors.shape[1] != dimension or vectors.dtype != np.float32:
        raise InputError(
            f"Argument vectors is {vectors.shape} {vectors.dtype.name}",
            f"(any, {dimension}) float32",
            "Pass embeddings of the index's dimension",
        )


def not_in_index() -> InputError:
    """Build the error for an id that the index does not hold."""
    return InputError("An id is not in the index", "ids that were added", "Reload the index")


def already_in_index() -> InputError:
    """Build the error for an id that is added twice."""
    return InputError(
        "An id is repeated or already in the index", "new, distinct ids", "Remove the old one first"
    )


def unequal_counts(ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> InputError:
    """Build the error for ids and vectors that do not pair."""
    return InputError(
        f"There are {len(ids)} ids and {len(vectors)} vectors", "equal counts", "Pass one id for each vector"
    )
