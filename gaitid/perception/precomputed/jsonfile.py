"""Reading JSON files of keypoints, with errors that name the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import SourceError

LAYOUTS = "OpenPose, COCO, AlphaPose or MediaPipe JSON"

LARGEST, _LARGEST_ID = 1e9, 2**53
"""Largest coordinate, count and id that are believed; doubles up to it are exact."""

_MAX_BYTES = 1024**3
"""Largest file that is read: an hour of four people in a COCO file takes 200 MB."""


def parse(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        SourceError: It cannot be read, is larger than 1 GiB, or is no JSON.
    """
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise SourceError(f"File {path} has {size} bytes", f"at most {_MAX_BYTES}", "Split the recording")
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(
            f"File {path} cannot be read as JSON ({type(error).__name__}: {str(error)[:100]})",
            LAYOUTS,
            "Export the keypoints again",
        ) from error


def numbers(values: Any, path: Path, what: str) -> NDArray[np.float64]:
    """Return a list of finite numbers, none above `LARGEST`, as an array (N,).

    Raises:
        SourceError: It is something else.
    """
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise wrong(path, f"{what} that are no numbers", "numbers") from error
    if not isinstance(values, list) or array.ndim != 1 or not (np.abs(array) <= LARGEST).all():
        raise wrong(
            path, f"{what} that are no list of finite numbers", f"one flat list of up to ±{LARGEST:g}"
        )
    return array


def whole(value: Any, path: Path, what: str) -> int:
    """Return a value that is a whole number, also as a float.

    Raises:
        SourceError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST_ID:
        raise wrong(path, f"{what} {value!r:.40}", "a whole number")
    if value != int(value):
        raise wrong(path, f"{what} {value!r:.40}", "a whole number")
    return int(value)


def entries(value: Any, path: Path, what: str) -> list[Mapping[str, Any]]:
    """Return a list of objects.

    Raises:
        SourceError: It is something else.
    """
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise wrong(path, f"{what} that are no list of objects", "one object for each")
    return value


def triples(values: Any, path: Path, what: str = "keypoints") -> NDArray[np.float64]:
    """Return a flat list of x, y and confidence as an array (J, 3).

    Raises:
        SourceError: It is something else.
    """
    array = numbers(values, path, what)
    if len(array) % 3 or not len(array):
        raise wrong(path, f"{what} of {len(array)} values", "x, y and confidence of each joint")
    return array.reshape(-1, 3)


def track_id(value: Any, path: Path) -> int | None:
    """Return a track id that is written as a number or a list of one; None for -1 or nothing.

    Raises:
        SourceError: It is something else.
    """
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or value == []:
        return None
    track = whole(value, path, "the track id")
    return track if track >= 0 else None


def wrong(path: Path, got: str, expected: str) -> SourceError:
    """Make the error of a file that has something else than its layout."""
    return SourceError(f"File {path} has {got}", expected, f"Write {LAYOUTS} as docs/extractors.md shows")
