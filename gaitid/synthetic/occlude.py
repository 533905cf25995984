"""Occlusions: objects in front of a walker, the border of the picture, other walkers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

OCCLUSIONS = ("none", "object", "border", "walker")


def hide_behind_object(masks: Bytes, corners: Ints, rng: np.random.Generator) -> Bytes:
    """Remove what a pole, a bench, a plant or a parked car in front of the path hides.

    Args:
        masks: (T, H, W) uint8 0/1 in windows that follow the walker.
        corners: (T, 2) x, y of the first pixel of each window in the picture, where the object stands still.
        rng: Random generator of the kind, position and size of the object.
    """
    frames, height, width = masks.shape
    kind = str(rng.choice(["pole", "low", "block"], p=(0.35, 0.4, 0.25)))
    middle = int(rng.integers(frames // 4, max(frames // 4 + 1, 3 * frames // 4)))
    centre = corners[middle, 0] + width // 2
    foot = corners[middle, 1] + height
    half = {"pole": rng.uniform(0.02, 0.05), "low": rng.uniform(0.3, 2.0), "block": rng.uniform(0.1, 0.3)}[
        kind
    ]
    tall = {"pole": 1.5, "low": rng.uniform(0.12, 0.4), "block": rng.uniform(0.4, 1.2)}[kind]
    top = foot - tall * height
    rough = np.rint(rng.normal(0, 0.01 * height, 4096)).astype(int)
    columns = corners[:, :1] + np.arange(width)
    rows = corners[:, 1:] + np.arange(height)
    edge = top + rough[(columns // 3) % 4096]
    hidden = (np.abs(columns - centre) <= half * height)[:, None] & (rows[:, :, None] >= edge[:, None])
    return np.where(hidden, np.uint8(0), masks)


def cut_at_border(masks: Bytes, corners: Ints, rng: np.random.Generator) -> Bytes:
    """Remove what is outside the picture: the walk begins or ends at its edge, or the feet are below it."""
    frames, height, width = masks.shape
    if rng.random() < 0.35:
        line = np.quantile(corners[:, 1], 0.5) + height * rng.uniform(0.75, 0.95)
        outside = (corners[:, 1:] + np.arange(height) >= line)[:, :, None]
    else:
        direction = np.sign(corners[-1, 0] - corners[0, 0]) or 1
        at = corners[int(frames * rng.uniform(0.05, 0.3)), 0] + width // 2
        columns = corners[:, :1] + np.arange(width)
        outside = ((columns - at) * direction < 0)[:, None]
        if rng.random() < 0.5:  # cut the end of the walk instead
            at = corners[int(frames * rng.uniform(0.7, 0.95)), 0] + width // 2
            outside = ((columns - at) * direction > 0)[:, None]
    return np.where(outside, np.uint8(0), masks)


def join_walker(masks: Bytes, other: Bytes, rng: np.random.Generator) -> Bytes:
    """Let another walker cross in front: merged with this one, or cut out of it, as segmenters do.

    Args:
        masks: (T, H, W) uint8 0/1.
        other: (T, H, W) uint8 0/1, the other walker in the same windows.
        rng: Decides between merging (background subtraction) and cutting (instance segmentation).

    Raises:
        InputError: The shapes differ.
    """
    if masks.shape != other.shape:
        raise InputError(
            f"Masks have shape {masks.shape}, those of the other walker {other.shape}",
            "equal shapes",
            "Render both walkers in the same windows",
        )
    return (masks | other) if rng.random() < 0.5 else masks & (1 - other)
