"""The generated scenes of the demo: two days before one camera, filmed and watched by perception."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.errors import SourceError
from gaitid.perception.pipeline import PerceptionSettings, Walk, watch
from gaitid.perception.sources import Source
from gaitid.perception.tracks import iou
from gaitid.records import GaitSequence
from gaitid.synthetic.background import draw_place
from gaitid.synthetic.population import Population
from gaitid.synthetic.scenes import GroundTruth, Scene, SceneWalker, crossing, lane_camera
from gaitid.workers import pool

SIZE = (640, 360)
"""Width and height of the video, pixels."""
AZIMUTH = (0.0, 8.0)
"""Azimuth of the camera on each day, degrees."""
DISTANCE = 12.0
"""Distance of the camera from the lanes, metres."""
LANES = (0.3, 1.7)
"""Range of depths at which people cross, metres."""
_GAP_S = 2.5
"""Seconds from one walker to the next: two or three are in view at a time."""
_START_S = 2.6
"""Seconds before the first walker; background subtraction learns the empty scene."""
_MIN_IOU = 0.3
"""Least overlap (IoU) of a track's box with the box of the subject it shows."""
_FIRST_OTHER = 100
"""Number of the first of the other people; those of the demo are lower."""
_OWNED = 0.9
"""Share of a walk's good frames that must show one subject for the walk to be theirs."""


@dataclass(frozen=True, slots=True, eq=False)
class FilmedDay:
    """One day after perception.

    Attributes:
        name: Name of the day.
        video: File of its frames.
        frames: Number of frames.
        walks: Walks that perception found.
        truths: Ground truth: time of a frame -> subjects in view, each with its box.
        portraits: Subject -> picture, BGR.
    """

    name: str
    video: Path
    frames: int
    walks: tuple[Walk, ...]
    truths: dict[float, list[tuple[str, NDArray[np.float32]]]]
    portraits: dict[str, NDArray[np.uint8]]


def plan(subjects: int, impostors: int, seed: int) -> tuple[Scene, Scene]:
    """Plan both days: who walks when, on which lane and in which clothes.

    Faster walkers come first, so that nobody is overtaken. Two people who walk merged all the way are lost
    to perception, and the demo has too few people to lose any.
    """
    rng = np.random.default_rng([seed, 11])
    return (
        _day("day-1", 0, range(subjects), rng, seed),
        _day("day-2", 1, range(subjects + impostors), rng, seed),
    )


def plan_others(count: int, seed: int) -> Scene:
    """Plan a day before the camera of day two on which only `count` other people walk past."""
    rng = np.random.default_rng([seed, 12])
    return _day("others", 1, range(_FIRST_OTHER, _FIRST_OTHER + count), rng, seed)


def _day(name: str, day: int, people: Sequence[int], rng: np.random.Generator, seed: int) -> Scene:
    population = Population(seed, "test")
    camera = lane_camera(SIZE, AZIMUTH[day], DISTANCE)
    lanes = [crossing(camera, SIZE, float(rng.uniform(*LANES))) for _ in people]
    walkers = [
        SceneWalker(who, lane, 0.0, day, day, "cl" if day and who % 2 else "nm")
        for who, lane in zip(people, lanes, strict=True)
    ]
    waits = sorted((_crossing_s(population, walker), k) for k, walker in enumerate(walkers))
    walkers = [
        replace(walkers[k], start_s=_START_S + turn * _GAP_S, seconds=takes + 1)
        for turn, (takes, k) in enumerate(waits)
    ]
    length = max(walker.start_s + (walker.seconds or 0) for walker in walkers)
    place = draw_place(("street", "hall")[day], seed)
    return Scene(walkers, camera, place, seed, SIZE, seconds=length, name=name)


def _crossing_s(population: Population, walker: SceneWalker) -> float:
    """Seconds a walker takes for the whole path."""
    actor = population.actor(
        walker.identity,
        walker.session,
        walker.number,
        condition=walker.condition,
        frames=75,
        path=walker.path,
    )
    gone = float(np.linalg.norm(actor.root[-1] - actor.root[0]))
    return walker.path.length / gone * float(actor.times[-1])


def film_all(scenes: Sequence[Scene], folder: Path, perception: PerceptionSettings) -> list[FilmedDay]:
    """Film all days at the same time, each in its own process."""
    videos = [folder / f"{scene.name}.avi" for scene in scenes]
    with pool(2) as processes:
        films = processes.map(_film_apart, scenes, videos, [perception] * len(scenes))
        return [_restored(*parts) for parts in films]


