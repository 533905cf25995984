"""Skeleton features do not depend on place, scale or the direction of y, and tolerate missing joints."""

from __future__ import annotations

import numpy as np
import pytest

from gaitid.encoders.poses import FEATURES, POSE_RATE_HZ, prepare, resample, stature
from gaitid.errors import SequenceError
from gaitid.synthetic import Population


@pytest.fixture(scope="module")
def walk() -> tuple[np.ndarray, np.ndarray]:
    found = Population(4).sequence(0, frames=50)
    return found.detected(0.0), found.times


def test_features_have_the_rate_and_the_form(walk):
    skeletons, times = walk
    (clip,) = prepare(skeletons, times)
    assert clip.shape == (round(times[-1] * POSE_RATE_HZ) + 1, 17, FEATURES)
    assert clip.dtype == np.float32
    assert np.isfinite(clip).all()


def test_the_middle_of_the_hips_is_the_origin_and_the_ankles_are_half_a_body_below(walk):
    (clip,) = prepare(*walk)
    np.testing.assert_allclose(clip[:, 11:13, :2].mean(1), 0, atol=1e-5)
    assert 0.4 < clip[:, 15:17, 1].mean() < 0.55


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda s: s * np.array([3.7, 3.7, 1]), id="scale"),
        pytest.param(lambda s: s + np.array([500.0, -20.0, 0]), id="place"),
        pytest.param(lambda s: s * np.array([1, -1, 1]), id="y up"),
    ],
)
def test_place_scale_and_direction_do_not_matter(walk, change):
    skeletons, times = walk
    (base,), (other,) = prepare(skeletons, times), prepare(change(skeletons).astype(np.float32), times)
    np.testing.assert_allclose(other, base, atol=2e-3)


def test_a_slower_camera_gives_nearly_the_same(walk):
    skeletons, times = walk
    (base,), (slow,) = prepare(skeletons, times), prepare(skeletons[::2], times[::2])
    length = min(len(base), len(slow))
    assert np.abs(slow[:length, :, :2] - base[:length, :, :2]).mean() < 0.01


@pytest.mark.parametrize(
    ("name", "joints"),
    [("no head", range(5)), ("one leg", [*range(11), 12, 14, 16]), ("legs", range(11))],
)  # fmt: skip
def test_missing_joints_are_zeros_and_the_rest_is_still_there(walk, name, joints):
    skeletons, times = walk
    partial = skeletons.copy()
    partial[:, list(joints)] = 0
    (clip,) = prepare(partial, times)
    assert not clip[:, list(joints)].any()
    rest = sorted(set(range(17)) - set(joints))
    assert (clip[:, rest, 6] == 1).all()
    assert clip[:, rest, :2].std() > 0.02


def test_a_joint_in_the_corner_was_not_seen_whatever_its_confidence(walk):
    skeletons, times = walk
    lost, corner = skeletons.copy(), skeletons.copy()
    lost[5:30, [9, 15]], corner[5:30, [9, 15]] = 0, (0, 0, 0.3)
    np.testing.assert_array_equal(prepare(corner, times)[0], prepare(lost, times)[0])


def test_stature_is_about_the_body_height(walk):
    skeletons, times = walk
    places, seen = resample(skeletons, times)
    tall = (skeletons[:, 15:17, 1].max(1) - skeletons[:, 0, 1]).mean()  # nose to ankle
    assert 0.95 < stature(places[0], seen[0]) / tall < 1.35


def test_a_long_gap_splits_the_walk(walk):
    skeletons, times = walk
    kept = np.r_[0:20, 35:50]
    clips = prepare(skeletons[kept], times[kept])
    assert [len(clip) for clip in clips] == [20, 15]


def test_no_body_is_refused():
    with pytest.raises(SequenceError, match="no limb"):
        prepare(np.zeros((10, 17, 3), np.float32), np.arange(10) / 25)
