"""People in a picture, as boxes, by NanoDet.

Source: RangiLyu 2020 (NanoDet, after Li et al. 2020, Generalized Focal Loss): at each place of three grids,
the scores of 80 classes and, for each side of the box, a distribution over eleven distances.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.perception.networks import NANODET
from gaitid.perception.networks.runtime import session

Floats = NDArray[np.float32]

_SIDE = 416
"""Side of the network's input, pixels."""
_MEAN, _DEVIATION = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
"""Of the pixels, BGR, that it was trained on."""
_STRIDES = (8, 16, 32)
_BINS = 11
_SAME = 0.5
"""Overlap (IoU) from which two boxes are of the same person."""


class PersonDetector:
    """Finds people; not safe for several threads at once.

    A person is found from about 30 pixels of height in the picture scaled to 416 pixels: a fourteenth of the
    longer side.

    Args:
        least_score: Least score of a box, 0..1.
    """

    def __init__(self, least_score: float) -> None:
        self._least_score = least_score
        self._session = session(NANODET)
        self._outputs = [f"Identity{end}:0" for end in ("", "_1", "_2", "_3", "_4", "_5")]

    def __call__(self, image: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Find the people in a picture.

        Args:
            image: (H, W, 3) uint8, BGR.

        Returns:
            Boxes (N, 4), xyxy pixels within the picture, and scores (N,), best first.
        """
        scale = _SIDE / max(image.shape[:2])
        answers = self._session.run(self._outputs, {"input_1:0": _input(image, scale)})
        found = [
            self._of_grid(scores[0, :, 0], sides[0], stride)
            for stride, scores, sides in zip(_STRIDES, answers[:3], answers[3:], strict=True)
        ]
        boxes = np.concatenate([one[0] for one in found]) / scale
        scores = np.concatenate([one[1] for one in found])
        boxes = np.clip(boxes, 0, np.array([*image.shape[1::-1]] * 2)).astype(np.float32)
        kept = _distinct(boxes, scores)
        return boxes[kept], scores[kept]

    def _of_grid(self, scores: Floats, sides: Floats, stride: int) -> tuple[Floats, Floats]:
        """Boxes (N, 4) in pixels of the input, and scores (N,)."""
        at = np.flatnonzero(scores >= self._least_score)
        power = sides[at].reshape(-1, 4, _BINS)
        power = np.exp(power - power.max(2, keepdims=True))
        distance = (power @ np.arange(_BINS)) / power.sum(2) * stride
        y, x = np.divmod(at, _SIDE // stride)
        centre = (np.stack([x, y], 1) + 0.5) * stride
        return np.concatenate([centre - distance[:, :2], centre + distance[:, 2:]], 1), scores[at]


def _input(image: NDArray[np.uint8], scale: float) -> Floats:
    """(1, 3, 416, 416): the picture, scaled, at the top left."""
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    scaled = cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    held = np.zeros((_SIDE, _SIDE, 3), np.float32)
    held[:height, :width] = scaled
    return np.ascontiguousarray(((held - _MEAN) / _DEVIATION).transpose(2, 0, 1)[None], np.float32)


def _distinct(boxes: Floats, scores: Floats) -> NDArray[np.intp]:
    """Numbers of the boxes that no better one overlaps, best first (non-maximum suppression)."""
    if not len(boxes):
        return np.empty(0, np.intp)
    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    return np.array(cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), 0.0, _SAME), np.intp).ravel()
