"""A pinhole camera with radial lens distortion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError

Floats = NDArray[np.float64]

_AIM_M = 0.9
"""Height of the point at which a camera beside a walk looks: the hips."""


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """Position, orientation and lens of a camera.

    Attributes:
        position: (3,) metres.
        rotation: (3, 3) rows are the image's right, down and forward directions in the world.
        focal: Focal length in pixels.
        centre: (2,) principal point in pixels.
        distortion: First radial coefficient; negative is a barrel, -0.15 a wide lens.
    """

    position: Floats
    rotation: Floats
    focal: float
    centre: tuple[float, float] = (0.0, 0.0)
    distortion: float = 0.0

    def __post_init__(self) -> None:
        if not self.focal > 0 or not -0.5 <= self.distortion <= 0.5:
            raise InputError(
                f"Focal length is {self.focal} and distortion is {self.distortion}",
                "a focal length above 0 pixels and a distortion from -0.5 to 0.5",
                "Pass values in these ranges",
            )

    @classmethod
    def looking_at(
        cls,
        position: tuple[float, float, float],
        target: tuple[float, float, float],
        focal: float,
        centre: tuple[float, float] = (0.0, 0.0),
        roll: float = 0.0,
        distortion: float = 0.0,
    ) -> Camera:
        """Place a camera at `position` whose optical axis meets `target`; `roll` is in degrees."""
        place = np.asarray(position, np.float64)
        forward = np.asarray(target, np.float64) - place
        if np.hypot(forward[0], forward[1]) < 1e-6:
            raise InputError(
                f"Camera at {position} looks straight up or down at {target}",
                "a slanted view",
                "Move the camera sideways",
            )
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        down = np.cross(forward, right)
        angle = np.deg2rad(roll)
        turned = np.cos(angle) * right + np.sin(angle) * down
        rotation = np.stack([turned, np.cross(forward, turned), forward])
        return cls(place, rotation, focal, centre, distortion)

    @classmethod
    def beside(
        cls,
        view: float,
        *,
        distance: float = 6.0,
        height: float = 1.5,
        focal: float = 500.0,
        aside: float = 0.0,
        roll: float = 0.0,
        distortion: float = 0.0,
    ) -> Camera:
        """Place a camera beside a walk along +x past the origin; it looks at a height of 0.9 m.

        Args:
            view: Degrees from the walking direction: 0 is the front, 90 the left side of the walker, 180
                the back, 270 the right side (the angles of CASIA-B and OU-MVLP).
            distance: Metres to the origin, over ground.
            height: Metres above ground.
            focal: Focal length in pixels.
            aside: Degrees by which it looks past the origin; walkers there lean when it looks down.
            roll: Rotation around the optical axis, degrees.
            distortion: First radial coefficient; see `Camera`.
        """
        angle, past = np.deg2rad(view), np.tan(np.deg2rad(aside)) * distance
        ahead, across = float(np.cos(angle)), float(np.sin(angle))
        place = (ahead * distance, across * distance, height)
        target = (-across * past, ahead * past, _AIM_M)
        return cls.looking_at(place, target, focal, roll=roll, distortion=distortion)

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Project world points (..., N, 3) to pixels (..., N, 2) and depth (..., N) in metres.

        Points nearer than 0.1 m are projected as if they were at 0.1 m: drop them by depth.
        """
        local = self.rotation @ (points - self.position).swapaxes(-1, -2)  # (..., 3, N): long rows
        depth = local[..., 2, :]
        flat = np.empty((2, *depth.shape))
        np.divide(np.moveaxis(local[..., :2, :], -2, 0), np.maximum(depth, 0.1), out=flat)
        if self.distortion:
            # Beyond its turning point a barrel would fold the image back on itself.
            limit = 1 / (3 * -self.distortion) if self.distortion < 0 else np.inf
            flat *= 1 + self.distortion * np.minimum(flat[0] ** 2 + flat[1] ** 2, limit)
        flat *= self.focal
        flat[0] += self.centre[0]
        flat[1] += self.centre[1]
        return np.moveaxis(flat, 0, -1), depth
