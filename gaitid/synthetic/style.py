"""Style of walking: parameters that persist, and their variation between days and between walks.

A style is drawn once per identity, disturbed once per session (day: shoes, mood, fatigue) and again
per sequence. Cadence, thigh range, thigh mean and speed follow a two-day optical motion-capture set
(docs/synthetic.md). The remaining spreads follow the literature on normal gait: joint curves and phases
Winter 1991; arm-swing asymmetry Killeen et al. 2018; toe-out and step width Hollman et al. 2011;
mood Troje 2002 and Michalak et al. 2009.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaitid.synthetic.body import FEMALE, BodyShape

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


class Spread(NamedTuple):
    """Mean of a parameter, and its standard deviations between subjects, days and walks."""

    mean: float
    people: float
    days: float
    walks: float


def _spread(mean: float, people: float, days: float) -> Spread:
    return Spread(mean, people, days, 0.4 * days)


PARAMETERS: dict[str, Spread] = {
    # steps/min and degrees of the thigh to the vertical, matched to real data
    "cadence": Spread(102.6, 8.0, 5.4, 2.0),
    "thigh_range": Spread(34.5, 2.65, 0.45, 0.25),
    "thigh_mean": Spread(4.5, 0.7, 1.45, 0.5),
    # legs: offsets in degrees, amplitudes and shares as factors, phases in cycles
    "knee_mean": _spread(0.0, 2.6, 1.0),
    "knee_range": _spread(1.0, 0.08, 0.02),
    "knee_loading": _spread(1.0, 0.35, 0.08),
    "knee_phase": _spread(0.0, 0.010, 0.003),
    "ankle_mean": _spread(0.0, 2.5, 0.9),
    "ankle_range": _spread(1.0, 0.16, 0.04),
    "ankle_phase": _spread(0.0, 0.009, 0.003),
    "toe_out": _spread(7.0, 5.0, 1.1),
    "toe_out_asymmetry": _spread(0.0, 3.0, 0.6),
    "abduction": _spread(1.0, 1.6, 0.4),
    "leg_asymmetry": _spread(0.0, 0.035, 0.010),
    "step_asymmetry": _spread(0.0, 0.010, 0.003),
    # pelvis and trunk
    "pelvis_tilt": _spread(0.0, 3.0, 0.8),
    "pelvis_tilt_swing": _spread(1.2, 0.5, 0.12),
    "pelvis_drop": _spread(1.0, 0.38, 0.08),
    "pelvis_turn": _spread(5.0, 2.2, 0.6),
    "sway": _spread(0.018, 0.007, 0.002),
    "lean": _spread(3.0, 2.6, 1.1),
    "lean_swing": _spread(1.2, 0.5, 0.12),
    "lean_phase": _spread(0.0, 0.05, 0.012),
    "trunk_turn": _spread(6.0, 2.6, 0.7),
    "trunk_turn_phase": _spread(0.0, 0.035, 0.010),
    "trunk_roll": _spread(1.5, 1.3, 0.3),
    "side_lean": _spread(0.0, 1.2, 0.4),
    "slump": _spread(0.0, 4.5, 1.6),
    "head_pitch": _spread(2.0, 4.2, 2.4),
    "head_nod": _spread(0.8, 0.7, 0.2),
    "head_turn": _spread(0.0, 2.5, 1.8),
    # arms
    "arm_mean": _spread(-4.0, 5.0, 1.6),
    "arm_range": _spread(17.0, 6.5, 2.0),
    "arm_spread": _spread(9.0, 3.5, 1.0),
    "arm_twist": _spread(10.0, 9.0, 2.0),
    "arm_phase": _spread(0.0, 0.028, 0.008),
    "arm_asymmetry": _spread(0.07, 0.22, 0.07),
    "elbow_mean": _spread(22.0, 8.0, 2.2),
    "elbow_range": _spread(9.0, 4.5, 1.3),
    "elbow_phase": _spread(0.0, 0.035, 0.010),
    "shoulder_height": _spread(0.0, 3.0, 0.8),
    "shoulder_tilt": _spread(0.0, 1.6, 0.4),
}
NAMES = tuple(PARAMETERS)
_TABLE = np.array(list(PARAMETERS.values()))
_AT = {name: i for i, name in enumerate(NAMES)}

RESIDUALS: dict[str, float] = {
    "hip": 1.2, "knee": 2.2, "ankle": 1.6, "abduct": 1.1, "arm": 1.4, "elbow": 2.4,
    "pelvis_yaw": 0.7, "pelvis_roll": 0.6, "pelvis_pitch": 0.4, "trunk_yaw": 0.8,
    "trunk_pitch": 0.5, "trunk_roll": 0.5, "head_pitch": 0.6, "sway": 0.0012,
}  # fmt: skip
"""Free-form part of each curve: scale of its harmonics 1..4 between subjects, degrees (sway: metres)."""
RESIDUAL_NAMES = tuple(RESIDUALS)
HARMONICS = 4
_RESIDUAL_SCALE = np.array(list(RESIDUALS.values()))[:, None] / np.arange(1, HARMONICS + 1) ** 1.1
_DAYS_SHARE, _WALKS_SHARE = 0.18, 0.08

# Effect of one standard deviation of a latent trait, in standard deviations between subjects (or days).
_VIGOUR = {"cadence": 0.96, "thigh_range": 0.97, "arm_range": 0.6, "slump": -0.5, "lean_swing": 0.4,
           "knee_range": 0.3, "pelvis_turn": 0.3, "elbow_range": 0.4}  # fmt: skip
_OLD = {"thigh_range": -0.7, "cadence": -0.1, "arm_range": -0.5, "slump": 1.0, "lean": 0.6, "toe_out": 0.4,
        "abduction": 0.5, "knee_mean": 0.6, "knee_range": -0.5, "trunk_turn": -0.5, "ankle_range": -0.5,
        "head_pitch": 0.4, "elbow_mean": 0.4}  # fmt: skip
_FEMALE = {"cadence": 0.35, "pelvis_drop": 0.6, "pelvis_turn": 0.4, "abduction": -0.4, "toe_out": -0.3,
           "arm_range": 0.3, "arm_spread": 0.3, "trunk_roll": -0.4, "sway": -0.2}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Style:
    """One style of walking.

    Attributes:
        values: (len(NAMES),) parameters in the order of `NAMES`.
        common: (len(RESIDUAL_NAMES), 4) complex, free-form harmonics that both sides share.
        uneven: (len(RESIDUAL_NAMES), 4) complex, added on the left and subtracted on the right.
    """

    values: Floats
    common: Complexes
    uneven: Complexes

    def __getitem__(self, name: str) -> float:
        return float(self.values[_AT[name]])

    def shifted(self, changes: dict[str, float]) -> Style:
        """Return the style with amounts added to parameters (for a bag, a heel, a coat)."""
        values = self.values.copy()
        for name, amount in changes.items():
            values[_AT[name]] += amount
        return replace(self, values=values)


def draw_style(rng: np.random.Generator, figure: BodyShape, between: float = 1.0) -> Style:
    """Draw the persistent style of a subject.

    Args:
        rng: Random generator.
        figure: Body of the subject: long legs lower the cadence; age and sex shift posture and range.
        between: Factor on all spreads between subjects; 0 gives all subjects the same style.
    """
    noise = np.clip(rng.standard_normal(len(NAMES)), -2.5, 2.5)
    # Long steps go with a lower cadence; without this the spread of speed is twice too wide.
    noise[_AT["cadence"]] = _mixed(noise[_AT["cadence"]], noise[_AT["thigh_range"]], STEP_TRADE)
    values = _TABLE[:, 0] + between * _TABLE[:, 1] * noise
    old = max(0.0, figure.age - 55.0) / 20.0
    for traits, amount in ((_OLD, old), (_FEMALE, 0.5 if figure.sex == FEMALE else -0.5)):
        for name, effect in traits.items():
            values[_AT[name]] += between * amount * effect * _TABLE[_AT[name], 1]
    values[_AT["cadence"]] *= (0.83 / figure.leg) ** (0.5 * between)
    return Style(
        values, between * _harmonics(rng, _RESIDUAL_SCALE), 0.45 * between * _harmonics(rng, _RESIDUAL_SCALE)
    )


STEP_TRADE = -0.2
"""Correlation of cadence and thigh range between subjects."""


def vary_session(rng: np.random.Generator, style: Style) -> Style:
    """Draw the style of one day."""
    vigour = float(np.clip(rng.standard_normal(), -2.5, 2.5))
    return _vary(rng, style, 2, _DAYS_SHARE, vigour)


def vary_sequence(rng: np.random.Generator, style: Style, amount: float = 1.0) -> Style:
    """Draw the style of one walk of a day; `amount` is a factor on its differences from the day."""
    vigour = float(np.clip(rng.standard_normal(), -2.5, 2.5))
    return _vary(rng, style, 3, _WALKS_SHARE, vigour, amount)


def _vary(
    rng: np.random.Generator, style: Style, level: int, share: float, vigour: float, amount: float = 1.0
) -> Style:
    noise = np.clip(rng.standard_normal(len(NAMES)), -3, 3)
    for name, effect in _VIGOUR.items():
        noise[_AT[name]] = _mixed(noise[_AT[name]], vigour, effect)
    return Style(
        style.values + amount * _TABLE[:, level] * noise,
        style.common + amount * share * _harmonics(rng, _RESIDUAL_SCALE),
        style.uneven + amount * 0.45 * share * _harmonics(rng, _RESIDUAL_SCALE),
    )


def _mixed(own: float, other: float, correlation: float) -> float:
    return float(correlation * other + np.sqrt(1 - correlation**2) * own)


def _harmonics(rng: np.random.Generator, scale: Floats) -> Complexes:
    parts = rng.standard_normal((2, *scale.shape))
    return np.asarray(scale * (parts[0] + 1j * parts[1]) / np.sqrt(2))
