"""Tracks: which observations over time are one thing.

Source: Zhang et al. 2022 (ByteTrack), sec. 3: sure observations are matched to tracks first, unsure
ones (fragments, odd shapes) only keep tracks alive that found no sure match. Deviations: the Kalman
filter measures (centre x, centre y, width, height) with four independent constant-velocity filters,
which makes it a few lines of vectorised arithmetic, and it uses the true time between frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from gaitid.records import Observation

Floats = NDArray[np.float64]

# Standard deviations in body heights: how exact a box is, and how much a walker's velocity changes
# in one second. Masks jitter by a few pixels of a 100 px body; a walker turns within about a second.
_BOX_STD = 0.05
_ACCELERATION_STD = 0.8
_START_VELOCITY_STD = 1.0


@dataclass(frozen=True)
class TrackSettings:
    """How observations are linked.

    Attributes:
        sure: Confidence, 0..1, from which an observation may start a track.
        min_iou: Least overlap of an observation with a track's predicted box, 0..1.
        confirm: Observations that a track needs before it counts.
        gap_s: Seconds that a track survives without observation.
    """

    sure: float = 0.5
    min_iou: float = 0.15
    confirm: int = 3
    gap_s: float = 1.0


@dataclass(slots=True)
class Track:
    """One tracked thing.

    Attributes:
        id: From 1, never used twice by a tracker.
        box: (4,) xyxy pixels: of the last observation, or predicted while there is none.
        seen: Index of its observation in the last update, or None when it has none.
        first: Time of the first observation, seconds.
        last: Time of the last observation, seconds.
        hits: Number of its observations.
    """

    id: int
    box: Floats
    seen: int | None
    first: float
    last: float
    hits: int = 1
    confirmed: bool = False


class Tracker:
    """Links observations frame by frame.

    Args:
        settings: See `TrackSettings`.
    """

    def __init__(self, settings: TrackSettings = TrackSettings()) -> None:
        self._settings = settings
        self._tracks: list[Track] = []
        self._filter = _Filter()
        self._time: float | None = None
        self._next = 1

    @property
    def active(self) -> tuple[Track, ...]:
        """The tracks alive, in the order of their ids, unconfirmed ones included."""
        return tuple(self._tracks)

    def update(self, observations: Sequence[Observation], time: float) -> list[Track]:
        """Take the observations of the next frame.

        Args:
            observations: Of one frame; those with a `track` id are linked by it alone.
            time: Of that frame, seconds, later than the one before.

        Returns:
            The confirmed tracks that ended, because nothing was seen of them for `gap_s`.
        """
        self._filter.predict(0.0 if self._time is None else max(time - self._time, 1e-3))
        self._time = time
        boxes = np.array([o.box for o in observations], float).reshape(-1, 4)
        pairs = self._match(observations, boxes)
        self._absorb(pairs, boxes, time)
        matched = {column for _, column in pairs}
        self._begin([i for i, o in enumerate(observations) if i not in matched], observations, boxes, time)
        return self._end(time)

    def flush(self) -> list[Track]:
        """End all tracks and forget them; returns the confirmed ones. Ids go on counting."""
        ended = [track for track in self._tracks if track.confirmed]
        self._tracks, self._filter, self._time = [], _Filter(), None
        return ended

    def _match(self, observations: Sequence[Observation], boxes: Floats) -> list[tuple[int, int]]:
        """Two-stage association; returns (row of the track, index of the observation)."""
        settings = self._settings
        overlap = iou(self._filter.boxes(), boxes)
        sure = np.array([o.confidence >= settings.sure for o in observations], bool)
        confirmed = np.array([track.confirmed for track in self._tracks], bool)
        pairs: list[tuple[int, int]] = []
        # Confirmed tracks take sure observations, then unsure ones; newcomers take what is left.
        for of_tracks, of_observations in ((confirmed, sure), (confirmed, ~sure), (~confirmed, sure)):
            rows = [r for r in np.flatnonzero(of_tracks) if r not in {row for row, _ in pairs}]
            columns = [c for c in np.flatnonzero(of_observations) if c not in {col for _, col in pairs}]
            if not rows or not columns:
                continue
            part = overlap[np.ix_(rows, columns)]
            for i, j in zip(*linear_sum_assignment(-part), strict=True):
                if part[i, j] >= settings.min_iou:
                    pairs.append((int(rows[i]), int(columns[j])))
        return pairs

    def _absorb(self, pairs: list[tuple[int, int]], boxes: Floats, time: float) -> None:
        """Correct the matched tracks by their observations; the others coast on their prediction."""
        if pairs:
            rows, columns = (list(part) for part in zip(*pairs, strict=True))
            self._filter.correct(rows, boxes[columns])
        seen = dict(pairs)
        predicted = self._filter.boxes()
        for row, track in enumerate(self._tracks):
            track.seen = seen.get(row)
            if track.seen is None:
                track.box = predicted[row]
                continue
            track.box, track.last, track.hits = boxes[track.seen], time, track.hits + 1
            track.confirmed = track.confirmed or track.hits >= self._settings.confirm

    def _begin(
        self, left: list[int], observations: Sequence[Observation], boxes: Floats, time: float
    ) -> None:
        """Start a track for each sure observation that is left."""
        for index in left:
            if observations[index].confidence >= self._settings.sure:
                self._tracks.append(Track(self._next, boxes[index], index, time, time))
                self._filter.add(boxes[index])
                self._next += 1

    def _end(self, time: float) -> list[Track]:
        """Take out the tracks not seen for too long, and unconfirmed ones at their first miss."""
        gone = [
            track.seen is None and (not track.confirmed or time - track.last > self._settings.gap_s)
            for track in self._tracks
        ]
        ended = [track for track, over in zip(self._tracks, gone, strict=True) if over and track.confirmed]
        self._tracks = [track for track, over in zip(self._tracks, gone, strict=True) if not over]
        self._filter.keep(~np.array(gone, bool))
        return ended


@dataclass(slots=True)
class _Filter:
    """Constant-velocity Kalman filters of (cx, cy, w, h) of all tracks, N rows.

    The four numbers are independent, so each has a 2x2 covariance, held as its three entries.
    """

    place: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    speed: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    covariance: Floats = field(default_factory=lambda: np.zeros((3, 0, 4)))  # place, cross, speed

    def predict(self, dt: float) -> None:
        """Move all tracks on by `dt` seconds."""
        pp, pv, vv = self.covariance
        noise = (_ACCELERATION_STD * self.place[:, 3:]) ** 2
        self.place = self.place + dt * self.speed
        self.place[:, 2:] = np.maximum(self.place[:, 2:], 1.0)
        self.covariance = np.stack(
            [
                pp + 2 * dt * pv + dt**2 * vv + noise * dt**4 / 4,
                pv + dt * vv + noise * dt**3 / 2,
                vv + noise * dt**2,
            ]
        )

    def correct(self, rows: list[int], boxes: Floats) -> None:
        """Take the measured boxes (M, 4) xyxy of the tracks in `rows`."""
        measured = _centred(boxes)
        pp, pv, vv = self.covariance[:, rows]
        total = pp + (_BOX_STD * measured[:, 3:]) ** 2
        gain_place, gain_speed = pp / total, pv / total
        error = measured - self.place[rows]
        self.place[rows] += gain_place * error
        self.speed[rows] += gain_speed * error
        self.covariance[:, rows] = (1 - gain_place) * pp, (1 - gain_place) * pv, vv - gain_speed * pv

    def add(self, box: Floats) -> None:
        """Start a filter at rest at the box (4,) xyxy."""
        start = _centred(box[None])
        height = np.broadcast_to(start[:, 3:], (1, 4))
        spread = np.stack([(_BOX_STD * height) ** 2, 0 * height, (_START_VELOCITY_STD * height) ** 2])
        self.place = np.concatenate([self.place, start])
        self.speed = np.concatenate([self.speed, np.zeros((1, 4))])
        self.covariance = np.concatenate([self.covariance, spread], axis=1)

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all other rows."""
        self.place, self.speed = self.place[rows], self.speed[rows]
        self.covariance = self.covariance[:, rows]

    def boxes(self) -> Floats:
        """(N, 4) xyxy."""
        half = self.place[:, 2:] / 2
        return np.concatenate([self.place[:, :2] - half, self.place[:, :2] + half], axis=1)


def _centred(boxes: Floats) -> Floats:
    """(N, 4) xyxy to centre x, centre y, width, height."""
    size = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] + size / 2, size], axis=1)


def intersection(a: Floats, b: Floats) -> Floats:
    """(N, M) areas shared by the boxes a (N, 4) and b (M, 4), xyxy."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2))


def iou(a: Floats, b: Floats) -> Floats:
    """(N, M) intersection over union of the boxes a (N, 4) and b (M, 4), xyxy."""
    shared = intersection(a, b)
    area_a, area_b = ((x[:, 2:] - x[:, :2]).prod(axis=1) for x in (a, b))
    return np.asarray(shared / np.maximum(area_a[:, None] + area_b[None] - shared, 1e-9))
