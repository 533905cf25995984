"""The exact index in numpy: the reference for all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.index.protocol import (
    Fetch,
    already_in_index,
    check_vectors,
    not_in_index,
    unequal_counts,
)
from gaitid.gallery.index.ranking import best, exact_scores


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """An immutable view of a flat index.

    Attributes:
        ids: (N,) int64, ascending.
        vectors: (N, D) float32, C-contiguous.
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]


class FlatIndex:
    """Storage of an index that scans all its rows.

    Each change replaces `rows` as a whole and never writes to its arrays again, so a search that holds
    the old ones needs no lock. Adding writes behind the last row of a buffer that grows by a quarter.
    Removing copies the remaining rows (tens of milliseconds at 100,000 x 256).
    """

    def __init__(self, dimension: int, fetch: Fetch | None = None) -> None:
        self.dimension = dimension
        self._ids = np.empty(0, np.int64)  # buffers; `rows` is their used part
        self._vectors = np.empty((0, dimension), np.float32)
        self.rows = Rows(self._ids, self._vectors)

    def __len__(self) -> int:
        return len(self.rows.ids)

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """See `Index.add`."""
        check_vectors(vectors, self.dimension)
        if len(ids) != len(vectors):
            raise unequal_counts(ids, vectors)
        if (ids[1:] <= ids[:-1]).any():
            order = np.argsort(ids)
            ids, vectors = ids[order], vectors[order]
        at = np.searchsorted(self.rows.ids, ids)
        present = self.rows.ids[at[at < len(self)]] == ids[at < len(self)]
        if present.any() or (ids[1:] == ids[:-1]).any():
            raise already_in_index()
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


class ExactIndex(FlatIndex):
    """The reference index: scores every row in float64 with numpy alone."""

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """See `Index.search`."""
        check_vectors(vectors, self.dimension)
        rows = self.rows
        k = min(k, len(rows.ids))
        ids, scores = np.empty((len(vectors), k), np.int64), np.empty((len(vectors), k))
        for n, probe in enumerate(vectors):
            ids[n], scores[n] = best(rows.ids, exact_scores(rows.vectors, probe), k)
        return ids, scores


def _grown(array: NDArray[Any], length: int) -> NDArray[Any]:
    larger = np.empty((length, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


def _positions(rows: Rows, ids: NDArray[np.int64]) -> NDArray[np.intp]:
    at = np.searchsorted(rows.ids, ids)
    if len(ids) and (at.max() >= len(rows.ids) or (rows.ids[at] != ids).any()):
        raise not_in_index()
    return at
