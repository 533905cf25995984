"""Gates for skeletons: which frames of a track show one whole, upright, walking body.

A pose estimator places joints even where it sees none, so a gate looks at its confidence and at where the
joints lie. What a skeleton cannot show, such as a second head, is left to the boxes of the tracks.

The constants are our own; where no source is named they follow from the geometry of an upright body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from gaitid.perception.gates import (
    Flags,
    Floats,
    GateSettings,
    at_border,
    by_frame,
    running_median,
    speed_of,
)
from gaitid.records import SKELETON, Frame, Observation, Reason

_DEFAULTS = GateSettings()
_SHOULDERS, _HIPS, _ANKLES, _LEGS = slice(5, 7), slice(11, 13), slice(15, 17), slice(11, 17)
_STRAY = 0.1
"""Share of the box's height by which joints may leave the box; farther ones belong to another body."""
_ANKLES_MOVE = 0.03
"""Least RMS movement of one ankle against the other in a walk, body heights: 33 walks of motion capture seen
from three sides give 0.031 (first steps) and more, 99 % of their frames 0.065."""
_SWING_HALF_S = 1.25
"""Half the window, seconds, in which that movement is measured: about two steps."""
_FEW_FRAMES = 3
"""Frames with both ankles below which their movement is not judged."""


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Measures of one skeleton.

    Attributes:
        keypoints: (17, 3) float32 x, y pixels and confidence 0..1.
        height: Height of the box, pixels.
        legs: Share of the six hip, knee and ankle joints that are seen, 0..1.
        feet: True when an ankle is seen.
        border: True when the box or a seen joint touches the image border.
        stray: True when a seen joint lies outside its box.
        upright: False when hips lie above shoulders or ankles above hips.
        stride: (2,) one ankle minus the other, body heights; NaN unless both are seen.
    """

    keypoints: NDArray[np.float32]
    height: float
    legs: float
    feet: bool
    border: bool
    stray: bool
    upright: bool
    stride: Floats


def measure_pose(
    keypoints: NDArray[np.float32],
    box: NDArray[np.float32],
    frame: tuple[int, int],
    settings: GateSettings = _DEFAULTS,
) -> Pose:
    """Measure one skeleton.

    Args:
        keypoints: (17, 3) x, y pixels and confidence 0..1, in COCO order.
        box: (4,) xyxy pixels.
        frame: (H, W) of the frame.
        settings: See `GateSettings`.
    """
    seen = (keypoints[:, 2] > 0) & (keypoints[:, 2] >= settings.joint_confidence)
    height = float(box[3] - box[1])
    places = keypoints[seen, :2]
    low, high = box[:2] - _STRAY * height, box[2:] + _STRAY * height
    both = seen[_ANKLES].all()
    return Pose(
        keypoints,
        height=height,
        legs=float(seen[_LEGS].mean()),
        feet=bool(seen[_ANKLES].any()),
        border=at_border(box, frame, settings.border_px) or _leaves(places, frame, settings.border_px),
        stray=bool(((places < low) | (places > high)).any()),
        upright=_upright(keypoints[:, 1], seen),
        stride=np.asarray((keypoints[15, :2] - keypoints[16, :2]) / height if both else [np.nan] * 2, float),
    )


def judge_poses(
    poses: Sequence[Pose],
    times: Floats,
    boxes: Floats,
    crowded: Flags,
    settings: GateSettings = _DEFAULTS,
) -> tuple[tuple[Reason, ...], ...]:
    """Return the reasons against each frame of a walk; a good frame has none.

    Args:
        poses: N poses, oldest first.
        times: (N,) seconds.
        boxes: (N, 4) xyxy pixels.
        crowded: (N,) True where another track overlaps the box or has vanished into it.
        settings: See `GateSettings`.
    """
    if not poses:
        return ()
    height = np.array([pose.height for pose in poses])
    merged = crowded | np.array([pose.stray for pose in poses])
    cut = np.array([pose.border or not pose.feet for pose in poses])
    usual_height = running_median(height, ~merged & ~cut, times, settings.window_s)
    return by_frame(
        {
            Reason.TOO_SMALL: height < settings.min_height_px,
            Reason.CUT_OFF: cut | (height < (1 - settings.max_loss) * usual_height),
            Reason.MERGED: merged,
            Reason.NOT_PERSON: ~np.array([pose.upright for pose in poses]),
            Reason.STANDING: _standing(poses, times, boxes, settings),
            Reason.MISSING_JOINTS: np.array([pose.legs for pose in poses]) < settings.min_joints,
        }
    )


def glance_pose(pose: Pose, crowded: bool, settings: GateSettings = _DEFAULTS) -> tuple[Reason, ...]:
    """Return the reasons that a single frame shows without those around it."""
    flags = {
        Reason.TOO_SMALL: pose.height < settings.min_height_px,
        Reason.CUT_OFF: pose.border or not pose.feet,
        Reason.MERGED: crowded or pose.stray,
        Reason.NOT_PERSON: not pose.upright,
        Reason.MISSING_JOINTS: pose.legs < settings.min_joints,
    }
    return tuple(reason for reason, flag in flags.items() if flag)


@dataclass(frozen=True, slots=True)
class SkeletonGate:
    """Makes the ``skeleton`` stream from keypoints; a `walks.Gate`."""

    stream: ClassVar[str] = SKELETON
    missing: ClassVar[Reason] = Reason.MISSING_JOINTS
    settings: GateSettings

    def measure(self, observation: Observation, frame: Frame) -> Pose | None:
        """Measure an observation's keypoints; None without keypoints."""
        if observation.keypoints is None:
            return None
        size = (frame.image.shape[0], frame.image.shape[1])
        return measure_pose(observation.keypoints, observation.box, size, self.settings)

    def glance(self, measured: Pose, crowded: bool) -> tuple[Reason, ...]:
        """Return the reasons that a single frame shows."""
        return glance_pose(measured, crowded, self.settings)

    def judge(
        self, measured: Sequence[Pose], times: Floats, boxes: Floats, crowded: Flags
    ) -> tuple[tuple[Reason, ...], ...]:
        """Return the reasons against each frame; see `judge_poses`."""
        return judge_poses(measured, times, boxes, crowded, self.settings)

    def frames(self, measured: Sequence[Pose]) -> NDArray[np.float32]:
        """Return the (N, 17, 3) float32 frames of the stream, as the extractor gave them."""
        return np.array([pose.keypoints for pose in measured], np.float32)


