"""The tail: known distributions are recovered, rates and thresholds are inverse, poor data are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaitid.errors import InputError
from gaitid.gallery.scoring.tail import FEWEST, fit_tail


def drawn(distribution: str, count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return {
        "exponential": random.exponential(0.1, count),
        "uniform": random.random(count),
        "normal": random.normal(0.0, 0.2, count),
    }[distribution]


@pytest.mark.parametrize(
    ("distribution", "fmr", "true"),
    [
        ("exponential", 1e-3, 0.1 * np.log(1e3)),
        ("exponential", 1e-5, 0.1 * np.log(1e5)),
        ("uniform", 1e-4, 1 - 1e-4),
        ("normal", 1e-3, 0.2 * 3.0902),
        ("normal", 1e-5, 0.2 * 4.2649),
        ("normal", 0.3, 0.2 * 0.5244),
    ],
)
def test_the_threshold_of_a_known_distribution_is_found(distribution, fmr, true):
    tail = fit_tail(drawn(distribution, 40_000), bootstraps=9)
    assert tail.threshold(fmr) == pytest.approx(true, rel=0.06)
    assert tail.p_value > 0.05


@settings(max_examples=20, deadline=None)
@given(fmr=st.floats(1e-7, 0.9), distribution=st.sampled_from(["exponential", "normal"]))
def test_fmr_and_threshold_are_inverse(fmr, distribution):
    tail = fit_tail(drawn(distribution, 5_000), bootstraps=0)
    assert tail.fmr(tail.threshold(fmr))[0] == pytest.approx(fmr, rel=0.02)


def test_the_fmr_falls_from_one_to_nothing():
    tail = fit_tail(drawn("normal", 5_000), bootstraps=0)
    fmr = tail.fmr(np.linspace(-2, 2, 1000))
    assert fmr[0] == 1.0
    assert fmr[-1] < 1e-6
    assert (np.diff(fmr) <= 1e-12).all()


def test_the_prior_steadies_few_scores_and_bows_to_many():
    def spread(prior):
        shapes = [fit_tail(drawn("normal", 1_000, n), bootstraps=0, prior=prior).shape for n in range(30)]
        return np.std(shapes)

    assert spread((-0.1, 0.1)) < 0.6 * spread(None)
    many = drawn("uniform", 100_000)  # a true shape of -1, ten deviations from the prior
    assert fit_tail(many, bootstraps=0).shape == pytest.approx(-1, abs=0.1)


def test_a_poor_fit_is_reported():
    lumps = np.r_[drawn("normal", 20_000), np.repeat(np.linspace(1.5, 2.0, 3), 300)]
    assert fit_tail(lumps, bootstraps=19).p_value == pytest.approx(0.05)


@pytest.mark.parametrize(
    "scores",
    [np.empty(0), np.ones(1), drawn("normal", 20 * FEWEST - 1), np.ones(5_000), np.r_[0.5, np.ones(5_000)]],
    ids=["none", "one", "few", "equal", "equal at the top"],
)
def test_scores_without_information_are_refused(scores):
    with pytest.raises(InputError):
        fit_tail(scores)


@pytest.mark.parametrize("fmr", [0.0, 1.0, -0.1, float("nan")])
def test_an_impossible_rate_is_refused(fmr):
    with pytest.raises(InputError, match="FMR"):
        fit_tail(drawn("normal", 2_000), bootstraps=0).threshold(fmr)
