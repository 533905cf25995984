"""Make an index hold exactly what the store holds, or find where it differs.

An index in memory starts empty and is filled. An index in an engine has nearly everything: only rows that
a crash lost or left over are repaired.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.index.protocol import Fetch, Index

_BLOCK = 16_384
"""Rows fetched at once: 16 MiB at 256 dimensions."""


class Repair(NamedTuple):
    """Numbers of rows added to an index and removed from it."""

    added: int
    removed: int


def reconcile(index: Index, ids: NDArray[np.int64], fetch: Fetch, *, by_vector: bool = False) -> Repair:
    """Make `index` hold exactly `ids` (N,), ascending, with the vectors that `fetch` returns.

    An interrupted call can be repeated; it continues with the missing rows.

    Args:
        index: The index to change.
        ids: What it must hold.
        fetch: Returns the vectors; ids that no longer exist are skipped.
        by_vector: Read all vectors of the index and replace those that differ. Otherwise an id that is
            present counts as correct. Required where the vector of an id may change.
    """
    held = index.ids()
    stale = np.setdiff1d(held, ids)
    if by_vector:
        stale = np.concatenate((stale, differing(index, ids, fetch)))
    index.remove(stale)
    missing = np.setdiff1d(ids, np.setdiff1d(held, stale))
    for start in range(0, len(missing), _BLOCK):
        index.add(*fetch(missing[start : start + _BLOCK]))
    return Repair(len(missing), len(stale))


def differing(index: Index, ids: NDArray[np.int64], fetch: Fetch) -> NDArray[np.int64]:
    """Return which of `ids` (N,) have a vector in the index that differs, by one bit or more, from `fetch`.

    Ids that the index does not hold are skipped.
    """
    held = np.intersect1d(ids, index.ids())
    found = [np.empty(0, np.int64)]
    for start in range(0, len(held), _BLOCK):
        part, vectors = fetch(held[start : start + _BLOCK])
        found.append(part[(index.vectors(part) != vectors).any(axis=1)])
    return np.concatenate(found)


def fetch_from(ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> Fetch:
    """Build a `Fetch` over arrays in memory: `ids` (N,), ascending, and `vectors` (N, D)."""

    def fetch(wanted: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        at = np.flatnonzero(np.isin(ids, wanted))
        return ids[at], vectors[at]

    return fetch
