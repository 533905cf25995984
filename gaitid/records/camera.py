"""Camera profiles, and the direction in which somebody crosses a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError
from gaitid.records.sequence import GaitSequence

DIRECTIONS = ("", "left", "right", "towards", "away")
"""Directions of travel, as seen in the picture; empty = unknown."""

_LEAST_SHIFT = 0.5
"""Body widths that somebody must cross from beginning to end to go left or right."""
_LEAST_GROWTH = 0.15
"""Change of the body's height, as a share of it, from which somebody comes towards the camera or leaves."""
_ENDS = 5
"""The first and last fifth of the boxes are compared, each by its median."""


@dataclass(frozen=True, slots=True)
class CameraProfile:
    """What a gallery has learned about the embeddings of one camera and direction of travel.

    Attributes:
        camera: Name of the camera; see `Origin.camera`.
        direction: One of `DIRECTIONS`; empty = walks whose direction is unknown.
        version: Grows each time that another mean is used; 0 = too few people yet, none is used.
        walks: Number of walks seen.
        people: Effective number of different people that the mean rests on, 0 or more.
        shift: Length of the mean in use, 0..1; 0 = none is used.
        updated: When the last walk was learned, Unix seconds.
    """

    camera: str
    direction: str
    version: int
    walks: int
    people: float
    shift: float
    updated: float


def check_direction(direction: str) -> str:
    """Return `direction` if it is one of `DIRECTIONS`.

    Raises:
        InputError: It is not.
    """
    if direction not in DIRECTIONS:
        raise InputError(
            f"Argument direction is {direction!r:.40}",
            f"one of {', '.join(DIRECTIONS[1:])}, or empty",
            "Leave it out if it is unknown",
        )
    return direction


def direction_of(sequence: GaitSequence) -> str:
    """Direction of travel by the boxes of a walk: one of `DIRECTIONS`.

    A walk goes left or right if its middle moves by at least half a body width and further, as a share of the
    body height, than the height itself changes. Otherwise it comes towards the camera or goes away if the
    height changes by at least 15 %. Empty without boxes, or if neither holds.
    """
    if sequence.boxes is None or len(sequence) < 2:
        return ""
    left, top, right, bottom = sequence.boxes.astype(np.float64).T
    middles, heights = _ends((left + right) / 2), _ends(bottom - top)
    height, width = float(np.mean(heights)), float(np.median(right - left))
    if height <= 0:
        return ""
    shift, growth = middles[1] - middles[0], (heights[1] - heights[0]) / height
    if abs(shift) >= _LEAST_SHIFT * width and abs(shift) / height >= abs(growth):
        return "right" if shift > 0 else "left"
    if abs(growth) >= _LEAST_GROWTH:
        return "towards" if growth > 0 else "away"
    return ""


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    """Median of the first and of the last values."""
    count = max(1, len(values) // _ENDS)
    return float(np.median(values[:count])), float(np.median(values[-count:]))
