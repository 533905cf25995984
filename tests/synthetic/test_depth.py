"""Depth sensors: true joints without errors, and errors of the stated size and kind."""

from __future__ import annotations

import numpy as np
import pytest

from gaitid.synthetic import Population
from gaitid.synthetic.depth import Sensor


@pytest.fixture(scope="module")
def walk():
    return Population(6).sequence(1, frames=60)


def limbs(joints: np.ndarray) -> np.ndarray:
    pairs = np.array([(11, 13), (13, 15), (5, 7), (7, 9), (11, 12), (5, 6)])
    return np.linalg.norm(joints[:, pairs[:, 0], :3] - joints[:, pairs[:, 1], :3], axis=2)


def test_an_exact_sensor_keeps_the_body_and_turns_it(walk):
    found = walk.measured(Sensor.exact())
    assert found.shape == (60, 17, 4)
    assert (found[..., 3] == 1).all()
    np.testing.assert_allclose(limbs(found) / limbs(walk.joints), 1, atol=0.04)  # the scale is 1 % off
    np.testing.assert_allclose(found[..., 2].mean(0), walk.joints[..., 2].mean(0), atol=0.07)


def test_equal_draws_are_equal_and_others_differ(walk):
    np.testing.assert_array_equal(walk.measured(), walk.measured())
    assert (walk.measured(draw=1) != walk.measured()).any()


def test_the_usual_sensor_errs_by_centimetres_and_lacks_the_face(walk):
    found = walk.measured()
    assert not found[:, 1:5].any()
    seen = found[..., 3] > 0
    lengths = limbs(found)[seen[:, [11, 13, 15, 5, 7, 9, 12, 6]].all(1)]
    assert 0.005 < lengths.std(0).mean() < 0.06


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("draw", [Sensor.draw, Sensor.poor])
def test_any_sensor_gives_a_sequence(walk, draw, seed):
    rng = np.random.default_rng(seed)
    found = draw(rng).measure(walk.joints, rng)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert not found[found[..., 3] == 0].any()


def test_a_tilted_sensor_tilts_the_body_and_keeps_its_shape(walk):
    level, leaning = (
        Sensor(np.zeros((17, 3)), tilt=tilt).measure(walk.joints, np.random.default_rng(1))
        for tilt in ((0.0, 0.0), (0.06, 0.08))
    )
    np.testing.assert_allclose(limbs(leaning), limbs(level), atol=1e-5)
    bodies = [found[:, 5:7, :3].mean(1) - found[:, 15:17, :3].mean(1) for found in (level, leaning)]
    cosine = (bodies[0] * bodies[1]).sum(1) / np.prod([np.linalg.norm(b, axis=1) for b in bodies], axis=0)
    np.testing.assert_allclose(np.arccos(cosine).max(), 0.1, atol=0.02)


def test_a_biased_sensor_measures_limbs_wrongly_for_a_whole_walk(walk):
    rng = np.random.default_rng(2)
    found = [limbs(Sensor(np.zeros((17, 3)), bias=0.02).measure(walk.joints, rng)) for _ in range(20)]
    means = np.stack([lengths.mean(0) for lengths in found])
    assert 0.01 < means.std(0).mean() < 0.06  # between walks
    turned = np.stack([lengths - limbs(walk.joints) for lengths in found]).std(1).mean()
    assert turned < 0.5 * means.std(0).mean()  # within a walk


def test_the_far_side_can_have_more_noise(walk):
    def uneven(far: float) -> float:
        rng, ratios = np.random.default_rng(3), []
        for _ in range(20):
            found = Sensor(np.zeros((17, 3)), white=0.01, far=far).measure(walk.joints, rng)
            noise = np.diff(found[:, :, 2], n=2, axis=0).std(0)
            ratios.append(abs(np.log(noise[5:17:2].mean() / noise[6:17:2].mean())))
        return float(np.mean(ratios))

    assert uneven(3.0) > 3 * uneven(1.0)
