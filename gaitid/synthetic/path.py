"""Where a walker goes: a curve on the ground, and how fast along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A curve on the ground, prolonged straight at both ends.

    Attributes:
        points: (N, 2) metres, N >= 2, no two neighbours equal.
    """

    points: Floats

    def __post_init__(self) -> None:
        points = np.asarray(self.points, np.float64)
        if points.ndim != 2 or points.shape[1:] != (2,) or len(points) < 2:
            raise InputError(f"path has shape {points.shape}", "(N >= 2, 2)", "give points in metres")
        if not (np.isfinite(points).all() and (np.linalg.norm(np.diff(points, axis=0), axis=1) > 0).all()):
            raise InputError(
                "path has equal neighbours or NaN", "finite, distinct points", "drop repeated points"
            )
        object.__setattr__(self, "points", points)

    @classmethod
    def straight(cls, start: tuple[float, float] = (0.0, 0.0), heading: float = 0.0) -> Path:
        """A line from `start` with `heading` degrees (0 = +x, 90 = +y)."""
        angle = np.deg2rad(heading)
        first = np.asarray(start, np.float64)
        return cls(np.stack([first, first + np.array([np.cos(angle), np.sin(angle)])]))

    @classmethod
    def arc(
        cls, radius: float, turn: float, start: tuple[float, float] = (0.0, 0.0), heading: float = 0.0
    ) -> Path:
        """A circular arc that turns `turn` degrees, to the left when positive, with `radius` metres."""
        if radius <= 0 or turn == 0:
            raise InputError(
                f"radius {radius}, turn {turn}", "radius > 0 and turn != 0", "use straight() for a line"
            )
        steps = np.linspace(0, np.deg2rad(turn), max(3, int(abs(turn) / 3) + 2))
        side = np.sign(turn)
        curve = radius * np.stack([np.sin(np.abs(steps)), side * (1 - np.cos(steps))], 1)
        angle = np.deg2rad(heading)
        rotate = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return cls(np.asarray(start, np.float64) + curve @ rotate)

    @property
    def length(self) -> float:
        """Length in metres without the prolongations."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())

    def at(self, distance: Floats) -> tuple[Floats, Floats]:
        """Position (T, 2) and heading (T,) in radians after `distance` (T,) metres.

        Heading is the course over the 0.6 m around the point, as feet take a bend, and never jumps.
        """
        ahead, behind = self._position(distance + 0.3), self._position(distance - 0.3)
        course = ahead - behind
        return self._position(distance), np.unwrap(np.arctan2(course[:, 1], course[:, 0]))

    def _position(self, distance: Floats) -> Floats:
        steps = np.diff(self.points, axis=0)
        lengths = np.linalg.norm(steps, axis=1)
        marks = np.concatenate([[0.0], np.cumsum(lengths)])
        k = np.clip(np.searchsorted(marks, distance, side="right") - 1, 0, len(lengths) - 1)
        return np.asarray(self.points[k] + steps[k] * ((distance - marks[k]) / lengths[k])[:, None])


@dataclass(frozen=True, slots=True)
class Pace:
    """Speed over time as a share of the walker's own: 1 is comfortable, 0 stands, 1.3 hurries.

    Attributes:
        knots: (seconds, share) pairs in order of time; linear between, constant outside.
    """

    knots: tuple[tuple[float, float], ...] = ((0.0, 1.0),)

    def __post_init__(self) -> None:
        if not self.knots or any(not 0 <= share <= 2 for _, share in self.knots):
            raise InputError(f"pace {self.knots}", "shares from 0 to 2", "1 is the walker's own speed")
        seconds = [second for second, _ in self.knots]
        if sorted(set(seconds)) != seconds:
            raise InputError(f"pace times {seconds}", "strictly increasing seconds", "sort the knots")

    @classmethod
    def steady(cls, share: float = 1.0) -> Pace:
        """The same speed throughout."""
        return cls(((0.0, share),))

    def at(self, times: Floats) -> Floats:
        """(T,) share at each time in seconds."""
        seconds, shares = np.array(self.knots).T
        return np.asarray(np.interp(times, seconds, shares))
