"""What people do while they walk: trunk, head and arms drift, they look aside, they move an arm.

Rates and sizes are our estimate. With them halves of a walk differ more from each other, if still less than
those of real walks (docs/synthetic.md, "How a walk differs from itself").
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
_GLANCES_HZ, _GESTURES_HZ = 0.15, 0.12


def stir(angles: Angles, rng: np.random.Generator, times: Floats, mean: float) -> None:
    """Add to joint angles (T,) in degrees, in place, what does not belong to the stride.

    Args:
        angles: Of `motion`; limb angles end in L or R.
        rng: Source of chance.
        times: (T,) seconds, evenly spaced.
        mean: Strength over all walks, 1 as people usually do; this walk has its own.
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
    """(T,) that rises to 1 and falls again, 0.6 to 3 s in all."""
    half, rise = rng.uniform(0.3, 1.5), 0.3
    away = np.abs(times - rng.uniform(0, times[-1])) - half
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(-away / rise, 0, 1)))
