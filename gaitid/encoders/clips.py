"""Clips: how a walk of any frame rate, with gaps, becomes what a network sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 12.5
"""Frames per second that silhouette networks see: half of a common camera's rate, 13 per stride."""
CHUNK = 32
"""Longest clip a silhouette network sees at once, frames at `RATE_HZ` (2.6 s, about 2.5 strides)."""
_REACH_S = 0.07
"""A moment without a frame this near is in a gap; at 8 fps frames are up to 0.0625 s off the grid."""

Clips = list[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Clipping:
    """How one kind of network takes a walk apart.

    Attributes:
        frame_shape: Shape of one frame as the network sees it.
        rate_hz: Frames per second that the network sees; 0 for all frames as they are.
        longest: Longest clip that the network sees at once, frames.
        prepare: Turns a stream and its times (T,) into stretches between gaps, at `rate_hz`.
        skips_empty: Whether frames in which the segmenter found nothing are treated as gaps.
    """

    frame_shape: tuple[int, ...]
    rate_hz: float
    longest: int
    prepare: Callable[[NDArray[Any], NDArray[np.float64]], Sequence[NDArray[Any]]]
    skips_empty: bool = False

    def __call__(self, stream: NDArray[Any], times: NDArray[np.float64]) -> Clips:
        """Cut a walk into clips: at the network's rate, split at gaps and where it is too long.

        Raises:
            SequenceError: Skeletons without a body.
        """
        stretches = self.prepare(stream, times)
        return [stretch[piece] for stretch in stretches for piece in chunks(len(stretch), self.longest)]


def sampled(stream: NDArray[Any], times: NDArray[np.float64]) -> list[NDArray[Any]]:
    """Frames of a walk at `RATE_HZ`, as one stretch."""
    return [stream[resample(times)]]


def whole(stream: NDArray[Any], times: NDArray[np.float64]) -> list[NDArray[Any]]:
    """All frames of a walk as they are, as one stretch."""
    return [stream]


def resample(times: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of the frames nearest to a grid of `RATE_HZ` that starts with the first frame.

    Frames of a slow camera repeat, those of a fast one are skipped, and moments inside a gap are left out.

    Args:
        times: (T,) seconds, increasing, T >= 1.

    Returns:
        (G,) indices into the frames, not decreasing, G >= 1.
    """
    if len(times) == 1:
        return np.zeros(1, np.intp)
    ticks = (times - times[0]) * RATE_HZ
    beside = np.floor(ticks)  # only moments next to a frame: a changed clock makes gaps of any length
    moments = np.unique(np.concatenate([beside, beside + 1]))
    grid = times[0] + moments[moments <= ticks[-1] + 1e-6] / RATE_HZ
    after = np.searchsorted(times, grid).clip(1, len(times) - 1)
    nearer_before = grid - times[after - 1] <= times[after] - grid
    nearest = np.where(nearer_before, after - 1, after)
    near = np.abs(times[nearest] - grid) <= _REACH_S
    return np.asarray(nearest[near], np.intp)


def chunks(length: int, longest: int = CHUNK) -> list[slice]:
    """Equal slices, none longer than `longest`, that cover `length` frames."""
    count = -(-length // longest)
    ends = np.linspace(0, length, count + 1).round().astype(int).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]
