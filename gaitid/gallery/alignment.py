"""Brings an index to what the store holds, and tells whether it is there.

An index in memory is empty at first and is filled; one in an engine has nearly everything, and what
was lost or left over by a crash is repaired.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.index import Index

_BLOCK = 4096
"""Rows compared at once."""


class Repair(NamedTuple):
    """How many rows were added to an index, and removed from it."""

    added: int
    removed: int


def align(
    index: Index, ids: NDArray[np.int64], vectors: NDArray[np.float32], *, by_vector: bool = False
) -> Repair:
    """Make `index` hold exactly `ids` (N,), ascending, with `vectors` (N, D).

    Cut short it can be repeated, and goes on with what is missing.

    Args:
        index: Is changed.
        ids: What it is to hold.
        vectors: In the same order.
        by_vector: Read all vectors of the index and replace those that differ; without, an id that is
            there counts as right. Needed where the vector of an id may change.
    """
    held = index.ids()
    stale = np.setdiff1d(held, ids)
    if by_vector:
        stale = np.concatenate((stale, differing(index, ids, vectors)))
    index.remove(stale)
    missing = ~np.isin(ids, np.setdiff1d(held, stale))
    index.add(ids if missing.all() else ids[missing], vectors if missing.all() else vectors[missing])
    return Repair(int(missing.sum()), len(stale))


def differing(index: Index, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Those of `ids` (N,) whose vector in the index is, by one bit or more, not that of `vectors` (N, D).

    Ids that the index does not hold are left out.
    """
    at = np.flatnonzero(np.isin(ids, index.ids()))
    found = [np.empty(0, np.int64)]
    for start in range(0, len(at), _BLOCK):
        part = at[start : start + _BLOCK]
        found.append(ids[part][(index.vectors(ids[part]) != vectors[part]).any(axis=1)])
    return np.concatenate(found)
