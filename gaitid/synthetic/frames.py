"""Operations on all masks of a walk at once: extent of the body, boxes, alignment."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.perception.align import binarise

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

_LEAST = 40
"""Masks with fewer pixels count as empty, as in `perception.align`."""


@dataclass(frozen=True, slots=True, eq=False)
class Extent:
    """Extent of the body in each mask: rows top <= y < bottom, columns left <= x < right.

    The extent of an empty mask (`filled` is False) is the whole mask, so that every frame has a box.
    """

    top: Ints
    bottom: Ints
    left: Ints
    right: Ints
    filled: NDArray[np.bool_]

    @classmethod
    def of(cls, masks: Bytes) -> Extent:
        """Measure the extents of (T, H, W) masks."""
        rows, columns = np.asarray(masks.max(2) > 0), np.asarray(masks.max(1) > 0)
        some = np.asarray(rows.any(1))
        bounds = []
        for line in (rows, columns):
            bounds.append(np.where(some, line.argmax(1), 0))
            bounds.append(np.where(some, line.shape[1] - line[:, ::-1].argmax(1), line.shape[1]))
        return cls(bounds[0], bounds[1], bounds[2], bounds[3], some)

    def boxes(self, corners: Ints) -> NDArray[np.float32]:
        """(T, 4) xyxy boxes in the picture, for windows that begin at `corners` (T, 2)."""
        x, y = corners.T
        return np.stack([x + self.left, y + self.top, x + self.right, y + self.bottom], 1).astype(np.float32)


def align_all(masks: Bytes, size: tuple[int, int] = (64, 44), extent: Extent | None = None) -> Bytes:
    """Align every mask as `perception.align` does, in a third of the time and with the same bits.

    Args:
        masks: (T, H, W) uint8 0/1, one body each.
        size: Height and width of the result.
        extent: Extent of the masks if it is already known.

    Returns:
        (T, height, width) uint8 0/1; all zeros for an empty mask.
    """
    height, width = size
    extent = extent or Extent.of(masks)
    bright = np.ascontiguousarray(masks) * np.uint8(255)
    good = np.flatnonzero(np.count_nonzero(bright.reshape(len(masks), -1), axis=1) >= _LEAST)
    widths = np.maximum((height * (masks.shape[2] / (extent.bottom - extent.top))).astype(int), 1)
    scaled = np.zeros((len(masks), height, int(widths.max(initial=1)) + 2 * width), np.uint8)
    rows = (column[good].tolist() for column in (extent.top, extent.bottom, widths))
    for t, top, bottom, wide in zip(good.tolist(), *rows, strict=True):
        place = scaled[t, :, width : width + wide]
        cv2.resize(bright[t, top:bottom], (wide, height), dst=place, interpolation=cv2.INTER_CUBIC)
    mass = np.cumsum(scaled.sum(1, dtype=np.int32), axis=1)
    left = np.argmax(mass > mass[:, -1:] / 2, axis=1) - width // 2
    out = np.zeros((len(masks), height, width), np.uint8)
    for t, first in zip(good.tolist(), left[good].tolist(), strict=True):
        out[t] = scaled[t, :, first : first + width]
    return binarise(out)
