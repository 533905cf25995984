"""Pictures for reports: labelled frames, and contact sheets of silhouettes or stick figures."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.errors import SourceError
from gaitid.modalities.skeleton import BONES
from gaitid.records import SILHOUETTE_SIZES, GaitSequence

GREEN, RED, AMBER, GREY = (96, 180, 32), (48, 48, 224), (0, 160, 240), (150, 150, 150)
"""BGR colours: right, wrong, undecided, not judged."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK, _PAPER = (40, 40, 40), 250
_MARGIN_PX = 2
"""Pixels above and below a stick figure."""


@dataclass(frozen=True, slots=True)
class Label:
    """A box (xyxy pixels) in a frame with its text and BGR colour."""

    box: tuple[float, float, float, float]
    text: str
    color: tuple[int, int, int]


def annotate(image: NDArray[np.uint8], labels: Iterable[Label]) -> NDArray[np.uint8]:
    """Return a copy of a BGR image with labelled boxes; text stays inside the picture."""
    canvas = image.copy()
    scale = max(0.4, image.shape[0] / 1400)
    for label in labels:
        x1, y1, x2, y2 = (round(value) for value in label.box)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), label.color, 1, cv2.LINE_AA)
        (width, height), baseline = cv2.getTextSize(label.text, _FONT, scale, 1)
        left = min(max(x1, 0), max(image.shape[1] - width - 4, 0))
        top = y1 - height - baseline - 2
        top = top if top >= 0 else min(y2 + 2, image.shape[0] - height - baseline - 2)
        corner = (left + width + 4, top + height + baseline + 2)
        cv2.rectangle(canvas, (left, top), corner, label.color, cv2.FILLED)
        cv2.putText(
            canvas, label.text, (left + 2, top + height + 1), _FONT, scale, (255, 255, 255), 1, cv2.LINE_AA
        )
    return canvas


@dataclass(frozen=True, slots=True, eq=False)
class SheetRow:
    """One row of a contact sheet: (T, H, W) uint8 0/1 pictures, caption lines, BGR colour."""

    silhouettes: NDArray[np.uint8]
    caption: Sequence[str]
    color: tuple[int, int, int] = _INK


def contact_sheet(rows: Sequence[SheetRow], *, columns: int = 16, margin: int = 190) -> NDArray[np.uint8]:
    """Return a (H, W, 3) uint8 picture: one row a sequence, `columns` frames spread evenly over it."""
    if not rows:
        return np.full((40, margin, 3), _PAPER, np.uint8)
    return np.vstack([_sheet_row(row, columns, margin) for row in rows])


def drawn(sequence: GaitSequence) -> NDArray[np.uint8]:
    """Return (T, H, W) uint8 0/1 pictures of a sequence: silhouettes, or else stick figures."""
    if sequence.silhouettes is not None:
        return sequence.silhouettes
    if sequence.skeletons is not None:
        return np.stack([_stick_figure(joints) for joints in sequence.skeletons])
    return np.zeros((len(sequence), *SILHOUETTE_SIZES[0]), np.uint8)


def _stick_figure(joints: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw (17, 3) joints as tall as the picture; blank when fewer than two are seen."""
    height, width = SILHOUETTE_SIZES[0]
    canvas = np.zeros((height, width), np.uint8)
    seen = joints[:, 2] > 0
    places = joints[:, :2].astype(np.float64)
    if seen.sum() < 2:
        return canvas
    low, high = places[seen].min(axis=0), places[seen].max(axis=0)
    scale = (height - 2 * _MARGIN_PX) / max(high[1] - low[1], 1.0)
    origin = np.array([(low[0] + high[0]) / 2 - width / 2 / scale, low[1] - _MARGIN_PX / scale])
    pixels = ((places - origin) * scale).round().astype(int)
    for a, b in BONES:
        if seen[a] and seen[b]:
            cv2.line(canvas, pixels[a].tolist(), pixels[b].tolist(), (1,), 2)
    return canvas


def _sheet_row(row: SheetRow, columns: int, margin: int) -> NDArray[np.uint8]:
    frames, height, width = row.silhouettes.shape
    canvas = np.full((height + 6, margin + columns * (width + 3), 3), _PAPER, np.uint8)
    for line, text in enumerate(row.caption):
        cv2.putText(canvas, text, (6, 18 + 17 * line), _FONT, 0.42, row.color, 1, cv2.LINE_AA)
    chosen = np.linspace(0, frames - 1, min(columns, frames)).round().astype(int)
    for column, frame in enumerate(chosen):
        left = margin + column * (width + 3)
        tile = 235 - 205 * row.silhouettes[frame].astype(np.int16)
        canvas[3 : 3 + height, left : left + width] = tile[..., None]
    return canvas


def save_picture(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a BGR image as PNG."""
    done, data = cv2.imencode(".png", image)
    if not done:
        raise SourceError(
            f"Picture {path} cannot be encoded", "a BGR uint8 array", "Report this as a bug of gaitid"
        )
    path.write_bytes(data.tobytes())


class VideoFile:
    """Writer of a VP8 WebM file, which browsers play without a plug-in.

    Args:
        path: File to write, ending in ``.webm``.
        size: (width, height) of the frames.
        fps: Frames a second.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        code = cv2.VideoWriter.fourcc(*"VP80")
        with _muted():  # OpenCV warns about the codec although it writes VP8
            self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, fps, size)
        if not self._writer.isOpened():
            raise SourceError(
                f"Video {path} cannot be written",
                "an OpenCV that encodes VP8",
                "Reinstall opencv-python-headless",
            )

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append one BGR frame of the declared size."""
        self._writer.write(image)

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.release()


@contextmanager
def _muted() -> Iterator[None]:
    """Discard what C code prints on standard error."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
