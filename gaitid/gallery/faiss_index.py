"""The index of choice: FAISS scans all rows, so nothing is missed; the best are scored exactly.

FAISS is used through `faiss.knn`, its exhaustive search over arrays that we own (the same kernels
as `IndexFlatIP`): the rows are replaced, never changed, so a search needs no lock while another
thread adds. A shared `IndexFlatIP` crashed in 10 of 12 such runs.

Source: Douze et al. 2024, "The Faiss library", arXiv 2401.08281, sec. 4 (flat indexes).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import faiss
import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.index import SHORTLIST_TOLERANCE, FlatIndex, Rows, best, exact_scores

_SPARE = 8
"""Rows fetched beyond k, so that rounding at the border seldom asks for a second search."""

_BLAS_FROM = 1280
"""Probes x dimension from which FAISS 1.15 uses a matrix product: with its own 128,000 a batch of 32
at 1 M x 256 took 49.5 CPU ms a probe, with 1,280 it took 11.8."""


class FaissIndex(FlatIndex):
    """Exhaustive inner-product search by FAISS, re-scored exactly.

    Making one sets FAISS's process-wide `distance_compute_blas_threshold` to 1,280. A search runs on
    the caller's thread alone (a pool of threads serves more probes than OpenMP, which spins) and
    leaves that thread's OpenMP setting as it was.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        faiss.cvar.distance_compute_blas_threshold = _BLAS_FROM

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """See `Index.search`."""
        self._check(vectors)
        rows = self.rows
        k = min(k, len(rows.ids))
        ids, scores = np.empty((len(vectors), k), np.int64), np.empty((len(vectors), k))
        if k == 0 or not len(vectors):
            return ids, scores
        with _one_thread():
            shortlist = _shortlist(rows, np.ascontiguousarray(vectors), k)
        for n, probe in enumerate(vectors):
            near = shortlist[n]
            ids[n], scores[n] = best(rows.ids[near], exact_scores(rows.vectors[near], probe), k)
        return ids, scores


def _shortlist(rows: Rows, vectors: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Row numbers (N, K') that surely hold the exact best k of each probe.

    A row left out scores at most the last one fetched, by FAISS's arithmetic; when that is more
    than twice the tolerance below the k-th, no rounding can bring it back.
    """
    fetch = min(k + _SPARE, len(rows.ids))
    while True:
        scores, found = faiss.knn(vectors, rows.vectors, fetch, metric=faiss.METRIC_INNER_PRODUCT)
        clear = (scores[:, k - 1] - scores[:, -1] > 2 * SHORTLIST_TOLERANCE).all()
        if clear or fetch == len(rows.ids):
            return np.asarray(found, np.int64)
        fetch = min(4 * fetch, len(rows.ids))


@contextmanager
def _one_thread() -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
