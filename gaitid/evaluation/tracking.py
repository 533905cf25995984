"""Tracking metrics against ground truth: MOTA, IDF1 and the overlap of masks.

Sources: Bernardin and Stiefelhagen 2008 (CLEAR MOT), sec. 3; Ristani et al. 2016 (identity measures),
sec. 3. Both match boxes that overlap by at least `MIN_IOU`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from gaitid.errors import InputError
from gaitid.perception.tracks import iou

MIN_IOU = 0.5
"""Smallest overlap of a match, 0..1."""

Boxes = Mapping[int, NDArray[np.float32]]
"""Boxes of one frame: track number -> (4,) xyxy pixels."""


@dataclass(frozen=True, slots=True)
class TrackingScores:
    """Counts over all frames, and the metrics derived from them.

    Attributes:
        truths: True boxes.
        found: Reported boxes.
        misses: True boxes without a reported one.
        false: Reported boxes without a true one.
        switches: Changes of a walker's track.
        identity_hits: Boxes matched when each walker is assigned one track for the whole video.
        pairs: (frame, true track, reported track) of each match.
    """

    truths: int
    found: int
    misses: int
    false: int
    switches: int
    identity_hits: int
    pairs: tuple[tuple[int, int, int], ...]

    @property
    def mota(self) -> float:
        """1 minus all mistakes over all true boxes; at most 1, negative with more mistakes than boxes."""
        return 1 - (self.misses + self.false + self.switches) / self.truths

    @property
    def idf1(self) -> float:
        """Share, 0..1, of boxes with the right identity among true and reported ones."""
        return 2 * self.identity_hits / (self.truths + self.found)


def score_tracks(truth: Sequence[Boxes], found: Sequence[Boxes]) -> TrackingScores:
    """Compare tracks with the truth.

    Args:
        truth: The true boxes of each frame.
        found: The reported boxes of the same frames.

    Raises:
        InputError: The numbers of frames differ, or there is no true box.
    """
    if len(truth) != len(found) or not any(truth):
        raise InputError(
            f"There are {len(truth)} true and {len(found)} reported frames with"
            f" {sum(map(len, truth))} true boxes",
            "equal numbers and at least one true box",
            "Pass all frames of a video in which somebody walks",
        )
    pairs: list[tuple[int, int, int]] = []
    last: dict[int, int] = {}
    overlaps: Counter[tuple[int, int]] = Counter()
    switches = 0
    for index, (here, there) in enumerate(zip(truth, found, strict=True)):
        shared = _overlap(here, there)
        close = shared >= MIN_IOU
        names, tracks = list(here), list(there)
        overlaps.update((names[i], tracks[k]) for i, k in zip(*np.nonzero(close), strict=True))
        for i, k in _match(shared, close, [last.get(name) for name in names], tracks):
            switches += last.get(names[i], tracks[k]) != tracks[k]
            last[names[i]] = tracks[k]
            pairs.append((index, names[i], tracks[k]))
    truths, reported = sum(map(len, truth)), sum(map(len, found))
    return TrackingScores(
        truths,
        reported,
        truths - len(pairs),
        reported - len(pairs),
        switches,
        _identity_hits(overlaps),
        tuple(pairs),
    )


def _match(
    shared: NDArray[np.float64], close: NDArray[np.bool_], before: list[int | None], tracks: list[int]
) -> list[tuple[int, int]]:
    """Match one frame: keep matches of the previous frame that still hold, then take the best others."""
    held = [(i, tracks.index(name)) for i, name in enumerate(before) if name in tracks]
    kept: dict[int, int] = {}
    for i, k in sorted(held, key=lambda pair: -shared[pair]):
        if close[i, k] and k not in kept.values():  # a track may have followed two walkers in turn
            kept[i] = k
    rows = [i for i in range(len(before)) if i not in kept]
    columns = [k for k in range(len(tracks)) if k not in kept.values()]
    rest = np.where(close, shared, -1e3)[np.ix_(rows, columns)]
    best = zip(*linear_sum_assignment(-rest), strict=True)
    return [*kept.items(), *((rows[a], columns[b]) for a, b in best if rest[a, b] > 0)]


def _identity_hits(overlaps: Counter[tuple[int, int]]) -> int:
    """Largest number of matching frames when walkers and tracks are paired once for the whole video."""
    if not overlaps:
        return 0
    names, tracks = ({pair[side]: None for pair in overlaps} for side in (0, 1))
    frames = np.array([[overlaps[name, track] for track in tracks] for name in names])
    return int(frames[linear_sum_assignment(-frames)].sum())


def _overlap(here: Boxes, there: Boxes) -> NDArray[np.float64]:
    one, two = (np.array([*boxes.values()], np.float64).reshape(-1, 4) for boxes in (here, there))
    return iou(one, two)


def mask_iou(
    one: NDArray[np.uint8], one_box: NDArray[np.float32], two: NDArray[np.uint8], two_box: NDArray[np.float32]
) -> float:
    """Intersection over union of two masks (h, w) uint8 0/1, placed by their boxes (4,) xyxy."""
    corners = np.rint([one_box[:2], two_box[:2]]).astype(int)
    low = corners.min(0)
    size = (corners - low + [one.shape[::-1], two.shape[::-1]]).max(0)
    sheets = np.zeros((2, size[1], size[0]), bool)
    for sheet, mask, (x, y) in zip(sheets, (one, two), corners - low, strict=True):
        sheet[y : y + mask.shape[0], x : x + mask.shape[1]] = mask > 0
    return float((sheets[0] & sheets[1]).sum() / max(int((sheets[0] | sheets[1]).sum()), 1))
