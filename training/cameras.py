"""Cameras of a batch: what each of them does to all its clips alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .augment import Clip, bend, maps


@dataclass(frozen=True, slots=True, eq=False)
class BatchCamera:
    """A camera and its segmenter.

    Attributes:
        x: (H, W) float32 source column of each pixel.
        y: (H, W) float32 source row.
        blur: Deviation of the blur before the threshold, pixels.
        level: Threshold, 0..255; a low one gives wide outlines.
        noise: Deviation of the noise before the threshold, of 1.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    blur: float
    level: float
    noise: float

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float, size: Sequence[int]) -> BatchCamera:
        """Draw a camera.

        Args:
            rng: Source of randomness.
            strength: At 1, bends are as strong as those of `augment.distort` at 1.
            size: Height and width of the silhouettes.
        """
        height, width = size
        x, y = maps(bend(rng, height, strength * float(rng.uniform(0.3, 1)))[None], width)
        lean, wide = strength * float(rng.normal(0, 0.1)), np.exp(strength * float(rng.normal(0, 0.08)))
        across, down = x[0] - width / 2, y[0] - height / 2
        return cls(
            (width / 2 + (across + lean * down) / wide + strength * rng.normal()).astype(np.float32),
            y[0],
            float(rng.uniform(0.5, 1.5)),
            255 * float(np.clip(0.5 + strength * rng.normal(0, 0.13), 0.15, 0.85)),
            strength * float(rng.uniform(0, 0.12)) * float(rng.random() < 0.5),
        )

    def __call__(self, rng: np.random.Generator, clip: Clip) -> Clip:
        """(T, H, W) 0/1 frames as this camera sees them; `rng` draws the noise."""
        soft = np.empty(clip.shape, np.uint8 if not self.noise else np.float32)
        for frame, target in zip(clip * np.uint8(255), soft, strict=True):
            seen = cv2.remap(frame, self.x, self.y, cv2.INTER_LINEAR)
            target[:] = cv2.GaussianBlur(seen, (5, 5), self.blur)
        if self.noise:
            rough = rng.standard_normal((len(clip), 16, 11), np.float32)
            size = clip.shape[:0:-1]
            soft += 255 * self.noise * np.stack([cv2.resize(cells, size) for cells in rough])
        return np.asarray(soft > self.level).view(np.uint8)
