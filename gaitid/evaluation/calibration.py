"""From scores to meanings: log-likelihood ratios, and the FMR that a score stands for.

`Tail` extends the empirical FMR beyond the impostors seen by a generalised Pareto law over a high
threshold (Pickands 1975; Coles 2001, ch. 4), and says how well it fits. `cllr` is the cost of
log-likelihood ratios in bits (Bruemmer and du Preez 2006); its minimum over monotone maps comes from
pool-adjacent-violators.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError

Scores = NDArray[np.floating]
Doubles = NDArray[np.float64]


def cllr(genuine: Doubles, impostor: Doubles) -> float:
    """Cost of log-likelihood ratios (natural log), in bits: 0 perfect, 1 as good as none."""
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
        (value, weight) of each pool, lowest scores first; equal scores share a pool.
    """
    values, of = np.unique(scores, return_inverse=True)
    weights = np.bincount(of, weight, len(values))
    sums = np.bincount(of, weight * target, len(values))
    # Runs of one kind cannot violate: merging them first keeps the loop short.
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
    """Log-likelihood ratio as a line in the score: ``llr = slope * score + offset`` (natural log)."""

    slope: float
    offset: float

    def __call__(self, scores: Scores) -> Doubles:
        """The log-likelihood ratios of scores."""
        ratios: Doubles = self.slope * np.asarray(scores, np.float64) + self.offset
        return ratios


def logistic(genuine: Scores, impostor: Scores, *, steps: int = 50) -> Logistic:
    """Fit by weighted logistic regression with equal priors (Bruemmer and du Preez 2006, sec. 5).

    Newton steps on standardised scores; a ridge of 1e-6 keeps separable scores finite.

    Raises:
        InputError: The scores do not vary.
    """
    scores = np.r_[genuine, impostor].astype(np.float64)
    centre, scale = scores.mean(), scores.std()
    if not scale > 0:
        raise InputError("all scores are equal", "scores that differ", "calibrate on more pairs")
    design = np.stack([(scores - centre) / scale, np.ones(len(scores))], axis=1)
    target = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    weight = np.r_[np.full(len(genuine), 0.5 / len(genuine)), np.full(len(impostor), 0.5 / len(impostor))]
    beta = np.zeros(2)
    for _ in range(steps):
        probability = 0.5 * (1 + np.tanh(design @ beta / 2))
        gradient = design.T @ (weight * (probability - target)) + 1e-6 * beta
        curve = weight * probability * (1 - probability)
        step = np.linalg.solve((design * curve[:, None]).T @ design + 1e-6 * np.eye(2), gradient)
        beta -= step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-300))
        if np.abs(step).max() < 1e-10:
            break
    return Logistic(float(beta[0] / scale), float(beta[1] - beta[0] * centre / scale))


@dataclass(frozen=True, slots=True)
class Tail:
    """FMR as a function of the score: empirical below `start`, generalised Pareto above.

    Attributes:
        start: Score where the tail begins.
        share: Share of impostors above it.
        shape: Pareto shape; negative = the tail ends at ``start - scale / shape``.
        scale: Pareto scale, > 0.
        count: Impostors above `start`.
        distance: Kolmogorov-Smirnov distance of those to the law.
        p_value: Of that distance by parametric bootstrap; small = the law does not fit.
        grid: (K,) score quantiles below `start`, for the empirical part.
        grid_fmr: (K,) FMR at them, falling.
    """

    start: float
    share: float
    shape: float
    scale: float
    count: int
    distance: float
    p_value: float
    grid: Doubles
    grid_fmr: Doubles

    def fmr(self, scores: Scores | float) -> Doubles:
        """FMR of a threshold at each score."""
        values = np.atleast_1d(np.asarray(scores, np.float64))
        body = np.interp(values, self.grid, self.grid_fmr, left=1.0)
        beyond = self.share * _survival(np.maximum(values - self.start, 0), self.shape, self.scale)
        return np.where(values >= self.start, beyond, body)

    def threshold(self, fmr: float) -> float:
        """The score at which the FMR is `fmr` (0 < fmr < 1)."""
        if not 0 < fmr < 1:
            raise InputError(f"FMR is {fmr}", "above 0 and below 1", "ask for 1e-4, say")
        if fmr >= self.share:
            return float(np.interp(-fmr, -self.grid_fmr, self.grid))
        left = fmr / self.share
        if abs(self.shape) < 1e-9:
            return self.start - self.scale * float(np.log(left))
        return self.start + self.scale / self.shape * float(np.expm1(-self.shape * np.log(left)))


