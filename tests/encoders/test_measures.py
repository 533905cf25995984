"""Measures of body and stride: right, independent of place and direction, and as many as the joints allow."""

import numpy as np
import pytest

from gaitid.encoders.measured import measured
from gaitid.encoders.measures import LENGTHS, MEASURES, NAMES
from gaitid.errors import SequenceError
from gaitid.modalities.skeleton import PAIRS
from gaitid.quality import assess
from gaitid.records import GaitSequence
from gaitid.synthetic import Population
from gaitid.synthetic.depth import Sensor

SPLIT = len(LENGTHS)


@pytest.fixture(scope="module")
def walk():
    """(T, 17, 4) exact joints and (T,) times of a synthetic walk."""
    made = Population(4).sequence(0, frames=100)
    return made.measured(Sensor.exact()), made.times


def only(skeletons, joints):
    return np.where(np.isin(np.arange(17), joints)[:, None], skeletons, 0).astype(np.float32)


def measure(skeletons, times):
    return measured(skeletons, times)[0]


def value(found, name):
    return found[NAMES.index(name)]


def test_names_are_distinct():
    assert len(set(NAMES)) == MEASURES


def test_lengths_are_those_of_the_body(walk):
    found = measure(*walk)
    thigh = np.median(np.linalg.norm(walk[0][:, 11, :3] - walk[0][:, 13, :3], axis=1))
    assert np.exp(value(found, "thigh")) == pytest.approx(thigh, rel=0.03)
    assert np.exp(value(found, "height of the head")) > np.exp(value(found, "height of the shoulders"))


def test_the_cadence_is_that_of_the_walk(walk):
    cadence = assess(GaitSequence({"skeleton3d": walk[0]}, walk[1])).cadence
    assert 120 * np.exp(value(measure(*walk), "cadence")) == pytest.approx(cadence, rel=0.04)


def test_place_and_direction_do_not_matter(walk):
    skeletons, times = walk
    angle = 2.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = skeletons.copy()
    moved[..., :2] = moved[..., :2] @ turn.T + [3.0, -2.0] + 0.5 * times[:, None, None]
    np.testing.assert_allclose(measure(moved, times), measure(skeletons, times), atol=0.01)


def test_a_mirrored_walk_has_the_same_measures(walk):
    skeletons, times = walk
    order = np.arange(17)
    for left, right in PAIRS:
        order[[left, right]] = right, left
    mirrored = skeletons[:, order] * np.array([1, -1, 1, 1], np.float32)
    sign = np.ones(MEASURES)
    sign[[NAMES.index(name) for name in ("trunk aside 0", "shoulders up 0", "hips up 0")]] = -1
    np.testing.assert_allclose(measure(mirrored, times), sign * measure(skeletons, times), atol=1e-3)


@pytest.mark.parametrize("leg", [(11, 13), (12, 14)])
def test_hip_and_knee_of_one_leg_are_enough(walk, leg):
    whole, part = measure(*walk), measure(only(walk[0], leg), walk[1])
    assert value(part, "cadence") == pytest.approx(value(whole, "cadence"), abs=0.05)
    for name in ("thigh ahead 0", "thigh ahead 1 cos", "thigh ahead 2 cos"):
        assert value(part, name) == pytest.approx(value(whole, name), abs=0.06)
    assert np.isnan(value(part, "shank"))
    assert {name for name, found in zip(NAMES, part, strict=True) if not np.isnan(found)} == {
        name for name in NAMES if name in ("thigh", "cadence") or name.startswith("thigh ")
    }


def test_a_body_that_stands_still_has_lengths_only(walk):
    still = np.repeat(walk[0][:1], 60, axis=0)
    found = measure(still, np.arange(60) / 25)
    assert not np.isnan(found[:SPLIT]).any()
    assert np.isnan(found[SPLIT:]).all()


def test_a_body_without_trunk_and_thigh_is_refused(walk):
    with pytest.raises(SequenceError, match="hip and knee"):
        measured(only(walk[0], (15, 16)), walk[1])
