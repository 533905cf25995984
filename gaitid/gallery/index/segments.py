"""Many vectors in a third of their memory, searched in a thirtieth of the time of a scan of them all.

A segment keeps each vector twice: in 8 bits a number, and in 4 bits for every 4 numbers. The small
codes of all rows are scanned with SIMD table look-ups, and the best of that are scored by the 8-bit
codes. Nothing is skipped, as graphs and inverted lists do, which lose just the probes that are hard.

What differs from `faiss.IndexRefine`, which combines the two as well: FastScan looks at all rows and
ignores a selector of ids, so removed rows are dropped between the two steps, and more are asked for when
too few remain; the 8-bit codes have a scale for each row, so that they need no training and stay the same
when segments are merged.

Source: Jegou et al. 2011, "Product quantization for nearest neighbor search"; Andre et al. 2017, "Quicker
ADC", for the scan in registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import faiss
import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.index.exact import among

_NUMBERS_A_CODE = 4
_BITS = 4
_SHORTLIST = 128
"""Rows taken from the scan of a segment at least; of all of 1 M x 256 in one, 100 gave the DIR of 400."""
_OVER = 2
"""Rows taken from the scan for each wanted one."""
_SAMPLE = 65_536
"""Vectors that the small codes are trained on; all of 1 M gave the same recall."""
_BLOCK = 1024
"""Rows handled at once: a megabyte, which goes back to the system when it is free, as larger ones do not."""


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Vectors in 8 bits a number: ``vector = scale * code``, off by half a scale in each number.

    Attributes:
        ids: (N,) int64.
        codes: (N, D) int8, -127..127.
        scales: (N,) float32.
    """

    ids: NDArray[np.int64]
    codes: NDArray[np.int8]
    scales: NDArray[np.float32]

    @classmethod
    def of(cls, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> Codes:
        """The codes of `vectors` (N, D) float32."""
        codes = np.empty(vectors.shape, np.int8)
        scales = np.empty(len(vectors), np.float32)
        for start in range(0, len(vectors), _BLOCK):
            part = slice(start, start + _BLOCK)
            largest = np.abs(vectors[part]).max(axis=1)
            scales[part] = np.where(largest > 0, largest, 1) / 127
            codes[part] = np.rint(vectors[part] / scales[part, None])
        return cls(ids, codes, scales)

    def take(self, at: NDArray[np.intp] | NDArray[np.bool_]) -> Codes:
        """Those at these places."""
        return Codes(self.ids[at], self.codes[at], self.scales[at])

    def vectors(self, at: NDArray[np.intp] | slice) -> NDArray[np.float32]:
        """What they stand for, (M, D) float32."""
        return self.codes[at] * self.scales[at, None]

    def scores(self, at: NDArray[np.intp], probe: NDArray[np.float32]) -> NDArray[np.float64]:
        """Inner products (M,) with a probe (D,)."""
        found = np.empty(len(at))
        for start in range(0, len(at), _BLOCK):
            part = at[start : start + _BLOCK]
            found[start : start + _BLOCK] = (self.codes[part].astype(np.float32) @ probe) * self.scales[part]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Rows that never change; removing makes a new segment that shares them.

    Attributes:
        rows: Their codes, by ascending id.
        scan: Their small codes, in the same order.
        alive: (N,) whether each was not removed.
        count: How many were not.
    """

    rows: Codes
    scan: faiss.IndexPQFastScan
    alive: NDArray[np.bool_]
    count: int

    @classmethod
    def of(cls, parts: Sequence[Codes]) -> Segment:
        """One segment of all rows of `parts`, at least 16."""
        rows = Codes(
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.codes for part in parts]),
            np.concatenate([part.scales for part in parts]),
        )
        if (rows.ids[1:] < rows.ids[:-1]).any():
            rows = rows.take(np.argsort(rows.ids))
        return cls(rows, _scan(rows), np.ones(len(rows.ids), np.bool_), len(rows.ids))

    @property
    def living(self) -> Codes:
        """The rows that were not removed."""
        return self.rows if self.count == len(self.alive) else self.rows.take(self.alive)

    def holds(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each of `ids` (M,) is a row that was not removed."""
        found = among(self.rows.ids, ids)
        found[found] = self.alive[np.searchsorted(self.rows.ids, ids[found])]
        return found

    def without(self, ids: NDArray[np.int64]) -> Segment:
        """The segment without the rows of `ids` (M,); what it does not have is no matter."""
        at = np.searchsorted(self.rows.ids, ids[among(self.rows.ids, ids)])
        if not self.alive[at].any():
            return self
        alive = self.alive.copy()
        alive[at] = False
        return replace(self, alive=alive, count=int(alive.sum()))

    def near(
        self, probes: NDArray[np.float32], k: int
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """For each of `probes` (N, D) ids that are near, ``min(k, count)`` or more, with 8-bit scores."""
        fetch = max(_SHORTLIST, _OVER * k) + min(len(self.alive) - self.count, k)
        while True:
            if 2 * fetch >= len(self.alive):
                places = [np.flatnonzero(self.alive)] * len(probes)
                break
            _, found = self.scan.search(_padded(probes), fetch)
            places = [at[(at >= 0) & self.alive[at]] for at in found]
            if min(map(len, places)) >= min(k, self.count):
                break
            fetch *= 4
        return [
            (self.rows.ids[at], self.rows.scores(at, probe)) for at, probe in zip(places, probes, strict=True)
        ]


def _scan(rows: Codes) -> faiss.IndexPQFastScan:
    count, width = len(rows.ids), _width(rows.codes.shape[1])
    index = faiss.IndexPQFastScan(width, width // _NUMBERS_A_CODE, _BITS, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.min_points_per_centroid = 1  # a small segment is no reason for a warning on stderr
    at = np.arange(count)
    if count > _SAMPLE:
        at = np.random.default_rng(0).choice(count, _SAMPLE, replace=False)
    index.train(_padded(rows.vectors(at)))
    for start in range(0, count, _BLOCK):
        index.add(_padded(rows.vectors(slice(start, start + _BLOCK))))
    return index


def _width(dimension: int) -> int:
    return -(-dimension // _NUMBERS_A_CODE) * _NUMBERS_A_CODE


def _padded(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """With zeros behind, which change no product."""
    beyond = _width(vectors.shape[1]) - vectors.shape[1]
    return np.pad(vectors, ((0, 0), (0, beyond))) if beyond else np.ascontiguousarray(vectors)
