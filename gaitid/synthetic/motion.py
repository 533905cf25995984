"""From a style to a moving skeleton: joint-angle curves, forward kinematics, travel, planted feet.

Curves are Fourier series of the stride phase. Travel follows the standing foot; then two-bone inverse
kinematics moves each ankle so that the ball of a standing foot does not slide.

Source of the mean curves: level walking of adults as drawn in Winter 1991, Perry & Burnfield 2010 and
Kadaba et al. 1990, read off by eye. Hip, knee, ankle and toe were then adjusted (least squares; at most 2.3,
4.0, 6.4 and 8 degrees) until the mean body walks at an even 1.03 m/s, with its soles within 2 mm of the
ground in stance and 10 mm above it in swing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError
from gaitid.synthetic.algebra import between, follow, turns
from gaitid.synthetic.body import BIG_TOE, HEEL, Body, BodyShape
from gaitid.synthetic.path import Pace, Path
from gaitid.synthetic.restless import stir
from gaitid.synthetic.style import HARMONICS, RESIDUAL_NAMES, Style

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

_ORDER = 6
# fmt: off
_CURVES: dict[str, tuple[float, ...]] = {
    "hip": (17.5, 15.6, 14.4, 12.1, 7.4, 2.0, -3.0, -8.1, -12.7, -15.7,
        -16.5, -14.7, -9.5, -1.5, 7.5, 15.2, 19.2, 20.0, 20.0, 19.4),
    "knee": (5.5, 10.4, 15.9, 18.5, 16.9, 14.0, 11.6, 9.3, 7.9, 9.5,
        14.3, 23.3, 36.8, 50.4, 58.3, 58.4, 49.4, 32.1, 14.5, 5.4),
    "ankle": (-2.2, -2.7, -0.8, 0.4, 1.0, 2.6, 4.5, 6.3, 8.1, 8.5,
        6.7, 1.6, -7.5, -15.3, -13.5, -4.2, 2.2, 2.6, 1.7, 0.2),
    "toe": (7.3, 4.0, 0.8, -0.1, 0.5, 0.2, 0.1, 2.4, 5.8, 11.0,
        20.6, 27.8, 23.5, 12.6, 6.6, 6.8, 7.8, 8.7, 9.7, 9.4),
    "abduct": (-0.3, -1.9, -4.0, -4.8, -4.4, -3.6, -3.1, -2.5, -1.9, -1.6,
        -0.7, 1.9, 4.8, 5.8, 4.7, 3.3, 2.1, 0.9, 0.1, 0.1),
    "pelvis_roll": (0.2, 1.7, 3.4, 3.9, 3.0, 1.9, 1.2, 0.7, 0.5, 0.3,
        -0.2, -1.7, -3.4, -3.9, -3.0, -1.9, -1.2, -0.7, -0.5, -0.3),
}
# fmt: on
"""Degrees at every twentieth of the stride from heel strike: thigh forward of the vertical, knee flexion,
foot up, toes up, thigh outwards, pelvis up on the side of the leg."""


def _series(name: str) -> Complexes:
    values = np.array(_CURVES[name])
    weights = np.r_[1, 2 * np.ones(_ORDER)] / len(values)
    return np.asarray(np.fft.rfft(values)[: _ORDER + 1] * weights)


_MEAN_CURVES = {name: _series(name) for name in _CURVES}
_GRID = np.exp(2j * np.pi * np.outer(np.arange(64) / 64, np.arange(_ORDER + 1)))
_STANDING = {"hip": 1.0, "knee": 3.0, "ankle": 1.0, "abduct": 1.5}
"""Joint angles of a standing subject, degrees."""

_TOUCH_M = 0.015
"""A sole up to this height stands on the ground."""
_SWINGING = (0.60, 0.68, 0.80, 0.88), (0.0, 0.06, 0.06, 0.0)
"""Shares of the stride, and metres added to the height of a foot there: it swings and bears no weight."""

ARM_MODES = ("free", "carry", "strap", "pocket", "phone", "hold")
"""Actions of an arm: it swings, carries a weight, grips a strap, is in a pocket, holds a phone in view, or
holds something to the chest."""
_ARM_POSES = {  # shoulder flexion, elbow, abduction, inward twist (degrees), remaining share of the swing
    "carry": (0.0, 9.0, 3.0, 0.0, 0.25),
    "strap": (6.0, 80.0, 4.0, 25.0, 0.15),
    "pocket": (-14.0, 50.0, 12.0, 25.0, 0.2),
    "phone": (14.0, 102.0, 3.0, 28.0, 0.1),
    "hold": (8.0, 95.0, 6.0, 50.0, 0.1),
}


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """A body in motion, in world coordinates.

    Attributes:
        times: (T,) seconds.
        rotations: (T, 21, 3, 3) rotation of each bone from rest.
        positions: (T, 21, 3) head of each bone, metres, ground at z = 0.
        phase: (T,) strides; a left heel strikes at whole numbers, a right one half a stride later.
        planted: (T, 2) bool, whether the left and the right foot stand on the ground.
        heading: (T,) walking direction, radians.
        speed: (T,) metres per second.
    """

    times: Floats
    rotations: Floats
    positions: Floats
    phase: Floats
    planted: NDArray[np.bool_]
    heading: Floats
    speed: Floats

    def __len__(self) -> int:
        return len(self.times)

    def thinned(self, step: int) -> Motion:
        """Return every `step`-th frame."""
        keep = slice(None, None, step)
        return Motion(
            self.times[keep],
            self.rotations[keep],
            self.positions[keep],
            self.phase[keep],
            self.planted[keep],
            self.heading[keep],
            self.speed[keep],
        )

    def points(self, rest: Floats, weights: Floats, joints: Floats) -> Floats:
        """(T, N, 3) positions of rest points (N, 3) that follow the bones by `weights` (N, 21)."""
        return skin(rest, weights, joints, self.rotations, self.positions)


def skin(rest: Floats, weights: Floats, joints: Floats, rotations: Floats, positions: Floats) -> Floats:
    """Linear-blend skinning as one matrix product: (N, 3) at rest to (T, N, 3).

    The result is a view of (T, 3, N) memory, because long rows make later steps faster.
    """
    frames, bones = positions.shape[:2]
    shift = positions - (rotations @ joints[:, :, None])[..., 0]
    affine = np.concatenate([rotations, shift[..., None]], 3)  # (T, B, 3, 4)
    table = affine.transpose(0, 2, 1, 3).reshape(frames * 3, bones * 4)
    homogeneous = np.concatenate([rest, np.ones((len(rest), 1))], 1)
    blend = (weights[:, :, None] * homogeneous[:, None]).reshape(len(rest), bones * 4)
    return np.asarray((table @ blend.T).reshape(frames, 3, len(rest)).transpose(0, 2, 1))


def walk(
    body: Body,
    figure: BodyShape,
    style: Style,
    rng: np.random.Generator,
    *,
    frames: int = 60,
    fps: float = 25.0,
    path: Path | None = None,
    pace: Pace | None = None,
    arms: Mapping[str, str] | None = None,
    restless: float = 0.0,
) -> Motion:
    """Make a body walk.

    Args:
        body: The body asset.
        figure: Shape of the body.
        style: Style of this walk.
        rng: Random generator of the starting phase and of the variation between strides.
        frames: Number of frames.
        fps: Frames per second; below 24 the motion is computed at a higher rate and subsampled.
        path: Curve on the ground, walked from its first point; default: the x axis.
        pace: Share of the subject's own speed over time; default: steady.
        arms: Arm mode by side, ``{"L": "phone"}``; see `ARM_MODES`.
        restless: Strength of movements beside the stride; see `restless.stir`.

    Returns:
        The motion; feet that are `planted` do not slide.

    Raises:
        InputError: Frames, fps or arms are out of range.
    """
    modes = dict(arms or {})
    _check(frames, fps, modes)
    fine = max(1, int(np.ceil(24 / fps)))
    times = np.arange((frames - 1) * fine + 1) / (fps * fine)
    share = np.sqrt((pace or Pace()).at(times))  # cadence and stride grow together with speed
    phase, wander = _clock(rng, style, times, share)
    angles = _angles(style, phase, share * wander, modes)
    if restless:
        stir(angles, rng, times, restless)
    motion = _on_path(body, figure, angles, times, phase, _planted(phase, share), path or Path.straight())
    return motion.thinned(fine)


def _check(frames: int, fps: float, modes: Mapping[str, str]) -> None:
    if frames < 2 or not 1 <= fps <= 240:
        raise InputError(
            f"Motion has {frames} frames at {fps} fps",
            "2 or more frames at 1 to 240 fps",
            "Pass values in these ranges",
        )
    if set(modes) - {"L", "R"} or set(modes.values()) - set(ARM_MODES):
        raise InputError(
            f"Argument arms is {modes}", f"L and R with one of {ARM_MODES}", "Pass a known mode for each arm"
        )


def _on_path(
    body: Body,
    figure: BodyShape,
    angles: dict[str, Floats],
    times: Floats,
    phase: Floats,
    planted: NDArray[np.bool_],
    path: Path,
) -> Motion:
    """Pose a body by its joint angles and move it along a path without sliding feet."""
    rotations, positions = _pose(body, figure, angles)
    feet = _Feet(body, figure)
    positions[..., 1] += angles["sway"][:, None]
    positions[..., 2] += feet.clearance(rotations, positions, phase)[:, None]
    distance, speed = feet.travel(rotations, positions, phase, planted, times)
    spot, heading = path.at(distance)
    _to_world(rotations, positions, spot, heading, _foot_heading(heading, planted), body)
    feet.plant(rotations, positions, planted)
    planted = planted & (feet.heights(rotations, positions) < _TOUCH_M)
    return Motion(times, rotations, positions, phase, planted, heading, speed)


def _clock(rng: np.random.Generator, style: Style, times: Floats, share: Floats) -> tuple[Floats, Floats]:
    """Stride phase whose stride time varies by 2 %, and amplitude that varies by 1.5 %."""
    step = times[1] - times[0]
    rate = style["cadence"] / 120
    keep = np.exp(-rate * step)
    noise = follow(rng.standard_normal((len(times), 2)), keep).T
    advance = rate * step * share * (1 + 0.02 * noise[0])
    phase = rng.uniform() + np.cumsum(advance)
    for stop in (np.flatnonzero((share[1:] == 0) & (share[:-1] > 0)) + 1).tolist():
        phase = _land_together(phase, stop, round(0.8 / step))
    if share[0] == 0:
        phase += 0.25 + 0.5 * (rng.uniform() < 0.5) - phase[0]
    return phase + style["step_asymmetry"] * np.sin(2 * np.pi * phase), 1 + 0.015 * noise[1]


def _land_together(phase: Floats, stop: int, ramp: int) -> Floats:
    """Stretch the last strides before a stop so that it happens with the feet side by side."""
    wanted = np.floor(phase[stop] * 2 - 0.5 + 0.5) / 2 + 0.25
    ease = np.clip((np.arange(len(phase)) - (stop - ramp)) / max(ramp, 1), 0, 1)
    return np.asarray(phase + ease * (wanted - phase[stop]))


def _angles(style: Style, phase: Floats, amplitude: Floats, modes: Mapping[str, str]) -> dict[str, Floats]:
    """Every joint angle over time: (T,) degrees, sway in metres; names of limb angles end in L or R."""
    walking = np.clip(amplitude / 0.5, 0, 1)
    cycles = {"L": phase, "R": phase + 0.5}
    waves = {side: np.exp(2j * np.pi * np.outer(q, np.arange(_ORDER + 1))) for side, q in cycles.items()}
    out = {name: _play(series, waves["L"], amplitude) for name, series in _trunk_series(style).items()}
    for side, sign in (("L", 1), ("R", -1)):
        for name, series in _leg_series(style, sign).items():
            rest = _STANDING.get(name, 0.0)
            moving = _play(series, waves[side], amplitude)
            out[name + side] = rest + walking * (moving - rest)
        swing = {n: _play(s, waves[side], amplitude) for n, s in _arm_series(style, sign).items()}
        out.update(_arm(style, side, sign, swing, modes.get(side, "free"), out["trunk_pitch"]))
        out["toe_out" + side] = np.full(len(phase), style["toe_out"] + sign * style["toe_out_asymmetry"])
        out["knee" + side] = np.maximum(out["knee" + side], 1)
        out["toe" + side] = np.maximum(out["toe" + side], 0)
    return out


def _play(series: Complexes, waves: Complexes, amplitude: Floats) -> Floats:
    swing: Floats = (waves[:, 1:] * series[1:]).real.sum(1)
    return np.asarray(series[0].real + amplitude * swing)


def _wave(mean: float, size: float, harmonic: int, peak: float) -> Complexes:
    """The Fourier series of ``mean + size * cos(2 pi (harmonic * phase - peak))``."""
    series = np.zeros(_ORDER + 1, np.complex128)
    series[0], series[harmonic] = mean, size * np.exp(-2j * np.pi * peak)
    return series


def _free_form(style: Style, name: str, sign: int) -> Complexes:
    row = RESIDUAL_NAMES.index(name)
    series = np.zeros(_ORDER + 1, np.complex128)
    series[1 : HARMONICS + 1] = style.common[row] + sign * style.uneven[row]
    return series


def _shift(series: Complexes, cycles: float) -> Complexes:
    return np.asarray(series * np.exp(2j * np.pi * cycles * np.arange(len(series))))


def _leg_series(style: Style, sign: int) -> dict[str, Complexes]:
    uneven = 1 + sign * style["leg_asymmetry"]
    hip = _MEAN_CURVES["hip"] + _free_form(style, "hip", sign)
    swing = (_GRID[:, 1:] * hip[1:]).real.sum(1)
    hip = hip * (style["thigh_range"] / np.ptp(swing)) * uneven
    hip[0] = style["thigh_mean"]
    knee = _MEAN_CURVES["knee"].copy()
    knee[1:] *= style["knee_range"] * (0.4 + 0.6 * style["thigh_range"] / 36.5) * uneven
    knee[2] *= 0.6 + 0.4 * style["knee_loading"]
    knee[0] += style["knee_mean"]
    ankle = _MEAN_CURVES["ankle"].copy()
    ankle[1:] *= style["ankle_range"]
    ankle[0] += style["ankle_mean"] + 0.5 * style["knee_mean"]
    abduct = _MEAN_CURVES["abduct"].copy()
    abduct[0] += style["abduction"]
    return {
        "hip": hip,
        "knee": _shift(knee + _free_form(style, "knee", sign), style["knee_phase"]),
        "ankle": _shift(ankle + _free_form(style, "ankle", sign), style["ankle_phase"]),
        "toe": _MEAN_CURVES["toe"],
        "abduct": abduct + _free_form(style, "abduct", sign),
    }


def _trunk_series(style: Style) -> dict[str, Complexes]:
    series = {
        "pelvis_yaw": _wave(0, -style["pelvis_turn"], 1, 0.02),
        "pelvis_roll": _MEAN_CURVES["pelvis_roll"] * style["pelvis_drop"],
        "pelvis_pitch": _wave(style["pelvis_tilt"], style["pelvis_tilt_swing"], 2, 0.2),
        "trunk_yaw": _wave(0, style["trunk_turn"], 1, 0.02 - style["trunk_turn_phase"]),
        "trunk_pitch": _wave(style["lean"], style["lean_swing"], 2, 0.1 + style["lean_phase"]),
        "trunk_roll": _wave(-style["side_lean"], -style["trunk_roll"], 1, 0.25),
        "head_pitch": _wave(style["head_pitch"], style["head_nod"], 2, 0.35),
        "sway": _wave(0, style["sway"], 1, 0.30),
    }
    series = {name: values + _free_form(style, name, 1) for name, values in series.items()}
    series["slump"] = _wave(style["slump"], 0, 1, 0)
    series["head_yaw"] = _wave(style["head_turn"], 0, 1, 0)
    return series


def _arm_series(style: Style, sign: int) -> dict[str, Complexes]:
    size = 1 + sign * style["arm_asymmetry"]
    late = style["arm_phase"]
    arm = _wave(style["arm_mean"], size * style["arm_range"], 1, 0.52 - late)
    elbow = _wave(style["elbow_mean"], size * style["elbow_range"], 1, 0.57 - late - style["elbow_phase"])
    return {"arm": arm + _free_form(style, "arm", sign), "elbow": elbow + _free_form(style, "elbow", sign)}


def _arm(
    style: Style, side: str, sign: int, swing: dict[str, Floats], mode: str, lean: Floats
) -> dict[str, Floats]:
    arm, elbow = swing["arm"], swing["elbow"]
    spread, twist = style["arm_spread"], style["arm_twist"]
    if mode != "free":
        flexion, bend, out, inward, left = _ARM_POSES[mode]
        arm = flexion + 0.4 * style["arm_mean"] + left * (arm - style["arm_mean"])
        elbow = bend + 0.3 * (style["elbow_mean"] - 22) + left * (elbow - style["elbow_mean"])
        spread, twist = spread + out, twist + inward
    still = np.zeros(len(arm))
    return {
        "arm" + side: arm + lean,
        "elbow" + side: np.maximum(elbow, 2.0),
        "arm_spread" + side: still + spread,
        "arm_twist" + side: still + twist,
        "shrug" + side: still + style["shoulder_height"] + sign * style["shoulder_tilt"],
    }


def _pose(body: Body, figure: BodyShape, angles: dict[str, Floats]) -> tuple[Floats, Floats]:
    """Bone rotations (T, 21, 3, 3) and heads (T, 21, 3) with the pelvis at the origin, facing +x."""
    local, base = _localturns(body, angles)
    frames, bones = local.shape[:2]
    for bone in range(bones):
        if base[bone] >= 0:
            local[:, bone] = local[:, base[bone]] @ local[:, bone]
    rotations = local @ figure.upright
    positions = np.zeros((frames, bones, 3))
    for bone in range(1, bones):
        parent = body.parent[bone]
        limb = figure.joints[bone] - figure.joints[parent]
        positions[:, bone] = positions[:, parent] + rotations[:, parent] @ limb
    return rotations, positions


def _localturns(body: Body, angles: dict[str, Floats]) -> tuple[Floats, list[int]]:
    """(T, 21, 3, 3) rotations and, per bone, the bone that they are relative to (-1: the heading)."""
    still = np.zeros(len(angles["sway"]))
    a, lean = angles, angles["trunk_pitch"]
    euler = {
        "pelvis": (a["pelvis_yaw"], a["pelvis_pitch"], a["pelvis_roll"]),
        "lumbar": (0.3 * a["trunk_yaw"], 0.6 * lean, 0.5 * a["trunk_roll"]),
        "thorax": (a["trunk_yaw"], lean + 0.5 * a["slump"], a["trunk_roll"]),
        "neck": (
            0.4 * (a["trunk_yaw"] + a["head_yaw"]),
            lean + 1.3 * a["slump"] + 0.5 * a["head_pitch"],
            still,
        ),
        "head": (
            0.1 * a["trunk_yaw"] + a["head_yaw"],
            0.3 * (lean + a["slump"]) + a["head_pitch"],
            0.2 * a["trunk_roll"],
        ),
    }
    base = dict.fromkeys(euler, -1)
    for side, sign in (("L", 1.0), ("R", -1.0)):
        out = sign * 0.5 * a["toe_out" + side]
        leg = {
            "thigh": (0.5 * a["pelvis_yaw"] + out, -a["hip" + side], sign * a["abduct" + side]),
            "shank": (out, a["knee" + side], still),
            "foot": (still, -a["ankle" + side], still),
            "toe": (still, -a["toe" + side], still),
        }
        arm = {
            "clav": (still, still, sign * a["shrug" + side]),
            "uarm": (-sign * a["arm_twist" + side], -a["arm" + side], sign * a["arm_spread" + side]),
            "farm": (still, -a["elbow" + side], still),
            "hand": (still, still, still),
        }
        euler.update({k + side: v for k, v in (leg | arm).items()})
        chain = {"shank": "thigh", "foot": "shank", "toe": "foot", "farm": "uarm", "hand": "farm"}
        base["thigh" + side] = -1
        base["clav" + side] = base["uarm" + side] = body.index["thorax"]
        base.update({k + side: body.index[v + side] for k, v in chain.items()})
    stacked = [np.stack([euler[name][k] for name in body.bones], 1) for k in range(3)]
    return turns(stacked[0], stacked[1], stacked[2]), [base[name] for name in body.bones]


def _planted(phase: Floats, share: Floats) -> NDArray[np.bool_]:
    """(T, 2): a foot stands from just after heel strike to just before toe-off, and during a halt."""
    cycle = np.stack([phase, phase + 0.5], 1) % 1.0
    return ((cycle > 0.02) & (cycle < 0.60)) | (share[:, None] < 0.03)


def _foot_heading(heading: Floats, planted: NDArray[np.bool_]) -> Floats:
    """(T, 2) heading of each foot: constant in stance, turning in swing."""
    out = np.empty((len(heading), 2))
    for foot in range(2):
        held = _hold(heading[:, None], planted[:, foot])[:, 0]
        out[:, foot] = held
    return out


def _hold(values: Floats, planted: NDArray[np.bool_]) -> Floats:
    """(T, C) values replaced by their mean over each planted run, interpolated in between."""
    if not planted.any():
        return values.copy()
    run = np.cumsum(np.r_[planted[0], planted[1:] & ~planted[:-1]])[planted] - 1
    size = np.bincount(run)
    frames = np.flatnonzero(planted)
    every = np.arange(len(values))
    held = [np.bincount(run, column[planted]) / size for column in values.T]
    return np.stack([np.interp(every, frames, mean[run]) for mean in held], 1)


def _to_world(
    rotations: Floats, positions: Floats, spot: Floats, heading: Floats, foot_heading: Floats, body: Body
) -> None:
    """Turn and move the pose onto the path, in place."""
    still = np.zeros_like(heading)
    if heading.any():
        turn = turns(np.rad2deg(heading), still, still)
        rotations[:] = turn[:, None] @ rotations
        positions[:] = (turn[:, None] @ positions[..., None])[..., 0]
    positions[..., :2] += spot[:, None]
    if (foot_heading == heading[:, None]).all():
        return
    for k, side in enumerate("LR"):
        extra = turns(np.rad2deg(foot_heading[:, k] - heading), still, still)
        for name in ("foot", "toe"):
            bone = body.index[name + side]
            rotations[:, bone] = extra @ rotations[:, bone]
        foot, toe = body.index["foot" + side], body.index["toe" + side]
        positions[:, toe] = (
            positions[:, foot] + (extra @ (positions[:, toe] - positions[:, foot])[..., None])[..., 0]
        )


class _Feet:
    """The soles of a body: contact with the ground, and how to keep it."""

    def __init__(self, body: Body, figure: BodyShape) -> None:
        self._at = body.index
        self._joints = figure.joints
        floor = figure.vertices[:, 2].min()
        self._soles = []
        for k, side in enumerate("LR"):
            heel, tip = figure.keypoints[HEEL[k]].copy(), figure.keypoints[BIG_TOE[k]].copy()
            ball = figure.joints[self._at["toe" + side]].copy()
            heel[2] = ball[2] = tip[2] = floor
            heel[2] += 0.004
            tip[2] += 0.006
            self._soles.append((heel, ball, tip))

    def _sole(self, rotations: Floats, positions: Floats, foot: int) -> Floats:
        """(T, 3, 3) heel, ball and toe tip of one sole."""
        side = "LR"[foot]
        ankle, toe = self._at["foot" + side], self._at["toe" + side]
        heel, ball, tip = self._soles[foot]
        points = []
        for rest, bone in ((heel, ankle), (ball, ankle), (tip, toe)):
            points.append(positions[:, bone] + rotations[:, bone] @ (rest - self._joints[bone]))
        return np.stack(points, 1)

    def clearance(self, rotations: Floats, positions: Floats, phase: Floats) -> Floats:
        """(T,) height to add so that the lowest standing sole touches the ground, lightly smoothed."""
        cycle = np.stack([phase, phase + 0.5], 1) % 1.0
        heights = self.heights(rotations, positions) + np.interp(cycle, *_SWINGING)
        return np.asarray(-_smooth(heights.min(1), 1))

    def heights(self, rotations: Floats, positions: Floats) -> Floats:
        """(T, 2) height of the lowest point of each sole, metres."""
        return np.stack([self._sole(rotations, positions, foot)[..., 2].min(1) for foot in range(2)], 1)

    def travel(
        self, rotations: Floats, positions: Floats, phase: Floats, planted: NDArray[np.bool_], times: Floats
    ) -> tuple[Floats, Floats]:
        """Distance (T,) and speed (T,) of the body that keep the standing foot in place."""
        moved = np.zeros(len(phase) - 1)
        total = np.full(len(phase) - 1, 1e-9)
        for foot in range(2):
            ball = self._sole(rotations, positions, foot)[:, 1, 0]
            cycle = (phase + 0.5 * foot) % 1.0
            weight = np.clip(1.15 - np.abs(cycle - 0.31) / 0.29, 0, 1) + 1e-6 * planted[:, foot]
            weight = np.sqrt(weight[1:] * weight[:-1])
            moved -= weight * np.diff(ball)
            total += weight
        step = times[1] - times[0]
        speed = np.maximum(_smooth(moved / total, max(1, round(0.12 / step))), 0) / step
        distance = np.concatenate([[0.0], np.cumsum(speed) * step])
        return distance, np.concatenate([speed, speed[-1:]])

    def plant(self, rotations: Floats, positions: Floats, planted: NDArray[np.bool_]) -> None:
        """Move pelvis and ankles, in place, so that planted soles do not slide and no sole sinks."""
        shifts = [self._shift(rotations, positions, planted[:, foot], foot) for foot in range(2)]
        excess = [self._excess(positions, shifts[foot], "LR"[foot]) * planted[:, foot] for foot in range(2)]
        drop = _envelope(np.maximum(*excess), 2)
        positions[..., 2] -= drop[:, None]
        for foot in range(2):
            shifts[foot][:, 2] += drop
            self._reach(rotations, positions, "LR"[foot], shifts[foot])

    def _shift(self, rotations: Floats, positions: Floats, stands: NDArray[np.bool_], foot: int) -> Floats:
        """(T, 3) metres that hold a planted sole in place, and lift a swinging one off the ground."""
        sole = self._sole(rotations, positions, foot)
        shift = np.zeros((len(sole), 3))
        if stands.any():
            ball = sole[:, 1, :2]
            gap = (_hold(ball, stands) - ball)[stands]
            frames, every = np.flatnonzero(stands), np.arange(len(sole))
            shift[:, :2] = np.stack([np.interp(every, frames, column) for column in gap.T], 1)
        # A late heel or an early toe may float briefly: pulling a straight leg down by 2 cm turns its thigh
        # by 5 degrees, and then the thigh range varied three times as much between days as in real data.
        shift[:, 2] = np.maximum(-sole[..., 2].min(1), 0)
        return shift

    def _excess(self, positions: Floats, shift: Floats, side: str) -> Floats:
        """(T,) metres by which the hip is too high for the leg to reach the new position of the ankle."""
        at = self._at
        hip, knee, ankle = (positions[:, at[name + side]] for name in ("thigh", "shank", "foot"))
        longest = 0.999 * (np.linalg.norm(knee - hip, axis=1) + np.linalg.norm(ankle - knee, axis=1))
        line = hip - ankle - shift
        height = np.sqrt(np.maximum(longest**2 - (line[:, :2] ** 2).sum(1), 0.0))
        return np.asarray(np.maximum(line[:, 2] - height, 0.0))

    def _reach(self, rotations: Floats, positions: Floats, side: str, shift: Floats) -> None:
        """Two-bone inverse kinematics: move one ankle by (T, 3) metres in the plane of its leg."""
        at = self._at
        thigh, shank, foot, toe = (at[name + side] for name in ("thigh", "shank", "foot", "toe"))
        hip, knee, ankle = (positions[:, bone].copy() for bone in (thigh, shank, foot))
        upper = np.linalg.norm(knee - hip, axis=1)
        lower = np.linalg.norm(ankle - knee, axis=1)
        line = ankle + shift - hip
        reach = np.linalg.norm(line, axis=1)
        allowed = np.clip(reach, 0.2, 0.9995 * (upper + lower))
        line = line / reach[:, None]
        old = (ankle - hip) / np.linalg.norm(ankle - hip, axis=1, keepdims=True)
        pole = knee - hip - ((knee - hip) * old).sum(1, keepdims=True) * old
        pole = (between(old, line) @ (pole + 1e-4 * rotations[:, thigh, :, 0])[..., None])[..., 0]
        pole /= np.linalg.norm(pole, axis=1, keepdims=True)
        along = (upper**2 - lower**2 + allowed**2) / (2 * allowed)
        across = np.sqrt(np.maximum(upper**2 - along**2, 0))
        new_knee = hip + along[:, None] * line + across[:, None] * pole
        new_ankle = hip + allowed[:, None] * line
        rotations[:, thigh] = between(knee - hip, new_knee - hip) @ rotations[:, thigh]
        rotations[:, shank] = between(ankle - knee, new_ankle - new_knee) @ rotations[:, shank]
        positions[:, shank], positions[:, foot] = new_knee, new_ankle
        positions[:, toe] += new_ankle - ankle


def _envelope(values: Floats, radius: int) -> Floats:
    """A smooth curve that is never below `values`."""
    padded = np.pad(values, radius, mode="edge")
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1).max(1)
    return _smooth(highest, radius)


def _smooth(values: Floats, radius: int) -> Floats:
    """Triangular moving mean of 2 * radius + 1 values; the ends are repeated."""
    kernel = radius + 1.0 - np.abs(np.arange(-radius, radius + 1))
    padded = np.pad(values, radius, mode="edge")
    return np.asarray(np.convolve(padded, kernel / kernel.sum(), "valid"))
