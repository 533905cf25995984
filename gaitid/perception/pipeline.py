"""From a source to walks: observe, track, measure, judge, align.

One pass, frame by frame. Of a walk only measures, aligned silhouettes and keypoints are kept (about 3 kB a
frame), and a walk is cut after `max_walk_s`, so memory is bounded however long a person stays.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid import settings as toml
from gaitid.errors import ConfigError, SourceError
from gaitid.perception.extractor import (
    DEFAULT_EXTRACTOR,
    Extractor,
    asking,
    check_settings,
    extractor_type,
    load_extractor,
    look_ahead,
    open_input,
)
from gaitid.perception.gates import GateSettings
from gaitid.perception.sources import Discontinuity, Source
from gaitid.perception.tracks import Track, Tracker, TrackSettings, intersection
from gaitid.perception.walks import Diary, gates
from gaitid.perception.walks import Walk as Walk
from gaitid.records import Frame, Observation, Origin, Reason

_log = logging.getLogger(__name__)

_ABSORBED_SHARE = 0.4
"""Share of an unseen track's predicted box in another's from which it counts as vanished into it; chosen on
vtest.avi (benchmarks/perception.py)."""


@dataclass(frozen=True)
class PerceptionSettings:
    """All settings from frame to walk; in TOML the table ``[perception]``.

    Attributes:
        extractor: Name of the extractor; see `perception.extractor`.
        extractors: Settings of extractors by name, in TOML one table each, such as ``[perception.motion]``.
            An extractor without an entry has its defaults. Entries of extractors that are not chosen are
            checked too, and otherwise ignored.
        max_walk_s: A longer walk is delivered in parts of this many seconds.
        tracks: Settings of the tracker.
        gates: Limits of good frames.

    Raises:
        UnknownName: The registry has no such extractor.
        MissingDependency: An extractor needs a package that is not installed.
        ConfigError: The settings of an extractor belong to another one, or `max_walk_s` is not above 0.
    """

    extractor: str = DEFAULT_EXTRACTOR
    extractors: Mapping[str, Any] = toml.tables("extractors")
    max_walk_s: float = 20.0
    tracks: TrackSettings = field(default_factory=TrackSettings)
    gates: GateSettings = field(default_factory=GateSettings)

    def __post_init__(self) -> None:
        extractor_type(self.extractor)
        for name, chosen in self.extractors.items():
            check_settings(name, chosen)
        if not self.max_walk_s > 0:
            raise ConfigError(
                f"Setting max_walk_s is {self.max_walk_s}", "seconds above 0", "Write 20.0, the default"
            )

    @property
    def static_camera(self) -> bool:
        """Whether the chosen extractor needs a static camera."""
        return bool(getattr(extractor_type(self.extractor), "static_camera", False))

    def open(self, spec: str, *, camera: str = "", fps: float | None = None) -> Source:
        """Open what the chosen extractor reads; see `extractor.open_input`."""
        own = self.extractors.get(self.extractor)
        return open_input(self.extractor, spec, own, camera=camera, fps=fps)


@dataclass(frozen=True, slots=True, eq=False)
class TrackView:
    """A track as one frame shows it.

    Attributes:
        id: Track number.
        box: (4,) float32 xyxy pixels.
        reasons: Reasons against this frame that it shows by itself; `Walk.reasons` may hold more.
    """

    id: int
    box: NDArray[np.float32]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FrameView:
    """The state after a frame.

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
    settings: PerceptionSettings | None = None,
) -> Iterator[FrameView]:
    """Turn a source into walks.

    Args:
        source: An open source.
        extractor: Finds people; by default the one that `settings` names.
        settings: See `PerceptionSettings`; None for the defaults.

    Yields:
        A view for every frame. When walks are still open at the end of the source, one more view
        of the last frame without tracks brings them, also before an error of the source is raised.

    Raises:
        SourceError: The source or the extractor failed, for example `SourceTruncated`, `CameraMoving`.
        InputError: The extractor gives one track id to two observations of a frame.
    """
    settings = settings or PerceptionSettings()
    if extractor is None:
        extractor = load_extractor(settings.extractor, settings.extractors.get(settings.extractor))
    look_ahead(extractor, source)
    scene = _Scene(settings)
    waiting: tuple[Walk, ...] = ()  # walks ended by a break, for the next view
    frame: Frame | None = None
    failure: SourceError | None = None
    try:
        for item in source:
            if isinstance(item, Discontinuity):
                with asking(extractor):
                    extractor.reset()
                waiting += scene.flush()
                continue
            frame = item
            with asking(extractor):
                found = list(extractor(frame))
            tracks, walks = scene.update(found, frame)
            yield FrameView(frame, tracks, waiting + walks)
            waiting = ()
    except SourceError as error:
        failure = error
    rest = waiting + scene.flush()
    if rest and frame is not None:
        yield FrameView(frame, (), rest)
    if failure is not None:
        raise failure


