"""Verification (1:1): FMR and FNMR, DET, EER, TAR at an FMR, d', minDCF, with intervals over subjects.

A pair is declared a match when its score is at or above the threshold, so over thresholds t
``FMR(t) = share of impostor scores >= t`` and ``FNMR(t) = share of genuine scores < t``
(ISO/IEC 19795-1:2021, sec. 3.3). Empirical rates are steps: nothing is smoothed or binned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gaitid.datasets.protocol import Labels
from gaitid.errors import InputError
from gaitid.evaluation.pairs import Pairs, subject_codes

Doubles = NDArray[np.float64]

_REPEATS = 200
"""Resamples of an interval."""
_LOW, _HIGH = 0.025, 0.975
"""Quantiles of a 95 % interval."""
_MOST = 150_000
"""Impostor pairs used for an interval; above, they are sampled at random."""


@dataclass(frozen=True, slots=True)
class Errors:
    """Both error rates at every threshold where one of them changes, thresholds ascending.

    Attributes:
        threshold: (K,) scores, the last infinite.
        fmr: (K,) false match rate, from 1 down to 0.
        fnmr: (K,) false non-match rate, from 0 up to 1.
        genuine: Number of genuine scores (or their total weight).
        impostor: Number of impostor scores (or their total weight).
    """

    threshold: Doubles
    fmr: Doubles
    fnmr: Doubles
    genuine: float
    impostor: float


def errors(
    scores: NDArray[np.floating],
    genuine: NDArray[np.bool_],
    weights: Doubles | None = None,
) -> Errors:
    """Error rates of scored pairs.

    Args:
        scores: (M,) finite, higher = more alike.
        genuine: (M,) bool.
        weights: (M,) non-negative multiplicities; None = 1 each.

    Raises:
        InputError: No genuine or no impostor pair, or a score that is not finite.
    """
    _check(scores, genuine)
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    weight = np.ones(len(order)) if weights is None else weights[order]
    return _steps(ordered, genuine[order], weight)


def _steps(ordered: NDArray[np.floating], genuine: NDArray[np.bool_], weight: Doubles) -> Errors:
    last = np.flatnonzero(np.r_[np.diff(ordered) > 0, True])
    below = np.cumsum(np.where(genuine, weight, 0.0))[last]
    passed = np.cumsum(np.where(genuine, 0.0, weight))[last]
    return Errors(
        np.r_[ordered[last], np.inf].astype(np.float64),
        (passed[-1] - np.r_[0.0, passed]) / passed[-1],
        np.r_[0.0, below] / below[-1],
        float(below[-1]),
        float(passed[-1]),
    )


def eer(curve: Errors) -> tuple[float, float]:
    """Return (equal error rate, its threshold), interpolated where FMR - FNMR changes sign."""
    gap = curve.fmr - curve.fnmr
    after = int(np.argmax(gap <= 0))
    before = after - 1  # gap starts at 1, so there is one
    share = gap[before] / (gap[before] - gap[after])
    rate = curve.fnmr[before] + share * (curve.fnmr[after] - curve.fnmr[before])
    return float(rate), float(curve.threshold[before])


def eer_of_hull(curve: Errors) -> float:
    """EER of the convex hull of the ROC: the best over mixtures of thresholds (Bruemmer 2010, sec. 7).

    It exceeds the interpolated EER by at most one step of the curve, and varies less with single scores.
    """
    hull = _hull(curve.fmr[::-1], curve.fnmr[::-1])
    for (x0, y0), (x1, y1) in pairwise(hull):
        if (x0 - y0) * (x1 - y1) <= 0 and (x1 - x0) - (y1 - y0) > 0:
            share = (y0 - x0) / ((x1 - x0) - (y1 - y0))
            return float(x0 + share * (x1 - x0))
    return 0.0


def _hull(x: Doubles, y: Doubles) -> list[tuple[float, float]]:
    """Lower convex hull of points with ascending x (Andrew's monotone chain)."""
    # Only a point entered by a fall and left to the right can be a corner of the hull.
    corner = np.r_[True, np.diff(y) != 0] & np.r_[np.diff(x) != 0, True]
    corner[0] = True
    hull: list[tuple[float, float]] = []
    for point in zip(x[corner].tolist(), y[corner].tolist(), strict=True):
        while len(hull) > 1 and _turns_right(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _turns_right(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= 0


@dataclass(frozen=True, slots=True)
class RatesAtFmr:
    """Verification rates at a target FMR.

    Attributes:
        wanted: Target FMR.
        threshold: Lowest score whose FMR is at most the target.
        fmr: FMR at that threshold.
        tar: True acceptance rate at that threshold, 1 - FNMR.
        resolved: Whether the sample is large enough for such an FMR: at least 1 / wanted impostor pairs.
    """

    wanted: float
    threshold: float
    fmr: float
    tar: float
    resolved: bool


def at_fmr(curve: Errors, wanted: float) -> RatesAtFmr:
    """Find the rates at a target FMR, without interpolation, so that the FMR never exceeds it."""
    if not 0.0 < wanted < 1.0:
        raise InputError(f"FMR is {wanted}", "a rate above 0 and below 1", "Pass 0.001 for 0.1 %")
    at = int(np.argmax(curve.fmr <= wanted))
    return RatesAtFmr(
        wanted,
        float(curve.threshold[at]),
        float(curve.fmr[at]),
        float(1.0 - curve.fnmr[at]),
        wanted * curve.impostor >= 1.0,
    )


def d_prime(genuine: NDArray[np.floating], impostor: NDArray[np.floating]) -> float:
    """Distance of the means in pooled standard deviations; NaN when neither set varies."""
    spread = np.sqrt((np.var(genuine, dtype=np.float64) + np.var(impostor, dtype=np.float64)) / 2)
    gap = np.mean(genuine, dtype=np.float64) - np.mean(impostor, dtype=np.float64)
    return float(gap / spread) if spread > 0 else float("nan")


def min_dcf(curve: Errors, prior: float, *, miss: float = 1.0, false_match: float = 1.0) -> float:
    """Lowest detection cost over thresholds, relative to a blind decision (NIST SRE evaluation plans).

    Args:
        curve: Error rates.
        prior: Probability of a genuine pair in use.
        miss: Cost of a false non-match.
        false_match: Cost of a false match.
    """
    cost = miss * prior * curve.fnmr + false_match * (1 - prior) * curve.fmr
    return float(cost.min() / min(miss * prior, false_match * (1 - prior)))


def over_subjects(
    pairs: Pairs,
    labels: Labels,
    figures: Mapping[str, Callable[[Errors], float]],
    *,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals (low, high) of figures over subjects; NaN when nothing could be resampled.

    Subjects are drawn with replacement. An impostor pair is weighted by the product of its two subjects'
    counts, a genuine pair by the count of its subject. Pairs are not independent, subjects nearly are (Bolle
    et al. 2004, "subsets bootstrap").

    Args:
        pairs: Scored pairs.
        labels: Labels of all sequences.
        figures: Functions of the error rates, by name, such as ``{"eer": lambda curve: eer(curve)[0]}``.
        seed: Seed of the resampling.
    """
    random = np.random.default_rng(seed)
    share = _MOST / max(1, int((~pairs.genuine).sum()))
    used = pairs if share >= 1 else pairs.part(pairs.genuine | (random.random(len(pairs)) < share))
    order = np.argsort(used.scores, kind="stable")
    scores, genuine = used.scores[order], used.genuine[order]
    codes, count = subject_codes(labels)
    first, second = codes[used.probe[order]], codes[used.gallery[order]]
    present = np.unique(np.r_[first, second])
    found: dict[str, list[float]] = {name: [] for name in figures}
    for _ in range(_REPEATS):
        drawn = np.bincount(random.choice(present, len(present)), minlength=count).astype(np.float64)
        weight = np.where(genuine, drawn[first], drawn[first] * drawn[second])
        if weight[genuine].any() and weight[~genuine].any():
            curve = _steps(scores, genuine, weight)
            for name, figure in figures.items():
                found[name].append(figure(curve))
    return {
        name: (float(np.quantile(values, _LOW)), float(np.quantile(values, _HIGH)))
        if len(values) > 1
        else (float("nan"), float("nan"))
        for name, values in found.items()
    }


def _check(scores: NDArray[np.floating], genuine: NDArray[np.bool_]) -> None:
    if len(scores) != len(genuine):
        raise InputError(
            f"There are {len(scores)} scores and {len(genuine)} labels",
            "one label for each score",
            "Pass arrays of equal length",
        )
    if not np.isfinite(scores).all():
        at = int(np.argmin(np.isfinite(scores)))
        raise InputError(f"Score {at} is {scores[at]}", "finite scores", "Look for NaN embeddings")
    count = int(np.count_nonzero(genuine))
    if count == 0 or count == len(genuine):
        raise InputError(
            f"There are {count} genuine and {len(genuine) - count} impostor pairs",
            "at least one of each",
            "Pass two subjects or more, one of them with two sequences",
        )
