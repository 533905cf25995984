"""Movements beside the stride: drifts of trunk, head and arms, glances, gestures.

Rates and sizes are our estimates. With them, halves of a walk differ more from each other, but still less
than halves of real walks (docs/synthetic.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gaitid.synthetic.algebra import follow

Floats = NDArray[np.float64]
Angles = dict[str, Floats]

_DRIFT = {
    "trunk_yaw": 4.0,
    "trunk_pitch": 1.5,
    "trunk_roll": 1.2,
    "slump": 2.5,
    "head_yaw": 8.0,
    "head_pitch": 5.0,
}
_ARM_DRIFT = {"arm": 5.0, "elbow": 7.0, "arm_spread": 3.5, "arm_twist": 6.0, "shrug": 1.5}
"""Standard deviation of slow drifts in degrees."""
_MEMORY_S = 1.2
"""Time constant of the drifts."""
_GLANCES_HZ, _GESTURES_HZ = 0.15, 0.12
"""Mean rates of glances and gestures at strength 1."""


def stir(angles: Angles, rng: np.random.Generator, times: Floats, mean: float) -> None:
    """Add movements beside the stride to joint angles, in place.

    Args:
        angles: (T,) degrees by name, as in `motion`; names of limb angles end in L or R.
        rng: Random generator.
        times: (T,) seconds, evenly spaced.
        mean: Mean strength over all walks, 1 for a usual one; each walk draws its own.
    """
    strength = mean * min(3.0, rng.exponential())
    sizes = _DRIFT | {name + side: size for name, size in _ARM_DRIFT.items() for side in "LR"}
    keep = float(np.exp(-(times[1] - times[0]) / _MEMORY_S))
    drifts = follow(rng.standard_normal((len(times), len(sizes))), keep).T
    for (name, size), drift in zip(sizes.items(), drifts, strict=True):
        angles[name] = angles[name] + strength * size * drift
    for _ in range(rng.poisson(strength * _GLANCES_HZ * times[-1])):
        _glance(angles, rng, times)
    for _ in range(rng.poisson(strength * _GESTURES_HZ * times[-1])):
        _gesture(angles, rng, times)
    for side in "LR":
        angles["elbow" + side] = np.maximum(angles["elbow" + side], 2.0)


def _glance(angles: Angles, rng: np.random.Generator, times: Floats) -> None:
    aside = float(rng.uniform(20, 60) * rng.choice([-1, 1])) * _moment(rng, times)
    angles["head_yaw"] = angles["head_yaw"] + aside
    angles["trunk_yaw"] = angles["trunk_yaw"] + 0.25 * aside


def _gesture(angles: Angles, rng: np.random.Generator, times: Floats) -> None:
    side, share = str(rng.choice(["L", "R"])), _moment(rng, times)
    pose = {"arm": (5, 70), "elbow": (50, 130), "arm_spread": (5, 35), "arm_twist": (0, 50)}
    for name, limits in pose.items():
        angles[name + side] = (1 - share) * angles[name + side] + share * rng.uniform(*limits)


def _moment(rng: np.random.Generator, times: Floats) -> Floats:
    """(T,) weights that rise to 1 and fall again within 0.6 to 3 s."""
    half, rise = rng.uniform(0.3, 1.5), 0.3
    away = np.abs(times - rng.uniform(0, times[-1])) - half
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(-away / rise, 0, 1)))
