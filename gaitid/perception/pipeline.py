"""From a source to walks: observe, track, measure, judge, align.

One pass, frame by frame. Of a walk only its measures and aligned silhouettes are kept (about 3 kB a
frame), and a walk is cut after `max_walk_s`, so memory is bounded however long somebody stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import SourceError
from gaitid.perception.align import align, binarise
from gaitid.perception.gates import GateSettings, Shape, glance, judge, measure
from gaitid.perception.motion import MotionExtractor, MotionSettings
from gaitid.perception.sources import Discontinuity, Source
from gaitid.perception.tracks import Track, Tracker, TrackSettings, intersection
from gaitid.records import SILHOUETTE, Frame, GaitSequence, Observation, Origin, Reason

# Shorter mergers leave no doubt: the predicted place tells two walkers apart when they part again.
_EXCHANGE_S = 0.4


class Extractor(Protocol):
    """Finds people in frames."""

    def __call__(self, frame: Frame) -> list[Observation]:
        """What is seen in one frame; frames come in order of time."""
        ...

    def reset(self) -> None:
        """Forget all earlier frames."""
        ...


@dataclass(frozen=True)
class PerceptionSettings:
    """All settings from frame to walk.

    Attributes:
        max_walk_s: A longer walk is handed out in parts of this many seconds.
        motion: Of the default extractor.
        tracks: Of the default tracker.
        gates: Limits of good frames.
    """

    max_walk_s: float = 20.0
    motion: MotionSettings = field(default_factory=MotionSettings)
    tracks: TrackSettings = field(default_factory=TrackSettings)
    gates: GateSettings = field(default_factory=GateSettings)


@dataclass(frozen=True, slots=True, eq=False)
class TrackView:
    """A track as it is seen in one frame.

    Attributes:
        id: Track number.
        box: (4,) float32 xyxy pixels.
        reasons: Against this frame, as far as can be told at once; `Walk.reasons` may hold more.
    """

    id: int
    box: NDArray[np.float32]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """A stretch of a track that shows one person.

    A track makes several walks when it lasts longer than `max_walk_s`, or when another track vanishes
    into it: whoever comes out of such a merger may be the other one.

    Attributes:
        track: Track number.
        times: (N,) float64 seconds, of all frames in which it was seen.
        boxes: (N, 4) float32 xyxy pixels.
        reasons: N tuples: why each frame was refused; empty for a good one.
        sequence: The good frames, aligned; None when there is none.
    """

    track: int
    times: NDArray[np.float64]
    boxes: NDArray[np.float32]
    reasons: tuple[tuple[Reason, ...], ...]
    sequence: GaitSequence | None


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What is known after a frame.

    Attributes:
        frame: The frame.
        tracks: The confirmed tracks seen in it.
        walks: The walks that ended with it.
    """

    frame: Frame
    tracks: tuple[TrackView, ...]
    walks: tuple[Walk, ...]


def watch(
    source: Source,
    *,
    extractor: Extractor | None = None,
    tracker: Tracker | None = None,
    settings: PerceptionSettings = PerceptionSettings(),
) -> Iterator[View]:
    """Turn a source into walks.

    Args:
        source: An open source.
        extractor: Finds people; by default `MotionExtractor`.
        tracker: Links them; by default `Tracker`.
        settings: See `PerceptionSettings`.

    Yields:
        A view for every frame. When walks are still open at the end of the source, one more view
        of the last frame without tracks brings them, also before an error of the source is raised.

    Raises:
        SourceError: From the source or the extractor, for example `SourceTruncated`, `CameraMoving`.
    """
    extractor = MotionExtractor(settings.motion) if extractor is None else extractor
    scene = _Scene(Tracker(settings.tracks) if tracker is None else tracker, settings)
    waiting: tuple[Walk, ...] = ()  # walks ended by a break, for the next view
    frame: Frame | None = None
    failure: SourceError | None = None
    try:
        for item in source:
            if isinstance(item, Discontinuity):
                extractor.reset()
                waiting += scene.flush()
                continue
            frame = item
            tracks, walks = scene.update(extractor(frame), frame)
            yield View(frame, tracks, waiting + walks)
            waiting = ()
    except SourceError as error:
        failure = error
    rest = waiting + scene.flush()
    if rest and frame is not None:
        yield View(frame, (), rest)
    if failure is not None:
        raise failure


