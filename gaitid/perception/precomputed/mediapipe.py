"""MediaPipe's pose landmarks as JSON: one file for each frame, or one list of frames.

MediaPipe writes no files. What programs write of its results is a frame's landmarks as a list of 33 points
with x, y and visibility, or one such list for each person, bare or under one of the names of its interfaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gaitid.errors import SourceError
from gaitid.modalities.skeleton import from_mediapipe33
from gaitid.perception.precomputed.jsonfile import numbers, wrong
from gaitid.perception.precomputed.person import Person, Size

_KEYS = ("pose_landmarks", "poseLandmarks", "landmarks", "landmark")
_LANDMARKS = 33


def is_mediapipe(content: Any) -> bool:
    """Return whether the content of a JSON file looks like the landmarks of a frame; null is nobody."""
    if content is None or content == []:
        return True
    if isinstance(content, Mapping):
        return any(key in content for key in _KEYS) or is_landmark(content)
    return isinstance(content, list) and is_mediapipe(next((one for one in content if one), None))


def read_people(content: Any, path: Path, size: Size | None) -> list[Person]:
    """Return the people of a frame.

    Args:
        content: Landmarks of the frame.
        path: The file, for errors.
        size: Size of the picture.

    Raises:
        SourceError: The file has another layout, or the size is None.
    """
    content = _unwrapped(content)
    if not content:
        return []
    if not isinstance(content, list):
        raise wrong(path, f"a {type(content).__name__} for landmarks", "a list of 33 landmarks")
    poses = [content] if is_landmark(content[0]) else [_unwrapped(pose) for pose in content]
    return [_person(pose, path, size) for pose in poses if pose]


def _person(pose: Any, path: Path, size: Size | None) -> Person:
    if not isinstance(pose, list) or len(pose) != _LANDMARKS or not all(map(is_landmark, pose)):
        count = len(pose) if isinstance(pose, list) else "no list of"
        raise wrong(path, f"{count} landmarks a person", f"{_LANDMARKS} with x, y and visibility")
    if size is None:
        raise SourceError(
            f"File {path} has landmarks as shares of the picture, whose size is unknown",
            "its width and height in pixels",
            "Pass --size WIDTHxHEIGHT",
        )
    points = [(mark["x"], mark["y"], 0.0, _visibility(mark)) for mark in pose]
    flat = numbers([value for point in points for value in point], path, "landmarks")
    return Person(from_mediapipe33(flat.reshape(1, _LANDMARKS, 4), *size)[0])


def _visibility(mark: Mapping[str, Any]) -> Any:
    found = mark.get("visibility")
    return 1.0 if found is None else found


def _unwrapped(content: Any) -> Any:
    """Return what stands under one of MediaPipe's names."""
    while isinstance(content, Mapping):
        key = next((key for key in _KEYS if key in content), None)
        if key is None:
            return content
        content = content[key]
    return content


def is_landmark(value: Any) -> bool:
    """Return whether a value is one landmark."""
    return isinstance(value, Mapping) and "x" in value and "y" in value
