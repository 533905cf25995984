"""Open-set identification (1:N): FNIR at a target FPIR, over splits and over gallery sizes.

A gallery holds some subjects; probes are *mated* (their subject is enrolled) or *non-mated*. With
candidates at or above a threshold T and among the first R (ISO/IEC 19795-1:2021, sec. 3.4)::

    FPIR(N, T)    = share of non-mated probes with any candidate at or above T
    FNIR(N, R, T) = share of mated probes whose subject is not among the first R, or is below T

A subject's score is that of its best sequence. Subjects, never sequences, are split several times into
enrolled and not enrolled; intervals come from resampling the probes' subjects within each split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.datasets.protocol import Labels
from gaitid.errors import InputError
from gaitid.evaluation.scores import Block, Floats, Rows

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SubjectScores:
    """Best score of each probe with each gallery subject.

    Attributes:
        scores: (n, S) float32; -inf where nothing was compared.
        own: (n,) column of the probe's subject, -1 when the gallery does not have it.
        probes: (n,) rows of the probes among all sequences.
        subject: (n,) integer code of the probe's subject.
    """

    scores: Floats
    own: Rows
    probes: Rows
    subject: NDArray[np.int32]


class SubjectScorer:
    """Gathers `SubjectScores` from blocks; memory is 4 bytes times probes times gallery subjects.

    Args:
        labels: Labels of all sequences.
        gallery: Rows of the gallery, in the order of the blocks' columns.
    """

    def __init__(self, labels: Labels, gallery: Rows) -> None:
        self._subjects, codes = np.unique(labels.subject, return_inverse=True)
        self._codes = codes.astype(np.int32)
        gallery_codes = codes[gallery]
        self._order = np.argsort(gallery_codes, kind="stable")
        self._enrolled, self._starts = np.unique(gallery_codes[self._order], return_index=True)
        self._kept: list[tuple[Floats, Rows]] = []

    def best(self, block: Block) -> Floats:
        """Best score (B, S) of each probe with each gallery subject, subjects by name."""
        scores: Floats = np.maximum.reduceat(block.scores[:, self._order], self._starts, axis=1)
        return scores

    def add(self, block: Block) -> None:
        """Add one block."""
        self._kept.append((self.best(block), block.probes))

    def done(self) -> SubjectScores:
        """Return all scores kept."""
        scores, probes = (np.concatenate(column) for column in zip(*self._kept, strict=True))
        codes = self._codes[probes]
        column = np.searchsorted(self._enrolled, codes)
        column = np.minimum(column, len(self._enrolled) - 1)
        own = np.where(self._enrolled[column] == codes, column, -1)
        return SubjectScores(scores, own, probes, codes)


@dataclass(frozen=True, slots=True)
class Trial:
    """Results of all probes in one gallery.

    Attributes:
        mate: (m,) score of each mated probe with its own subject.
        rank: (m,) rank of its own subject.
        mated_subject: (m,) integer code of its subject.
        other: (k,) best score of each non-mated probe.
        other_subject: (k,) integer code of its subject.
        probe: (m,) index of each mated probe in `SubjectScores`.
        enrolled: Number of subjects in the gallery.
    """

    mate: Floats
    rank: NDArray[np.intp]
    mated_subject: NDArray[np.int32]
    other: Floats
    other_subject: NDArray[np.int32]
    probe: Rows
    enrolled: int


def trial(scores: SubjectScores, enrolled: NDArray[np.bool_], outside: NDArray[np.bool_]) -> Trial:
    """Search a gallery of the enrolled subjects.

    Args:
        scores: Scores of all probes with all subjects.
        enrolled: (S,) bool, subjects in the gallery.
        outside: (n,) bool, the non-mated probes; none may be of an enrolled subject.
    """
    mated = np.flatnonzero((scores.own >= 0) & enrolled[scores.own])
    mate = scores.scores[mated, scores.own[mated]]
    mated, mate = mated[mate > -np.inf], mate[mate > -np.inf]
    others = scores.scores[np.ix_(mated, enrolled)]
    # The probe's own subject ties with itself once, hence rank >= 1; other ties count against the probe.
    rank = (others >= mate[:, None]).sum(axis=1)
    non_mated = np.flatnonzero(outside)
    best = scores.scores[np.ix_(non_mated, enrolled)].max(axis=1)
    return Trial(
        mate,
        rank,
        scores.subject[mated],
        best,
        scores.subject[non_mated],
        mated,
        int(enrolled.sum()),
    )


def fnir_at_fpir(
    found: Trial, fpir: float, rank: int, weights: tuple[Doubles, Doubles] | None = None
) -> tuple[float, float, float]:
    """Find (FNIR, threshold, actual FPIR) at the lowest threshold whose FPIR is at most the target.

    Args:
        found: A searched gallery.
        fpir: Target FPIR, 0..1.
        rank: R, or 0 for any rank.
        weights: Multiplicities of the mated and of the non-mated probes.
    """
    mated, other = weights or (np.ones(len(found.mate)), np.ones(len(found.other)))
    order = np.argsort(-found.other, kind="stable")
    values, first = np.unique(-found.other[order], return_index=True)
    above = np.r_[0.0, np.cumsum(other[order])][np.r_[first[1:], len(order)]] / other.sum()
    allowed = int(np.searchsorted(above, fpir, side="right"))
    if allowed == len(values):
        threshold, kept = -np.inf, 1.0
    else:
        # One float above the highest score that must be rejected.
        threshold = float(np.nextafter(np.float32(-values[allowed]), np.float32(np.inf)))
        kept = float(above[allowed - 1]) if allowed else 0.0
    missed = found.mate < threshold
    if rank:
        missed |= found.rank > rank
    return float(mated[missed].sum() / mated.sum()), threshold, kept


@dataclass(frozen=True, slots=True)
class OpenSet:
    """FNIR at one FPIR over splits.

    Attributes:
        fpir: Target FPIR.
        rank: R; 0 = any rank.
        fnir: Mean over splits.
        low: Lower end of the interval over splits and subjects.
        high: Upper end of that interval.
        threshold: Mean over splits.
        resolved: Whether a split has enough non-mated probes to show such an FPIR (at least 1 / fpir).
    """

    fpir: float
    rank: int
    fnir: float
    low: float
    high: float
    threshold: float
    resolved: bool


@dataclass(frozen=True, slots=True)
class Split:
    """How to split subjects: share enrolled, splits, resamples per split, interval coverage, and seed."""

    enrolled: float = 0.5
    repeats: int = 20
    resamples: int = 10
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.enrolled < 1 or self.repeats < 1 or self.resamples < 0 or not 0 < self.level < 1:
            raise InputError(
                f"The split is {self}",
                "enrolled and level between 0 and 1, repeats of 1 or more, resamples of 0 or more",
                "Pass Split() for the default",
            )


def trials(scores: SubjectScores, split: Split) -> list[Trial]:
    """Search once per random split of the subjects into enrolled and not enrolled.

    Raises:
        InputError: Fewer than two subjects have both a gallery sequence and a probe.
    """
    random = np.random.default_rng(split.seed)
    both = np.unique(scores.own[scores.own >= 0])
    if len(both) < 2:
        raise InputError(
            f"There are {len(both)} subjects in both the gallery and the probes",
            "two or more",
            "Pass a group with more subjects: some are enrolled, the others not",
        )
    count = min(len(both) - 1, max(1, round(split.enrolled * len(both))))
    found = []
    for _ in range(split.repeats):
        enrolled = _only(random.permutation(both)[:count], scores)
        outside = (scores.own < 0) | ~enrolled[scores.own]
        found.append(trial(scores, enrolled, outside))
    return found


def open_set(found: Sequence[Trial], fpir: float, rank: int, split: Split) -> OpenSet:
    """FNIR at a target FPIR, averaged over trials, with an interval over splits and subjects."""
    random = np.random.default_rng(split.seed + 1)
    values, thresholds, resampled = [], [], []
    for one in found:
        fnir, threshold, _ = fnir_at_fpir(one, fpir, rank)
        values.append(fnir)
        thresholds.append(threshold)
        for _ in range(split.resamples):
            weights = (_redraw(one.mated_subject, random), _redraw(one.other_subject, random))
            resampled.append(fnir_at_fpir(one, fpir, rank, weights)[0])
    spread = resampled or values
    low, high = np.quantile(spread, [(1 - split.level) / 2, (1 + split.level) / 2])
    resolved = min(len(one.other) for one in found) * fpir >= 1.0
    return OpenSet(
        fpir, rank, float(np.mean(values)), float(low), float(high), float(np.mean(thresholds)), resolved
    )


@dataclass(frozen=True, slots=True)
class GallerySize:
    """Error rates with one gallery size; every rate is a mean over splits.

    Attributes:
        subjects: N.
        fnir: FNIR at the target FPIR, with the threshold set for this N.
        fpir: FPIR at the threshold of the largest gallery.
        fpir_if_independent: ``1 - (1 - FMR)^N`` with the FMR of one subject at that threshold: the FPIR of
            N independent comparisons.
        fnir_fixed: FNIR at the threshold of the largest gallery.
    """

    subjects: int
    fnir: float
    fpir: float
    fpir_if_independent: float
    fnir_fixed: float


def gallery_growth(
    scores: SubjectScores, *, fpir: float = 0.01, rank: int = 1, split: Split | None = None
) -> list[GallerySize]:
    """Measure how errors grow with the gallery, at sizes that double up to the split's enrolled share.

    The non-mated probes stay the same within a split, so only the gallery changes.
    """
    split = split or Split()
    random = np.random.default_rng(split.seed)
    both = np.unique(scores.own[scores.own >= 0])
    most = min(len(both) - 1, max(1, round(split.enrolled * len(both))))
    sizes = np.array(sorted({max(1, most >> step) for step in range(6)}))
    table = np.zeros((len(sizes), 4))
    for _ in range(split.repeats):
        order = random.permutation(both)[:most]
        outside = ~np.isin(scores.own, order)
        fixed = fnir_at_fpir(trial(scores, _only(order, scores), outside), fpir, rank)[1]
        false_match = float((scores.scores[np.ix_(outside, order)] >= fixed).mean())
        for row, size in enumerate(sizes):
            found = trial(scores, _only(order[:size], scores), outside)
            missed = (found.mate < fixed) | (found.rank > (rank or found.enrolled))
            table[row] += (
                fnir_at_fpir(found, fpir, rank)[0],
                float((found.other >= fixed).mean()),
                1 - (1 - false_match) ** size,
                float(missed.mean()),
            )
    return [
        GallerySize(int(size), *(float(rate) for rate in rates))
        for size, rates in zip(sizes, table / split.repeats, strict=True)
    ]


def _only(columns: Rows, scores: SubjectScores) -> NDArray[np.bool_]:
    enrolled = np.zeros(scores.scores.shape[1], bool)
    enrolled[columns] = True
    return enrolled


def _redraw(subjects: NDArray[np.int32], random: np.random.Generator) -> Doubles:
    names, codes = np.unique(subjects, return_inverse=True)
    drawn = np.bincount(random.integers(len(names), size=len(names)), minlength=len(names))
    weight: Doubles = drawn[codes].astype(np.float64)
    return weight
