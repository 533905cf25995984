"""People as files describe them, and the observations made from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import SourceError
from gaitid.records import Observation

Size = tuple[int, int]
"""Width and height of a picture, pixels."""

_SEEN = 0.3
"""Confidence from which a joint gives the box of a body; less sure ones do only where all are."""
_ABOVE, _BELOW, _ASIDE = 0.07, 0.045, 0.05
"""What a body has above the eyes, below the ankles and beside its joints, as shares of the height between
eyes and ankles. Source: Winter 2009, "Biomechanics and Motor Control", figure 4.1."""
_EDGE = 1.1
"""Picture of an unknown size, in units of the farthest joint: nobody is at its right or lower border."""


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """One person in one frame, as a file describes it.

    Attributes:
        joints: (17, 3) float32 x, y pixels and confidence 0..1 in COCO order, or None.
        mask: (h, w) uint8 0/1 of the pixels of the box, or None.
        box: (4,) float32 xyxy pixels; whole numbers with a mask; None if the file has none.
        confidence: 0..1, or None if the file has none.
        track: Track id, or None.
    """

    joints: NDArray[np.float32] | None = None
    mask: NDArray[np.uint8] | None = None
    box: NDArray[np.float32] | None = None
    confidence: float | None = None
    track: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """People by frame number.

    Attributes:
        people: Those of each frame that the files have; empty where they saw nobody.
        size: Size of the pictures, or None if the files do not have it.
        times: Seconds of each frame, or None if they follow from the frame rate.
    """

    people: Mapping[int, Sequence[Person]]
    size: Size | None = None
    times: Mapping[int, float] | None = field(default=None)


def observations(recording: Recording, size: Size, path: Path) -> dict[int, tuple[Observation, ...]]:
    """Return what each frame of a recording shows; people outside the picture are left out.

    Args:
        recording: See `Recording`.
        size: Size of the pictures.
        path: File or folder that it was read from, for errors.

    Raises:
        SourceError: A frame has two people with the same track id.
    """
    _check_ids(recording, path)
    return {
        number: tuple(seen for person in people if (seen := _observation(person, size)) is not None)
        for number, people in recording.people.items()
    }


def least_size(people: Iterable[Person]) -> Size:
    """Return a size of the picture in which all people are away from the right and the lower border."""
    far = np.ones(2)
    for person in people:
        if person.joints is not None:
            far = np.maximum(far, person.joints[person.joints[:, 2] > 0, :2].max(axis=0, initial=1.0))
        if person.box is not None:
            far = np.maximum(far, person.box[2:])
    width, height = np.ceil(_EDGE * far).astype(int) + 1
    return int(width), int(height)


def _observation(person: Person, size: Size) -> Observation | None:
    """Make an observation; None of a person without a seen joint, or outside the picture.

    Where the file has no confidence, it is the share of joints that are seen.
    """
    joints = person.joints
    seen = np.zeros(17, bool) if joints is None else joints[:, 2] > 0
    if joints is not None and person.mask is None and not seen.any():
        return None
    if joints is None and person.box is None:
        return None
    box = person.box if person.box is not None else _around(joints[seen])  # type: ignore[index]
    if person.mask is None:
        box = np.clip(box, 0, np.array([*size, *size])).astype(np.float32)
    if not (box[2] > box[0] and box[3] > box[1]):
        return None
    confidence = person.confidence
    if confidence is None:
        confidence = 1.0 if joints is None else float(seen.mean())
    return Observation(box, person.mask, joints, float(np.clip(confidence, 0, 1)), person.track)


def _around(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the box (4,) of a body from its seen joints (N, 3), at least a pixel wide and high."""
    sure = joints[joints[:, 2] >= _SEEN]
    places = (sure if len(sure) else joints)[:, :2]
    low, high = places.min(axis=0), places.max(axis=0)
    height = max(float(high[1] - low[1]), 1.0)
    margin = height * np.array([-_ASIDE, -_ABOVE, _ASIDE, _BELOW])
    return np.asarray(np.concatenate([low, high]) + margin, np.float32)


def _check_ids(recording: Recording, path: Path) -> None:
    for number, people in recording.people.items():
        ids = Counter(person.track for person in people if person.track is not None)
        double = [track for track, count in ids.items() if count > 1]
        if double:
            raise SourceError(
                f"Frame {number} of {path} has {ids[double[0]]} people with track id {double[0]}",
                "each id once in a frame",
                "Remove the ids, so that people are tracked by their boxes, or write each person once",
            )
