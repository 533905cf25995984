"""Blocks of measures: unit vectors whose scores add up, sensors' offsets that cancel, partial bodies."""

import numpy as np
import pytest

from gaitid.encoders.measured import PREFIX, MeasureBlocks
from gaitid.encoders.measures import LENGTHS, MEASURES

SPLIT, E = len(LENGTHS), 6
SHARES = np.array([0.5, 0.3, 0.2])


def blocks(correlation=None, **change):
    facts = {
        "centre": np.zeros(MEASURES),
        "scale": np.ones(MEASURES),
        "correlation": np.eye(MEASURES) if correlation is None else correlation,
        "lengths": np.eye(SPLIT),
        "waves": np.eye(MEASURES - SPLIT),
        "shares": SHARES,
    }
    return MeasureBlocks(**(facts | change))


@pytest.fixture
def pair():
    random = np.random.default_rng(0)
    vectors = random.standard_normal((2, E)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), random.standard_normal((2, MEASURES))


def test_a_score_is_the_weighted_mean_of_the_blocks(pair):
    vectors, found = pair
    one, two = (blocks().join(v, m) for v, m in zip(vectors, found, strict=True))
    lengths = np.cos(0.25 * (found[0, :SPLIT] - found[1, :SPLIT])).mean()
    a, b = found[:, SPLIT:]
    waves = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-6)
    assert one @ two == pytest.approx(SHARES @ [vectors[0] @ vectors[1], lengths, waves], abs=1e-5)


def test_what_a_sensor_adds_to_all_lengths_cancels(pair):
    vectors, found = pair
    shift = np.zeros(MEASURES)
    shift[:SPLIT] = np.linspace(-2, 2, SPLIT)
    plain, shifted = (
        [blocks().join(v, m + extra) for v, m in zip(vectors, found, strict=True)]
        for extra in (np.zeros(MEASURES), shift)
    )
    assert shifted[0] @ shifted[1] == pytest.approx(plain[0] @ plain[1], abs=1e-6)


def test_a_missing_measure_is_expected_from_those_that_go_with_it(pair):
    vectors, found = pair
    correlation = np.eye(MEASURES)
    correlation[0, 1] = correlation[1, 0] = 0.999
    found[0, 1] = found[0, 0]
    partial = found[0].copy()
    partial[1] = np.nan
    whole = blocks(correlation).join(vectors[0], found[0])
    assert whole @ blocks(correlation).join(vectors[0], partial) > 0.9999
    partial[SPLIT] = np.nan  # nothing goes with this one
    assert whole @ blocks(correlation).join(vectors[0], partial) < 0.9999


def test_without_measures_the_network_is_left(pair):
    joined = blocks().join(pair[0][0], np.full(MEASURES, np.nan))
    assert joined[:E] == pytest.approx(pair[0][0], abs=1e-6)
    assert not joined[E:].any()


def test_two_partial_bodies_are_compared_by_what_both_have(pair):
    vectors, found = pair
    found[:, SPLIT:] = np.nan
    one, two = (blocks().join(v, m) for v, m in zip(vectors, found, strict=True))
    lengths = np.cos(0.25 * (found[0, :SPLIT] - found[1, :SPLIT])).mean()
    wanted = (SHARES[:2] @ [vectors[0] @ vectors[1], lengths]) / SHARES[:2].sum()
    assert one @ two == pytest.approx(wanted, abs=1e-5)


def test_a_longer_walk_weighs_its_measures_more(pair):
    vector, found = pair[0][0], pair[1][0]
    weights = [1 - np.square(blocks().join(vector, found, s)[:E]).sum() for s in (1.0, 4.0, 16.0)]
    assert weights == sorted(weights)
    assert weights[1] == pytest.approx(SHARES[1:].sum(), abs=1e-5)


def test_tensors_of_another_shape_are_refused():
    held = {f"{PREFIX}{name}": getattr(blocks(), name) for name in MeasureBlocks.__slots__}
    assert MeasureBlocks.of(held).shares == pytest.approx(SHARES)
    with pytest.raises(ValueError, match="waves has shape"):
        MeasureBlocks.of(held | {f"{PREFIX}waves": np.eye(3)})
    with pytest.raises(KeyError):
        MeasureBlocks.of({name: array for name, array in held.items() if "waves" not in name})
