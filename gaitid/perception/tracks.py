"""Tracks: which observations over time show the same thing.

An observation that carries a track id of its extractor is linked by that id alone, wherever its box is. An
observation without an id is linked by its box, and only to tracks that have no id. An extractor should
therefore give ids to all of its observations or to none.

Source for boxes: Zhang et al. 2022 (ByteTrack), sec. 3: observations of high confidence are matched to
tracks first; those of low confidence (fragments, odd shapes) only keep tracks alive that found no match.
Deviations: the Kalman filter measures (centre x, centre y, width, height) with four independent
constant-velocity filters, which takes a few lines of vectorised arithmetic, and it uses the true time
between frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from gaitid.errors import InputError
from gaitid.records import Observation

Floats = NDArray[np.float64]

_BOX_STD = 0.05
"""Standard deviation of a box, body heights: masks jitter by a few pixels of a 100 px body."""
_ACCELERATION_STD = 0.8
"""Standard deviation of a walker's acceleration, body heights/s^2: a walker turns within about a second."""
_START_VELOCITY_STD = 1.0
"""Standard deviation of a new track's velocity, body heights/s."""
_MIN_STEP_S = 1e-3
"""Shortest time between two frames, seconds, so that equal timestamps do no harm."""


@dataclass(frozen=True)
class TrackSettings:
    """How observations are linked.

    Attributes:
        sure: Confidence, 0..1, from which an observation without an id may start a track.
        min_iou: Least overlap of an observation with a track's predicted box, 0..1.
        confirm: Observations that a track needs before it counts.
        gap_s: Seconds that a track survives without an observation.
    """

    sure: float = 0.5
    min_iou: float = 0.15
    confirm: int = 3
    gap_s: float = 1.0


@dataclass(slots=True)
class Track:
    """One tracked thing.

    Attributes:
        id: Number from 1; a tracker never uses one twice.
        box: (4,) xyxy pixels: of the last observation, or predicted while there is none.
        seen: Index of its observation in the last update, or None when it has none.
        first: Time of the first observation, seconds.
        last: Time of the last observation, seconds.
        given_id: Id that the extractor gives it, or None when it is linked by boxes.
        hits: Number of its observations.
        confirmed: True once it has `TrackSettings.confirm` observations.
    """

    id: int
    box: Floats
    seen: int | None
    first: float
    last: float
    given_id: int | None = None
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
        """Living tracks in the order of their ids, unconfirmed ones included."""
        return tuple(self._tracks)

    def update(self, observations: Sequence[Observation], time: float) -> list[Track]:
        """Link the observations of the next frame.

        An id that is missing for up to `gap_s` continues its track when it returns; after that it starts
        a new track with a new number.

        Args:
            observations: Observations of one frame; see the module for those with a `track` id.
            time: Time of that frame, seconds, later than the one before.

        Returns:
            Confirmed tracks that end because nothing was seen of them for `gap_s`.

        Raises:
            InputError: Two observations of the frame have the same id.
        """
        _check_ids(observations)
        self._filter.predict(0.0 if self._time is None else max(time - self._time, _MIN_STEP_S))
        self._time = time
        boxes = np.array([o.box for o in observations], float).reshape(-1, 4)
        pairs = [*self._match_ids(observations), *self._match_boxes(observations, boxes)]
        self._absorb(pairs, boxes, time)
        matched = {column for _, column in pairs}
        self._begin([i for i, o in enumerate(observations) if i not in matched], observations, boxes, time)
        return self._end(time)

    def flush(self) -> list[Track]:
        """End all tracks and return the confirmed ones. Later tracks get new numbers."""
        ended = [track for track in self._tracks if track.confirmed]
        self._tracks, self._filter, self._time = [], _Filter(), None
        return ended

    def _match_ids(self, observations: Sequence[Observation]) -> list[tuple[int, int]]:
        """Pairs (row of the track, index of the observation) of equal ids."""
        rows = {track.given_id: row for row, track in enumerate(self._tracks) if track.given_id is not None}
        return [(rows[o.track], i) for i, o in enumerate(observations) if o.track in rows]

    def _match_boxes(self, observations: Sequence[Observation], boxes: Floats) -> list[tuple[int, int]]:
        """Pairs (row of the track, index of the observation) by overlap, in the order of ByteTrack."""
        settings = self._settings
        overlap = iou(self._filter.boxes(), boxes)
        free = np.array([o.track is None for o in observations], bool)
        sure = np.array([o.confidence >= settings.sure for o in observations], bool) & free
        unsure = ~sure & free
        by_box = np.array([track.given_id is None for track in self._tracks], bool)
        confirmed = np.array([track.confirmed for track in self._tracks], bool) & by_box
        new = ~confirmed & by_box
        pairs: list[tuple[int, int]] = []
        # Confirmed tracks take sure observations, then unsure ones; new tracks take the rest.
        for of_tracks, of_observations in ((confirmed, sure), (confirmed, unsure), (new, sure)):
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
        """Correct the matched tracks by their observations; move the others to their predicted boxes."""
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
        """Start a track for each observation left over that has an id or enough confidence."""
        for index in left:
            given_id = observations[index].track
            if given_id is not None or observations[index].confidence >= self._settings.sure:
                self._tracks.append(Track(self._next, boxes[index], index, time, time, given_id))
                self._filter.add(boxes[index])
                self._next += 1

    def _end(self, time: float) -> list[Track]:
        """Remove tracks not seen for `gap_s`, and unconfirmed ones without an id at their first miss."""
        gone = [
            track.seen is None
            and (
                time - track.last > self._settings.gap_s
                or not (track.confirmed or track.given_id is not None)
            )
            for track in self._tracks
        ]
        ended = [track for track, over in zip(self._tracks, gone, strict=True) if over and track.confirmed]
        self._tracks = [track for track, over in zip(self._tracks, gone, strict=True) if not over]
        self._filter.keep(~np.array(gone, bool))
        return ended


