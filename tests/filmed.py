"""Videos of drawn walkers that cross a drawn scene, made in a second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Point = tuple[float, float]

FPS = 25.0
FRAMES_EACH, STILL = 120, 52
"""Frames of one crossing, and frames of the empty scene before."""
_SIZE, _COLOR = (480, 270), (40, 40, 40)


def draw_walker(
    image: Image, x: float, feet: float, height: float, phase: float, *, girth: float = 1.0
) -> None:
    """Draw an upright walker from the side; `phase` is in radians, 2 pi per stride."""
    thick = max(2, round(0.085 * height * girth))
    hip, neck = (x, feet - 0.5 * height), (x, feet - 0.8 * height)
    head = (round(x), round(feet - 0.91 * height))
    cv2.circle(image, head, round(0.075 * height), _COLOR, cv2.FILLED, cv2.LINE_AA)
    _line(image, hip, neck, round(2.1 * thick))
    for side in (0.0, np.pi):
        swing = 0.45 * np.sin(phase + side)
        bend = 0.5 * max(0.0, np.cos(phase + side))
        knee = (hip[0] + 0.25 * height * np.sin(swing), hip[1] + 0.25 * height * np.cos(swing))
        shin = swing - bend
        foot = (knee[0] + 0.24 * height * np.sin(shin), knee[1] + 0.24 * height * np.cos(shin))
        _line(image, hip, knee, round(1.2 * thick))
        _line(image, knee, foot, thick)
        _line(image, foot, (foot[0] + 0.07 * height, foot[1]), max(2, thick // 2))
        hand = (neck[0] - 0.3 * height * np.sin(0.8 * swing), neck[1] + 0.3 * height * np.cos(0.8 * swing))
        _line(image, neck, hand, max(2, round(0.7 * thick)))


def _line(image: Image, start: Point, end: Point, thickness: int) -> None:
    points = [tuple(round(value) for value in point) for point in (start, end)]
    cv2.line(image, *points, _COLOR, thickness, cv2.LINE_AA)


def walk_video(
    path: Path, *, walkers: Sequence[tuple[float, float]] = ((1.0, 1.0),), still: int = STILL
) -> Path:
    """Write a video of walkers that cross one after the other in front of a textured wall.

    Args:
        path: ``.avi`` to write.
        walkers: (girth, strides per second) of each.
        still: Frames of the empty scene before.
    """
    width, height = _SIZE
    rng = np.random.default_rng(1)
    wall = cv2.resize(rng.integers(120, 200, (36, 64, 3), np.uint8), _SIZE, interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, 2, (5, height, width, 3)).astype(np.int16)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, _SIZE)
    for index in range(still + FRAMES_EACH * len(walkers)):
        image = wall.copy()
        if index >= still:
            girth, rate = walkers[(index - still) // FRAMES_EACH]
            step = (index - still) % FRAMES_EACH
            x = -40 + (width + 80) * step / FRAMES_EACH
            draw_walker(image, x, 0.92 * height, 0.55 * height, 2 * np.pi * rate * step / FPS, girth=girth)
        writer.write(cv2.add(image, noise[index % len(noise)], dtype=cv2.CV_8U))
    writer.release()
    return path
