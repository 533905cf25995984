"""What cards state in the same way, whatever made the weights."""

from __future__ import annotations

import datetime

import numpy as np
from numpy.typing import NDArray

FMR = 1e-3
"""False match rate of the threshold on a card."""


def threshold(scores: NDArray[np.floating]) -> float:
    """Score that a share `FMR` of non-mated `scores` (N,) exceeds."""
    return round(float(np.quantile(scores, 1 - FMR)), 4)


def today() -> str:
    """Date of today in UTC, ISO 8601."""
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()
