"""The ``person`` extractor: masks and keypoints by two networks on the CPU, for a moving or a static camera.

NanoDet finds people a few times a second; BlazePose follows each of them from frame to frame, from the box of
the frame before, and gives mask and keypoints. A person whom NanoDet does not confirm for a while is dropped,
since BlazePose alone may stay with furniture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import ConfigError
from gaitid.perception.blazepose import Body, PoseNetwork
from gaitid.perception.nanodet import PersonDetector
from gaitid.perception.tracks import iou
from gaitid.records import Frame, Observation

Floats = NDArray[np.float32]

_CONFIRMED, _SAME = 0.3, 0.7
"""Overlap (IoU) from which a detection is of somebody who is followed, and from which two bodies are one."""
_MOST_SHIFT = 0.25
"""Largest shift between two frames, in heights, with which the next place is predicted."""


@dataclass(frozen=True)
class PersonSettings:
    """Settings of the ``person`` extractor; in TOML the table ``[perception.person]``.

    Attributes:
        score: Least score of a detection, 0..1; below 0.45 traffic cones appear.
        detect_s: Seconds from one detection to the next, as far as the frame rate allows; 0 = each frame.
        presence: Least certainty, 0..1, that there is a person in a mask.
        confirm_s: Seconds without a detection after which a person is not followed any more.
        most_people: Most people who are followed at a time; each costs about ten CPU milliseconds a frame.

    Raises:
        ConfigError: A value is out of range.
    """

    score: float = 0.45
    detect_s: float = 0.3
    presence: float = 0.5
    confirm_s: float = 1.5
    most_people: int = 12

    def __post_init__(self) -> None:
        shares = 0 < self.score < 1 and 0 < self.presence < 1
        if not (shares and self.detect_s >= 0 and self.confirm_s > 0 and self.most_people > 0):
            raise ConfigError(
                f"Settings of extractor person are {self}",
                "score and presence between 0 and 1, times and most_people above 0",
                "Change the table [perception.person]",
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Followed:
    """A person who is followed: the last body, its shift since the one before, and the last detection."""

    body: Body
    shift: Floats
    detected_at: float

    def expected(self) -> Floats:
        """Box in which to look in the next frame."""
        return self.body.box + np.tile(self.shift, 2)


class PersonExtractor:
    """Finds people, each with a mask and keypoints; an `Extractor`.

    Args:
        settings: See `PersonSettings`.

    Raises:
        MissingDependency: onnxruntime is not installed.
        WeightsError: A network's file was changed.
    """

    settings: ClassVar[type[PersonSettings]] = PersonSettings

    def __init__(self, settings: PersonSettings = PersonSettings()) -> None:
        self._settings = settings
        self._detect, self._pose = PersonDetector(settings.score), PoseNetwork()
        self.reset()

    def reset(self) -> None:
        """Forget whom it followed."""
        self._followed: list[_Followed] = []
        self._detected_at: float | None = None

    def __call__(self, frame: Frame) -> list[Observation]:
        """Return the people in a frame."""
        kept = [one for old in self._followed if (one := self._follow(frame, old)) is not None]
        kept = _distinct(kept)
        if self._is_due(frame.time, lost=len(kept) < len(self._followed)):
            kept = _distinct(self._confirmed(frame, kept))
        oldest = frame.time - self._settings.confirm_s
        self._followed = [one for one in kept if one.detected_at >= oldest]
        return [
            Observation(one.body.box, one.body.mask, one.body.keypoints, one.body.presence)
            for one in self._followed
        ]

    def _is_due(self, time: float, *, lost: bool) -> bool:
        """Whether to detect in this frame: it is time to, or somebody was lost."""
        last = self._detected_at
        return lost or last is None or time - last >= self._settings.detect_s - 1e-6

    def _follow(self, frame: Frame, old: _Followed) -> _Followed | None:
        body = self._body(frame, old.expected())
        if (
            body is None
            or iou(body.box[None].astype(float), old.expected()[None].astype(float))[0, 0] < _CONFIRMED
        ):
            return None
        height = float(body.box[3] - body.box[1])
        shift = _centre(body.box) - _centre(old.body.box)
        most = np.float32(_MOST_SHIFT * height)
        return replace(old, body=body, shift=np.clip(shift, -most, most))

    def _confirmed(self, frame: Frame, followed: list[_Followed]) -> list[_Followed]:
        """Those who are followed, confirmed by detections, and the people who are new."""
        self._detected_at = frame.time
        boxes, _ = self._detect(frame.image)
        bodies = np.array([one.body.box for one in followed], float).reshape(-1, 4)
        overlaps = iou(boxes.astype(float), bodies)
        seen = overlaps.max(0, initial=0.0) >= _CONFIRMED
        known = [
            replace(one, detected_at=frame.time) if is_seen else one
            for one, is_seen in zip(followed, seen, strict=True)
        ]
        new = boxes[overlaps.max(1, initial=0.0) < _CONFIRMED]
        for box in new[: max(0, self._settings.most_people - len(known))]:
            body = self._body(frame, box)
            if (
                body is not None
                and iou(body.box[None].astype(float), box[None].astype(float))[0, 0] >= _CONFIRMED
            ):
                known.append(_Followed(body, np.zeros(2, np.float32), frame.time))
        return known

    def _body(self, frame: Frame, box: Floats) -> Body | None:
        body = self._pose(frame.image, box)
        return body if body is not None and body.presence >= self._settings.presence else None


def _distinct(followed: list[_Followed]) -> list[_Followed]:
    """Without those whose box is nearly that of one before: both follow the same person."""
    kept: list[_Followed] = []
    for one in followed:
        boxes = np.array([other.body.box for other in kept], float).reshape(-1, 4)
        if iou(one.body.box[None].astype(float), boxes).max(initial=0.0) < _SAME:
            kept.append(one)
    return kept


def _centre(box: Floats) -> Floats:
    return np.asarray((box[:2] + box[2:]) / 2, np.float32)
