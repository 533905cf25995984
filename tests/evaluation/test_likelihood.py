"""Log-likelihood ratios against closed forms, scipy and scikit-learn."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import genpareto, norm
from sklearn.isotonic import IsotonicRegression

from gaitid.errors import InputError
from gaitid.evaluation.likelihood import cllr, logistic, min_cllr, monotone
from gaitid.gallery.scoring import tail as tails

fit_tail = partial(tails.fit_tail, share=0.02, prior=None)  # as an evaluation fits it


def normals(count: int = 20_000) -> tuple[Any, Any]:
    drawn = norm.ppf((np.arange(count) + 0.5) / count)
    return drawn + 2.0, drawn


def test_cllr_as_worked_out() -> None:
    assert cllr(np.zeros(3), np.zeros(5)) == pytest.approx(1.0)  # saying nothing costs one bit
    assert cllr(np.full(3, 50.0), np.full(5, -50.0)) == pytest.approx(0.0, abs=1e-12)
    # Odds of 3 for the genuine, of 1 for the impostor: (log2(4/3) + log2(2)) / 2.
    assert cllr(np.array([np.log(3)]), np.array([0.0])) == pytest.approx((np.log2(4 / 3) + 1) / 2)


def test_two_normals_have_the_line_two_s_minus_two() -> None:
    genuine, impostor = normals()
    line = logistic(genuine, impostor)
    assert line.slope == pytest.approx(2.0, rel=5e-3)
    assert line.offset == pytest.approx(-2.0, rel=5e-3)
    best = cllr(line(genuine), line(impostor))
    assert best == pytest.approx(cllr(2 * genuine - 2, 2 * impostor - 2), abs=1e-5)
    assert best - 2e-3 < min_cllr(genuine, impostor) <= best
    assert cllr(3 * line(genuine), 3 * line(impostor)) > best + 0.05


def test_scores_that_separate_stay_finite_and_equal_ones_are_refused() -> None:
    line = logistic(np.array([0.8, 0.9]), np.array([0.1, 0.2]))
    assert 0 < line.slope < np.inf
    assert min_cllr(np.array([0.8, 0.9]), np.array([0.1, 0.2])) == 0.0
    with pytest.raises(InputError, match="All scores are equal"):
        logistic(np.ones(3), np.ones(4))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.floats(0.1, 2)), min_size=1, max_size=40),
)
def test_pool_adjacent_violators_is_isotonic_regression(rows: list[tuple[int, bool, float]]) -> None:
    scores, target, weight = (np.array(column, float) for column in zip(*rows, strict=True))
    value, total = monotone(scores, target, weight)
    assert (np.diff(value) > 0).all()
    assert total.sum() == pytest.approx(weight.sum())
    fitted = IsotonicRegression().fit_transform(scores, target, sample_weight=weight)
    loss = float((weight * target).sum() - (total * value**2).sum())
    assert loss == pytest.approx(float((weight * (target - fitted) ** 2).sum()), abs=1e-9)


def test_min_cllr_is_blind_to_growing_maps_and_at_most_one() -> None:
    random = np.random.default_rng(0)
    genuine, impostor = random.normal(1, 1, 500), random.normal(0, 1, 900)
    value = min_cllr(genuine, impostor)
    assert 0 < value < 1
    assert min_cllr(np.exp(genuine), np.exp(impostor)) == pytest.approx(value)
    assert min_cllr(impostor, impostor) == pytest.approx(1.0)


TAILS = {
    # sampler of survival probabilities -> scores, and the shape of its tail
    "exponential": (lambda p: -np.log(p), 0.0),
    "bounded": (lambda p: 1 - p**0.3, -0.3),
    "heavy": (lambda p: p**-0.25, 0.25),
}


@pytest.mark.parametrize("name", TAILS)
def test_the_tail_of_known_distributions(name: str) -> None:
    quantile, shape = TAILS[name]
    scores = quantile(np.random.default_rng(1).random(200_000))
    tail = fit_tail(scores, bootstraps=19)
    assert tail.shape == pytest.approx(shape, abs=0.06)
    assert tail.p_value > 0.05
    for wanted in (0.3, 0.02, 1e-3):
        assert tail.fmr(quantile(wanted))[0] == pytest.approx(wanted, rel=0.15)
        assert tail.fmr(tail.threshold(wanted))[0] == pytest.approx(wanted, rel=0.02)
    # At and beyond the end of the sample, where 200 000 scores show two and nothing: a factor of 3.
    for wanted in (1e-5, 1e-6):
        assert abs(np.log10(tail.fmr(quantile(wanted))[0] / wanted)) < 0.5
        assert tail.fmr(tail.threshold(wanted))[0] == pytest.approx(wanted, rel=1e-6)


def test_the_fit_is_scipys() -> None:
    excess = genpareto.rvs(-0.15, scale=0.3, size=5000, random_state=2)
    tail = fit_tail(np.r_[np.zeros(1), excess, np.full(245_000, -1.0)], bootstraps=1)
    shape, _, scale = genpareto.fit(excess, floc=0)
    assert (tail.shape, tail.scale) == (pytest.approx(shape, abs=2e-3), pytest.approx(scale, rel=2e-3))


def test_a_tail_that_is_not_pareto_is_reported() -> None:
    random = np.random.default_rng(3)
    lumps = np.r_[
        random.random(100_000), 2 + 0.01 * random.standard_normal(1000), 3 + 0.01 * random.random(900)
    ]
    assert fit_tail(lumps, bootstraps=19).p_value == 0.05


def test_too_few_or_equal_scores_are_refused() -> None:
    with pytest.raises(InputError, match="leave 20 in the tail"):
        fit_tail(np.arange(1000.0))
    with pytest.raises(InputError, match="all equal"):
        fit_tail(np.ones(10_000))
    with pytest.raises(InputError, match="FMR is 1"):
        fit_tail(np.arange(10_000.0), bootstraps=1).threshold(1.0)


def test_fmr_falls_from_one_to_zero() -> None:
    tail = fit_tail(TAILS["bounded"][0](np.random.default_rng(4).random(50_000)), bootstraps=1)
    at = np.linspace(-0.5, 1.5, 400)
    fmr = tail.fmr(at)
    assert fmr[0] == 1.0
    assert fmr[-1] == 0.0
    assert (np.diff(fmr) <= 1e-12).all()
