"""A drawn walker of two legs and a trunk, for tests that need known steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gaitid.records import GaitSequence


def phases(times: NDArray[np.float64], cadence: float) -> NDArray[np.float64]:
    """Stride phase in cycles of a steady walk at `cadence` steps per minute."""
    return times * cadence / 120.0 + 0.1


def silhouettes(
    phase: NDArray[np.float64], view: str = "lateral", size: tuple[int, int] = (64, 44)
) -> NDArray[np.uint8]:
    """(T, height, width) uint8 0/1 silhouettes."""
    height, width = size
    y, x = (np.mgrid[:height, :width] + 0.5) / height
    x = x - width / height / 2
    body = ((x / 0.07) ** 2 + ((y - 0.08) / 0.08) ** 2 < 1) | ((np.abs(x) < 0.11) & (y > 0.16) & (y < 0.55))
    frames = []
    for share in phase:
        frame = body.copy()
        for side in (-1, 1):
            swing = np.sin(2 * np.pi * share) * side
            down = np.clip((y - 0.5) / 0.5, 0, 1)
            if view == "lateral":
                frame |= (np.abs(x - 0.22 * swing * down) < 0.055) & (y >= 0.5)
            else:  # frontal: the swinging foot is raised
                foot = 1.0 - 0.2 * max(swing, 0.0)
                frame |= (np.abs(x - 0.07 * side) < 0.05) & (y >= 0.5) & (y < foot)
        frames.append(frame)
    return np.array(frames, np.uint8).reshape(-1, height, width)


def skeletons(phase: NDArray[np.float64], view: str = "lateral") -> NDArray[np.float32]:
    """(T, 17, 3) pixels and confidence of a body 100 px tall."""
    joints = np.ones((len(phase), 17, 3), np.float32)
    joints[:, :5, :2] = (50, 5)
    joints[:, 5:11, :2] = (50, 30)
    joints[:, 11:13, :2] = (50, 50)
    for knee, ankle, side in ((13, 15, -1), (14, 16, 1)):
        swing = np.sin(2 * np.pi * phase) * side
        if view == "lateral":
            joints[:, knee, :2] = np.stack([50 + 10 * swing, np.full(len(phase), 75)], 1)
            joints[:, ankle, :2] = np.stack([50 + 20 * swing, np.full(len(phase), 100)], 1)
        else:
            joints[:, knee, :2] = (50 + 7 * side, 75)
            joints[:, ankle, :2] = np.stack(
                [np.full(len(phase), 50 + 7 * side), 100 - 14 * np.maximum(swing, 0)], 1
            )
    return joints


def walk(
    seconds: float = 4.0,
    fps: float = 25.0,
    cadence: float = 110.0,
    view: str = "lateral",
    stream: str = "silhouette",
) -> GaitSequence:
    """A steady walk as one stream, silhouettes or skeletons."""
    times = np.arange(round(seconds * fps)) / fps
    draw = silhouettes if stream == "silhouette" else skeletons
    return GaitSequence({stream: draw(phases(times, cadence), view)}, times)
