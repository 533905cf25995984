"""Drawn people before a textured wall, as frames, sources and walks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import cv2
import numpy as np

from gaitid.perception.pipeline import PerceptionSettings, Walk, watch
from gaitid.perception.sources import Source
from gaitid.records import Frame

SIZE = (320, 240)  # width, height
FPS = 10.0


def wall(seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A static background with texture and a little contrast."""
    coarse = np.random.default_rng(seed).integers(90, 200, (size[1] // 12, size[0] // 12, 3), np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)


def person(
    image: np.ndarray, x: float, foot: float = 200, height: float = 100, phase: float = 0.0, colour: int = 25
) -> np.ndarray:
    """Draw a walker: head, trunk and two swinging legs; returns the image."""
    ink = (colour, colour, colour)
    swing = 0.16 * height * np.sin(phase)

    def at(dx: float, up: float) -> tuple[int, int]:
        return round(x + dx), round(foot - up * height)

    cv2.circle(image, at(0, 0.92), round(0.075 * height), ink, -1)
    cv2.ellipse(image, at(0, 0.66), (round(0.13 * height), round(0.21 * height)), 0, 0, 360, ink, -1)
    for sign in (-1, 1):
        cv2.line(image, at(0, 0.5), at(sign * swing, 0.03), ink, round(0.1 * height))
    return image


def noisy(image: np.ndarray, index: int) -> np.ndarray:
    """Camera noise of two gray levels."""
    noise = np.random.default_rng(index).normal(0, 2, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


class PaintedScene(Source):
    """Frames from a function of the frame number, as a source."""

    def __init__(self, paint: Callable[[int], np.ndarray], frames: int, fps: float = FPS) -> None:
        height, width = paint(0).shape[:2]
        super().__init__("scene", "cam", fps=fps, size=(width, height), frame_count=frames)
        self.paint, self.frames = paint, frames

    def _pictures(self) -> Iterator[Any]:
        for index in range(self.frames):
            yield self.paint(index), index / self.fps


def frames(paint: Callable[[int], np.ndarray], count: int, fps: float = FPS) -> Iterable[Frame]:
    """The frames of a painted scene."""
    return (Frame(noisy(paint(i), i), i / fps, "cam", i) for i in range(count))


def walks_of(
    paint: Callable[[int], np.ndarray], count: int, settings: PerceptionSettings | None = None
) -> list[Walk]:
    """All walks in a painted scene."""
    source = PaintedScene(lambda i: noisy(paint(i), i), count)
    views = watch(source, settings=settings or PerceptionSettings())
    return [walk for view in views for walk in view.walks]


def good(walk: Walk) -> int:
    """Number of good frames."""
    return sum(not why for why in walk.reasons)
