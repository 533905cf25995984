"""The ``motion+pose`` extractor: people by motion before a static camera, their keypoints by BlazePose.

It brings both streams, which encoder ``fused`` needs, for one run of BlazePose for each moving object and
frame, without a detector.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import ClassVar

from gaitid.errors import ConfigError
from gaitid.perception.blazepose import Body, PoseNetwork
from gaitid.perception.motion import MotionExtractor, MotionSettings
from gaitid.perception.tracks import iou
from gaitid.records import Frame, Observation

MASKS = ("motion", "pose")

_SAME = 0.5
"""Overlap (IoU) of the boxes of both masks from which they show the same person."""


@dataclass(frozen=True)
class MotionPoseSettings:
    """Settings of the ``motion+pose`` extractor; in TOML the table ``[perception."motion+pose"]``.

    Attributes:
        mask: Which mask is used where both show the same person: ``motion`` or ``pose``.
        presence: Least certainty, 0..1, that there is a person; a moving object without one has no keypoints.
        motion: Settings of the motion extractor.

    Raises:
        ConfigError: A value is out of range.
    """

    mask: str = "motion"
    presence: float = 0.5
    motion: MotionSettings = field(default_factory=MotionSettings)

    def __post_init__(self) -> None:
        if self.mask not in MASKS or not 0 < self.presence < 1:
            raise ConfigError(
                f"Settings are mask {self.mask!r} and presence {self.presence}",
                f"mask {' or '.join(MASKS)}, and a presence between 0 and 1",
                'Change the table [perception."motion+pose"]',
            )


class MotionPoseExtractor:
    """Finds moving people with masks and keypoints; an `Extractor`.

    Args:
        settings: See `MotionPoseSettings`.

    Raises:
        MissingDependency: onnxruntime is not installed.
        WeightsError: The network's file was changed.
    """

    settings: ClassVar[type[MotionPoseSettings]] = MotionPoseSettings

    def __init__(self, settings: MotionPoseSettings = MotionPoseSettings()) -> None:
        self._settings = settings
        self._motion, self._pose = MotionExtractor(settings.motion), PoseNetwork()

    def __call__(self, frame: Frame) -> list[Observation]:
        """Return the moving objects in a frame, those that are people with keypoints.

        Raises:
            CameraMoving: See `MotionExtractor`.
        """
        return [self._posed(frame, seen) for seen in self._motion(frame)]

    def learn(self, frames: Iterable[Frame]) -> None:
        """Learn the background of a recording; see `MotionExtractor.learn`."""
        self._motion.learn(frames)

    def reset(self) -> None:
        """Forget the background."""
        self._motion.reset()

    def _posed(self, frame: Frame, seen: Observation) -> Observation:
        body = self._pose(frame.image, seen.box)
        if body is None or body.presence < self._settings.presence or not _is_same(seen, body):
            return seen
        if self._settings.mask == "motion":
            return replace(seen, keypoints=body.keypoints)
        return Observation(body.box, body.mask, body.keypoints, seen.confidence)


def _is_same(seen: Observation, body: Body) -> bool:
    """Whether both masks show one person; a moving object of two people is larger than either."""
    return bool(iou(seen.box[None].astype(float), body.box[None].astype(float))[0, 0] >= _SAME)
