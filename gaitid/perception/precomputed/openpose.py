"""OpenPose's output: a JSON file for each frame, BODY_25 or COCO-18."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gaitid.errors import SourceError
from gaitid.modalities.skeleton import from_body25, from_openpose18
from gaitid.perception.precomputed.jsonfile import track_id, triples, wrong
from gaitid.perception.precomputed.person import Person, Size

_LAYOUTS = {25: from_body25, 18: from_openpose18}
_KEYS = ("pose_keypoints_2d", "pose_keypoints")
_SHARES = 1.5
"""Largest coordinate of a file up to which its coordinates are shares of the picture, not pixels."""


def is_openpose(content: Any) -> bool:
    """Return whether the content of a JSON file looks like a frame of OpenPose."""
    return isinstance(content, Mapping) and isinstance(content.get("people"), list)


def read_people(content: Any, path: Path, size: Size | None) -> list[Person]:
    """Return the people of a frame.

    Args:
        content: Content of the file.
        path: The file, for errors.
        size: Size of the picture, needed where coordinates are shares of it; or None.

    Raises:
        SourceError: The file has another layout.
    """
    people = []
    for entry in content["people"]:
        key = next((key for key in _KEYS if isinstance(entry, Mapping) and key in entry), None)
        if key is None:
            raise wrong(path, "a person without pose_keypoints_2d", "keypoints of each person")
        if not entry[key]:  # OpenPose writes an empty list of a person of whom it has only a face or hand
            continue
        joints = triples(entry[key], path)
        if len(joints) not in _LAYOUTS:
            raise wrong(path, f"{len(joints)} joints a person", "25 (BODY_25) or 18 (COCO)")
        coco = _LAYOUTS[len(joints)](joints[None])[0]
        people.append(Person(coco, track=track_id(entry.get("person_id"), path)))
    return _in_pixels(people, path, size)


def _in_pixels(people: list[Person], path: Path, size: Size | None) -> list[Person]:
    """Scale coordinates that are shares of the picture, as of ``--keypoint_scale 3``."""
    joints = [person.joints for person in people if person.joints is not None]
    largest = max((float(array[:, :2].max()) for array in joints), default=0.0)
    if not 0 < largest <= _SHARES:
        return people
    if any((array[:, :2] < 0).any() for array in joints):
        raise wrong(path, "coordinates of -1 to 1", "pixels, which --keypoint_scale 0 of OpenPose gives")
    if size is None:
        raise SourceError(
            f"File {path} has coordinates up to {largest:.3g}, which are shares of the picture",
            "pixels, or the size of the pictures",
            "Pass --size WIDTHxHEIGHT, or run OpenPose with --keypoint_scale 0",
        )
    scale = np.array([*size, 1], np.float32)
    return [
        Person(person.joints * scale, track=person.track) for person in people if person.joints is not None
    ]
