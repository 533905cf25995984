"""Closed-set identification: rank-k, CMC, mAP, mINP, by view pair and by condition.

Every result names one of two conventions:

``ours``
    A probe without a mate in the gallery cannot be identified, so rates are over mated probes. Unmated
    probes and empty cells are *counted* and printed with them. `Rates.floor` is the rate if every unmated
    probe were a miss. Ties count against the probe: a constant embedding scores zero.
``opengait``
    The published evaluators, including their faults (Fan et al. 2023, OpenGait, `opengait/evaluation`).
    View cells count unmated probes as misses and are rounded to 0.01 % before averaging. The ReID-style
    ranker drops unmated probes. An empty cell makes the mean undefined. Ties go to the first row.

Without ties, rounding and unmated probes the two agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gaitid.datasets.protocol import Group, Labels, Protocol
from gaitid.errors import DatasetError, InputError
from gaitid.evaluation.openset import SubjectScorer
from gaitid.evaluation.scores import Block, Floats, Metric, Rows, blocks, check_embeddings

Convention = Literal["ours", "opengait"]
CONVENTIONS: tuple[Convention, ...] = ("ours", "opengait")
LONGEST_CMC = 50
Doubles = NDArray[np.float64]

_REPEATS = 1000
"""Resamples of the interval of rank-1."""
_ENDS = (0.025, 0.975)
"""Quantiles of its 95 % interval."""


@dataclass(frozen=True, slots=True)
class Searches:
    """Results of n probes in each of S parts of the gallery: its views, or the whole when pooled.

    Attributes:
        probes: (n,) rows of the probes.
        parts: Names of the S parts: gallery views, or ``("",)`` when pooled.
        rank: (n, S) int32, rank of the first mate, from 1; 0 without a mate.
        precision: (n, S) float32 average precision; NaN without a mate.
        inverse_penalty: (n, S) float32, mates over the rank of the last (Ye et al. 2021, mINP).
        gallery: (S,) int, number of sequences in each part.
        best_mate: (n,) row of the best mate in the whole gallery, -1 without a mate.
        best_other: (n,) row of the best sequence of another subject, -1 without one.
        lead: (n,) float32, score of the best mate minus that of the best other; NaN without both.
    """

    probes: Rows
    parts: tuple[str, ...]
    rank: NDArray[np.int32]
    precision: Floats
    inverse_penalty: Floats
    gallery: NDArray[np.int64]
    best_mate: Rows
    best_other: Rows
    lead: Floats


def group_blocks(
    embeddings: Floats,
    labels: Labels,
    group: Group,
    protocol: Protocol,
    metric: Metric,
    convention: Convention,
) -> tuple[Rows, Rows, Iterator[Block]]:
    """Score one group of a protocol.

    Args:
        embeddings: (N, P, D) float32 as `check_embeddings` returns it.
        labels: Labels of the N sequences.
        group: Which probes search which gallery.
        protocol: Supplies the layout and the exclusion.
        metric: ``cos`` or ``euc``.
        convention: ``opengait`` selects the probes as the published evaluator does.

    Returns:
        (rows of the probes, rows of the gallery in column order, blocks).
    """
    if convention not in CONVENTIONS:
        raise InputError(
            f"Argument convention is {convention!r}",
            f"one of {', '.join(CONVENTIONS)}",
            "Pass convention='ours'",
        )
    protocol.check(labels)
    probes, gallery = (np.flatnonzero(mask) for mask in group.masks(labels, peers=convention == "opengait"))
    if protocol.layout == "cells":
        gallery = gallery[np.argsort(labels.view[gallery], kind="stable")]
    found = blocks(
        embeddings, labels, probes=probes, gallery=gallery, metric=metric, exclude=protocol.exclude
    )
    return probes, gallery, found


def search(
    embeddings: Floats,
    labels: Labels,
    group: Group,
    protocol: Protocol,
    *,
    metric: Metric = "cos",
    convention: Convention = "ours",
) -> Searches:
    """Search every probe of a group; arguments as for `group_blocks`."""
    _, gallery, found = group_blocks(embeddings, labels, group, protocol, metric, convention)
    searcher = Searcher(labels, gallery, protocol, convention)
    for block in found:
        searcher.add(block)
    return searcher.done()


def candidates(
    embeddings: NDArray[Any],
    labels: Labels,
    group: Group,
    protocol: Protocol,
    *,
    count: int = 20,
    metric: Metric = "cos",
) -> dict[int, list[str]]:
    """Find the best `count` subjects of each probe row, best first: the submission for hidden labels.

    A subject's score is that of its best gallery sequence; other arguments as for `group_blocks`.
    """
    parts = check_embeddings(embeddings, len(labels))
    _, gallery, found = group_blocks(parts, labels, group, protocol, metric, "ours")
    names = np.unique(labels.subject[gallery])
    answers: dict[int, list[str]] = {}
    scorer = SubjectScorer(labels, gallery)
    for block in found:
        best = np.argsort(-scorer.best(block), axis=1, kind="stable")[:, :count]
        answers.update(
            (int(row), [str(name) for name in names[order]])
            for row, order in zip(block.probes, best, strict=True)
        )
    return answers


class Searcher:
    """Gathers `Searches` from the blocks of one group.

    Args:
        labels: Labels of all sequences.
        gallery: Rows of the gallery as `group_blocks` returns them.
        protocol: Its layout decides whether views are searched separately.
        convention: Decides ties.
    """

    def __init__(self, labels: Labels, gallery: Rows, protocol: Protocol, convention: Convention) -> None:
        self._gallery = gallery
        self._first_wins = convention == "opengait"
        self._parts: tuple[str, ...] = ("",)
        self._bounds = np.array([0, len(gallery)])
        if protocol.layout == "cells":
            self._parts = tuple(str(view) for view in np.unique(labels.view))
            self._bounds = np.r_[np.searchsorted(labels.view[gallery], self._parts), len(gallery)]
        self._found: list[tuple[NDArray[np.generic], ...]] = []

    def add(self, block: Block) -> None:
        """Add one block."""
        others = np.where(block.mates, np.float32(-np.inf), block.scores)
        rank = np.zeros((len(block.probes), len(self._parts)), np.int32)
        quality = np.full((2, *rank.shape), np.nan, np.float32)
        for part, bounds in enumerate(zip(self._bounds[:-1], self._bounds[1:], strict=True)):
            here = np.s_[:, slice(*bounds)]
            self._rank(block.scores[here], others[here], block.mates[here], rank[:, part], quality[..., part])
        self._found.append((block.probes, rank, *quality, *self._leaders(block, others)))

    def done(self) -> Searches:
        """Return all results."""
        probes, rank, precision, penalty, mate, other, lead = map(
            np.concatenate, zip(*self._found, strict=True)
        )
        return Searches(
            probes, self._parts, rank, precision, penalty, np.diff(self._bounds), mate, other, lead
        )

    def _rank(
        self,
        scores: Floats,
        others: Floats,
        mates: NDArray[np.bool_],
        rank: NDArray[np.int32],
        quality: Floats,
    ) -> None:
        """Fill in rank, average precision and inverse penalty for one part of a block."""
        ordered = np.sort(others, axis=1)
        size = others.shape[1]
        rows, columns = np.nonzero(mates)
        for row, start, stop in _runs(rows):
            here = columns[start:stop]
            values = scores[row, here]
            best = np.argsort(-values, kind="stable")
            values = values[best]
            beaten_by = size - np.searchsorted(ordered[row], values, side="left")
            if self._first_wins:
                above = size - np.searchsorted(ordered[row], values, side="right")
                for tied in np.flatnonzero(beaten_by > above):
                    above[tied] += int((others[row, : here[best[tied]]] == values[tied]).sum())
                beaten_by = above
            count = np.arange(1, len(values) + 1)
            places = count + beaten_by
            rank[row] = places[0]
            quality[0, row] = float(np.mean(count / places))
            quality[1, row] = len(values) / places[-1]

    def _leaders(self, block: Block, others: Floats) -> tuple[Rows, Rows, Floats]:
        mates = np.where(block.mates, block.scores, np.float32(-np.inf))
        rows = np.arange(len(others))
        found = []
        for scores in (mates, others):
            column = scores.argmax(axis=1)
            value = scores[rows, column]
            found.append((np.where(np.isfinite(value), self._gallery[column], -1), value))
        (mate, mate_score), (other, other_score) = found
        both = (mate >= 0) & (other >= 0)
        lead = np.full(len(rows), np.nan, np.float32)
        lead[both] = mate_score[both] - other_score[both]
        return mate, other, lead


def _runs(rows: Rows) -> list[tuple[int, int, int]]:
    """Return (row, start, stop) of each run of equal values in a sorted array."""
    edges = np.flatnonzero(np.diff(rows, prepend=-1, append=-1)).tolist()
    return [(int(rows[start]), start, stop) for start, stop in pairwise(edges)]


@dataclass(frozen=True, slots=True)
class Rates:
    """The figures of one group of a protocol; rates are fractions 0..1.

    Attributes:
        rank: Rate of each requested rank k.
        cmc: (K,) rate of ranks 1..K.
        map: Mean average precision; NaN where the protocol does not report it.
        minp: Mean inverse negative penalty; NaN where the protocol does not report it.
        floor: Rank-1 if every unmated probe were a miss.
        probes: Number of searches: probes, or probes times gallery views in a view matrix.
        unmated: Searches without a mate in the gallery.
        empty_cells: Cells (view pairs, or probe views) without a mated probe.
        cell_names: Names of the rows and columns of `cells`.
        cells: (probe views, gallery views) rank-1; NaN where nothing was compared; None when pooled.
    """

    rank: dict[int, float]
    cmc: Doubles
    map: float
    minp: float
    floor: float
    probes: int
    unmated: int
    empty_cells: int
    cell_names: tuple[tuple[str, ...], tuple[str, ...]]
    cells: Doubles | None


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cell of each search, (n, S) int with -1 = not measured, and the number of cells."""

    of: NDArray[np.int64]
    count: int
    rows: tuple[str, ...]
    measured: NDArray[np.bool_]


