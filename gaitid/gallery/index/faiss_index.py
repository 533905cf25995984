"""The default index: exact up to a size, and above it nearly exact in a thirtieth of the time.

Up to `EXACT_UP_TO` rows FAISS scans all full vectors and the best are scored exactly: nothing is missed.
Above, most rows are in compressed segments (see `segments`) and the newest in a tail that is scanned in
full. A background thread compresses a tail that has grown, merges small segments and drops removed rows.

A search reads one `_State`, which is replaced as a whole and never modified, so it takes no lock. FAISS is
used through `faiss.knn`, its exhaustive search over arrays that we own (the kernels of `IndexFlatIP`); a
shared `IndexFlatIP` crashed in 10 of 12 runs that searched while adding.

Source: Douze et al. 2024, "The Faiss library", arXiv 2401.08281, sec. 4 (flat indexes).
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock, Thread
from typing import NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.index.batching import Batcher
from gaitid.gallery.index.exact import FlatIndex, Rows
from gaitid.gallery.index.protocol import Fetch, VectorsGone, already_in_index, check_vectors, not_in_index
from gaitid.gallery.index.ranking import SHORTLIST_TOLERANCE, among, best, exact_scores
from gaitid.gallery.index.segments import Codes, Segment

_LOG = logging.getLogger(__name__)

EXACT_UP_TO = 200_000
"""Largest number of rows scanned uncompressed: 8 CPU ms a search at 256 dimensions."""
_TAIL = 8_192
"""Rows after which a tail is compressed: it scans as long as 250,000 compressed rows, 0.3 CPU ms."""
_SEGMENT = 131_072
"""Largest size of a merged segment: 1 M in 16 segments cost 0.6 CPU ms more a search than in one."""
_MOST = 262_144
"""Rows of a tail under compression above which `add` waits."""
_FEWEST = 16
"""Rows that a segment needs."""
_FEW_DEAD = 64
"""Removed rows that a tail may keep, plus an eighth of its size."""

_SPARE = 8
"""Rows fetched beyond k, so that rounding at the limit rarely needs a second search."""
_BLAS_FROM = 1024
"""Probes x dimension from which FAISS 1.15 uses a matrix product. With its default of 128,000 a batch of 4
at 100,000 x 256 took 3.6 CPU ms a probe, with this 1.8; below, a product is no faster."""

_Scored = tuple[NDArray[np.int64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """The content at one moment.

    Attributes:
        segments: Compressed rows.
        tail: Uncompressed rows.
        dead: Ids of removed rows of the tail, ascending.
    """

    segments: tuple[Segment, ...]
    tail: Rows
    dead: NDArray[np.int64]

    @property
    def count(self) -> int:
        return sum(segment.count for segment in self.segments) + len(self.tail.ids) - len(self.dead)

    @property
    def living(self) -> Rows:
        """The tail without its removed rows."""
        if not len(self.dead):
            return self.tail
        alive = ~among(self.dead, self.tail.ids)
        return Rows(self.tail.ids[alive], self.tail.vectors[alive])

    def in_tail(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        return among(self.tail.ids, ids) & ~among(self.dead, ids)

    def holds(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        held = self.in_tail(ids)
        for segment in self.segments:
            held |= segment.holds(ids)
        return held


class _Work(NamedTuple):
    """What to rebuild.

    Attributes:
        merged: Positions of the segments that become one.
        compresses: Whether the tail joins them.
        cleans: Whether the tail drops its removed rows.
    """

    merged: list[int]
    compresses: bool
    cleans: bool


class FaissIndex:
    """Inner-product search by FAISS; see `Index` and the module docstring.

    Constructing one sets FAISS's process-wide `distance_compute_blas_threshold` to 1,024. A search runs on
    the caller's thread alone (a thread pool serves more probes than OpenMP, which spins), leaves that
    thread's OpenMP setting unchanged, and joins a batch when no core is free.

    Args:
        dimension: Length of the vectors.
        fetch: Returns vectors stored elsewhere; None = all stay here, and are searched exactly.
        exact_up_to: Largest number of rows without compression.
        tail: Rows after which a tail is compressed, once there are segments.
    """

    def __init__(
        self, dimension: int, fetch: Fetch | None = None, *, exact_up_to: int = EXACT_UP_TO, tail: int = _TAIL
    ) -> None:
        faiss.cvar.distance_compute_blas_threshold = _BLAS_FROM
        self.dimension = dimension
        self._fetch = fetch
        self._exact_up_to, self._tail_rows = exact_up_to, tail
        self._writing = Lock()
        self._tail = FlatIndex(dimension)
        self._state = _State((), self._tail.rows, np.empty(0, np.int64))
        self._batcher = Batcher(self._search)
        self._worker: Thread | None = None
        self._removed: list[NDArray[np.int64]] = []  # since the worker took its state

    def __len__(self) -> int:
        return self._state.count

    @property
    def is_exact(self) -> bool:
        """Whether nothing is compressed."""
        return not self._state.segments

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """See `Index.add`; a caller that adds faster than the worker compresses waits."""
        check_vectors(vectors, self.dimension)
        if (worker := self._worker) is not None and len(self._state.tail.ids) > _MOST:
            worker.join()
        with self._writing:
            state = self._state
            if state.holds(ids).any():
                raise already_in_index()
            if among(state.dead, ids).any():  # a removed id returns: its old row must go now
                self._tail.remove(state.dead)
                state = replace(state, dead=state.dead[:0])
            self._tail.add(ids, vectors)
            self._swap(replace(state, tail=self._tail.rows))

    def remove(self, ids: NDArray[np.int64]) -> None:
        """See `Index.remove`."""
        with self._writing:
            state = self._state
            if not state.holds(ids).all():
                raise not_in_index()
            if self._worker is not None:
                self._removed.append(ids)
            dead = np.union1d(state.dead, ids[state.in_tail(ids)])
            self._swap(_State(tuple(part.without(ids) for part in state.segments), state.tail, dead))

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Index.vectors`; compressed ones are fetched.

        Raises:
            VectorsGone: A vector was erased from the store.
        """
        state = self._state
        if not state.holds(ids).all():
            raise not_in_index()
        here = state.in_tail(ids)
        found = np.empty((len(ids), self.dimension), np.float32)
        found[here] = state.tail.vectors[np.searchsorted(state.tail.ids, ids[here])]
        if self._fetch is not None and not here.all():
            kept, rows = self._fetch(ids[~here])
            if not among(kept, ids[~here]).all():
                raise VectorsGone
            found[~here] = rows[np.searchsorted(kept, ids[~here])]
        return found

    def ids(self, among: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """See `Index.ids`."""
        state = self._state
        if among is not None:
            return np.unique(among[state.holds(among)])
        parts = [state.living.ids, *(part.rows.ids[part.alive] for part in state.segments)]
        return np.sort(np.concatenate(parts))

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """See `Index.search`; compressed rows are scored by 8-bit codes (error about 0.001)."""
        check_vectors(vectors, self.dimension)
        return self._batcher(vectors, k) if len(vectors) == 1 else self._search(vectors, k)

    def _search(self, vectors: NDArray[np.float32], k: int) -> _Scored:
        state = self._state
        k = min(k, state.count)
        ids, scores = np.empty((len(vectors), k), np.int64), np.empty((len(vectors), k))
        if k == 0 or not len(vectors):
            return ids, scores
        vectors = np.ascontiguousarray(vectors)
        with _one_thread():
            parts = [segment.near(vectors, k) for segment in state.segments]
            parts.append(_near(state, vectors, k))
        for n, found in enumerate(zip(*parts, strict=True)):
            near = np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])
            ids[n], scores[n] = best(*near, k)
        return ids, scores

    def settle(self) -> None:
        """Wait until nothing is left to rebuild."""
        while worker := self._worker:
            worker.join()

    # -- rebuilding --------------------------------------------------------------------------------

    def _swap(self, state: _State) -> None:
        self._state = state
        if self._worker is None and self._work(state) is not None:
            worker = Thread(target=self._rebuild, name="gaitid-index")  # waits until `_writing` is free
            worker.start()
            self._worker = worker

    def _work(self, state: _State) -> _Work | None:
        """Decide what to rebuild now; None = nothing."""
        rows = len(state.tail.ids) - len(state.dead)
        compresses = self._fetch is not None and rows > (
            self._tail_rows if state.segments else self._exact_up_to
        )
        cleans = len(state.dead) > _FEW_DEAD + len(state.tail.ids) // 8
        merged = [n for n, part in enumerate(state.segments) if 2 * part.count < len(part.alive)]
        size = sum(state.segments[n].count for n in merged) + rows * compresses
        if compresses:
            for n, part in sorted(enumerate(state.segments), key=lambda one: one[1].count):
                if n not in merged and part.count <= size <= _SEGMENT - part.count:
                    merged.append(n)
                    size += part.count
        if 0 < size < _FEWEST:
            compresses, merged = False, []
        return _Work(merged, compresses, cleans) if compresses or cleans or merged else None

    def _rebuild(self) -> None:
        try:
            with _one_thread():
                while self._rebuild_once():
                    pass
            _give_back()
        except Exception:
            _LOG.exception("Rebuilding the index failed; it stays unchanged until the next add or remove")
            self._worker = None

    def _rebuild_once(self) -> bool:
        with self._writing:
            state, self._removed = self._state, []
            work = self._work(state)
            if work is None:
                self._worker = None
                return False
        living = state.living
        parts = [state.segments[n].living for n in work.merged if state.segments[n].count]
        if work.compresses:
            parts.append(Codes.of(living.ids, living.vectors))
        made = [Segment.of(parts)] if parts else []
        tail = FlatIndex(self.dimension)
        if not work.compresses and work.cleans:
            tail.add(living.ids, living.vectors)
        with self._writing:
            self._state = self._joined(work, living, made, tail)
        return True

    def _joined(self, work: _Work, seen: Rows, made: list[Segment], tail: FlatIndex) -> _State:
        """Apply the changes since the rebuild began, when the tail was `seen`, to what was rebuilt."""
        now = self._state
        removed = np.unique(np.concatenate([now.dead[:0], *self._removed]))
        segments = [part for n, part in enumerate(now.segments) if n not in work.merged]
        segments += [part.without(removed) for part in made]
        if not (work.compresses or work.cleans):
            return replace(now, segments=tuple(segments))
        tail.remove(removed[among(tail.rows.ids, removed)])
        ids = now.tail.ids
        is_new = ~among(now.dead, ids) & (~among(seen.ids, ids) | among(removed, ids))
        tail.add(ids[is_new], now.tail.vectors[is_new])
        self._tail = tail
        return _State(tuple(segments), tail.rows, now.dead[:0])


