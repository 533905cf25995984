"""Alignment: masks to silhouettes of the size and position that gait encoders expect.

Source: the published convention of Chao et al. 2019 (GaitSet, sec. 4.1) and Fan et al. 2023
(OpenGait, sec. 4.1). Masks of almost no pixels are dropped. The others are cropped to the rows in use and
resized to the height by cubic interpolation, keeping the aspect ratio. The column where the cumulative
mass passes one half becomes the middle, and the result is cut to height x height; encoders then see it
with 10/64 of the columns cut from each side. Deviations: a centre at column 0 is kept (the published code
mistakes 0 for "none"), and a mask so thin that its resized width would be 0 becomes 1 column wide.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError
from gaitid.records import SILHOUETTE_SIZES

MOST_GRAY = 0.25
"""Share of gray pixels from which pictures are no silhouettes: cubic resizing makes 2 to 8 % of a 64x44
silhouette gray (bodies 140 to 35 px tall); a street scene is 95 %."""

_MIN_SUM = 10_000
"""Sum of pixel values 0..255 up to which a mask counts as empty."""
_GRAY_LOW, _GRAY_HIGH = 33, 223
"""Values between which a pixel is gray."""


def align(mask: NDArray[np.uint8], size: tuple[int, int] = (64, 44)) -> NDArray[np.uint8] | None:
    """Align a mask to the standard size.

    Args:
        mask: (H, W) uint8, 0 for background; either 0/1 or gray up to 255.
        size: (height, width), one of `records.SILHOUETTE_SIZES`.

    Returns:
        (height, width) uint8 gray 0..255, or None if the mask has at most 39 full pixels, which the
        convention drops.

    Raises:
        InputError: The size is unknown or the mask is no (H, W) uint8 array.
    """
    if size not in SILHOUETTE_SIZES:
        raise InputError(f"Argument size is {size}", f"one of {SILHOUETTE_SIZES}", "Pass a published size")
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise InputError(
            f"Argument mask is {mask.shape} {mask.dtype}",
            "(H, W) uint8",
            "Convert it with .astype(numpy.uint8) and drop the colour axis",
        )
    if mask.size == 0:
        return None
    gray = mask * np.uint8(255) if mask.max() <= 1 else mask
    if int(gray.sum(dtype=np.int64)) <= _MIN_SUM:
        return None
    height, width = size
    return _centre(_resize(gray, height), width)


def binarise(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert gray 0..255 of any shape to 0/1, split at half."""
    return (gray > 127).astype(np.uint8)


def gray_share(pieces: Iterable[NDArray[np.uint8]]) -> float:
    """Return the share of pixels, 0..1, that are neither black nor white in uint8 arrays of any shape."""
    gray = size = 0
    span = _GRAY_HIGH - _GRAY_LOW  # uint8 wraps around, so one comparison checks both ends
    for piece in pieces:
        gray += int(np.count_nonzero((piece - np.uint8(_GRAY_LOW)) < span))
        size += piece.size
    return gray / max(size, 1)


def _resize(gray: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """Crop to the rows in use and scale to `height` rows."""
    rows = np.flatnonzero(gray.any(axis=1))
    crop = gray[rows[0] : rows[-1] + 1]
    width = max(int(height * (crop.shape[1] / crop.shape[0])), 1)
    return np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _centre(gray: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Cut or pad to `width` columns around the column where the mass passes one half."""
    mass = gray.sum(axis=0, dtype=np.int64).cumsum()
    left = int(np.argmax(mass > mass[-1] / 2)) - width // 2
    placed = np.zeros((gray.shape[0], width), np.uint8)
    start, stop = max(left, 0), min(left + width, gray.shape[1])
    placed[:, start - left : stop - left] = gray[:, start:stop]
    return placed
