"""Features of skeletons in space.

Each frame is rotated so that the walker faces along x, and measured from the middle of the hips. Sizes stay
in metres: body height and lengths of limbs are what the third dimension adds.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gaitid.encoders.poses import PARENTS, POSE_RATE_HZ, middle, resample, usable
from gaitid.errors import SequenceError
from gaitid.modalities.skeleton import facing

FEATURES_3D = 11
"""Features per joint: place x, y, z; bone x, y, z; speed x, y, z; length of the bone; seen."""
_REACH = int(POSE_RATE_HZ // 2)
_LEVELS = ((5, 6), (11, 12), (15, 16))
_STEP_M = (0.15, 2.0)
"""Smallest and largest distance between two of the levels shoulders, hips and ankles, metres."""


def prepare(skeletons: NDArray[np.float32], times: NDArray[np.float64]) -> list[NDArray[np.float32]]:
    """Features of the stretches of a walk, which long gaps separate.

    Args:
        skeletons: (T, 17, 4) x, y, z in metres, z up, and confidence.
        times: (T,) seconds, increasing.

    Returns:
        Clips of (G, 17, FEATURES_3D) float32 at `POSE_RATE_HZ`.

    Raises:
        SequenceError: No trunk was seen, or the body is not upright in metres.
    """
    return usable(*resample(skeletons, times), _checked)


def features(places: NDArray[np.floating], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(T, 17, FEATURES_3D) of (T, 17, 3) metres at `POSE_RATE_HZ`, and whether each was seen."""
    ahead = turned(places, seen)
    centred = ahead - middle(ahead, seen)[:, None]
    centred[~seen] = 0
    both = seen & seen[:, PARENTS]
    bones = np.where(both[..., None], centred - centred[:, PARENTS], 0)
    lengths = np.linalg.norm(bones, axis=2, keepdims=True)
    speed = np.zeros_like(centred)
    known = (seen[2:] & seen[:-2])[..., None]
    speed[1:-1] = np.where(known, centred[2:] - centred[:-2], 0) * (POSE_RATE_HZ / 2 / 5)
    joined = np.concatenate([2 * centred, 4 * bones, speed, 4 * lengths, seen[..., None]], axis=2)
    return np.asarray(np.clip(joined, -4, 4), np.float32)


def turned(places: NDArray[np.floating], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(T, 17, 3) metres ahead, left and up; see `modalities.skeleton.facing`, also for what it raises."""
    return facing(places, seen, _REACH)


def _checked(places: NDArray[np.floating], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    _check_upright(places, seen)
    return features(places, seen)


def _check_upright(places: NDArray[np.floating], seen: NDArray[np.bool_]) -> None:
    """Check that shoulders are above hips and hips above ankles, at distances of a human body."""
    levels = [
        float(np.median(places[:, [left, right], 2][seen[:, [left, right]]]))
        for left, right in _LEVELS
        if seen[:, [left, right]].any()
    ]
    for upper, lower in pairwise(levels):
        if not _STEP_M[0] < upper - lower < _STEP_M[1]:
            raise SequenceError(
                f"Shoulders, hips and ankles are at {', '.join(f'{level:.3g}' for level in levels)} along z",
                f"{_STEP_M[0]:g} to {_STEP_M[1]:g} m between them, the upper first",
                "Pass metres with z up, as modalities.skeleton.from_kinect20 returns them",
            )
