"""Filmed walkers: drawn people crossing a drawn scene, as video files made in a second."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

FPS = 25.0


def draw_walker(image, x, feet, height, phase, *, color=(40, 40, 40), girth=1.0):
    """Draw an upright walker seen from the side; `phase` is in radians, one stride each 2 pi."""
    thick = max(2, round(0.085 * height * girth))
    hip, neck = (x, feet - 0.5 * height), (x, feet - 0.8 * height)
    head = (round(x), round(feet - 0.91 * height))
    cv2.circle(image, head, round(0.075 * height), color, cv2.FILLED, cv2.LINE_AA)
    _line(image, hip, neck, color, round(2.1 * thick))
    for side in (0.0, np.pi):
        swing = 0.45 * np.sin(phase + side)
        bend = 0.5 * max(0.0, np.cos(phase + side))
        knee = (hip[0] + 0.25 * height * np.sin(swing), hip[1] + 0.25 * height * np.cos(swing))
        shin = swing - bend
        foot = (knee[0] + 0.24 * height * np.sin(shin), knee[1] + 0.24 * height * np.cos(shin))
        _line(image, hip, knee, color, round(1.2 * thick))
        _line(image, knee, foot, color, thick)
        _line(image, foot, (foot[0] + 0.07 * height, foot[1]), color, max(2, thick // 2))
        hand = (neck[0] - 0.3 * height * np.sin(0.8 * swing), neck[1] + 0.3 * height * np.cos(0.8 * swing))
        _line(image, neck, hand, color, max(2, round(0.7 * thick)))


def _line(image, start, end, color, thickness):
    points = [tuple(round(value) for value in point) for point in (start, end)]
    cv2.line(image, *points, color, thickness, cv2.LINE_AA)


def walk_video(path: Path, *, walkers=((1.0, 1.0),), frames_each=120, size=(480, 270), still=52) -> Path:
    """A video of walkers crossing one after the other before a textured wall.

    Args:
        path: ``.avi`` to write.
        walkers: (girth, strides a second) of each.
        frames_each: Frames that one needs to cross.
        size: Width and height.
        still: Frames of empty scene first.
    """
    width, height = size
    rng = np.random.default_rng(1)
    wall = cv2.resize(rng.integers(120, 200, (36, 64, 3), np.uint8), size, interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, 2, (5, height, width, 3)).astype(np.int16)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, size)
    for index in range(still + frames_each * len(walkers)):
        image = wall.copy()
        if index >= still:
            girth, rate = walkers[(index - still) // frames_each]
            step = (index - still) % frames_each
            x = -40 + (width + 80) * step / frames_each
            draw_walker(image, x, 0.92 * height, 0.55 * height, 2 * np.pi * rate * step / FPS, girth=girth)
        writer.write(cv2.add(image, noise[index % len(noise)], dtype=cv2.CV_8U))
    writer.release()
    return path