def fit_tail(
    impostor: Scores, *, share: float = 0.02, most: int = 5_000, bootstraps: int = 99, seed: int = 0
) -> Tail:
    """Fit the upper tail of impostor scores.

    Args:
        impostor: (M,) scores.
        share: Share of the scores that makes the tail; fewer when that is over `most`.
        most: Largest number of tail scores used.
        bootstraps: Simulated samples behind the p-value.
        seed: Of that simulation.

    Raises:
        InputError: Fewer than 50 scores would be in the tail, or they do not vary.
    """
    ordered = np.sort(np.asarray(impostor, np.float64))
    count = min(int(len(ordered) * share), most)
    if count < 50:
        raise InputError(
            f"{len(ordered)} impostor scores leave {count} in the tail", "50 or more", "compare more pairs"
        )
    start = ordered[-count - 1]
    excess = ordered[-count:] - start
    excess = excess[excess > 0]
    if len(excess) < 50 or excess[0] == excess[-1]:
        raise InputError("the highest impostor scores are all equal", "scores that vary", "see the encoder")
    shape, scale = _pareto(excess)
    distance = _distance(excess, shape, scale)
    random = np.random.default_rng(seed)
    worse = 0
    for _ in range(bootstraps):
        drawn = np.sort(_quantile(random.random(len(excess)), shape, scale))
        worse += _distance(drawn, *_pareto(drawn)) >= distance
    grid, fmr = _body(ordered, start)
    return Tail(
        float(start),
        len(excess) / len(ordered),
        shape,
        scale,
        len(excess),
        distance,
        (1 + worse) / (1 + bootstraps),
        grid,
        fmr,
    )


def _body(ordered: Doubles, start: float) -> tuple[Doubles, Doubles]:
    """Scores up to `start` at 512 even ranks, with the share of scores at or above each."""
    below = int(np.searchsorted(ordered, start, side="right"))
    grid = np.unique(ordered[np.linspace(0, below - 1, 512).astype(int)])
    fmr = 1.0 - np.searchsorted(ordered, grid, side="left") / len(ordered)
    grid = np.r_[grid[grid < start], start]
    fmr = np.r_[fmr[: len(grid) - 1], 1.0 - below / len(ordered)]
    return grid, fmr


def _pareto(excess: Doubles) -> tuple[float, float]:
    """Maximum-likelihood (shape, scale) of sorted positive excesses.

    With ``r = shape / scale`` the best shape is ``mean(log(1 + r x))``, so the likelihood is a
    function of r alone (Grimshaw 1993); r is searched on a grid, then by golden section. Shapes
    below -1 are left out: there the likelihood has no maximum.
    """
    top, mean = excess[-1], excess.mean()
    low = -(1 - 1e-6) / top
    grid = np.r_[low * np.linspace(1, 0, 25)[:-1] ** 2, np.geomspace(1e-3, 50, 20) / mean]
    at = int(np.argmax([_likelihood(excess, ratio) for ratio in grid]))
    left, right = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    golden = (np.sqrt(5) - 1) / 2
    first, second = right - golden * (right - left), left + golden * (right - left)
    value_first, value_second = _likelihood(excess, first), _likelihood(excess, second)
    for _ in range(25):
        if value_first < value_second:
            left, first, value_first = first, second, value_second
            second = left + golden * (right - left)
            value_second = _likelihood(excess, second)
        else:
            right, second, value_second = second, first, value_first
            first = right - golden * (right - left)
            value_first = _likelihood(excess, first)
    ratio = (left + right) / 2
    shape = float(np.log1p(ratio * excess).mean())
    return (0.0, float(mean)) if abs(shape) < 1e-9 else (shape, shape / float(ratio))


def _likelihood(excess: Doubles, ratio: float) -> float:
    """Profile log likelihood per excess."""
    if abs(ratio) * excess[-1] < 1e-9:
        return float(-np.log(excess.mean()) - 1)
    shape = float(np.log1p(ratio * excess).mean())
    if shape < -1:
        return float("-inf")
    return float(-np.log(shape / ratio) - shape - 1)


def _survival(excess: Doubles, shape: float, scale: float) -> Doubles:
    if abs(shape) < 1e-9:
        gone: Doubles = np.exp(-excess / scale)
        return gone
    base = np.maximum(1 + shape * excess / scale, 0.0)
    with np.errstate(divide="ignore"):
        left: Doubles = np.exp(-np.log(base) / shape)
    return left


def _quantile(share: Doubles, shape: float, scale: float) -> Doubles:
    if abs(shape) < 1e-9:
        flat: Doubles = -scale * np.log1p(-share)
        return flat
    value: Doubles = scale / shape * (np.exp(-shape * np.log1p(-share)) - 1)
    return value


def _distance(excess: Doubles, shape: float, scale: float) -> float:
    law = 1 - _survival(excess, shape, scale)
    steps = np.arange(len(excess) + 1) / len(excess)
    return float(max(np.max(steps[1:] - law), np.max(law - steps[:-1])))