def _leaves(places: NDArray[np.float32], frame: tuple[int, int], border_px: int) -> bool:
    """Return whether a joint (x, y) lies outside the frame or at its border."""
    last = np.array([frame[1], frame[0]]) - border_px
    return bool(((places <= border_px) | (places >= last)).any())


def _upright(heights: NDArray[np.float32], seen: Flags) -> bool:
    """Return whether shoulders, hips and ankles lie one below the other, as far as they are seen."""
    parts = [heights[part][seen[part]] for part in (_SHOULDERS, _HIPS, _ANKLES)]
    middles = [float(part.mean()) for part in parts if len(part)]
    return all(upper < lower for upper, lower in pairwise(middles))


def _standing(poses: Sequence[Pose], times: Floats, boxes: Floats, settings: GateSettings) -> Flags:
    """Flag the frames in which a body stands: slow with still legs, or slower where legs are not seen."""
    speed, legs = speed_of(boxes, times), _leg_motion(poses, times)
    still = np.where(np.isnan(legs), speed < settings.min_speed, legs < _ANKLES_MOVE)
    return np.asarray(still & (speed < 2 * settings.min_speed))


def _leg_motion(poses: Sequence[Pose], times: Floats) -> Floats:
    """Return the (N,) RMS movement of one ankle against the other, body heights; NaN where seldom seen."""
    strides = np.array([pose.stride for pose in poses])
    known = ~np.isnan(strides[:, 0])
    low = np.searchsorted(times, times - _SWING_HALF_S)
    high = np.searchsorted(times, times + _SWING_HALF_S, "right")
    motion = np.full(len(poses), np.nan)
    for i, (first, last) in enumerate(zip(low, high, strict=True)):
        around = strides[first:last][known[first:last]]
        if len(around) >= _FEW_FRAMES:
            motion[i] = np.sqrt(around.var(axis=0).sum())
    return motion
