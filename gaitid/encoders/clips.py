"""Sequences of any frame rate, with gaps, brought to the fixed rate that the networks expect."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 12.5
"""Frames a second that networks see: half of a common camera's, 13 to a stride."""
CHUNK = 32
"""Longest clip a network sees at once, frames at `RATE_HZ` (2.6 s, about 2.5 strides)."""
_REACH_S = 0.07
"""A moment with no frame this near is left out: a gap, not a slow camera (8 fps has frames 0.0625 off)."""


def resample(times: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of the frames nearest to a grid of `RATE_HZ` that starts with the first frame.

    A slow camera's frames repeat, a fast one's are skipped, and moments inside a gap are left out.

    Args:
        times: (T,) seconds, increasing, T >= 1.

    Returns:
        (G,) indices into the frames, not decreasing, G >= 1.
    """
    if len(times) == 1:
        return np.zeros(1, np.intp)
    ticks = (times - times[0]) * RATE_HZ
    beside = np.floor(ticks)  # only moments beside a frame: a gap may be as long as a clock that was set
    moments = np.unique(np.concatenate([beside, beside + 1]))
    grid = times[0] + moments[moments <= ticks[-1] + 1e-6] / RATE_HZ
    after = np.searchsorted(times, grid).clip(1, len(times) - 1)
    nearer_before = grid - times[after - 1] <= times[after] - grid
    nearest = np.where(nearer_before, after - 1, after)
    near = np.abs(times[nearest] - grid) <= _REACH_S
    return np.asarray(nearest[near], np.intp)


def chunks(length: int, longest: int = CHUNK) -> list[slice]:
    """Equal parts, none longer than `longest`, that cover that many frames."""
    count = -(-length // longest)
    ends = np.linspace(0, length, count + 1).round().astype(int).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]