def _film_apart(scene: Scene, video: Path, perception: PerceptionSettings) -> tuple[FilmedDay, list[Any]]:
    """Film a day in another process; sequences are returned as their parts, which can be pickled."""
    day = film(scene, video, perception)
    parts = [
        None if s is None else (dict(s.streams), s.times, s.boxes, dict(s.dropped), s.origin)
        for s in (walk.sequence for walk in day.walks)
    ]
    return replace(day, walks=tuple(replace(walk, sequence=None) for walk in day.walks)), parts


def _restored(day: FilmedDay, parts: list[Any]) -> FilmedDay:
    whole = (
        replace(walk, sequence=None if part is None else GaitSequence(*part))
        for walk, part in zip(day.walks, parts, strict=True)
    )
    return replace(day, walks=tuple(whole))


def film(scene: Scene, video: Path, perception: PerceptionSettings) -> FilmedDay:
    """Generate a day, write its frames to `video` and run perception on them."""
    cv2.setNumThreads(1)
    source = _Filming(scene, video)
    walks: list[Walk] = []
    with source:
        for view in watch(source, settings=perception):
            walks += view.walks
            if (view.frame.index + 1) % 250 == 0:
                print(
                    f"{scene.name}: frame {view.frame.index + 1} of {len(scene)}", file=sys.stderr, flush=True
                )
    return FilmedDay(scene.name, video, len(scene), tuple(walks), source.truths, source.portraits)


class _Filming(Source):
    """A scene as a source that writes its frames to a video and keeps the ground truth."""

    def __init__(self, scene: Scene, video: Path) -> None:
        super().__init__(scene.name, scene.name, fps=scene.fps, size=scene.size, frame_count=len(scene))
        self._scene = scene
        code = cv2.VideoWriter.fourcc(*"MJPG")
        self._writer = cv2.VideoWriter(str(video), cv2.CAP_FFMPEG, code, scene.fps, scene.size)
        if not self._writer.isOpened():
            raise SourceError(f"Video {video} cannot be written", "free disk space", "Pass another --out")
        self.truths: dict[float, list[tuple[str, NDArray[np.float32]]]] = {}
        self.portraits: dict[str, NDArray[np.uint8]] = {}
        self._best: dict[str, float] = {}

    def close(self) -> None:
        self._writer.release()

    def _pictures(self) -> Iterator[tuple[NDArray[np.uint8], float]]:
        for frame, truth in self._scene:
            self._writer.write(frame.image)
            self.truths[frame.time] = [(s.subject, s.box) for s in truth.sightings]
            self._portray(frame.image, truth)
            yield frame.image, frame.time

    def _portray(self, image: NDArray[np.uint8], truth: GroundTruth) -> None:
        """Keep the best picture of each walker: unoccluded and near the middle of the frame."""
        for s in truth.sightings:
            off = abs(float(s.box[0] + s.box[2]) / 2 - image.shape[1] / 2) / image.shape[1]
            worth = s.share - off
            if worth > self._best.get(s.subject, 0.0):
                self._best[s.subject] = worth
                middle, feet = (s.box[0] + s.box[2]) / 2, s.box[3] + 8
                tall = int(s.box[3] - s.box[1]) + 16
                x, y = int(max(0, middle - 0.36 * tall)), int(max(0, feet - tall))
                self.portraits[s.subject] = image[y : y + tall, x : x + int(0.72 * tall)].copy()


def owner(walk: Walk, day: FilmedDay) -> str | None:
    """The subject of a walk by ground truth; None when its good frames show nobody or several people."""
    if walk.sequence is None or walk.sequence.boxes is None:
        return None
    votes: Counter[str] = Counter()
    for moment, box in zip(walk.sequence.times, walk.sequence.boxes, strict=True):
        there = day.truths[float(moment)]
        shared = iou(box[None].astype(float), np.array([b for _, b in there], float).reshape(-1, 4))[0]
        if shared.max(initial=0) > _MIN_IOU:
            votes[there[int(shared.argmax())][0]] += 1
    subject, count = votes.most_common(1)[0] if votes else ("", 0)
    return subject if count >= _OWNED * len(walk.sequence) else None