class _Scene:
    """The tracker, and the diaries of its tracks."""

    def __init__(self, settings: PerceptionSettings) -> None:
        self._tracker, self._settings = Tracker(settings.tracks), settings
        self._gates = gates(settings.gates)
        self._diaries: dict[int, Diary] = {}
        self._camera = ""
        self._warned = False

    def update(
        self, observations: list[Observation], frame: Frame
    ) -> tuple[tuple[TrackView, ...], tuple[Walk, ...]]:
        """Process a frame; return the tracks seen in it and the walks that end with it."""
        self._camera = frame.camera
        ended = self._tracker.update(observations, frame.time)
        walks = [walk for track in ended for walk in self._close(track.id)]
        active = self._tracker.active
        for gone in self._diaries.keys() - {track.id for track in active}:
            del self._diaries[gone]  # never confirmed
        neighbours = _neighbours(active, self._settings.gates.max_overlap)
        views = []
        for track, crowded, absorbs in zip(active, *neighbours, strict=True):
            if track.seen is None:
                continue
            walks += self._cut(track.id, frame.time)
            reasons = self._enter(track.id, observations[track.seen], frame, crowded, absorbs)
            if track.confirmed:
                views.append(TrackView(track.id, observations[track.seen].box, reasons))
        return tuple(views), tuple(walks)

    def flush(self) -> tuple[Walk, ...]:
        """End all walks."""
        walks = [walk for track in self._tracker.flush() for walk in self._close(track.id)]
        self._diaries.clear()
        return tuple(walks)

    def _cut(self, track: int, time: float) -> list[Walk]:
        """End the walk of a track that has lasted `max_walk_s`."""
        diary = self._diaries.get(track)
        too_long = diary is not None and time - diary.times[0] > self._settings.max_walk_s
        return self._close(track) if too_long else []

    def _enter(
        self, track: int, observation: Observation, frame: Frame, crowded: bool, absorbs: bool
    ) -> tuple[Reason, ...]:
        """Add an observation to the diary of its track; return the reasons against it."""
        if observation.mask is None and observation.keypoints is None:
            self._warn()
            return (Reason.BOX_ONLY,)
        diary = self._diaries.setdefault(track, Diary(self._gates))
        return diary.add(observation, frame, crowded, absorbs)

    def _warn(self) -> None:
        """Say once why tracks make no walks."""
        if not self._warned:
            _log.warning("the extractor gives boxes without masks or keypoints; they make no walks")
        self._warned = True

    def _close(self, track: int) -> list[Walk]:
        """Return the walks of a track; none when it was seen only as a box."""
        diary = self._diaries.pop(track, None)
        return [] if diary is None else diary.walks(Origin(self._camera, track))


def _neighbours(tracks: tuple[Track, ...], most: float) -> tuple[list[bool], list[bool]]:
    """For each track: whether another one overlaps its box, and whether another one has vanished into it."""
    boxes = np.array([track.box for track in tracks], float).reshape(-1, 4)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    shared = intersection(boxes, boxes)
    np.fill_diagonal(shared, 0.0)
    seen = np.array([track.seen is not None for track in tracks], bool)
    counted = np.array([track.confirmed for track in tracks], bool)
    overlaps = (shared > most * area[:, None]) & (seen & counted)[None]
    absorbs = (shared > _ABSORBED_SHARE * area[None]) & (~seen & counted)[None]
    return overlaps.any(axis=1).tolist(), absorbs.any(axis=1).tolist()
