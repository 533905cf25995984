"""People that one network gives masks and another one keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from gaitid.perception.tracks import iou
from gaitid.records import Observation

_SAME = 0.5
"""Least overlap of the boxes that both networks give the same person."""


def joined(masked: Sequence[Observation], posed: Sequence[Observation]) -> list[Observation]:
    """Give people with masks the keypoints of the same people; those without a partner stay alone."""
    boxes = [np.array([one.box for one in people], float).reshape(-1, 4) for people in (masked, posed)]
    shared = iou(*boxes)
    rows, columns = linear_sum_assignment(-shared)
    pairs = {int(i): int(j) for i, j in zip(rows, columns, strict=True) if shared[i, j] >= _SAME}
    both = [
        replace(one, keypoints=posed[pairs[i]].keypoints) if i in pairs else one
        for i, one in enumerate(masked)
    ]
    return both + [one for j, one in enumerate(posed) if j not in pairs.values()]
