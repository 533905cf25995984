"""Silhouettes in the size and place that gait encoders expect.

Source: the published convention of Chao et al. 2019 (GaitSet, sec. 4.1) and Fan et al. 2023
(OpenGait, sec. 4.1): drop masks of almost no pixels; crop to the rows in use; resize to the height by
cubic interpolation, keeping the aspect; put the column where the cumulative mass passes one half in
the middle; cut to height x height; encoders then see it with 10/64 of the columns cut from each
side. Deviations: a centre at column 0 is kept (the published code mistakes 0 for "none"), and a mask
so thin that its resized width would be 0 is 1 column wide.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError
from gaitid.records import SILHOUETTE_SIZES

_MIN_SUM = 10_000
"""Sum of 0..255 pixels up to which a mask counts as empty."""


def align(mask: NDArray[np.uint8], size: tuple[int, int] = (64, 44)) -> NDArray[np.uint8] | None:
    """Bring a silhouette to the standard size.

    Args:
        mask: (H, W) uint8, 0 = background; either 0/1 or gray up to 255.
        size: (height, width), one of `records.SILHOUETTE_SIZES`.

    Returns:
        (height, width) uint8 gray 0..255, or None when the mask has no more than 39 full pixels
        (empty and one-pixel masks included), which the convention drops.

    Raises:
        InputError: The size is unknown or the mask is no (H, W) uint8 array.
    """
    if size not in SILHOUETTE_SIZES:
        raise InputError(f"size is {size}", f"one of {SILHOUETTE_SIZES}", "choose a published size")
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise InputError(f"mask is {mask.shape} {mask.dtype}", "(H, W) uint8", "convert it first")
    if mask.size == 0:
        return None
    gray = mask * np.uint8(255) if mask.max() <= 1 else mask
    if int(gray.sum(dtype=np.int64)) <= _MIN_SUM:
        return None
    height, width = size
    return _centre(_resize(gray, height), width)


def binarise(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gray 0..255 of any shape to 0/1, split at half."""
    return (gray > 127).astype(np.uint8)


def _resize(gray: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """Crop to the rows in use and scale to `height` rows."""
    rows = np.flatnonzero(gray.any(axis=1))
    crop = gray[rows[0] : rows[-1] + 1]
    width = max(int(height * (crop.shape[1] / crop.shape[0])), 1)
    return np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _centre(gray: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Cut or pad to `width` columns about the column where the mass passes one half."""
    mass = gray.sum(axis=0, dtype=np.int64).cumsum()
    left = int(np.argmax(mass > mass[-1] / 2)) - width // 2
    placed = np.zeros((gray.shape[0], width), np.uint8)
    start, stop = max(left, 0), min(left + width, gray.shape[1])
    placed[:, start - left : stop - left] = gray[:, start:stop]
    return placed
