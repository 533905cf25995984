"""Augmentation of published recipes, by the rules of the framework that they come from.

Source: the configurations and documents of OpenGait (Fan et al. 2023, sec. 4.1 and 5). Only their numbers and
rules are used; the code is ours. Every change is the same for all frames of a clip. Deviation: perspective
works on the 64 columns before the cut there; here the ten columns on each side are empty.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .recipe import Published

Clip = NDArray[Any]
"""(T, H, W) float32 0..1."""

_DEGREES = 10.0
"""Largest rotation."""
_SIDE = 10
"""Columns on each side that are cut after perspective, and within which its corners move."""
_AREA = (0.05, 0.2)
"""Smallest and largest share of the picture that is erased."""
_ASPECT = (0.3, 1 / 0.3)
"""Smallest and largest height by width of what is erased."""
_TRIES = 100


def change(rng: np.random.Generator, clip: NDArray[Any], how: Published) -> Clip:
    """Augment a clip; the shape stays the same.

    Args:
        rng: Source of randomness.
        clip: (T, H, W) silhouettes, binary uint8 or float32 0..1.
        how: Probabilities of the changes, which are applied in the order below.
    """
    clip = clip.astype(np.float32)
    for chance, one in (
        (how.perspective, perspective),
        (how.flip, lambda _, c: c[:, :, ::-1]),
        (how.rotate, rotate),
        (how.erase, erase),
    ):
        if rng.random() < chance:
            clip = one(rng, clip)
    return np.ascontiguousarray(clip)


def perspective(rng: np.random.Generator, clip: Clip) -> Clip:
    """Stretch a quadrilateral to the whole picture; its corners are up to nine columns inside."""
    _, height, width = clip.shape
    columns = width + 2 * _SIDE
    left, right = rng.integers(0, _SIDE, 2), columns - _SIDE + rng.integers(0, _SIDE, 2)
    corners = np.array([[left[0], 0], [right[0], 0], [right[1], height], [left[1], height]], np.float32)
    whole = np.array([[0, 0], [columns, 0], [columns, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, whole)
    padded = np.pad(clip, ((0, 0), (0, 0), (_SIDE, _SIDE)))
    warped = [cv2.warpPerspective(frame, matrix, (columns, height)) for frame in padded]
    return np.stack(warped)[:, :, _SIDE:-_SIDE]


def rotate(rng: np.random.Generator, clip: Clip) -> Clip:
    """Rotate by up to 10 degrees around the point whose column and row are half of the height and width.

    The exchanged coordinates are those of the framework: (32, 22) in a picture of 64x44, right of the middle
    and above it.
    """
    _, height, width = clip.shape
    degrees = float(rng.uniform(-_DEGREES, _DEGREES))
    matrix = cv2.getRotationMatrix2D((height // 2, width // 2), degrees, 1.0)
    return np.stack([cv2.warpAffine(frame, matrix, (width, height)) for frame in clip])


def erase(rng: np.random.Generator, clip: Clip) -> Clip:
    """Hide a rectangle of 5 to 20 % of the picture."""
    _, height, width = clip.shape
    for _ in range(_TRIES):
        area, aspect = rng.uniform(*_AREA) * height * width, rng.uniform(*_ASPECT)
        tall, wide = round(float(np.sqrt(area * aspect))), round(float(np.sqrt(area / aspect)))
        if tall < height and wide < width:
            y, x = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
            clip = clip.copy()
            clip[:, y : y + tall, x : x + wide] = 0
            break
    return clip