def _near(state: _State, vectors: NDArray[np.float32], k: int) -> list[_Scored]:
    """Ids and exact scores that certainly include the best `k` rows of the tail for each probe.

    In FAISS's arithmetic an unfetched row scores at most the last fetched one. When that is more than twice
    the tolerance below the k-th, no rounding can bring it back.
    """
    rows, dead = state.tail, state.dead
    k = min(k, len(rows.ids) - len(dead))
    fetch = min(k + _SPARE + min(len(dead), k), len(rows.ids)) if k else 0
    while fetch:
        scores, found = faiss.knn(vectors, rows.vectors, fetch, metric=faiss.METRIC_INNER_PRODUCT)
        alive = ~among(dead, rows.ids[found.ravel()]).reshape(found.shape)
        if fetch == len(rows.ids) or all(map(_is_clear, scores, alive, [k] * len(scores))):
            places = [at[kept] for at, kept in zip(found, alive, strict=True)]
            return [
                (rows.ids[at], exact_scores(rows.vectors[at], probe))
                for at, probe in zip(places, vectors, strict=True)
            ]
        fetch = min(4 * fetch, len(rows.ids))
    return [(rows.ids[:0], np.empty(0))] * len(vectors)


def _is_clear(scores: NDArray[np.float32], alive: NDArray[np.bool_], k: int) -> bool:
    living = scores[alive]
    return len(living) >= k and bool(living[k - 1] - scores[-1] > 2 * SHORTLIST_TOLERANCE)


def _give_back() -> None:
    """Return free memory to the system: glibc otherwise keeps 50 bytes a row at 1 M rows."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
