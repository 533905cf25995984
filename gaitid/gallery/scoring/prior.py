"""Calibration of a small site: what a card says of impostor scores, updated by the few that the site has.

Scores of different people have nearly the same shape everywhere once camera profiles have corrected the
embeddings; their mean and deviation differ from site to site. The card gives the shape, and a prior on both;
the site's scores update them (normal and inverse gamma, Gelman et al. 2013, "Bayesian Data Analysis", section
3.3). Thresholds are quantiles of the predictive distribution, which is wider the less is known, so the rate
that is asked for holds on average over sites.

Deviations: scores that share a person are not independent, so n people count as `_PER_PERSON` n scores,
however many comparisons they have. Where profiles correct the embeddings, the site's mean is not learned: its
own people made the profiles, so scores among them are too low, by about one part in `n`.

Source of the figures: chosen on CASIA-B dev subjects 001-037, measured on 038-074; see docs/decisions.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.scoring.tail import Doubles, Tail, fit_tail

FEWEST_OWN = 3
"""Fewest comparisons that update a card."""

_DRAWN = 100_000
"""Scores drawn from the predictive distribution (40 CPU ms)."""
_PER_PERSON = 2.0
"""Independent scores per person."""


class Prior(NamedTuple):
    """How the scores of a site differ from those on a card.

    Attributes:
        shift: Expected difference of the mean.
        spread: Standard deviation of the mean between sites.
        scale: Expected ratio of the deviations.
        worth: Scores that the prior of the deviation counts as; more = sites differ less.
        learns_mean: Whether the site's scores tell its mean.
    """

    shift: float
    spread: float
    scale: float
    worth: float
    learns_mean: bool


CORRECTED = Prior(0.02, 0.03, 1.1, 60.0, False)
"""Prior of corrected scores: the few people who make a profile leave a part of their variance in it, which
raises the mean for others; real people are a little more alike than synthetic ones."""
CORRECTED_OWN = CORRECTED._replace(shift=0.0, scale=1.0)
"""The same about a card that `CORRECTED` has been applied to, for the scores of a site."""
PLAIN = Prior(0.2, 0.2, 1.1, 20.0, True)
"""Prior of plain scores: one camera adds 0.1 to 0.6 to all of them. Thresholds from it are strict."""
CLUSTERING = 0.6
"""Lowest share of independence between the corrected scores of a probe; a card may state more."""


def predicted(card: Tail, own: NDArray[np.floating], people: int, prior: Prior) -> Tail:
    """Predict the impostor scores of a site.

    Args:
        card: Scores on the card, of the same kind.
        own: (N,) scores of different people at the site; may be empty.
        people: Number of people in them.
        prior: How they differ from the card's.
    """
    drawn = _draws(card, _DRAWN)
    mean, deviation = drawn.mean(), drawn.std()
    random = np.random.default_rng(0)
    shape = random.permutation((drawn - mean) / deviation)
    means, deviations = _updated(
        mean + prior.shift, deviation * prior.scale, np.asarray(own, np.float64), people, prior, random
    )
    return fit_tail(np.clip(means + deviations * shape, -1.0, 1.0), bootstraps=0)


def _updated(
    mean: float,
    deviation: float,
    own: Doubles,
    people: int,
    prior: Prior,
    random: np.random.Generator,
) -> tuple[Doubles, Doubles]:
    """Draw `_DRAWN` means and deviations of the site's scores from their posterior."""
    count = _PER_PERSON * people if len(own) >= FEWEST_OWN else 0.0
    worth, sum_of_squares = prior.worth, prior.worth * deviation**2
    precision = 1 / prior.spread**2
    if count:
        worth, sum_of_squares = worth + count, sum_of_squares + count * float(own.var())
    if count and prior.learns_mean:
        gained = count / max(float(own.var()), 1e-6)
        mean = (precision * mean + gained * float(own.mean())) / (precision + gained)
        precision += gained
    deviations = np.sqrt(sum_of_squares / random.chisquare(worth, _DRAWN))
    return mean + random.standard_normal(_DRAWN) / np.sqrt(precision), deviations


def _draws(tail: Tail, count: int) -> Doubles:
    """Scores at `count` even ranks of a fitted distribution."""
    ranks = (np.arange(count) + 0.5) / count
    body = np.interp(-ranks, -tail.grid_fmr, tail.grid)
    left = np.log(np.minimum(ranks / tail.share, 1.0))
    beyond = -left if abs(tail.shape) < 1e-9 else np.expm1(-tail.shape * left) / tail.shape
    return np.asarray(np.where(ranks < tail.share, tail.start + tail.scale * beyond, body))
