"""Brings an index to what the store holds, and tells whether it is there.

An index in memory is empty at first and is filled; one in an engine has nearly everything, and what
was lost or left over by a crash is repaired.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.index.exact import Fetch, Index

_BLOCK = 16_384
"""Rows fetched at once: 16 MiB of 256 dimensions."""


class Repair(NamedTuple):
    """How many rows were added to an index, and removed from it."""

    added: int
    removed: int


def reconcile(index: Index, ids: NDArray[np.int64], fetch: Fetch, *, by_vector: bool = False) -> Repair:
    """Make `index` hold exactly `ids` (N,), ascending, with the vectors that `fetch` gives.

    Cut short it can be repeated, and goes on with what is missing.

    Args:
        index: Is changed.
        ids: What it is to hold.
        fetch: An id that it does not give any more is left out.
        by_vector: Read all vectors of the index and replace those that differ; without, an id that is
            there counts as right. Needed where the vector of an id may change.
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
    """Those of `ids` (N,) whose vector in the index is, by one bit or more, not the one fetched.

    Ids that the index does not hold are left out.
    """
    held = np.intersect1d(ids, index.ids())
    found = [np.empty(0, np.int64)]
    for start in range(0, len(held), _BLOCK):
        part, vectors = fetch(held[start : start + _BLOCK])
        found.append(part[(index.vectors(part) != vectors).any(axis=1)])
    return np.concatenate(found)


def fetch_from(ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> Fetch:
    """Gives rows of arrays in memory: `ids` (N,), ascending, and `vectors` (N, D)."""

    def fetch(wanted: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        at = np.flatnonzero(np.isin(ids, wanted))
        return ids[at], vectors[at]

    return fetch
