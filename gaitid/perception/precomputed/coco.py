"""COCO's JSON of keypoints and outlines, as data set or as list of results; AlphaPose's list is one of these.

Source of the run-length code: the format of COCO's annotations (counts of pixels down the columns, zeros
first; as text, five bits a character, and from the third count on the difference to the last but one).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.errors import SourceError
from gaitid.modalities.skeleton import COCO_FIRST, from_coco
from gaitid.perception.numbering import numbered
from gaitid.perception.precomputed.jsonfile import entries, numbers, track_id, triples, whole, wrong
from gaitid.perception.precomputed.masks import cut_out
from gaitid.perception.precomputed.person import Person, Recording, Size

_PERSON = 1
"""Category of people in a list of results."""
_TRACKS = ("track_id", "instance_id", "idx")
"""Names of a track id: of data sets with tracks, of trackers, of AlphaPose."""
_MAX_SIDE = 16_384
"""Longest side of a mask, pixels."""


def is_coco(content: Any) -> bool:
    """Return whether the content of a JSON file looks like a COCO data set or a list of results."""
    if isinstance(content, Mapping):
        return isinstance(content.get("annotations"), list)
    return isinstance(content, list) and bool(content) and _is_result(content[0])


def read(content: Any, path: Path) -> Recording:
    """Return the people of all frames.

    Args:
        content: Content of the file.
        path: The file, for errors.

    Raises:
        SourceError: The file has another layout, or more than one video.
    """
    if isinstance(content, Mapping):
        return _data_set(content, path)
    results = entries(content, path, "results")
    frames = _frames({image: str(image) for image in (_id(entry, "image_id", path) for entry in results)})
    kept = [entry for entry in results if "keypoints" in entry or _category(entry) in (None, _PERSON)]
    return Recording(_people(kept, frames, path))


def _data_set(content: Mapping[str, Any], path: Path) -> Recording:
    if "images" not in content:
        raise wrong(path, "annotations without images", "a list images with an id for each")
    images, notes = (entries(content[name], path, name) for name in ("images", "annotations"))
    videos = {str(image.get("video_id")) for image in images}
    if len(videos) > 1:
        raise SourceError(f"File {path} has {len(videos)} videos", "one", "Write a file for each video")
    named = all(isinstance(image.get("file_name"), str) for image in images)
    ids = [_id(image, "id", path) for image in images]
    frames = _frames(
        {i: image["file_name"] if named else str(i) for i, image in zip(ids, images, strict=True)}
    )
    strangers = {str(one) for one in (_id(entry, "image_id", path) for entry in notes) if one not in frames}
    if strangers:
        raise wrong(path, f"annotations of image {min(strangers)}, which it does not list", "images of all")
    people_ids = _people_ids(entries(content.get("categories") or [], path, "categories"))
    kept = [entry for entry in notes if not entry.get("iscrowd") and _is_person(entry, people_ids)]
    people: dict[int, list[Person]] = {number: [] for number in frames.values()}
    return Recording({**people, **_people(kept, frames, path)}, _size(images, path))


def _frames(names: Mapping[Any, str]) -> dict[Any, int]:
    """Return the frame number of each image id, by the image's name."""
    by_name: dict[str, list[Any]] = {}
    for image, name in names.items():
        by_name.setdefault(name, []).append(image)
    return {image: number for number, name in numbered(by_name) for image in by_name[name]}


def _size(images: Sequence[Mapping[str, Any]], path: Path) -> Size | None:
    sizes = {
        (whole(image["width"], path, "a width"), whole(image["height"], path, "a height"))
        for image in images
        if "width" in image and "height" in image
    }
    if len(sizes) > 1:
        raise wrong(path, f"images of {len(sizes)} sizes", "images of one camera, all of one size")
    return next(iter(sizes), None)


def _people(
    notes: Iterable[Mapping[str, Any]], frames: Mapping[Any, int], path: Path
) -> dict[int, list[Person]]:
    found = [(frames[entry["image_id"]], _person(entry, path)) for entry in notes]
    halved = _are_flags([person.joints for _, person in found if person.joints is not None])
    # AlphaPose without its tracker writes the same idx for everybody.
    tracked = {person.track for _, person in found} != {0}
    people: dict[int, list[Person]] = {number: [] for number in frames.values()}
    for number, person in found:
        joints = None if person.joints is None else _usual(person.joints, halved=halved)
        track = person.track if tracked else None
        people[number].append(Person(joints, person.mask, person.box, person.confidence, track))
    return people