def rates(searches: Searches, labels: Labels, protocol: Protocol, convention: Convention) -> Rates:
    """Average the searches of one group according to the protocol and the convention.

    Raises:
        DatasetError: No probe has a mate; or, in ``opengait``, a gallery view is empty, on which the
            published evaluators also fail.
    """
    cells = _assign(searches, labels, protocol)
    measured = cells.of >= 0
    mated = measured & (searches.rank > 0)
    if not mated.any():
        raise DatasetError(
            f"None of {len(searches.probes)} probes has a mate in the gallery it searches",
            "subjects that are in both",
            "Check the subjects and views of the gallery and the probes",
        )
    peers = convention == "opengait"
    if peers and protocol.layout == "cells" and not searches.gallery.all():
        empty = searches.parts[int(np.argmin(searches.gallery))]
        raise DatasetError(
            f"The gallery has no sequence of view {empty}",
            "every view, as the published evaluators require",
            "Pass convention 'ours', which counts empty cells",
        )
    counted = measured if peers and not _drops_unmated(protocol) else mated
    longest = max(LONGEST_CMC, *protocol.ranks)
    by_rank = _cmc(searches, cells, counted, longest)
    by_cell = _round(by_rank, protocol) if peers else by_rank
    cmc = _mean(by_cell, cells, peers)
    matrix = None
    if protocol.layout == "cells":
        matrix = by_cell[:, 0].reshape(len(cells.rows), len(searches.parts))
    precision = [
        _precision(values, cells, mated, protocol, peers)
        for values in (searches.precision, searches.inverse_penalty)
    ]
    return Rates(
        rank={k: float(cmc[k - 1]) for k in protocol.ranks},
        cmc=cmc[: min(longest, max(1, int(searches.gallery.sum())))],
        map=precision[0],
        minp=precision[1],
        floor=float(_mean(_cmc(searches, cells, measured, 1), cells, peers=False)[0]),
        probes=int(measured.sum()),
        unmated=int((measured & ~mated).sum()),
        empty_cells=int((np.bincount(cells.of[mated], minlength=cells.count) == 0)[cells.measured].sum()),
        cell_names=(cells.rows, searches.parts),
        cells=matrix,
    )


