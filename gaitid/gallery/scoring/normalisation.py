"""Adaptive symmetric score normalisation (AS-norm): a score relative to those of a cohort.

Some walks and some templates resemble everybody's, and their scores mean less. Let (m_p, d_p) be mean and
deviation of the probe's K highest scores with a cohort of people who are not enrolled, and (m_r, d_r) those
of a row. AS-norm replaces the score s by ``((s - m_p) / d_p + (s - m_r) / d_r) / 2``.

Deviations from the source:

- The result is rescaled to cosines by the cohort's own usual mean and deviation (m, d): a normalised score
  is ``m + d / 2 ((s - m_p) / d_p + (s - m_r) / d_r)``.
- Deviations are at least d / 2.
- A member of the cohort that is the same walk (cosine above 0.9999) does not count.
- Scores beyond 0.9 are compressed so that they stay below 1, in the same order.

For one probe this is, up to constants, the inner product of ``(v d / d_r, v, -m_r d / d_r)`` with
``(p, p d / d_p, 1)``. An index of such rows therefore finds the best normalised scores as exactly as it finds
the nearest rows, with twice the memory and time. The last value is spread over several dimensions, so it
does not dominate where an index keeps 8 bits per dimension.

Source: Swart and Brummer 2017, arXiv 1709.09868. They found that a cohort from elsewhere hurts; `gain`
measures what a cohort does to a gallery's own subjects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import NotCalibrated
from gaitid.gallery.scoring.comparisons import grouped, subject_scores
from gaitid.gallery.scoring.fusion import rows_of
from gaitid.records import Fusion

Vectors = NDArray[np.float32]
Doubles = NDArray[np.float64]

FEWEST = 100
"""Fewest walks in a cohort."""
MOST = 5_000
"""Most walks in a cohort: more cost time and add little."""
FEWEST_FALSE = 2
"""False positives among left-out templates that the checked FPIR must allow, to be measurable."""

_TOP = 100
"""Nearest members of the cohort that count; half of a smaller cohort. With the first weights, 2,000 synthetic
subjects of the validation split and a cohort of 1,000, DIR at FPIR 1 % was 1.2, 1.9, 2.3, 2.2, 1.7 and 1.3 %
for 20, 50, 100, 200, 400 and 1,000 members, and 1.7 % without normalisation."""
_ITSELF = 0.9999
"""Cosine from which two vectors count as the same walk."""
_STRAIGHT = 0.9
"""Normalised scores up to here are not compressed."""
_SPREAD = 32
"""Dimensions over which a row's constant is spread."""
_BLOCK = 512
_MOST_PROBES = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Normaliser:
    """Normalisation by one cohort.

    Attributes:
        cohort: (C, D) float32 unit vectors.
        mean: Usual mean m of the members themselves.
        deviation: Usual deviation d of the members themselves.
    """

    SCALE: ClassVar[float] = 4.0
    """Ratio of scores to inner products, which keeps products below 1 as an index expects."""

    cohort: Vectors
    mean: float
    deviation: float

    @classmethod
    def of(cls, cohort: Vectors) -> Normaliser:
        """Build the normaliser of a cohort (C, D) float32, C >= `FEWEST`."""
        means, squares, *_ = _statistics(cohort, cohort)
        deviation = float(_deviation(means, squares).mean())
        return cls(cohort, float(means.mean()), max(deviation, 1e-3))

    @staticmethod
    def row_length(dimension: int) -> int:
        """Length of a row for templates of D dimensions."""
        return 2 * dimension + _SPREAD

    def rows(self, vectors: Vectors) -> Vectors:
        """Rows (N, `row_length`) float32 of templates, or of their means, (N, D) float32."""
        means, gains = self.relative(vectors)
        return _packed(vectors * gains[:, None], vectors, -means * gains)

    def probes(self, vectors: Vectors) -> tuple[Vectors, Doubles]:
        """Probes (N, `row_length`) float32 of vectors (N, D), and the offset of each one's scores (N,)."""
        means, gains = self.relative(vectors)
        packed = _packed(vectors, vectors * gains[:, None], np.ones(len(vectors)))
        return packed, self.mean - means * gains / 2

    def against(self, vectors: Vectors) -> Against:
        """Scorer of many probes against templates, or their means, (N, D) float32."""
        means, squares, lowest, following = _statistics(vectors, self.cohort)
        return Against(self, vectors, means, squares, lowest, following)

    def scores(self, products: NDArray[np.floating], offset: Doubles | float) -> Doubles:
        """Scores, -1..1, of inner products of rows with a probe."""
        return _bent(self.SCALE * products.astype(np.float64) + offset)

    def relative(self, vectors: Vectors) -> tuple[Doubles, Doubles]:
        """Mean (N,) of the scores with the nearest members, and d over their deviation (N,), at most 2."""
        means, squares, *_ = _statistics(vectors, self.cohort)
        return means, self.deviation / np.maximum(_deviation(means, squares), self.deviation / 2)


@dataclass(frozen=True, slots=True, eq=False)
class Against:
    """Scores of probes with templates, as for people outside the cohort.

    A probe that is in the cohort does not count among a template's nearest members. Otherwise it would lower
    its own highest scores, and a calibration on the cohort would be too lax (measured at FPIR 1 %: 1.7, 2.8
    and 4.2 % of impostors passed in galleries of 100, 1,000 and 10,000).

    Attributes:
        normaliser: The normaliser.
        vectors: (N, D) float32 templates.
        means: (N,) mean score of the nearest members of the cohort.
        squares: (N,) mean of the squares of those scores.
        lowest: (N,) lowest of those scores.
        following: (N,) next lower score, which counts when one of them does not.
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
        means, gains = by.relative(probes)
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
    """Measure the detection and identification rate of left-out templates at a target FPIR.

    Each template of a subject with several is left out and searched for: with its subject in the gallery it
    is a mated probe, without its subject a non-mated one.

    Args:
        vectors: (M, D) float32 templates, unit norm, of people who are not in the cohort.
        subjects: Their M subject names.
        fusion: How the templates of a subject make a score.
        normaliser: The normaliser to check.
        fpir: Share of non-mated probes that may be identified.

    Returns:
        The rate with plain scores, the rate with normalised scores, and the number of probes.

    Raises:
        NotCalibrated: There are too few templates for that FPIR.
    """
    rows, starts, owners = grouped(vectors, subjects, fusion)
    held = np.flatnonzero(np.bincount(owners)[owners] > 1) if len(owners) else owners
    wanted = int(np.ceil(FEWEST_FALSE / fpir))
    if len(held) < wanted:
        raise NotCalibrated(
            f"There are {len(held)} templates of subjects with several",
            f"at least {wanted} for a check at FPIR {fpir:g}",
            "Enrol more walks, or check at a higher FPIR",
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
    """Left-out probes (P, D), their subjects (P,), those subjects' other rows, and all rows by subject."""

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
    """Mean, mean square, lowest, and next lower score (N,) of the nearest members of the cohort."""
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
