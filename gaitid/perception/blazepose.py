"""Landmarks and mask of one person in a part of a picture, by BlazePose.

Source: Bazarevsky et al. 2020 (BlazePose), model ``pose_landmark_full``. Deviations: the part of the picture
is an upright square around a box, not turned along the spine, because walkers are upright; the mask is where
the logits of the network are above 0, without small pieces, and the box is that of the mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.modalities.skeleton import from_mediapipe33
from gaitid.perception.networks import BLAZEPOSE
from gaitid.perception.networks.runtime import session

Floats = NDArray[np.float32]

_SIDE = 256
_MARGIN = 1.25
"""Side of the square over the longer side of the box, as the network was trained."""
_LANDMARKS = 33
_PIECE = 0.05
"""Least area of a piece of the mask over that of the largest."""
_LEAST_AREA = 64
"""Least area of a mask, pixels of the source."""


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """One person.

    Attributes:
        box: (4,) float32, xyxy pixels: the bounds of the mask.
        mask: (h, w) uint8 0/1 of the box.
        keypoints: (17, 3) float32 x, y pixels and confidence 0..1, COCO order.
        presence: 0..1, how sure the network is that there is a person.
    """

    box: Floats
    mask: NDArray[np.uint8]
    keypoints: Floats
    presence: float


class PoseNetwork:
    """Finds the person in a box; not safe for several threads at once."""

    def __init__(self) -> None:
        self._session = session(BLAZEPOSE)

    def __call__(self, image: NDArray[np.uint8], box: Floats) -> Body | None:
        """Find the one person in the middle of a box.

        Args:
            image: (H, W, 3) uint8, BGR.
            box: (4,) float32, xyxy pixels around the person.

        Returns:
            None when the mask is empty.
        """
        to_input = _square(box)
        crop = cv2.warpAffine(image, to_input, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR)
        pixels = np.ascontiguousarray(crop[None, :, :, ::-1], np.float32) / 255
        points, presence, logits = self._session.run(
            ["Identity", "Identity_1", "Identity_2"], {"input_1": pixels}
        )
        found = _mask(logits[0, :, :, 0], to_input, image.shape[:2])
        if found is None:
            return None
        keypoints = _keypoints(points.reshape(-1, 5)[:_LANDMARKS], to_input)
        return Body(*found, keypoints, float(presence[0, 0]))


def _square(box: Floats) -> NDArray[np.float64]:
    """(2, 3) affine map from the picture to the network's input."""
    side = _MARGIN * max(float(box[2] - box[0]), float(box[3] - box[1]), 1.0)
    scale = _SIDE / side
    centre = (np.asarray(box[:2], float) + box[2:]) / 2
    return np.hstack([np.eye(2) * scale, (_SIDE / 2 - centre * scale)[:, None]])


def _mask(
    logits: Floats, to_input: NDArray[np.float64], size: tuple[int, int]
) -> tuple[Floats, NDArray[np.uint8]] | None:
    """Box and mask in the picture of (height, width) pixels."""
    corners = (np.array([[0.0, 0.0], [_SIDE, _SIDE]]) - to_input[:, 2]) / to_input[0, 0]
    x0, y0 = np.maximum(np.floor(corners[0]), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(corners[1]), size[::-1]).astype(int)
    if x1 <= x0 or y1 <= y0:
        return None
    from_part = to_input.copy()
    from_part[:, 2] += to_input[0, 0] * np.array([x0, y0])
    part = cv2.warpAffine(
        logits, from_part, (int(x1 - x0), int(y1 - y0)), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderValue=-1.0,
    )  # fmt: skip
    mask = _pieces((part > 0).astype(np.uint8))
    x, y, width, height = cv2.boundingRect(mask)
    if width * height < _LEAST_AREA:
        return None
    box = np.array([x0 + x, y0 + y, x0 + x + width, y0 + y + height], np.float32)
    return box, np.ascontiguousarray(mask[y : y + height, x : x + width])


def _pieces(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mask without small pieces."""
    count, labels, facts, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count <= 2:
        return mask
    areas = facts[1:, cv2.CC_STAT_AREA]
    kept = 1 + np.flatnonzero(areas >= _PIECE * areas.max())
    return np.isin(labels, kept).astype(np.uint8)


def _keypoints(points: Floats, to_input: NDArray[np.float64]) -> Floats:
    """(17, 3) joints in the picture, of (33, 5) landmarks in the input: x, y, z, logits of seen and there."""
    places = (points[:, :2] - to_input[:, 2]) / to_input[0, 0]
    confidence = 1 / (1 + np.exp(-np.clip(points[:, 3:5], -50, 50)))
    landmarks = np.concatenate([places, points[:, 2:3], confidence.prod(1, keepdims=True)], 1)
    joints: Floats = from_mediapipe33(landmarks[None], 1, 1)[0]
    return joints