@dataclass(slots=True)
class _Diary:
    """What is kept of a walk that goes on."""

    times: list[float] = field(default_factory=list)
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    crowded: list[bool] = field(default_factory=list)
    absorbs: list[bool] = field(default_factory=list)
    silhouettes: list[NDArray[np.uint8] | None] = field(default_factory=list)

    def walks(self, track: int, camera: str, settings: GateSettings) -> list[Walk]:
        """Judge it as a whole, and part it where the person may have been exchanged."""
        reasons = judge(
            self.shapes,
            np.array(self.times),
            np.array(self.boxes, float),
            np.array(self.crowded) | np.array(self.absorbs),
            self.silhouettes,
            settings,
        )
        ends = [*_exchanges(reasons, self.times, self.absorbs), len(reasons)]
        return [
            self._part(slice(start, end), reasons[start:end], Origin(camera, track))
            for start, end in pairwise([0, *ends])
        ]

    def _part(self, part: slice, reasons: tuple[tuple[Reason, ...], ...], origin: Origin) -> Walk:
        times, boxes = np.array(self.times[part]), np.array(self.boxes[part], np.float32)
        silhouettes = self.silhouettes[part]
        good = [i for i, why in enumerate(reasons) if not why]
        sequence = None
        if good:
            sequence = GaitSequence(
                {SILHOUETTE: np.array([silhouettes[i] for i in good], np.uint8)},
                times[good],
                boxes[good],
                dict(Counter(reason.value for why in reasons for reason in why)),
                origin,
            )
        return Walk(origin.track, times, boxes, reasons, sequence)


class _Scene:
    """The tracker, and the diaries of its tracks."""

    def __init__(self, tracker: Tracker, settings: PerceptionSettings) -> None:
        self._tracker, self._settings = tracker, settings
        self._diaries: dict[int, _Diary] = {}
        self._camera = ""

    def update(
        self, observations: list[Observation], frame: Frame
    ) -> tuple[tuple[TrackView, ...], tuple[Walk, ...]]:
        """Take a frame; returns the tracks seen in it and the walks that end with it."""
        self._camera = frame.camera
        ended = self._tracker.update(observations, frame.time)
        walks = [walk for track in ended for walk in self._close(track.id)]
        active = self._tracker.active
        for gone in self._diaries.keys() - {track.id for track in active}:
            del self._diaries[gone]  # never confirmed
        neighbours = _neighbours(active, self._settings.gates.max_overlap)
        views = []
        for track, crowded, absorbs in zip(active, *neighbours, strict=True):
            if track.seen is None or (mask := observations[track.seen].mask) is None:
                continue
            diary = self._diaries.setdefault(track.id, _Diary())
            if diary.times and frame.time - diary.times[0] > self._settings.max_walk_s:
                walks += self._close(track.id)
                diary = self._diaries.setdefault(track.id, _Diary())
            diary.crowded.append(crowded)
            diary.absorbs.append(absorbs)
            shape = self._enter(diary, observations[track.seen].box, mask, frame)
            if track.confirmed:
                reasons = glance(shape, crowded or absorbs, self._settings.gates)
                views.append(TrackView(track.id, diary.boxes[-1], reasons))
        return tuple(views), tuple(walks)

    def flush(self) -> tuple[Walk, ...]:
        """End all walks."""
        walks = [walk for track in self._tracker.flush() for walk in self._close(track.id)]
        self._diaries.clear()
        return tuple(walks)

    def _enter(
        self,
        diary: _Diary,
        box: NDArray[np.float32],
        mask: NDArray[np.uint8],
        frame: Frame,
    ) -> Shape:
        gates = self._settings.gates
        shape = measure(mask, box, (frame.image.shape[0], frame.image.shape[1]), gates.border_px)
        gray = align(mask)
        diary.times.append(frame.time)
        diary.boxes.append(box)
        diary.shapes.append(shape)
        diary.silhouettes.append(None if gray is None else binarise(gray))
        return shape

    def _close(self, track: int) -> list[Walk]:
        """The walks of a track; none when it was seen only without a mask."""
        diary = self._diaries.pop(track, None)
        return [] if diary is None else diary.walks(track, self._camera, self._settings.gates)


def _exchanges(reasons: tuple[tuple[Reason, ...], ...], times: list[float], absorbs: list[bool]) -> list[int]:
    """Frames with which a run of merged frames is over that held another track for some time."""
    found: list[int] = []
    held: list[float] = []
    for i, why in enumerate(reasons):
        if Reason.MERGED in why:
            held += [times[i]] if absorbs[i] else []
            continue
        if held and held[-1] - held[0] >= _EXCHANGE_S:
            found.append(i)
        held = []
    return found


def _neighbours(tracks: tuple[Track, ...], most: float) -> tuple[list[bool], list[bool]]:
    """For each track: does another one overlap its box; has another one vanished into it?"""
    boxes = np.array([track.box for track in tracks], float).reshape(-1, 4)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    shared = intersection(boxes, boxes)
    np.fill_diagonal(shared, 0.0)
    seen = np.array([track.seen is not None for track in tracks], bool)
    counted = np.array([track.confirmed for track in tracks], bool)
    overlaps = (shared > most * area[:, None]) & (seen & counted)[None]
    absorbs = (shared > 0.4 * area[None]) & (~seen & counted)[None]
    return overlaps.any(axis=1).tolist(), absorbs.any(axis=1).tolist()
