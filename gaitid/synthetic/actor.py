"""A dressed person in motion in the world, to be seen by any camera."""

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

_MARGIN = 6
_NEAR = 0.5
"""Metres before the camera from which a body is drawn."""
_LARGEST = 2048
"""Pixels of the longest side of a window; a camera that near shows no whole body."""


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """A dressed person over time, before any camera.

    Attributes:
        dressed: The mesh: faces, edges, part labels.
        vertices: (T, V, 3) metres in the world, ground at z = 0.
        keypoints: (T, 23, 3) metres; COCO's 17 first.
        times: (T,) seconds.
        root: (T, 2) place on the ground.
        heading: (T,) course, radians.
        phase: (T,) strides; a left heel strikes at whole numbers.
        planted: (T, 2) bool, the left and the right foot stand on the ground.
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
        """The same person shifted by (2,) metres over the ground."""
        shift = np.append(offset, 0.0)
        return replace(
            self, vertices=self.vertices + shift, keypoints=self.keypoints + shift, root=self.root + offset
        )

    def masks(self, camera: Camera) -> tuple[Bytes, Ints]:
        """Masks of all frames in windows of one size that follow the body.

        Returns:
            (T, H, W) uint8 0/1, and (T, 2) int64 x, y of each window's first pixel in the picture,
            which may lie outside it; a body nearer than 0.5 m has an empty mask.
        """
        pixels, depth = camera.project(self.vertices)
        gone = depth.min(1) < _NEAR
        pixels[gone] = 0
        low, high = np.floor(pixels.min(1)), np.ceil(pixels.max(1))
        width, height = (np.ceil((high - low).max(0)).astype(int) + 2 * _MARGIN).tolist()
        if max(width, height) > _LARGEST:
            raise InputError(
                f"the body is {max(width, height)} pixels large",
                f"at most {_LARGEST}",
                "move the camera away or shorten its focal length",
            )
        corners = np.rint((low + high) / 2 - np.array([width, height]) / 2).astype(np.int64)
        snapped = snap(pixels - corners[:, None])
        return masks(snapped, self.dressed.faces, self.dressed.edges, height, width), corners

    def joints(self, camera: Camera) -> tuple[Floats, Floats]:
        """(T, 17, 2) pixels of COCO's joints, and (T, 17) 0 hidden by the own body to 1 free."""
        pixels, depth = camera.project(self.keypoints[:, :COCO])
        scale = camera.focal / np.maximum(depth.mean(1), _NEAR)
        return pixels, visible(pixels, depth, scale)

    def painted(
        self, frame: int, camera: Camera, light: tuple[float, float, float] = (0.3, 0.5, 1.0)
    ) -> tuple[Bytes, Bytes, tuple[int, int]]:
        """One frame as part labels and brightness, for pictures.

        Args:
            frame: Number of the frame.
            camera: The camera.
            light: Direction towards the light.

        Returns:
            (h, w) uint8 labels (`body.PARTS` by label - 1, 0 outside), (h, w) uint8 brightness, and x, y
            of the first pixel in the picture; both arrays are empty when the body is nearer than 0.5 m.
        """
        points = self.vertices[frame]
        pixels, depth = camera.project(points)
        if depth.min() < _NEAR:
            return np.zeros((0, 0), np.uint8), np.zeros((0, 0), np.uint8), (0, 0)
        low = np.floor(pixels.min(0)).astype(int) - 1
        width, height = np.minimum(np.ceil(pixels.max(0)).astype(int) + 1 - low, _LARGEST).tolist()
        mesh = self.dressed
        labels, bright = paint(
            snap(pixels - low), depth, mesh.faces, mesh.labels, light, points, height, width
        )
        return labels, bright, (int(low[0]), int(low[1]))
