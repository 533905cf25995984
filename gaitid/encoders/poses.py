"""Features of skeletons in images, independent of camera, scale and completeness.

Joints are measured from the middle of the hips, in units of a body height estimated from the visible
segments, so features do not depend on place, distance or resolution. A missing joint is zeros with the mark
"missing". Missing moments inside a walk are interpolated to the fixed rate of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import SequenceError
from gaitid.modalities.skeleton import BONES

Floats = NDArray[np.float32]

POSE_RATE_HZ = 25.0
"""Frames per second that skeleton networks see."""
SEEN = 0.05
"""Confidence above which a joint counts as seen."""
FEATURES = 7
"""Features per joint: place x, y; bone x, y; speed x, y; seen."""
_LONGEST_GAP_S = 0.4

PARENTS = np.zeros(17, np.intp)
for _parent, _child in BONES[:11] + BONES[12:]:
    PARENTS[_child] = _parent
PARENTS[[0, 5, 6, 11, 12]] = [0, 0, 0, 5, 6]  # nose is the parent of shoulders, shoulders of hips

# (joint, joint, length over stature): Winter 2009, "Biomechanics and Motor Control", figure 4.1.
_SEGMENTS = (
    *((11, 13, 0.245), (12, 14, 0.245), (13, 15, 0.246), (14, 16, 0.246)),
    *((5, 11, 0.288), (6, 12, 0.288), (5, 7, 0.186), (6, 8, 0.186), (7, 9, 0.146), (8, 10, 0.146)),
)


def prepare(skeletons: Floats, times: NDArray[np.float64]) -> list[Floats]:
    """Features of the stretches of a walk, which long gaps separate.

    Args:
        skeletons: (T, 17, 3) x, y in any unit and confidence; y may point down, as in images, or up.
        times: (T,) seconds, increasing.

    Returns:
        Clips of (G, 17, FEATURES) float32 at `POSE_RATE_HZ`.

    Raises:
        SequenceError: No segment of a body was ever seen.
    """
    return usable(*resample(_downwards(skeletons), times), features)


def usable(
    places: Sequence[NDArray[np.floating]],
    seen: Sequence[NDArray[np.bool_]],
    make: Callable[[NDArray[np.floating], NDArray[np.bool_]], Floats],
) -> list[Floats]:
    """Apply `make` to each stretch, and leave out those in which it finds no body.

    Raises:
        SequenceError: There is no body in any.
    """
    made: list[Floats] = []
    for place, there in zip(places, seen, strict=True):
        try:
            made.append(make(place, there))
        except SequenceError as error:
            fault = error
    if not made:
        raise fault
    return made


def features(places: NDArray[np.floating], seen: NDArray[np.bool_]) -> Floats:
    """(T, 17, FEATURES) of (T, 17, 2) places at `POSE_RATE_HZ` and whether each was seen."""
    height = stature(places, seen)
    centred = (places - middle(places, seen)[:, None]) / height
    centred[~seen] = 0
    both = seen & seen[:, PARENTS]
    bones = np.where(both[..., None], centred - centred[:, PARENTS], 0)
    speed = np.zeros_like(centred)
    known = (seen[2:] & seen[:-2])[..., None]
    speed[1:-1] = np.where(known, centred[2:] - centred[:-2], 0) * (POSE_RATE_HZ / 2 / 10)
    joined = np.concatenate([centred, bones, speed, seen[..., None]], axis=2)
    return np.asarray(np.clip(joined, -4, 4), np.float32)


def are_seen(skeletons: Floats) -> NDArray[np.bool_]:
    """(..., 17) whether each joint of (..., 17, C + 1) counts as seen: confident, and not at the origin.

    Ultralytics keeps the confidence of joints below 0.5 and sets their place to 0, 0.
    """
    return np.asarray((skeletons[..., -1] > SEEN) & skeletons[..., :-1].any(-1))


def _downwards(skeletons: Floats) -> Floats:
    """Skeletons with y pointing down; if feet are above the head, y points up and is flipped."""
    seen = are_seen(skeletons)
    order = np.array([0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5])  # head 0 ... ankles 5
    levels = np.broadcast_to(order, seen.shape)[seen]
    heights = (skeletons[..., 1] - _mean_height(skeletons, seen))[seen]
    if levels.size and float((levels - levels.mean()) @ heights) < 0:
        return np.asarray(skeletons * np.array([1, -1, 1], np.float32))
    return skeletons


def _mean_height(skeletons: Floats, seen: NDArray[np.bool_]) -> NDArray[np.floating]:
    """(T, 1) mean y of the seen joints of each frame."""
    total = (skeletons[..., 1] * seen).sum(1, keepdims=True)
    return np.asarray(total / np.maximum(seen.sum(1, keepdims=True), 1))


def stature(places: NDArray[np.floating], seen: NDArray[np.bool_]) -> float:
    """Body height in the unit of `places`, from the segments that were seen.

    A segment looks longest when it is parallel to the image plane. So the 90th percentile over time is used,
    and the median over segments.

    Raises:
        SequenceError: No segment was seen in three frames.
    """
    guesses = []
    for first, second, share in _SEGMENTS:
        both = seen[:, first] & seen[:, second]
        if both.sum() >= 3:
            lengths = np.linalg.norm(places[both, first] - places[both, second], axis=1)
            guesses.append(float(np.quantile(lengths, 0.9)) / share)
    height = float(np.median(guesses)) if guesses else 0.0
    if not height > 0:
        raise SequenceError(
            "The skeletons show no limb or trunk in three frames",
            "a body",
            "Check the order and the confidence of the keypoints",
        )
    return height


def middle(places: NDArray[np.floating], seen: NDArray[np.bool_]) -> NDArray[np.floating]:
    """(T, C) middle of the hips; if one is missing, the mean of all seen joints plus its usual offset."""
    weights = seen[..., None].astype(places.dtype)
    mean = (places * weights).sum(1) / np.maximum(weights.sum(1), 1)
    hips = seen[:, 11] & seen[:, 12]
    middle = places[:, 11:13].mean(1)
    offset = np.median((middle - mean)[hips], axis=0) if hips.any() else np.zeros(places.shape[2])
    return np.asarray(np.where(hips[:, None], middle, mean + offset))


def resample(
    skeletons: Floats, times: NDArray[np.float64]
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.bool_]]]:
    """Split a walk at long gaps, and interpolate each stretch linearly to the fixed rate.

    Args:
        skeletons: (T, 17, C + 1) C coordinates and confidence.
        times: (T,) seconds, increasing.

    Returns:
        (G, 17, C) places of each stretch, and (G, 17) whether both frames next to a moment show the joint.

    Raises:
        SequenceError: Every frame is isolated between gaps.
    """
    ends = np.flatnonzero(np.diff(times) > _LONGEST_GAP_S) + 1
    there = are_seen(skeletons)
    places, seen = [], []
    for part in np.split(np.arange(len(times)), ends):
        clock = times[part]
        steps = int((clock[-1] - clock[0]) * POSE_RATE_HZ + 1e-6) + 1
        if steps < 3 and len(ends):
            continue  # a fragment between gaps
        grid = clock[0] + np.arange(steps) / POSE_RATE_HZ
        after = np.searchsorted(clock, grid).clip(min(1, len(part) - 1), len(part) - 1)
        before = np.maximum(after - 1, 0)
        span = np.maximum(clock[after] - clock[before], 1e-9)
        share = ((grid - clock[before]) / span).clip(0, 1)[:, None, None]
        a, b = skeletons[part[before]], skeletons[part[after]]
        places.append(a[..., :-1] * (1 - share) + b[..., :-1] * share)
        seen.append(there[part[before]] & there[part[after]])
    if not places:
        raise SequenceError(
            "The walk has gaps between all frames",
            "frames at most 0.4 s apart",
            "Check the times, or track the walk again",
        )
    return places, seen
