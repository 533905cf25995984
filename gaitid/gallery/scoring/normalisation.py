"""Adaptive symmetric score normalisation: a score is judged beside those of strangers.

Some walks are like everybody's, and some templates; a score of theirs means less. With a cohort of
strangers, mean and deviation of the K scores of the cohort that a probe is most like (m_p, d_p), and of
those that a row is most like (m_r, d_r), AS-norm replaces the score s by
``((s - m_p) / d_p + (s - m_r) / d_r) / 2``.

What differs from the source: the result is brought back to the size of cosines by the cohort's own usual
mean and deviation (m, d), so a normalised score is ``m + d / 2 ((s - m_p) / d_p + (s - m_r) / d_r)``;
deviations are at least d / 2; a member of the cohort that is the very walk (cosine above 0.9999) does not
count; and what goes beyond 0.9 is bent so that it stays below 1, in the same order.

For one probe this is, but for constants, the inner product of ``(v d / d_r, v, -m_r d / d_r)`` with
``(p, p d / d_p, 1)``: an index of such rows finds the best of all by normalised score, as surely as it
finds the nearest, and takes twice the memory and time. The last number is spread over several, so that
it does not stand out where an index keeps 8 bits of each.

Source: Swart and Brummer 2017, arXiv 1709.09868, who found that a cohort from elsewhere hurts: hence
`gain`, which says what a cohort does to a gallery's own subjects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import NotCalibrated
from gaitid.gallery.scoring.calibration import grouped, subject_scores
from gaitid.gallery.scoring.fusion import rows_of
from gaitid.records import Fusion

Vectors = NDArray[np.float32]
Doubles = NDArray[np.float64]

FEWEST = 100
"""Walks that a cohort needs."""
MOST = 5_000
"""Walks of a cohort at most: more cost time and say little more."""
FEWEST_FALSE = 2
"""Held-out templates that must be allowed to be falsely found, for the check to say something."""

_TOP = 100
"""Nearest of the cohort that count; half of a smaller cohort. With the first weights, 2,000 synthetic
people of the validation split and a cohort of 1,000, DIR at FPIR 1 % was 1.2, 1.9, 2.3, 2.2, 1.7 and 1.3 %
for 20, 50, 100, 200, 400 and 1,000 of them, and 1.7 % without."""
_ITSELF = 0.9999
_STRAIGHT = 0.9
"""Normalised scores are not bent up to here."""
_SPREAD = 32
"""Numbers over which a row's constant is spread."""
_BLOCK = 512
_MOST_PROBES = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Normaliser:
    """What a cohort makes of scores.

    Attributes:
        cohort: (C, D) float32 unit vectors.
        mean: m, of the cohort's own members.
        deviation: d, likewise.
    """

    SCALE: ClassVar[float] = 4.0
    """Products are so much smaller than scores: kept below 1, as an index expects."""

    cohort: Vectors
    mean: float
    deviation: float

    @classmethod
    def of(cls, cohort: Vectors) -> Normaliser:
        """The normaliser of a cohort (C, D) float32, C >= `FEWEST`."""
        means, squares, *_ = _statistics(cohort, cohort)
        deviation = float(_deviation(means, squares).mean())
        return cls(cohort, float(means.mean()), max(deviation, 1e-3))

    @staticmethod
    def row_length(dimension: int) -> int:
        """Numbers of a row for templates of D numbers."""
        return 2 * dimension + _SPREAD

    def rows(self, vectors: Vectors) -> Vectors:
        """Rows (N, `row_length`) float32 of templates, or of their means, (N, D) float32."""
        means, gains = self.judged(vectors)
        return _packed(vectors * gains[:, None], vectors, -means * gains)

    def probes(self, vectors: Vectors) -> tuple[Vectors, Doubles]:
        """Probes (N, `row_length`) float32 of vectors (N, D), and what is added to each one's scores (N,)."""
        means, gains = self.judged(vectors)
        packed = _packed(vectors, vectors * gains[:, None], np.ones(len(vectors)))
        return packed, self.mean - means * gains / 2

    def against(self, vectors: Vectors) -> Against:
        """What gives the scores of many probes with templates, or their means, (N, D) float32."""
        means, squares, lowest, following = _statistics(vectors, self.cohort)
        return Against(self, vectors, means, squares, lowest, following)

    def scores(self, products: NDArray[np.floating], offset: Doubles | float) -> Doubles:
        """The scores of products of rows with a probe, -1..1."""
        return _bent(self.SCALE * products.astype(np.float64) + offset)

    def judged(self, vectors: Vectors) -> tuple[Doubles, Doubles]:
        """Mean (N,) of the nearest of the cohort, and d over their deviation (N,), 2 at most."""
        means, squares, *_ = _statistics(vectors, self.cohort)
        return means, self.deviation / np.maximum(_deviation(means, squares), self.deviation / 2)


