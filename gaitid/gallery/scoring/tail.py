"""False match rate at any threshold, including thresholds above every observed impostor score.

`Tail` extends the empirical false match rate beyond the observed scores with a generalised Pareto
distribution over a high threshold (Pickands 1975; Coles 2001, ch. 4), and reports how well it fits. A few
hundred tail scores leave the shape too uncertain to extrapolate to a rate of 1e-5, so the shape has a normal
prior (Coles and Dixon 1999 penalise it similarly).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError

Doubles = NDArray[np.float64]

FEWEST = 50
"""Fewest scores in a tail."""
SHAPE_PRIOR = (-0.1, 0.1)
"""Mean and standard deviation of the shape. Cosines are bounded, so it is below 0: about -2 / (d - 1) in the
far tail of d independent directions, and -0.15 to -0.06 for a normal distribution where tails begin."""

_MOST = 5_000
"""Most scores in a tail: more cost time and hardly narrow the fit."""
_BODY = 512
"""Ranks kept of the scores below the tail."""
_FLAT = 1e-9
"""Below this the shape counts as 0, the exponential distribution."""


@dataclass(frozen=True, slots=True, eq=False)
class Tail:
    """FMR as a function of the score: empirical below `start`, generalised Pareto above.

    Attributes:
        start: Score where the tail begins.
        share: Share of impostors above it.
        shape: Pareto shape; negative = the tail ends at ``start - scale / shape``.
        scale: Pareto scale, > 0.
        count: Impostors above `start`.
        distance: Kolmogorov-Smirnov distance between their scores and the fit.
        p_value: Its p-value by parametric bootstrap; small = the fit is poor.
        grid: (K,) scores up to `start`, ascending, for the empirical part.
        grid_fmr: (K,) FMR at those scores, falling.
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

    def fmr(self, scores: NDArray[np.floating] | float) -> Doubles:
        """FMR (N,) of thresholds (N,)."""
        values = np.atleast_1d(np.asarray(scores, np.float64))
        body = np.interp(values, self.grid, self.grid_fmr, left=1.0)
        beyond = self.share * _survival(np.maximum(values - self.start, 0), self.shape, self.scale)
        return np.where(values >= self.start, beyond, body)

    def threshold(self, fmr: float) -> float:
        """Score at which the FMR is `fmr`.

        Raises:
            InputError: `fmr` is not between 0 and 1, exclusive.
        """
        if not 0 < fmr < 1:
            raise InputError(
                f"FMR is {fmr}", "a rate above 0 and below 1", "Pass 0.0001 for one in ten thousand"
            )
        if fmr >= self.share:
            return float(np.interp(-fmr, -self.grid_fmr, self.grid))
        left = float(np.log(fmr / self.share))
        if abs(self.shape) < _FLAT:
            return self.start - self.scale * left
        return self.start + self.scale / self.shape * float(np.expm1(-self.shape * left))


def fit_tail(
    impostor: NDArray[np.floating],
    *,
    share: float = 0.05,
    bootstraps: int = 49,
    prior: tuple[float, float] | None = SHAPE_PRIOR,
    seed: int = 0,
) -> Tail:
    """Fit the upper tail of impostor scores.

    Args:
        impostor: (M,) scores.
        share: Share of the scores that form the tail, at most 5,000 of them.
        bootstraps: Simulated samples for the p-value.
        prior: Mean and standard deviation of the shape; None = the data alone.
        seed: Seed of the simulation.

    Raises:
        InputError: Fewer than `FEWEST` scores would be in the tail, or they do not vary.
    """
    count = min(int(len(impostor) * share), _MOST)
    if count < FEWEST:
        raise InputError(
            f"There are {len(impostor)} impostor scores, which leave {count} in the tail",
            f"{FEWEST} or more in the tail",
            "Compare more pairs",
        )
    ordered = np.sort(np.asarray(impostor, np.float64))
    start = ordered[-count - 1]
    excess = ordered[-count:] - start
    excess = excess[excess > 0]
    if len(excess) < FEWEST or excess[0] == excess[-1]:
        raise InputError(
            "The highest impostor scores are all equal",
            "scores that vary",
            "Check that the encoder does not return one vector for all",
        )
    shape, scale = _pareto(excess, prior)
    distance = _distance(excess, shape, scale)
    random = np.random.default_rng(seed)
    worse = sum(_refit(len(excess), shape, scale, prior, random) >= distance for _ in range(bootstraps))
    p_value = (1 + worse) / (1 + bootstraps)
    beyond = len(excess) / len(ordered)
    return Tail(
        float(start), beyond, shape, scale, len(excess), distance, p_value, *_body(ordered, float(start))
    )


