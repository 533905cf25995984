"""Walkers drawn in a few lines, and the walks of one small tree of each data set."""

from __future__ import annotations

import numpy as np

from gaitid.synthetic.layouts import LayoutWalk


def draw(subject, number, view, frames=6):
    """(T, 120, 100) uint8 0/1: a head, a trunk as wide as the subject, two legs that swing."""
    masks = np.zeros((frames, 120, 100), np.uint8)
    wide = 8 + 3 * (subject % 5)
    for frame in range(frames):
        swing = int((4 + view % 11) * np.sin(frame + number))
        masks[frame, 15:30, 45:55] = 1
        masks[frame, 30:70, 50 - wide : 50 + wide] = 1
        masks[frame, 70:110, 44 + swing : 50 + swing] = 1
        masks[frame, 70:110, 50 - swing : 56 - swing] = 1
    return masks


def _walks(subjects, walks, views):
    return [
        LayoutWalk(subject, condition, number, view, draw(subject, number, view), suffix)
        for subject in subjects
        for condition, number in walks
        for view, suffix in views
    ]


_NM = [("nm", n) for n in range(1, 7)]
_CASIA = [*_NM, ("bg", 1), ("bg", 2), ("cl", 1), ("cl", 2)]
_ANGLES = [(a, "") for a in range(0, 316, 45)] + [(0, "far"), (90, "near"), (180, "far"), (270, "far")]
_OUTFITS = ("U0_D0", "U0_D0_BG", "U1_D1", "U2_D2", "U3_D3", "U0_D3", "U1_D0")
# Data set: (walks, training subjects where the parts are a list).
SETS = {
    "casia-b": (_walks((1, 75, 76), _CASIA, [(v, "") for v in range(0, 181, 18)]), ()),
    "ou-mvlp": (
        _walks((1, 2, 4), [("", 0), ("", 1)], [(v, "") for v in (*range(0, 91, 15), *range(180, 271, 15))]),
        (),
    ),
    "grew": (_walks((1, 2, 3), [("", 1), ("", 2), ("", 3)], [(0, "")]), (1,)),
    "gait3d": (_walks((0, 1, 2), [("", 0), ("", 1)], [(0, ""), (3, "")]), (0,)),
    "sustech1k": (_walks((0, 1, 2), [("nm", 0), ("nm", 1), ("bg", 2), ("cl-nt", 1)], _ANGLES), (0,)),
    "ccpg": (_walks((0, 100, 101), [(o, k) for o in _OUTFITS for k in (0, 1)], [(1, ""), (2, "")]), ()),
    "folder": (_walks((1, 2), [("nm", 1), ("nm", 2)], [(0, ""), (90, "")]), ()),
}


def dataset_of(layout):
    return next(name for name in SETS if layout.startswith(name))