def hits(searches: Searches, labels: Labels, protocol: Protocol) -> dict[str, Doubles]:
    """Rank-1 rate and average precision (n,) of each probe over its mated searches; NaN without one."""
    mated = (_assign(searches, labels, protocol).of >= 0) & (searches.rank > 0)
    searched = mated.sum(axis=1)
    with np.errstate(invalid="ignore"):
        first = ((searches.rank == 1) & mated).sum(axis=1) / searched
        precision = np.where(mated, searches.precision, 0).sum(axis=1) / searched
    return {"rank-1": first, "average precision": precision}


def interval(
    searches: Searches,
    labels: Labels,
    protocol: Protocol,
    *,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % bootstrap interval of rank-1 over the probes' subjects, averaged as in the protocol.

    It covers mated searches only, under both conventions.
    """
    cells = _assign(searches, labels, protocol)
    mated = (cells.of >= 0) & (searches.rank > 0)
    names, codes = np.unique(labels.subject[searches.probes], return_inverse=True)
    slots = codes[:, None] * cells.count + cells.of
    shape = (len(names), cells.count)
    found = np.bincount(slots[mated & (searches.rank == 1)], minlength=shape[0] * shape[1]).reshape(shape)
    asked = np.bincount(slots[mated], minlength=shape[0] * shape[1]).reshape(shape)
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), _REPEATS)
    with np.errstate(invalid="ignore"):
        shares = (drawn @ found.astype(np.float64)) / (drawn @ asked.astype(np.float64))
    shares = shares[:, ~np.isnan(shares).all(axis=0)]
    low, high = np.nanquantile(np.nanmean(shares, axis=1), _ENDS)
    return float(low), float(high)


def _assign(searches: Searches, labels: Labels, protocol: Protocol) -> _Cells:
    shape = searches.rank.shape
    if protocol.average == "probes":
        return _Cells(np.zeros(shape, np.int64), 1, ("",), np.ones(1, bool))
    views = labels.view[searches.probes]
    names = tuple(str(view) for view in np.unique(labels.view))
    row = np.searchsorted(names, views)
    if protocol.average == "views":
        return _Cells(
            np.broadcast_to(row[:, None], shape).copy(), len(names), names, np.ones(len(names), bool)
        )
    cell = row[:, None] * len(names) + np.arange(len(searches.parts))
    measured = np.ones((len(names), len(names)), bool)
    if protocol.exclude == "view":
        cell[np.arange(len(row)), row] = -1
        np.fill_diagonal(measured, False)
    return _Cells(cell, len(names) ** 2, names, measured.ravel())


def _cmc(searches: Searches, cells: _Cells, counted: NDArray[np.bool_], longest: int) -> Doubles:
    """Share (cells, longest) of the counted searches with rank <= k; NaN in an empty cell."""
    place = np.where((searches.rank == 0) | (searches.rank > longest), longest + 1, searches.rank)
    slots = cells.of[counted] * (longest + 1) + place[counted] - 1
    table = np.bincount(slots, minlength=cells.count * (longest + 1)).reshape(cells.count, longest + 1)
    with np.errstate(invalid="ignore"):
        shares: Doubles = np.cumsum(table, axis=1)[:, :-1] / table.sum(axis=1, keepdims=True)
    return shares


def _mean(by_cell: Doubles, cells: _Cells, peers: bool) -> Doubles:
    chosen = by_cell[cells.measured]
    if not peers:
        chosen = chosen[~np.isnan(chosen[:, 0])]
    mean: Doubles = chosen.mean(axis=0)
    return mean


def _drops_unmated(protocol: Protocol) -> bool:
    """Whether the published evaluator of the protocol is the ReID-style ranker (Gait3D, CCPG ReID)."""
    return protocol.average == "probes" and protocol.precision


def _round(by_cell: Doubles, protocol: Protocol) -> Doubles:
    if _drops_unmated(protocol):
        return by_cell
    rounded: Doubles = np.round(by_cell * 100, 2) / 100
    return rounded


def _precision(
    values: Floats, cells: _Cells, mated: NDArray[np.bool_], protocol: Protocol, peers: bool
) -> float:
    if not protocol.precision:
        return float("nan")
    with np.errstate(invalid="ignore"):
        by_cell = np.bincount(cells.of[mated], values[mated].astype(np.float64), cells.count) / np.bincount(
            cells.of[mated], minlength=cells.count
        )
    by_cell = by_cell[:, None]
    return float(_mean(_round(by_cell, protocol) if peers else by_cell, cells, peers)[0])
