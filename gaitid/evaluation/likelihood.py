"""From scores to log-likelihood ratios; for the FMR at a score see `gaitid.gallery.scoring.tail`.

`cllr` is the cost of log-likelihood ratios in bits (Bruemmer and du Preez 2006); its minimum over
monotone maps comes from pool-adjacent-violators.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError

Scores = NDArray[np.floating]
Doubles = NDArray[np.float64]

_NEWTON_STEPS = 50
"""Limit on the steps of `logistic`, which stops earlier once they are below 1e-10."""


def cllr(genuine: Doubles, impostor: Doubles) -> float:
    """Cost of log-likelihood ratios (natural log), in bits: 0 is perfect, 1 is without information."""
    return float((np.logaddexp(0, -genuine).mean() + np.logaddexp(0, impostor).mean()) / (2 * np.log(2)))


def min_cllr(genuine: Scores, impostor: Scores) -> float:
    """`cllr` after the best monotone map of the scores: discrimination without calibration."""
    scores = np.r_[genuine, impostor].astype(np.float64)
    target = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    weight = np.r_[np.full(len(genuine), 0.5 / len(genuine)), np.full(len(impostor), 0.5 / len(impostor))]
    share, total = monotone(scores, target, weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -(np.where(share > 0, share * np.log2(share), 0.0))
        bits -= np.where(share < 1, (1 - share) * np.log2(1 - share), 0.0)
    return float((total * bits).sum())


def monotone(scores: Doubles, target: Doubles, weight: Doubles) -> tuple[Doubles, Doubles]:
    """Best non-decreasing fit of `target` (0..1) on `scores` by pool-adjacent-violators.

    Returns:
        (value, weight) of each pool, lowest scores first; equal scores share one.
    """
    values, of = np.unique(scores, return_inverse=True)
    weights = np.bincount(of, weight, len(values))
    sums = np.bincount(of, weight * target, len(values))
    # Runs of one kind cannot violate monotonicity: merging them first keeps the loop short.
    kind = np.where(sums == 0, 0, np.where(np.isclose(sums, weights, rtol=1e-12, atol=0), 1, 2))
    start = np.flatnonzero(np.r_[True, (np.diff(kind) != 0) | (kind[1:] == 2)])
    pools: list[list[float]] = []
    for total, amount in zip(
        np.add.reduceat(sums, start).tolist(), np.add.reduceat(weights, start).tolist(), strict=True
    ):
        pools.append([total, amount])
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] >= pools[-1][0] * pools[-2][1]:
            top = pools.pop()
            pools[-1][0] += top[0]
            pools[-1][1] += top[1]
    table = np.array(pools)
    return np.clip(table[:, 0] / table[:, 1], 0.0, 1.0), table[:, 1]


@dataclass(frozen=True, slots=True)
class Logistic:
    """Log-likelihood ratio as a linear function of the score: ``slope * score + offset`` (natural log)."""

    slope: float
    offset: float

    def __call__(self, scores: Scores) -> Doubles:
        """Log-likelihood ratios of scores."""
        ratios: Doubles = self.slope * np.asarray(scores, np.float64) + self.offset
        return ratios


def logistic(genuine: Scores, impostor: Scores) -> Logistic:
    """Fit by weighted logistic regression with equal priors (Bruemmer and du Preez 2006, sec. 5).

    Newton steps on standardised scores; a ridge of 1e-6 keeps separable scores finite.

    Raises:
        InputError: The scores do not vary.
    """
    scores = np.r_[genuine, impostor].astype(np.float64)
    centre, scale = scores.mean(), scores.std()
    if not scale > 0:
        raise InputError("All scores are equal", "scores that differ", "Calibrate on more pairs")
    design = np.stack([(scores - centre) / scale, np.ones(len(scores))], axis=1)
    target = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    weight = np.r_[np.full(len(genuine), 0.5 / len(genuine)), np.full(len(impostor), 0.5 / len(impostor))]
    beta = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        probability = 0.5 * (1 + np.tanh(design @ beta / 2))
        gradient = design.T @ (weight * (probability - target)) + 1e-6 * beta
        curve = weight * probability * (1 - probability)
        step = np.linalg.solve((design * curve[:, None]).T @ design + 1e-6 * np.eye(2), gradient)
        beta -= step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-300))
        if np.abs(step).max() < 1e-10:
            break
    return Logistic(float(beta[0] / scale), float(beta[1] - beta[0] * centre / scale))
