"""Paces of walks that tests share."""

from __future__ import annotations

from gaitid.synthetic import Pace


def start_and_stop(stand_s: float, walk_s: float) -> Pace:
    """Stand, walk, stand; each change of speed takes 0.8 s."""
    starts, stops = stand_s, stand_s + 0.8 + walk_s
    return Pace(((starts, 0.0), (starts + 0.8, 1.0), (stops, 1.0), (stops + 0.8, 0.0)))
