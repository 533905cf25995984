"""What an index is, and the exact one in numpy that judges all others.

An index is a projection: it can be thrown away and filled again from the store at any time.

An exact index orders its answer by the exact score (float32 vectors, multiplied and summed in
float64) and equal scores by id, so that two indexes with the same content answer alike, bit for
bit. `SHORTLIST_TOLERANCE` is how far the faster arithmetic of an index may be off before that.
One that keeps less than the vectors finds candidates; whoever decides scores those by their `vectors`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError

SHORTLIST_TOLERANCE = 2e-5
"""Bound on the float32 error of an inner product of unit vectors: 256 x 2**-24 = 1.5e-5 when summed
one after the other; eight or more lanes, as all kernels use, bring 2,048 dimensions under it too."""

_BLOCK = 8192
"""Rows scored at once: 16 MiB of float64 at 256 dimensions."""


class VectorsGone(Exception):
    """A vector was erased for good, and the index is about to learn of it."""


Fetch = Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.float32]]]
"""Gives those of the ids (M,) that there are, ascending, and their vectors."""


@runtime_checkable
class Index(Protocol):
    """Finds the stored vectors with the largest inner product.

    Any number of threads may search while one thread adds or removes; a search sees the content
    before or after a change, never half of it. Made by ``Index(dimension, fetch)``; one that keeps
    all vectors has no use for `fetch`, and one that is made without has to keep them.
    """

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Store `vectors` (M, D) float32 under `ids` (M,) int64, all new and distinct."""
        ...

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Forget the vectors of `ids` (M,) int64, all present; they are in no later answer."""
        ...

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The best `k` ids for each of `vectors` (N, D) float32.

        Returns:
            ids: (N, K) int64 with K = min(k, len(self)), best first, equal scores by id.
            scores: (N, K) float64 inner products, exact if the index is.
        """
        ...

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors (M, D) float32 of `ids` (M,) int64, all present."""
        ...

    def ids(self, among: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """All ids, ascending; or those `among` these (M,), asked anew of the place that keeps them."""
        ...

    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """An unchanging view of a flat index.

    Attributes:
        ids: (N,) int64, ascending.
        vectors: (N, D) float32, C-contiguous.
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]


class FlatIndex:
    """Rows of an index that searches all of them: how they are stored, added and removed.

    `rows` is replaced as a whole by each change and its arrays are never written again, so a
    search that took them before needs no lock. Adding writes behind the last row of a buffer that
    grows by a quarter; removing copies what stays (at 100,000 x 256 tens of milliseconds).
    """

    def __init__(self, dimension: int, fetch: Fetch | None = None) -> None:
        self.dimension = dimension
        self._ids = np.empty(0, np.int64)  # buffers; the rows in use are their first part
        self._vectors = np.empty((0, dimension), np.float32)
        self.rows = Rows(self._ids, self._vectors)

    def __len__(self) -> int:
        return len(self.rows.ids)

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """See `Index.add`."""
        self._check(vectors)
        if len(ids) != len(vectors):
            raise InputError(f"{len(ids)} ids, {len(vectors)} vectors", "equal counts", "pass one id each")
        if (ids[1:] <= ids[:-1]).any():
            order = np.argsort(ids)
            ids, vectors = ids[order], vectors[order]
        at = np.searchsorted(self.rows.ids, ids)
        present = self.rows.ids[at[at < len(self)]] == ids[at < len(self)]
        if present.any() or (ids[1:] == ids[:-1]).any():
            raise InputError("an id is repeated or present already", "new, distinct ids", "remove it first")
        if len(ids) and at[0] < len(self):
            self._merge(ids, vectors)
        else:
            self._append(ids, vectors)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """See `Index.remove`."""
        keep = np.ones(len(self), np.bool_)
        keep[_positions(self.rows, ids)] = False
        self._replace(self.rows.ids[keep], self.rows.vectors[keep])

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Index.vectors`."""
        rows = self.rows
        return rows.vectors[_positions(rows, ids)]

    def ids(self, among: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """See `Index.ids`."""
        ids = self.rows.ids
        return ids if among is None else np.intersect1d(ids, among)

    def _append(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        start, end = len(self), len(self) + len(ids)
        if end > len(self._ids):
            room = end + start // 4 + 64
            self._ids, self._vectors = _grown(self.rows.ids, room), _grown(self.rows.vectors, room)
        self._ids[start:end] = ids
        self._vectors[start:end] = vectors
        self.rows = Rows(self._ids[:end], self._vectors[:end])

    def _merge(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        all_ids = np.concatenate((self.rows.ids, ids))
        order = np.argsort(all_ids)
        self._replace(all_ids[order], np.concatenate((self.rows.vectors, vectors))[order])

    def _replace(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        self._ids, self._vectors = ids, vectors
        self.rows = Rows(ids, vectors)

    def _check(self, vectors: NDArray[np.float32]) -> None:
        check_vectors(vectors, self.dimension)


class ExactIndex(FlatIndex):
    """The reference: scores every row in float64 with nothing but numpy."""

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """See `Index.search`."""
        self._check(vectors)
        rows = self.rows
        k = min(k, len(rows.ids))
        ids, scores = np.empty((len(vectors), k), np.int64), np.empty((len(vectors), k))
        for n, probe in enumerate(vectors):
            ids[n], scores[n] = best(rows.ids, exact_scores(rows.vectors, probe), k)
        return ids, scores


def check_vectors(vectors: NDArray[np.float32], dimension: int) -> None:
    """Raise `InputError` unless `vectors` are (any, dimension) float32."""
    if vectors.ndim != 2 or vectors.shape[1] != dimension or vectors.dtype != np.float32:
        raise InputError(
            f"vectors are {vectors.shape} {vectors.dtype.name}",
            f"(any, {dimension}) float32",
            "use embeddings of the index's dimension",
        )


def among(known: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each of `ids` (M,) is one of `known` (N,), which ascend."""
    at = np.searchsorted(known, ids)
    found = at < len(known)
    found[found] = known[at[found]] == ids[found]
    return found


def exact_scores(vectors: NDArray[np.float32], probe: NDArray[np.float32]) -> NDArray[np.float64]:
    """Inner products (M,) float64 of `vectors` (M, D) and `probe` (D,), both float32.

    The product of two float32 is exact in float64, and each row is summed on its own and in the
    same order: equal vectors have equal scores wherever they stand, which no matrix product of a
    BLAS promises.
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
    """The `k` highest of `scores` (M,) with their ids, best first, equal scores by id; k <= M."""
    if k == 0:
        return ids[:0], scores[:0]
    lowest = np.partition(scores, len(scores) - k)[len(scores) - k]
    among = np.flatnonzero(scores >= lowest)  # more than k when scores are equal at the border
    order = among[np.lexsort((ids[among], -scores[among]))][:k]
    return ids[order], scores[order]


def _grown(array: NDArray[Any], length: int) -> NDArray[Any]:
    larger = np.empty((length, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


def _positions(rows: Rows, ids: NDArray[np.int64]) -> NDArray[np.intp]:
    at = np.searchsorted(rows.ids, ids)
    if len(ids) and (at.max() >= len(rows.ids) or (rows.ids[at] != ids).any()):
        raise InputError("an id is not in the index", "ids that were added", "reload the index")
    return at
