"""From a source to walks: observe, track, measure, judge, align.

One pass, frame by frame. Of a walk only its measures and aligned silhouettes are kept (about 3 kB a
frame), and a walk is cut after `max_walk_s`, so memory is bounded however long somebody stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
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
    """A finished track, or a part of `max_walk_s` of a long one.

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
    silhouettes: list[NDArray[np.uint8] | None] = field(default_factory=list)

    def walk(self, track: int, camera: str, settings: GateSettings) -> Walk:
        """Judge it as a whole."""
        times, boxes = np.array(self.times), np.array(self.boxes, np.float32)
        reasons = judge(
            self.shapes, times, boxes.astype(float), np.array(self.crowded), self.silhouettes, settings
        )
        good = [i for i, why in enumerate(reasons) if not why]
        sequence = None
        if good:
            sequence = GaitSequence(
                {SILHOUETTE: np.array([self.silhouettes[i] for i in good], np.uint8)},
                times[good],
                boxes[good],
                dict(Counter(reason.value for why in reasons for reason in why)),
                Origin(camera, track),
            )
        return Walk(track, times, boxes, reasons, sequence)


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
        walks = [self._close(track.id) for track in ended if track.id in self._diaries]
        active = self._tracker.active
        for gone in self._diaries.keys() - {track.id for track in active}:
            del self._diaries[gone]  # never confirmed
        crowded = _crowded(active, self._settings.gates.max_overlap)
        views = []
        for track, crowd in zip(active, crowded, strict=True):
            if track.seen is None or (mask := observations[track.seen].mask) is None:
                continue
            diary = self._diaries.setdefault(track.id, _Diary())
            if diary.times and frame.time - diary.times[0] > self._settings.max_walk_s:
                walks.append(self._close(track.id))
                diary = self._diaries.setdefault(track.id, _Diary())
            shape = self._enter(diary, observations[track.seen].box, mask, frame, crowd)
            if track.confirmed:
                reasons = glance(shape, crowd, self._settings.gates)
                views.append(TrackView(track.id, diary.boxes[-1], reasons))
        return tuple(views), tuple(walks)

    def flush(self) -> tuple[Walk, ...]:
        """End all walks."""
        walks = tuple(self._close(track.id) for track in self._tracker.flush() if track.id in self._diaries)
        self._diaries.clear()
        return walks

    def _enter(
        self,
        diary: _Diary,
        box: NDArray[np.float32],
        mask: NDArray[np.uint8],
        frame: Frame,
        crowded: bool,
    ) -> Shape:
        gates = self._settings.gates
        shape = measure(mask, box, (frame.image.shape[0], frame.image.shape[1]), gates.border_px)
        gray = align(mask)
        diary.times.append(frame.time)
        diary.boxes.append(box)
        diary.shapes.append(shape)
        diary.crowded.append(crowded)
        diary.silhouettes.append(None if gray is None else binarise(gray))
        return shape

    def _close(self, track: int) -> Walk:
        return self._diaries.pop(track).walk(track, self._camera, self._settings.gates)


def _crowded(tracks: tuple[Track, ...], most: float) -> list[bool]:
    """For each track: does another overlap its box, or lie, unseen, within it?"""
    if not tracks:
        return []
    boxes = np.array([track.box for track in tracks], float)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    shared = intersection(boxes, boxes)
    np.fill_diagonal(shared, 0.0)
    seen = np.array([track.seen is not None for track in tracks])
    counted = np.array([track.confirmed for track in tracks])
    overlaps = (shared > most * area[:, None]) & (seen & counted)[None]
    absorbs = (shared > 0.4 * area[None]) & (~seen & counted)[None]
    return [bool(crowd) for crowd in (overlaps | absorbs).any(axis=1)]