def _refit(
    count: int, shape: float, scale: float, prior: tuple[float, float] | None, random: np.random.Generator
) -> float:
    """Distance between a simulated tail of `count` excesses and the fit to it."""
    drawn = np.sort(_quantile(random.random(count), shape, scale))
    return _distance(drawn, *_pareto(drawn, prior))


def _body(ordered: Doubles, start: float) -> tuple[Doubles, Doubles]:
    """Scores up to `start` at even ranks, and the share of scores at or above each."""
    below = int(np.searchsorted(ordered, start, side="right"))
    grid = np.unique(ordered[np.linspace(0, below - 1, _BODY).astype(int)])
    fmr = 1.0 - np.searchsorted(ordered, grid, side="left") / len(ordered)
    grid = np.r_[grid[grid < start], start]
    fmr = np.r_[fmr[: len(grid) - 1], 1.0 - below / len(ordered)]
    return grid, fmr


def _pareto(excess: Doubles, prior: tuple[float, float] | None) -> tuple[float, float]:
    """Fit (shape, scale) to sorted positive excesses by maximum likelihood.

    With ``r = shape / scale`` the best shape follows from ``mean(log(1 + r x))``, so the likelihood is a
    function of r alone (Grimshaw 1993). r is searched on a grid, then by golden section. Shapes below -1 are
    excluded: there the likelihood has no maximum.
    """
    top, mean = excess[-1], excess.mean()
    low = -(1 - 1e-6) / top
    grid = np.r_[low * np.linspace(1, 0, 25)[:-1] ** 2, np.geomspace(1e-3, 50, 20) / mean]
    at = int(np.argmax([_likelihood(excess, ratio, prior)[0] for ratio in grid]))
    left, right = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(25):
        first, second = right - golden * (right - left), left + golden * (right - left)
        if _likelihood(excess, first, prior)[0] < _likelihood(excess, second, prior)[0]:
            left = first
        else:
            right = second
    ratio = float((left + right) / 2)
    _, shape = _likelihood(excess, ratio, prior)
    return (0.0, float(mean)) if abs(shape) < _FLAT else (shape, shape / ratio)


def _likelihood(excess: Doubles, ratio: float, prior: tuple[float, float] | None) -> tuple[float, float]:
    """Profile log likelihood per excess, including the prior, and the shape that attains it."""
    if abs(ratio) * excess[-1] < _FLAT:
        return float(-np.log(excess.mean()) - 1), 0.0
    mean_log = float(np.log1p(ratio * excess).mean())
    shape = mean_log if prior is None else _penalised_shape(mean_log, len(excess), *prior)
    if shape < -1 or shape * ratio <= 0:
        return float("-inf"), shape
    value = float(-np.log(shape / ratio) - mean_log / shape - mean_log)
    if prior is not None:
        value -= ((shape - prior[0]) / prior[1]) ** 2 / (2 * len(excess))
    return value, shape


def _penalised_shape(mean_log: float, count: int, centre: float, spread: float) -> float:
    """Shape nearest to `mean_log` where the slope ``n (m - s) / s^2 - (s - centre) / spread^2`` is 0."""
    shape = mean_log
    for _ in range(20):
        value = count * (mean_log - shape) * spread**2 - shape**2 * (shape - centre)
        slope = -count * spread**2 - 3 * shape**2 + 2 * shape * centre
        step = value / slope
        shape -= step
        if abs(step) < 1e-12:
            break
    return shape


def _survival(excess: Doubles, shape: float, scale: float) -> Doubles:
    if abs(shape) < _FLAT:
        gone: Doubles = np.exp(-excess / scale)
        return gone
    base = np.maximum(1 + shape * excess / scale, 0.0)
    with np.errstate(divide="ignore"):
        left: Doubles = np.exp(-np.log(base) / shape)
    return left


def _quantile(share: Doubles, shape: float, scale: float) -> Doubles:
    if abs(shape) < _FLAT:
        flat: Doubles = -scale * np.log1p(-share)
        return flat
    value: Doubles = scale / shape * np.expm1(-shape * np.log1p(-share))
    return value


def _distance(excess: Doubles, shape: float, scale: float) -> float:
    fitted = 1 - _survival(excess, shape, scale)
    steps = np.arange(len(excess) + 1) / len(excess)
    return float(max(np.max(steps[1:] - fitted), np.max(fitted - steps[:-1])))
