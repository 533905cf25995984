"""Features of skeletons in space: place, direction and handedness do not matter, size does."""

from __future__ import annotations

import numpy as np
import pytest

from gaitid.encoders.bodies import FEATURES_3D, prepare
from gaitid.encoders.poses import POSE_RATE_HZ
from gaitid.errors import SequenceError
from gaitid.synthetic import Population
from gaitid.synthetic.depth import Sensor


@pytest.fixture(scope="module")
def walk() -> tuple[np.ndarray, np.ndarray]:
    found = Population(4).sequence(0, frames=50)
    return found.measured(Sensor.exact()), found.times


def turned(skeletons: np.ndarray, angle: float) -> np.ndarray:
    out = skeletons.copy()
    cosine, sine = np.cos(angle), np.sin(angle)
    out[..., 0] = cosine * skeletons[..., 0] - sine * skeletons[..., 1]
    out[..., 1] = sine * skeletons[..., 0] + cosine * skeletons[..., 1]
    return out


def test_form_and_range(walk):
    skeletons, times = walk
    (clip,) = prepare(skeletons, times)
    assert clip.shape == (round(times[-1] * POSE_RATE_HZ) + 1, 17, FEATURES_3D)
    assert clip.dtype == np.float32
    assert np.abs(clip).max() <= 4
    np.testing.assert_allclose(clip[:, 11:13, :3].mean(1), 0, atol=1e-5)
    assert clip[:, 5, 1].mean() > 0.2 > -0.2 > clip[:, 6, 1].mean()  # the left shoulder is on the left


@pytest.mark.parametrize("angle", [0.5, 2.0, 4.5])
def test_place_and_direction_do_not_matter(walk, angle):
    skeletons, times = walk
    moved = turned(skeletons, angle) + np.array([3.0, -7.0, 0.4, 0.0], np.float32)
    (base,), (other,) = prepare(skeletons, times), prepare(moved, times)
    np.testing.assert_allclose(other, base, atol=1e-4)


def test_a_left_handed_sensor_gives_the_same(walk):
    skeletons, times = walk
    mirrored = skeletons * np.array([1, -1, 1, 1], np.float32)
    (base,), (other,) = prepare(skeletons, times), prepare(mirrored, times)
    np.testing.assert_allclose(other, base, atol=1e-4)


@pytest.mark.parametrize("drift", [-1.0, -0.5, 0.0, 0.5])
def test_a_sensor_may_follow_the_walker(walk, drift):
    """A sensor that turns with the walker, or a treadmill: the remaining path carries no information."""
    skeletons, times = walk
    hips = skeletons[:, 11:13, :2].mean(1)
    course = (hips[-1] - hips[0]) / np.linalg.norm(hips[-1] - hips[0])
    held = skeletons.copy()
    held[..., :2] += (np.outer(times / times[-1], drift * course) - hips)[:, None].astype(np.float32)
    (base,), (other,) = prepare(skeletons, times), prepare(held, times)
    np.testing.assert_allclose(other, base, atol=2e-3)


@pytest.mark.parametrize("legs", [(11, 13, 15), (12, 14, 16)])
def test_one_leg_shows_where_the_walker_faces(walk, legs):
    skeletons, times = walk
    alone = np.where(np.isin(np.arange(17), legs)[:, None], skeletons, 0).astype(np.float32)
    (clip,), (whole,) = prepare(turned(alone, 2.0), times), prepare(skeletons, times)
    hip, knee, ankle = legs
    swing, truth = (x[:, ankle, :2] - x[:, hip, :2] for x in (clip, whole))
    assert np.corrcoef(swing[:, 0], truth[:, 0])[0, 1] > 0.98
    assert np.abs(swing - truth).mean() < 0.1  # twice metres
    assert (clip[:, knee, 0] - (clip[:, hip, 0] + clip[:, ankle, 0]) / 2).mean() > 0


def test_size_matters(walk):
    skeletons, times = walk
    taller = skeletons * np.array([1.1, 1.1, 1.1, 1], np.float32)
    (base,), (other,) = prepare(skeletons, times), prepare(taller, times)
    assert np.abs(other - base)[..., 9].max() > 0.05


def test_missing_joints_are_zeros(walk):
    skeletons, times = walk
    partial = skeletons.copy()
    partial[:, [0, 1, 2, 3, 4, 15]] = 0
    (clip,) = prepare(partial, times)
    assert not clip[:, [0, 1, 2, 3, 4, 15]].any()


BAD = {
    "millimetres": (lambda s: s * np.array([1000, 1000, 1000, 1], np.float32), "along z"),
    "y up": (lambda s: s[..., [0, 2, 1, 3]], "along z"),
    "no trunk": (
        lambda s: np.where(np.isin(np.arange(17), [5, 6, 11, 12])[:, None], 0, s),
        "nor the hip and knee",
    ),
    "upside down": (lambda s: s * np.array([1, 1, -1, 1], np.float32), "along z"),
}


@pytest.mark.parametrize("name", BAD)
def test_only_an_upright_body_in_metres_is_accepted(walk, name):
    change, words = BAD[name]
    with pytest.raises(SequenceError, match=words):
        prepare(change(walk[0]).astype(np.float32), walk[1])
