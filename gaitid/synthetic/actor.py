"""A dressed subject in motion in the world, which any camera can film."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError
from gaitid.synthetic.body import COCO
from gaitid.synthetic.camera import Camera
from gaitid.synthetic.detect import visible
from gaitid.synthetic.dress import Dressed
from gaitid.synthetic.render import masks, paint, snap

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MARGIN_PX = 6
_NEAR_M = 0.5
"""A body nearer to the camera than this is not drawn."""
_LARGEST_PX = 2048
"""Longest side of a window; a camera this near does not show the whole body."""
_LIGHT = (0.3, 0.5, 1.0)
"""Direction towards the light in painted frames."""


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """A dressed subject over time, in world coordinates.

    Attributes:
        dressed: The mesh: faces, edges, part labels.
        vertices: (T, V, 3) metres in the world, ground at z = 0.
        keypoints: (T, 23, 3) metres; COCO's 17 first.
        times: (T,) seconds.
        root: (T, 2) metres, position on the ground.
        heading: (T,) walking direction, radians.
        phase: (T,) strides; a left heel strikes at whole numbers.
        planted: (T, 2) bool, whether the left and the right foot stand on the ground.
    """

    dressed: Dressed
    vertices: Floats
    keypoints: Floats
    times: Floats
    root: Floats
    heading: Floats
    phase: Floats
    planted: NDArray[np.bool_]

    def moved(self, offset: Floats) -> Actor:
        """Return a copy shifted by (2,) metres over the ground."""
        shift = np.append(offset, 0.0)
        return replace(
            self, vertices=self.vertices + shift, keypoints=self.keypoints + shift, root=self.root + offset
        )

    def masks(self, camera: Camera) -> tuple[Bytes, Ints]:
        """Render the masks of all frames in windows of one size that follow the body.

        Returns:
            (T, H, W) uint8 0/1, and (T, 2) int64 x, y of the first pixel of each window in the picture,
            which may lie outside the picture. The mask of a body nearer than 0.5 m is empty.

        Raises:
            InputError: The body is over 2048 pixels large.
        """
        pixels, depth = camera.project(self.vertices)
        gone = depth.min(1) < _NEAR_M
        pixels[gone] = 0
        low, high = np.floor(pixels.min(1)), np.ceil(pixels.max(1))
        width, height = (np.ceil((high - low).max(0)).astype(int) + 2 * _MARGIN_PX).tolist()
        if max(width, height) > _LARGEST_PX:
            raise InputError(
                f"The body is {max(width, height)} pixels large",
                f"at most {_LARGEST_PX} pixels",
                "Move the camera away or shorten its focal length",
            )
        corners = np.rint((low + high) / 2 - np.array([width, height]) / 2).astype(np.int64)
        snapped = snap(pixels - corners[:, None])
        return masks(snapped, self.dressed.faces, self.dressed.edges, height, width), corners

    def joints(self, camera: Camera) -> tuple[Floats, Floats]:
        """(T, 17, 2) pixels of the COCO joints, and (T, 17) visibility: 0 hidden by the body, 1 visible."""
        pixels, depth = camera.project(self.keypoints[:, :COCO])
        scale = camera.focal / np.maximum(depth.mean(1), _NEAR_M)
        return pixels, visible(pixels, depth, scale)

    def painted(self, frame: int, camera: Camera) -> tuple[Bytes, Bytes, tuple[int, int]]:
        """Paint one frame as part labels and brightness.

        Args:
            frame: Number of the frame.
            camera: The camera.

        Returns:
            (h, w) uint8 labels (0 outside, k + 1 for part k of `body.PARTS`), (h, w) uint8 brightness, and
            x, y of the first pixel in the picture. Both arrays are empty for a body nearer than 0.5 m.
        """
        points = self.vertices[frame]
        pixels, depth = camera.project(points)
        if depth.min() < _NEAR_M:
            return np.zeros((0, 0), np.uint8), np.zeros((0, 0), np.uint8), (0, 0)
        low = np.floor(pixels.min(0)).astype(int) - 1
        width, height = np.minimum(np.ceil(pixels.max(0)).astype(int) + 1 - low, _LARGEST_PX).tolist()
        mesh = self.dressed
        labels, bright = paint(
            snap(pixels - low), depth, mesh.faces, mesh.labels, _LIGHT, points, height, width
        )
        return labels, bright, (int(low[0]), int(low[1]))