def _person(entry: Mapping[str, Any], path: Path) -> Person:
    """Return a person whose joints have the file's own third value."""
    joints = triples(entry["keypoints"], path) if entry.get("keypoints") else None
    if joints is not None and len(joints) not in COCO_FIRST:
        raise wrong(path, f"{len(joints)} joints a person", f"one of {', '.join(map(str, COCO_FIRST))}")
    mask, box = _outline(entry.get("segmentation"), path)
    corner = next((entry[key] for key in ("bbox", "box") if entry.get(key) is not None), None)
    if box is None and corner is not None:
        values = numbers(corner, path, "a box")
        if len(values) != 4:
            raise wrong(path, f"a box of {len(values)} values", "x, y, width and height")
        box = np.concatenate([values[:2], values[:2] + values[2:]]).astype(np.float32)
    score = entry.get("score")
    confidence = None if score is None else float(numbers([score], path, "a score")[0])
    track = next((track_id(entry[key], path) for key in _TRACKS if key in entry), None)
    return Person(None if joints is None else joints.astype(np.float32), mask, box, confidence, track)


def _are_flags(joints: Sequence[NDArray[np.float32]]) -> bool:
    """Return whether the third values are COCO's flags: 0 not labelled, 1 hidden, 2 visible."""
    values = {float(value) for array in joints for value in np.unique(array[:, 2])}
    return values <= {0.0, 1.0, 2.0} and 2.0 in values


def _usual(joints: NDArray[np.float32], *, halved: bool) -> NDArray[np.float32]:
    """Return (17, 3) joints with a confidence of 0..1."""
    scale = np.array([1, 1, 0.5 if halved else 1], np.float32)
    coco: NDArray[np.float32] = from_coco((joints * scale)[None])[0]
    return coco


def _outline(segmentation: Any, path: Path) -> tuple[NDArray[np.uint8] | None, NDArray[np.float32] | None]:
    """Return the mask inside its box, and the box, of polygons or a run-length code."""
    if not segmentation:
        return None, None
    if isinstance(segmentation, Mapping):
        mask, origin = _run_lengths(segmentation, path), (0, 0)
    elif isinstance(segmentation, list):
        mask, origin = _polygons(segmentation, path)
    else:
        raise wrong(path, "a segmentation of another kind", "polygons or a run-length code")
    person = cut_out(mask, *origin)
    return (None, None) if person is None else (person.mask, person.box)


def _polygons(polygons: Sequence[Any], path: Path) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Return the filled polygons as a mask (h, w), and the x and y of its corner."""
    outlines = []
    for polygon in polygons:
        flat = numbers(polygon, path, "a polygon")
        if len(flat) < 6 or len(flat) % 2:
            raise wrong(path, f"a polygon of {len(flat)} values", "x and y of three corners or more")
        outlines.append(np.round(flat.reshape(-1, 2)).astype(np.int32))
    together = np.concatenate(outlines)
    low, high = together.min(axis=0), together.max(axis=0) + 1
    width, height = (int(side) for side in high - low)
    _check_sides(width, height, path)
    mask = np.zeros((height, width), np.uint8)
    for outline in outlines:
        cv2.fillPoly(mask, [outline - low], 1)
    return mask, (int(low[0]), int(low[1]))


def _run_lengths(code: Mapping[str, Any], path: Path) -> NDArray[np.uint8]:
    """Return the mask (H, W) of a run-length code."""
    size, counts = numbers(code.get("size"), path, "a size"), code.get("counts")
    if len(size) != 2:
        raise wrong(path, f"a size of {len(size)} values", "height and width")
    height, width = (int(side) for side in size)
    _check_sides(width, height, path)
    lengths = (
        _decoded(counts, path) if isinstance(counts, str) else numbers(counts, path, "counts").astype(int)
    )
    if (lengths < 0).any() or lengths.sum() != height * width:
        raise wrong(path, f"a run-length code of {lengths.sum()} pixels", f"{height * width}, its size")
    values = np.arange(len(lengths), dtype=np.uint8) % 2
    return np.repeat(values, lengths).reshape(width, height).T


def _decoded(text: str, path: Path) -> NDArray[np.int64]:
    """Return the counts of a run-length code that is written as text."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise wrong(path, "a damaged run-length code", "COCO's text of counts")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:  # another character follows
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return np.array(counts, np.int64)


def _check_sides(width: int, height: int, path: Path) -> None:
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE):
        raise wrong(path, f"a mask of {width}x{height} pixels", f"sides of 1 to {_MAX_SIDE}")


def _is_result(entry: Any) -> bool:
    return isinstance(entry, Mapping) and "image_id" in entry


def _id(entry: Mapping[str, Any], key: str, path: Path) -> str | int | float:
    """Return an id that entries refer to."""
    value = entry.get(key)
    if not isinstance(value, str | int | float):
        raise wrong(path, f"an entry whose {key} is {value!r:.40}", "a number or a name in each")
    return value


def _people_ids(categories: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return the ids of the categories of people, by their names."""
    return [one.get("id") for one in categories if str(one.get("name")).lower() in ("person", "pedestrian")]


def _is_person(entry: Mapping[str, Any], people: Sequence[Any]) -> bool:
    """Return whether an annotation is of a person; without categories of people all are."""
    return not people or _category(entry) in people


def _category(entry: Mapping[str, Any]) -> Any:
    return entry.get("category_id")
