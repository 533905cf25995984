"""Text files of YOLO pose networks: one for each frame, one line for each person.

A line has the class, the box (centre, width, height), 17 joints (x, y and usually confidence), and where they
were asked for the confidence of the box and a track id. All places are shares of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import SourceError
from gaitid.modalities.skeleton import JOINTS, from_coco
from gaitid.perception.precomputed.jsonfile import LARGEST
from gaitid.perception.precomputed.person import Person, Recording, Size

Floats = NDArray[np.float64]

_BOX = 5
"""Columns of class and box."""
_LAYOUTS = {_BOX + values * JOINTS + more: (values, more) for values in (2, 3) for more in (0, 1, 2)}
"""Columns of a line -> values a joint, columns after the joints."""


def read(files: Mapping[int, Path], folder: Path, size: Size | None) -> Recording:
    """Return the people of all frames.

    Args:
        files: File of each frame number.
        folder: Their folder, for errors.
        size: Size of the pictures; or None.

    Raises:
        SourceError: A file has another layout, or the size is None.
    """
    tables = {number: _table(file) for number, file in files.items()}
    widths = {table.shape[1] for table in tables.values() if len(table)}
    if len(widths) > 1:
        raise SourceError(
            f"Files of {folder} have lines of {_list(widths)} columns", "one layout", "Write them in one run"
        )
    if widths and size is None:
        raise SourceError(
            f"Files of {folder} have places as shares of the picture, whose size is unknown",
            "its width and height in pixels",
            "Pass --size WIDTHxHEIGHT",
        )
    return Recording(
        _people(tables, *_LAYOUTS[widths.pop()], size or (1, 1)) if widths else dict.fromkeys(tables, ()),
        size,
    )


def _people(tables: Mapping[int, Floats], values: int, more: int, size: Size) -> dict[int, Sequence[Person]]:
    lines = np.concatenate([table for table in tables.values() if len(table)])
    scores, ids = _last_columns(lines[:, _BOX + values * JOINTS :], more)
    flags = values == 3 and set(np.unique(lines[:, _BOX + 2 : _BOX + 3 * JOINTS : 3])) <= {0, 1, 2}
    joints = _joints(lines[:, _BOX : _BOX + values * JOINTS].reshape(len(lines), JOINTS, values), size, flags)
    half = lines[:, 3:5] / 2
    boxes = np.concatenate([lines[:, 1:3] - half, lines[:, 1:3] + half], axis=1) * np.tile(size, 2)
    made = iter(
        Person(one, None, box.astype(np.float32), score, track)
        for one, box, score, track in zip(joints, boxes, scores, ids, strict=True)
    )
    return {number: [next(made) for _ in table] for number, table in tables.items()}


def _joints(joints: Floats, size: Size, flags: bool) -> NDArray[np.float32]:
    """Return (N, 17, 3) pixels and confidence; flags are 0 not labelled, 1 hidden, 2 visible.

    Without a third value, a joint at 0, 0 is not seen.
    """
    third = joints[..., 2:] if joints.shape[2] == 3 else (joints != 0).any(axis=2, keepdims=True) * 1.0
    third = third / 2 if flags and third.max() > 1 else third
    return from_coco(np.concatenate([joints[..., :2] * np.array(size), third], axis=2))


def _last_columns(columns: Floats, more: int) -> tuple[list[float | None], list[int | None]]:
    """Return confidences and track ids; a single column is ids if it has whole numbers above 1."""
    nothing: list[None] = [None] * len(columns)
    whole = more > 0 and bool((columns[:, -1] % 1 == 0).all())
    tracked = whole and (more == 2 or columns[:, -1].max() > 1)
    ids = [int(value) for value in columns[:, -1]] if tracked else nothing
    scores = [float(value) for value in columns[:, 0]] if more - tracked > 0 else nothing
    return list(scores), list(ids)


def _table(file: Path) -> Floats:
    """Return the lines of a file, (N, columns)."""
    try:
        rows = [
            [float(word) for word in line.split()] for line in file.read_text().splitlines() if line.strip()
        ]
    except (OSError, ValueError) as error:
        raise _wrong(file, f"lines that cannot be read ({str(error)[:60]})") from error
    widths = {len(row) for row in rows}
    if not widths <= _LAYOUTS.keys():
        raise _wrong(file, f"lines of {_list(widths)} columns")
    if len(widths) > 1 or not (np.abs(np.array(rows)) <= LARGEST).all():
        raise _wrong(file, "lines of different lengths, or values that are no finite numbers")
    return np.array(rows, np.float64).reshape(len(rows), max(widths, default=0))


def _wrong(file: Path, got: str) -> SourceError:
    return SourceError(
        f"File {file} has {got}",
        "class, box and 17 joints of a YOLO pose network in each line, "
        f"{min(_LAYOUTS)} to {max(_LAYOUTS)} numbers",
        "Write the results of a pose network, not of one for boxes or outlines",
    )


def _list(counts: set[int]) -> str:
    return " and ".join(map(str, sorted(counts)[:4]))