@dataclass(frozen=True, slots=True, eq=False)
class Against:
    """Scores of probes with templates, as strangers to the cohort would have them.

    A probe that is itself in the cohort does not count among the nearest of a template: it would hold
    down its own highest scores, and a law that was learnt from the cohort would let too many pass
    (measured at FPIR 1 %: 1.7, 2.8 and 4.2 % of strangers in galleries of 100, 1,000 and 10,000).

    Attributes:
        normaliser: Whose scores they are.
        vectors: (N, D) float32 templates.
        means: Of the nearest of the cohort (N,).
        squares: Mean of their squares (N,).
        lowest: The lowest of them (N,).
        following: The one after that (N,), which counts when one of them does not.
    """

    normaliser: Normaliser
    vectors: Vectors
    means: Doubles
    squares: Doubles
    lowest: Doubles
    following: Doubles

    def __call__(self, probes: Vectors) -> Vectors:
        """Scores (P, N) float32 of probes (P, D)."""
        by, top = self.normaliser, _top(self.normaliser.cohort)
        means, gains = by.judged(probes)
        is_member = (probes @ by.cohort.T).max(axis=1) > _ITSELF
        cosines = (probes @ self.vectors.T).astype(np.float64)
        counts = is_member[:, None] & (cosines >= self.lowest) & (cosines <= _ITSELF)
        change = np.where(counts, self.following - cosines, 0.0) / top
        mean = self.means + change
        spread = _deviation(mean, self.squares + change * (self.following + cosines))
        scores = (cosines - mean) * by.deviation / np.maximum(spread, by.deviation / 2)
        scores += (cosines - means[:, None]) * gains[:, None]
        return np.asarray(_bent(by.mean + scores / 2), np.float32)


def gain(
    vectors: Vectors, subjects: Sequence[str], fusion: Fusion, normaliser: Normaliser, fpir: float
) -> tuple[float, float, int]:
    """Detection and identification rate of held-out templates at a target FPIR.

    Every template of a subject that has others is searched for without itself: with its subject it is a
    genuine probe, without its subject a stranger.

    Args:
        vectors: (M, D) float32 templates, unit norm, of people who are not in the cohort.
        subjects: Whose they are, M names.
        fusion: How templates of a subject make a score.
        normaliser: What is to be judged.
        fpir: Share of the strangers who may be found.

    Returns:
        The rate as it is, the rate with normalised scores, and the number of probes.

    Raises:
        NotCalibrated: There are too few templates for that FPIR.
    """
    rows, starts, owners = grouped(vectors, subjects, fusion)
    held = np.flatnonzero(np.bincount(owners)[owners] > 1) if len(owners) else owners
    wanted = int(np.ceil(FEWEST_FALSE / fpir))
    if len(held) < wanted:
        raise NotCalibrated(
            f"{len(held)} templates of subjects that have others",
            f"at least {wanted} for a check at FPIR {fpir:g}",
            "enrol more walks, or check at a higher FPIR",
        )
    most = max(wanted, _MOST_PROBES)
    held = held[np.linspace(0, len(held) - 1, min(len(held), most)).astype(np.intp)]
    groups = np.split(np.argsort(owners, kind="stable"), np.cumsum(np.bincount(owners))[:-1])
    less = [groups[owners[at]][groups[owners[at]] != at] for at in held.tolist()]
    own = [rows_of(vectors[members], fusion) for members in less]
    case = _Case(vectors[held], owners[held], own, rows, starts)
    return case.found(None, fpir), case.found(normaliser, fpir), len(held)


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """Held-out probes (P, D), their subjects (P,), rows of those without the probe, rows of all subjects."""

    probes: Vectors
    owners: NDArray[np.intp]
    own: list[Vectors]
    rows: Vectors
    starts: NDArray[np.intp]

    def found(self, by: Normaliser | None, fpir: float) -> float:
        """Detection and identification rate."""
        probes, rows, own = self.probes, self.rows, self.own
        offsets = np.zeros(len(probes))
        if by is not None:
            probes, offsets = by.probes(probes)
            rows, own = by.rows(rows), [by.rows(one) for one in own]
        products = subject_scores(probes, self.starts, lambda some: some @ rows.T)
        products[np.arange(len(probes)), self.owners] = -np.inf
        scale = 1.0 if by is None else by.SCALE
        others = scale * products.max(axis=1) + offsets
        best = np.array([(one @ probe).max() for one, probe in zip(own, probes, strict=True)])
        genuine = scale * best + offsets
        threshold = np.quantile(others, 1 - fpir, method="higher")
        return float(((genuine > threshold) & (genuine > others)).mean())


def _statistics(vectors: Vectors, cohort: Vectors) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Of the scores of the nearest of the cohort: mean, mean square, lowest, and the one after it (N,)."""
    top, found = _top(cohort), np.empty((4, len(vectors)))
    for at in range(0, len(vectors), _BLOCK):
        scores = vectors[at : at + _BLOCK] @ cohort.T
        scores[scores > _ITSELF] = -1.0
        near = np.sort(np.partition(scores, -top - 1, axis=1)[:, -top - 1 :], axis=1).astype(np.float64)
        kept = near[:, 1:]
        found[:, at : at + _BLOCK] = (kept.mean(axis=1), np.square(kept).mean(axis=1), kept[:, 0], near[:, 0])
    means, squares, lowest, following = found
    return means, squares, lowest, following


def _deviation(means: Doubles, squares: Doubles) -> Doubles:
    deviation: Doubles = np.sqrt(np.maximum(squares - np.square(means), 0.0))
    return deviation


def _top(cohort: Vectors) -> int:
    return min(_TOP, len(cohort) // 2)


def _bent(raw: Doubles) -> Doubles:
    beyond = np.maximum(np.abs(raw) - _STRAIGHT, 0) / (1 - _STRAIGHT)
    bent: Doubles = np.sign(raw) * (_STRAIGHT + (1 - _STRAIGHT) * np.tanh(beyond))
    return np.where(beyond > 0, bent, raw)


def _packed(left: NDArray[np.floating], right: NDArray[np.floating], last: Doubles) -> Vectors:
    constant = np.repeat(last[:, None] / np.sqrt(_SPREAD), _SPREAD, axis=1)
    parts = np.concatenate([left, right, constant], axis=1)
    return np.asarray(parts / np.sqrt(2 * Normaliser.SCALE), np.float32)
