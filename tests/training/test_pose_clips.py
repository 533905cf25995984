"""Skeleton clips for training have the right shape and the requested view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gaitid.encoders.bodies import FEATURES_3D
from gaitid.encoders.poses import FEATURES
from gaitid.synthetic.depth import Sensor
from gaitid.training.corpus import Corpus
from gaitid.training.poses import clip, clip_in_space, film, mirror
from gaitid.training.recipe import PoseAugmentation

CALM = PoseAugmentation(
    spread_deg=(0.0,), noise=(0.0,), speed=1.0, drop=0.0, hide=0.0, blink=0.0, stretch=0.0
)


@pytest.mark.parametrize("frames", [10, 20, 60])
def test_shape_and_range(shards, frames):
    made = clip(np.random.default_rng(0), Corpus(shards), 3, frames, 45.0, PoseAugmentation())
    assert made.shape == (frames, 17, FEATURES)
    assert made.dtype == np.float32
    assert np.abs(made).max() <= 4


def test_shoulders_are_widest_from_the_front_and_strides_from_the_side(shards):
    joints = Corpus(shards).joints(0).astype(np.float64)
    front, side = (film(np.random.default_rng(0), joints, view, (0.0,)) for view in (0.0, 90.0))

    def shoulders(poses):
        return (np.abs(poses[:, 5, 0] - poses[:, 6, 0]) / np.ptp(poses[..., 1])).mean()

    def stride(poses):
        return (np.abs(poses[:, 15, 0] - poses[:, 16, 0]) / np.ptp(poses[..., 1])).max()

    assert shoulders(front) > 1.5 * shoulders(side)
    assert stride(side) > 1.5 * stride(front)
    assert front[0, 5, 0] > front[0, 6, 0]  # seen from the front, the left shoulder is on the right


def test_3d_clips_have_their_shape_and_the_joints_the_sensor_hides(shards):
    corpus, how = Corpus(shards), PoseAugmentation()
    sensor = replace(Sensor.exact(), hidden=(0, 1, 2, 3, 4))
    for number in range(3):
        made = clip_in_space(np.random.default_rng(0), corpus, number, 20, sensor, how)
        assert made.shape == (20, 17, FEATURES_3D)
        assert not made[:, :5].any()
        assert made[:, 5:, 10].all()


def test_hidden_parts_are_missing_in_all_frames(shards):
    how = PoseAugmentation(spread_deg=(0.0,), noise=(0.0,), hide=1.0, blink=0.0, drop=0.0)
    made = clip(np.random.default_rng(1), Corpus(shards), 0, 20, 90.0, how)
    missing = (made[..., 6] == 0).all(0)
    assert 0 < missing.sum() < 17
    assert not made[:, missing].any()


def test_mirroring_swaps_sides_and_is_its_own_inverse():
    poses = np.random.default_rng(0).normal(size=(3, 17, 3)).astype(np.float32)
    np.testing.assert_array_equal(mirror(mirror(poses)), poses)
    np.testing.assert_array_equal(mirror(poses)[:, 15, 0], -poses[:, 16, 0])
    np.testing.assert_array_equal(mirror(poses)[:, 0, 1:], poses[:, 0, 1:])


def test_without_augmentation_a_walk_repeats_exactly(shards):
    corpus = Corpus(shards)
    one, two = (clip(np.random.default_rng(5), corpus, 0, 20, 90.0, CALM) for _ in range(2))
    np.testing.assert_array_equal(one, two)
