"""Path of a walk on the ground, and speed along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError

Floats = NDArray[np.float64]

_STEP_M = 0.3
"""Heading is measured between the points this far behind and ahead: feet follow a bend gradually."""


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A curve on the ground, extended straight at both ends.

    Attributes:
        points: (N, 2) metres, N >= 2, no two neighbours equal.

    Raises:
        InputError: The points do not define a curve.
    """

    points: Floats

    def __post_init__(self) -> None:
        points = np.asarray(self.points, np.float64)
        if points.ndim != 2 or points.shape[1:] != (2,) or len(points) < 2:
            raise InputError(
                f"Path has shape {points.shape}", "(N, 2) with N of 2 or more", "Pass points in metres"
            )
        if not (np.isfinite(points).all() and (np.linalg.norm(np.diff(points, axis=0), axis=1) > 0).all()):
            raise InputError(
                "Path has equal neighbours or NaN", "finite, distinct points", "Remove repeated points"
            )
        object.__setattr__(self, "points", points)

    @classmethod
    def straight(cls, start: tuple[float, float] = (0.0, 0.0), heading: float = 0.0) -> Path:
        """A line from `start` in the direction `heading`, degrees (0 is +x, 90 is +y)."""
        angle = np.deg2rad(heading)
        first = np.asarray(start, np.float64)
        return cls(np.stack([first, first + np.array([np.cos(angle), np.sin(angle)])]))

    @classmethod
    def arc(cls, radius: float, turn: float) -> Path:
        """A circular arc from the origin along +x.

        Args:
            radius: Metres.
            turn: Degrees, to the left when positive.
        """
        if radius <= 0 or turn == 0:
            raise InputError(
                f"Radius is {radius} and turn is {turn}",
                "a radius above 0 and a turn other than 0",
                "Use straight() for a line",
            )
        steps = np.linspace(0, np.deg2rad(turn), max(3, int(abs(turn) / 3) + 2))
        side = np.sign(turn)
        return cls(radius * np.stack([np.sin(np.abs(steps)), side * (1 - np.cos(steps))], 1))

    @property
    def length(self) -> float:
        """Length in metres, without the extensions."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())

    def at(self, distance: Floats) -> tuple[Floats, Floats]:
        """Position (T, 2) and heading (T,) in radians after `distance` (T,) metres.

        The heading is the direction over the 0.6 m around the point, and is continuous.
        """
        ahead, behind = self._position(distance + _STEP_M), self._position(distance - _STEP_M)
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
    """Speed over time as a share of the subject's own: 1 is comfortable, 0 stands, 1.3 hurries.

    Attributes:
        knots: (seconds, share) pairs in order of time; linear between them, constant outside.

    Raises:
        InputError: Shares are not from 0 to 2, or times do not increase.
    """

    knots: tuple[tuple[float, float], ...] = ((0.0, 1.0),)

    def __post_init__(self) -> None:
        if not self.knots or any(not 0 <= share <= 2 for _, share in self.knots):
            raise InputError(
                f"Pace is {self.knots}", "shares from 0 to 2", "Pass 1 for the subject's own speed"
            )
        seconds = [second for second, _ in self.knots]
        if sorted(set(seconds)) != seconds:
            raise InputError(f"Times of the pace are {seconds}", "increasing seconds", "Sort the knots")

    @classmethod
    def steady(cls, share: float = 1.0) -> Pace:
        """The same speed throughout."""
        return cls(((0.0, share),))

    def at(self, times: Floats) -> Floats:
        """(T,) share at each time in seconds."""
        seconds, shares = np.array(self.knots).T
        return np.asarray(np.interp(times, seconds, shares))