@dataclass(slots=True)
class _Filter:
    """Constant-velocity Kalman filters of (cx, cy, w, h) of all tracks, N rows.

    The four values are independent, so each has a 2x2 covariance, stored as its three entries.
    """

    place: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    speed: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    covariance: Floats = field(default_factory=lambda: np.zeros((3, 0, 4)))  # place, cross, speed

    def predict(self, dt: float) -> None:
        """Advance all tracks by `dt` seconds."""
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
        """Correct the tracks in `rows` by their measured boxes (M, 4) xyxy."""
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
        """Drop all rows but these."""
        self.place, self.speed = self.place[rows], self.speed[rows]
        self.covariance = self.covariance[:, rows]

    def boxes(self) -> Floats:
        """(N, 4) xyxy."""
        half = self.place[:, 2:] / 2
        return np.concatenate([self.place[:, :2] - half, self.place[:, :2] + half], axis=1)


def _centred(boxes: Floats) -> Floats:
    """Convert (N, 4) xyxy to centre x, centre y, width, height."""
    size = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] + size / 2, size], axis=1)


def _check_ids(observations: Sequence[Observation]) -> None:
    """Raise `InputError` when two observations of a frame have the same id."""
    counts = Counter(o.track for o in observations if o.track is not None)
    for given_id, count in counts.items():
        if count > 1:
            raise InputError(
                f"Track id {given_id} is given to {count} observations of one frame",
                "an id of its own for each observation",
                "Report this to the authors of the extractor, or choose another extractor",
            )


def intersection(a: Floats, b: Floats) -> Floats:
    """Return the (N, M) areas shared by the boxes a (N, 4) and b (M, 4), xyxy."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2))


def iou(a: Floats, b: Floats) -> Floats:
    """Return the (N, M) intersection over union of the boxes a (N, 4) and b (M, 4), xyxy."""
    shared = intersection(a, b)
    area_a, area_b = ((x[:, 2:] - x[:, :2]).prod(axis=1) for x in (a, b))
    return np.asarray(shared / np.maximum(area_a[:, None] + area_b[None] - shared, 1e-9))
