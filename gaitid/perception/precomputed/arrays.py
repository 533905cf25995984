"""Masks and keypoints as arrays of an ``.npz`` file.

| array | shape | content |
|---|---|---|
| ``masks`` | (T, H, W) | 0 for background, 1 or 255 for people |
| ``labels`` | (T, H, W) | 0 for background, else the track id of the person |
| ``keypoints`` | (T, J, 3) or (T, N, J, 3) | x, y pixels and confidence; J = 17, 18 or 25 |
| ``landmarks`` | (T, 33, 4) or (T, N, 33, 4) | MediaPipe: x, y shares of the picture, z, visibility |
| ``tracks`` | (T, N) | track ids of the people of ``keypoints`` or ``landmarks``; below 0 for none |
| ``times`` | (T,) | seconds; instead of a frame rate |
| ``size`` | (2,) | width and height of the picture, pixels |

17 joints are COCO's, 18 are OpenPose's, 25 are BODY_25. A joint that was not seen has confidence 0 or
NaN, and a person who was not seen has no such joint.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError, SourceError
from gaitid.modalities.skeleton import COCO_FIRST, from_body25, from_coco, from_mediapipe33, from_openpose18
from gaitid.perception.precomputed import ARRAYS
from gaitid.perception.precomputed.jsonfile import LARGEST
from gaitid.perception.precomputed.masks import cut_out
from gaitid.perception.precomputed.person import Person, Recording, Size

_BESIDE = frozenset({"tracks", "times", "size"})
_MAX_BYTES = 2 * 1024**3
"""Most bytes that a file may unpack to: 1,000 masks of 1920x1080 pixels."""
_LAYOUTS: Mapping[int, Callable[[NDArray[Any]], NDArray[np.float32]]] = {
    18: from_openpose18,
    25: from_body25,
    **dict.fromkeys(COCO_FIRST, from_coco),
}


def read(path: Path, size: Size | None) -> tuple[Recording, NDArray[np.uint8] | None]:
    """Return the people of all frames, and the pictures of masks (T, H, W) uint8 if there are any.

    Args:
        path: ``.npz`` file.
        size: Size of the pictures, for landmarks without ``size``; or None.

    Raises:
        SourceError: The file is damaged, or an array has another shape.
    """
    arrays = _load(path)
    _check_frames(arrays, path)
    size = _size(arrays, size, path)
    count = len(next(arrays[name] for name in arrays if name in ARRAYS))
    people: list[list[Person]] = [[] for _ in range(count)]
    for name in ("labels", "keypoints", "landmarks"):
        if name in arrays:
            for found, more in zip(people, _READERS[name](arrays, size, path), strict=True):
                found += more
    times = _times(arrays["times"], path) if "times" in arrays else None
    masks = _masks(arrays["masks"], path) if "masks" in arrays else None
    return Recording(dict(enumerate(people)), size, times), masks


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > _MAX_BYTES:
            raise SourceError(
                f"File {path} unpacks to {unpacked} bytes", f"at most {_MAX_BYTES}", "Split the recording"
            )
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
        raise SourceError(
            f"File {path} cannot be read ({type(error).__name__}: {str(error)[:100]})",
            "an .npz file of numbers",
            "Write it with numpy.savez_compressed",
        ) from error
    unknown = set(arrays) - ARRAYS - _BESIDE
    if unknown or not set(arrays) & ARRAYS:
        raise _wrong(path, f"the arrays {', '.join(sorted(arrays)) or 'none'}", f"some of {_names()}")
    if {"labels", "masks"} <= set(arrays) or {"keypoints", "landmarks"} <= set(arrays):
        raise _wrong(path, f"the arrays {', '.join(sorted(arrays))}", "one of each kind")
    return arrays


def _check_frames(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items() if name != "size"}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise _wrong(path, f"arrays of {counts} frames", "one number of frames, at least 1")


def _size(arrays: Mapping[str, NDArray[Any]], size: Size | None, path: Path) -> Size | None:
    for name in ("masks", "labels"):
        if name in arrays:
            if arrays[name].ndim != 3:
                raise _wrong(path, f"{name} of shape {arrays[name].shape}", "(T, H, W)")
            return arrays[name].shape[2], arrays[name].shape[1]
    if "size" not in arrays:
        return size
    if arrays["size"].shape != (2,) or arrays["size"].dtype.kind not in "ui":
        raise _wrong(path, f"size {arrays['size'].tolist()}", "width and height in whole pixels")
    width, height = arrays["size"].tolist()
    return width, height


def _times(times: NDArray[Any], path: Path) -> dict[int, float]:
    if times.ndim != 1 or times.dtype.kind not in "uif" or not (np.diff(times.astype(float)) > 0).all():
        raise _wrong(path, f"times of shape {times.shape}, which do not grow", "(T,) increasing seconds")
    return dict(enumerate(times.astype(float).tolist()))


def _masks(masks: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    if masks.dtype.kind not in "buif" or not 0 <= masks.min(initial=0) <= masks.max(initial=0) <= 255:
        raise _wrong(path, f"masks of {masks.dtype}", "0 and 1, or 0 to 255")
    return masks.astype(np.uint8)


def _labelled(arrays: Mapping[str, NDArray[Any]], size: Size | None, path: Path) -> list[list[Person]]:
    labels = arrays["labels"]
    if labels.dtype.kind not in "ui":
        raise _wrong(path, f"labels of {labels.dtype}", "whole numbers")
    return [
        [
            person
            for track in np.unique(picture[picture > 0]).tolist()
            if (person := cut_out(picture == track, track=track)) is not None
        ]
        for picture in labels
    ]


def _jointed(arrays: Mapping[str, NDArray[Any]], size: Size | None, path: Path) -> list[list[Person]]:
    array = _people_axis(arrays["keypoints"], path, "keypoints")
    joints = array.shape[2]
    if joints not in _LAYOUTS or array.shape[3] != 3:
        raise _wrong(path, f"keypoints of shape {arrays['keypoints'].shape}", _SHAPES)
    return _persons(array, _LAYOUTS[joints], arrays.get("tracks"), path)


def _landmarked(arrays: Mapping[str, NDArray[Any]], size: Size | None, path: Path) -> list[list[Person]]:
    array = _people_axis(arrays["landmarks"], path, "landmarks")
    if array.shape[2:] != (33, 4):
        raise _wrong(path, f"landmarks of shape {arrays['landmarks'].shape}", "(T, 33, 4) or (T, N, 33, 4)")
    if size is None:
        raise SourceError(
            f"File {path} has landmarks as shares of the picture, whose size is unknown",
            "an array size with width and height in pixels",
            "Add it, or pass --size WIDTHxHEIGHT",
        )
    return _persons(array, lambda flat: from_mediapipe33(flat, *size), arrays.get("tracks"), path)


_SHAPES = f"(T, J, 3) or (T, N, J, 3) with J of {', '.join(map(str, sorted(_LAYOUTS)))}"
_READERS = {"labels": _labelled, "keypoints": _jointed, "landmarks": _landmarked}


def _people_axis(array: NDArray[Any], path: Path, name: str) -> NDArray[np.float64]:
    """Return joints as (T, N, J, values), with those that are not finite marked as not seen."""
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or array.dtype.kind not in "uif":
        raise _wrong(path, f"{name} of shape {array.shape} {array.dtype}", "numbers of 3 or 4 axes")
    joints = array.astype(np.float64)
    joints[~np.isfinite(joints).all(axis=3)] = 0.0
    largest = float(np.abs(joints).max(initial=0.0))
    if largest > LARGEST:
        raise _wrong(path, f"{name} with coordinates up to {largest:.3g}", f"pixels, at most {LARGEST:g}")
    return joints


def _persons(
    array: NDArray[np.float64],
    convert: Callable[[NDArray[Any]], NDArray[np.float32]],
    tracks: NDArray[Any] | None,
    path: Path,
) -> list[list[Person]]:
    frames, people = array.shape[:2]
    if tracks is None:
        tracks = np.full((frames, people), -1)
    if tracks.shape != (frames, people) or tracks.dtype.kind not in "ui":
        raise _wrong(
            path, f"tracks of shape {tracks.shape} {tracks.dtype}", f"({frames}, {people}) whole numbers"
        )
    try:
        joints = convert(array.reshape(-1, *array.shape[2:])).reshape(frames, people, -1, 3)
    except InputError as error:
        raise _wrong(path, f"wrong joints ({error.got})", error.expected) from error
    return [
        [
            Person(one, track=int(track) if track >= 0 else None)
            for one, track in zip(row, ids, strict=True)
            if (one[:, 2] > 0).any()
        ]
        for row, ids in zip(joints, tracks, strict=True)
    ]


def _wrong(path: Path, got: str, expected: str) -> SourceError:
    return SourceError(f"File {path} has {got}", expected, "Write the arrays that docs/extractors.md lists")


def _names() -> str:
    return ", ".join(sorted(ARRAYS | _BESIDE))
