"""The ``precomputed`` extractor: people in masks and keypoints that another program made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.optimize import linear_sum_assignment

from gaitid.errors import ConfigError
from gaitid.perception.precomputed.masks import people_in
from gaitid.perception.precomputed.recording import RecordedFrame, open_recording
from gaitid.perception.sources import Source
from gaitid.records import Frame, Observation

_WITHIN = 0.5
"""Least share of a skeleton's seen joints in the box of a mask that shows the same person."""


@dataclass(frozen=True)
class PrecomputedSettings:
    """Settings of the ``precomputed`` extractor; in TOML the table ``[perception.precomputed]``.

    Attributes:
        width: Width of the camera's pictures, pixels, for files that do not have it; 0 if unknown.
        height: Their height, pixels; 0 if unknown.
        min_height_px: Least height of a person in a picture of masks, pixels.
        gap_px: Pieces of a mask one above the other are one person if their gap is at most this, pixels.

    Raises:
        ConfigError: A value is below 0, or only one of width and height is known.
    """

    width: int = 0
    height: int = 0
    min_height_px: int = 32
    gap_px: int = 4

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.min_height_px, self.gap_px) < 0:
            raise ConfigError(f"Settings are {self}", "values of 0 or more", "Correct the negative one")
        if (self.width > 0) != (self.height > 0):
            raise ConfigError(
                f"Pictures are {self.width}x{self.height} pixels", "width and height", "Set both or neither"
            )


class PrecomputedExtractor:
    """Reads masks and keypoints from files; an `Extractor`.

    Pictures of masks may also come from any other source: white people on black are found in each frame.

    Args:
        settings: See `PrecomputedSettings`.
    """

    settings: ClassVar[type[PrecomputedSettings]] = PrecomputedSettings

    def __init__(self, settings: PrecomputedSettings = PrecomputedSettings()) -> None:
        self._settings = settings

    @staticmethod
    def open_input(
        spec: str, settings: PrecomputedSettings, *, camera: str = "", fps: float | None = None
    ) -> Source:
        """Open files of masks or keypoints; see `recording.open_recording`."""
        size = (settings.width, settings.height) if settings.width else None
        return open_recording(spec, size, camera=camera, fps=fps)

    def __call__(self, frame: Frame) -> list[Observation]:
        """Return the people in a frame's picture of masks, with the keypoints that belong to them.

        Raises:
            SourceError: The picture is no mask.
        """
        settings = self._settings
        people = people_in(frame.image, min_height_px=settings.min_height_px, gap_px=settings.gap_px)
        masks = [Observation(person.box, person.mask) for person in people if person.box is not None]
        found = frame.found if isinstance(frame, RecordedFrame) else ()
        return _paired([*masks, *(one for one in found if one.keypoints is None)], found)

    def reset(self) -> None:
        """Frames are independent: nothing is kept."""


def _paired(masks: Sequence[Observation], found: Sequence[Observation]) -> list[Observation]:
    """Give each mask the keypoints that lie in its box; masks and keypoints without a partner stay alone."""
    poses = [one for one in found if one.keypoints is not None]
    shares = np.array([[_share_within(mask, pose) for pose in poses] for mask in masks])
    pairs = {}
    if masks and poses:
        rows, columns = linear_sum_assignment(-shares)
        pairs = {int(i): poses[j] for i, j in zip(rows, columns, strict=True) if shares[i, j] >= _WITHIN}
    together = [
        replace(mask, keypoints=pose.keypoints, track=_track(mask, pose))
        if (pose := pairs.get(i)) is not None
        else mask
        for i, mask in enumerate(masks)
    ]
    return together + [pose for pose in poses if not any(pose is taken for taken in pairs.values())]


def _share_within(mask: Observation, pose: Observation) -> float:
    """Return the share of a skeleton's seen joints in the box of a mask."""
    assert pose.keypoints is not None  # noqa: S101 - the caller chose it
    places = pose.keypoints[pose.keypoints[:, 2] > 0, :2]
    inside = ((places >= mask.box[:2]) & (places <= mask.box[2:])).all(axis=1)
    return float(inside.mean()) if len(places) else 0.0


def _track(mask: Observation, pose: Observation) -> int | None:
    return pose.track if mask.track is None else mask.track
