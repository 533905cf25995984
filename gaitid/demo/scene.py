"""``gaitid demo`` without a video: people who do not exist, enrolled on one day, seen again on another.

Two days are generated, each a colour video of one camera. On day one everybody to be known walks past
once and is enrolled from the track that perception found; who that was is told by the generator, as a
guard who enrols people would. On day two the same people come back in other clothes, before a camera
that stands elsewhere, among strangers who were never enrolled. Everything runs through perception and a
server on this machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.encoders.base import Encoder, load_encoder
from gaitid.errors import InputError, SourceError
from gaitid.perception.pipeline import Walk, watch
from gaitid.perception.sources import Source
from gaitid.perception.tracks import iou
from gaitid.quality import assess
from gaitid.records import Decision, GaitSequence, OperatingPoint, Quality
from gaitid.remote import RemoteMatcher
from gaitid.server.app import ServerSettings, running
from gaitid.synthetic.background import draw_place
from gaitid.synthetic.population import Population
from gaitid.synthetic.scenes import GroundTruth, Scene, SceneWalker, crossing, lane_camera
from gaitid.workers import pool

GALLERY = "demo"
FPIR = 0.1
"""Share of strangers who may be given a name; the threshold is set for it."""
_CALIBRATION, _CALIBRATION_FRAMES = 40, 150
"""People whom the threshold is learnt from, and how long each of their walks is."""
SIZE = (640, 360)
AZIMUTH = (0.0, 8.0)
"""Where the camera stands on each day, degrees."""
_DISTANCE = 12.0
_LANES = (0.3, 1.7)
"""Depths at which people cross, metres."""
_GAP_S = 2.5
"""Seconds from one walker to the next: two or three are in view at a time."""
_START_S = 2.6
_MIN_FRAMES = 10
_OWNED = 0.9
"""Share of a walk's good frames that must show one subject, else nobody can say whose it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Filmed:
    """One day after perception.

    Attributes:
        name: Of the day.
        video: File of its frames.
        frames: Number of frames.
        walks: What perception found.
        truths: What was true of every frame, without masks: by time, subject and box.
        portraits: A picture of each subject, BGR.
    """

    name: str
    video: Path
    frames: int
    walks: tuple[Walk, ...]
    truths: dict[float, list[tuple[str, NDArray[np.float32]]]]
    portraits: dict[str, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A walk of day two and its answer.

    Attributes:
        subject: Whose walk it truly is.
        condition: Clothes: ``nm`` or ``cl``.
        walk: The walk.
        decision: The server's answer.
        enrolled: True when the subject is in the gallery.
    """

    subject: str
    condition: str
    walk: Walk
    decision: Decision
    enrolled: bool

    @property
    def quality(self) -> Quality:
        """The quality that the server found."""
        assert self.decision.quality is not None  # noqa: S101 - a sequence probe always has its quality
        return self.decision.quality


@dataclass(frozen=True, slots=True, eq=False)
class Story:
    """Everything that the report tells.

    Attributes:
        days: Both days.
        enrolled: Subject -> its walks of day one.
        failed: Subjects of day one without a usable walk.
        probes: Walks of day two with answers.
        unowned: Walks of both days of which nobody can say whose they are.
        conditions: Subject -> clothes on day two.
        strangers: Subjects never enrolled on purpose.
        threshold: Of the gallery.
        encoder: Name.
        seed: Of the population.
        seconds: Wall time so far, by step.
    """

    days: tuple[Filmed, Filmed]
    enrolled: dict[str, list[Walk]]
    failed: list[str]
    probes: list[Probe]
    unowned: int
    conditions: dict[str, str]
    strangers: list[str]
    threshold: float
    encoder: str
    seed: int
    seconds: dict[str, float]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the generated demo."""
    parser.add_argument("--people", type=int, default=8, help="people enrolled in the scene (default: 8)")
    parser.add_argument("--strangers", type=int, default=4, help="people never enrolled (default: 4)")
    parser.add_argument("--seed", type=int, default=0, help="of the generated scene (default: 0)")


def run(options: argparse.Namespace) -> int:
    """Run the generated demo and say where its results are."""
    from gaitid.demo import scene_report as demo_scene_report

    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gaitid-demo-") as folder:
        story = play(options.people, options.strangers, options.seed, options.encoder, Path(folder))
        _say("writing the report and the annotated videos")
        demo_scene_report.write(options.out, story)
    print("\n".join(demo_scene_report.lines(story)))
    for name in demo_scene_report.FILES:
        print(f"  {options.out / name}")
    return 0


def play(people: int, strangers: int, seed: int, encoder: str, folder: Path) -> Story:
    """Film both days, enrol from the first, identify on the second.

    Args:
        people: Number of subjects to enrol.
        strangers: Number of subjects who only come on day two.
        seed: Who they are, what they wear, where they walk.
        encoder: Of the server.
        folder: For the server's data and the videos; may be thrown away after the report is written.
    """
    if people < 1 or strangers < 0 or people + strangers > 60:
        raise InputError(f"{people} people, {strangers} strangers", "1 to 60 in all", "ask for fewer")
    scenes = plan(people, strangers, seed)
    begun = time.monotonic()
    days = _film_all(scenes, folder)
    filmed = time.monotonic()
    _say("choosing a threshold on other people")
    point = OperatingPoint(calibrate(load_encoder(encoder), people, seed))
    settings = ServerSettings(address="127.0.0.1:0", data=folder / "data", encoder=encoder)
    with running(settings) as address:
        _say(f"server on {address}, data in {folder}")
        matcher = RemoteMatcher(address)
        matcher.create_gallery(GALLERY, operating_point=point)
        enrolled, failed, unowned = _enrol(matcher, days[0])
        probes, more = _identify(matcher, days[1], scenes[1], set(enrolled))
        matcher.close()
    seconds = {"filming and perception": filmed - begun, "server": time.monotonic() - filmed}
    conditions = {scenes[1].subject(k): walker.condition for k, walker in enumerate(scenes[1].walkers, 1)}
    known = {scenes[0].subject(k) for k in range(1, people + 1)}
    return Story(
        days, enrolled, failed, probes, unowned + more, conditions,
        sorted(set(conditions) - known), point.threshold, encoder, seed, seconds,
    )  # fmt: skip


def calibrate(encoder: Encoder, people: int, seed: int) -> float:
    """The score that the best of `people` enrolled subjects reaches with one stranger in ten.

    It is measured on people of another split, who are neither in the gallery nor strangers of the demo,
    on two days before the demo's cameras, with masks as a segmenter gives them.
    """
    population = Population(seed, "validation")

    def templates(day: int) -> NDArray[np.float32]:
        camera = lane_camera(SIZE, AZIMUTH[day], _DISTANCE)
        path = crossing(camera, SIZE, sum(_LANES) / 2)
        walks = (
            population.sequence(
                k, day, day, condition="cl" if day and k % 2 else "nm", view=270 + AZIMUTH[day],
                frames=_CALIBRATION_FRAMES, path=path, camera=camera,
            )
            for k in range(_CALIBRATION)
        )  # fmt: skip
        wanted = tuple(encoder.modalities)
        return np.stack([encoder(walk.sequence(modalities=wanted)).vector for walk in walks])

    scores = templates(1) @ templates(0).T
    rng = np.random.default_rng(seed)
    best = []
    for probe, row in enumerate(scores):
        others = np.delete(row, probe)
        best += [rng.choice(others, min(people, len(others)), replace=False).max() for _ in range(50)]
    return float(np.quantile(best, 1 - FPIR))


def plan(people: int, strangers: int, seed: int) -> tuple[Scene, Scene]:
    """Who walks when, where and in what on both days.

    Faster walkers come first, so that nobody is overtaken: a pair that walks merged all the way would be
    lost for both, and a demo of so few people cannot spare them.
    """
    rng = np.random.default_rng([seed, 11])
    population = Population(seed, "test")
    scenes = []
    for day, count in enumerate((people, people + strangers)):
        camera = lane_camera(SIZE, AZIMUTH[day], _DISTANCE)
        lanes = [crossing(camera, SIZE, float(rng.uniform(*_LANES))) for _ in range(count)]
        walkers = [
            SceneWalker(who, lane, 0.0, day, day, "cl" if day and who % 2 else "nm")
            for who, lane in enumerate(lanes)
        ]
        waits = sorted((_crossing_s(population, walker), k) for k, walker in enumerate(walkers))
        walkers = [
            replace(walkers[k], start_s=_START_S + turn * _GAP_S, seconds=takes + 1)
            for turn, (takes, k) in enumerate(waits)
        ]
        length = max(walker.start_s + (walker.seconds or 0) for walker in walkers)
        place = draw_place(("street", "hall")[day], seed)
        scenes.append(Scene(walkers, camera, place, seed, SIZE, seconds=length, name=f"day-{day + 1}"))
    return scenes[0], scenes[1]


def _crossing_s(population: Population, walker: SceneWalker) -> float:
    """Seconds that a walker needs for the whole path."""
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


def _film_all(scenes: tuple[Scene, Scene], folder: Path) -> tuple[Filmed, Filmed]:
    """Both days at once, each in a process of its own."""
    videos = [folder / f"{scene.name}.avi" for scene in scenes]
    with pool(2) as processes:
        first, second = (_restored(*parts) for parts in processes.map(_film_apart, scenes, videos))
    return first, second


def _film_apart(scene: Scene, video: Path) -> tuple[Filmed, list[Any]]:
    """`film` for another process: sequences travel as their parts."""
    day = film(scene, video)
    parts = [
        None if s is None else (dict(s.streams), s.times, s.boxes, dict(s.dropped), s.origin)
        for s in (walk.sequence for walk in day.walks)
    ]
    return replace(day, walks=tuple(replace(walk, sequence=None) for walk in day.walks)), parts


def _restored(day: Filmed, parts: list[Any]) -> Filmed:
    whole = (
        replace(walk, sequence=None if part is None else GaitSequence(*part))
        for walk, part in zip(day.walks, parts, strict=True)
    )
    return replace(day, walks=tuple(whole))


def film(scene: Scene, video: Path) -> Filmed:
    """Generate a day, write its frames to `video`, and let perception watch it."""
    cv2.setNumThreads(1)
    source = _Filming(scene, video)
    walks: list[Walk] = []
    with source:
        for view in watch(source):
            walks += view.walks
            if (view.frame.index + 1) % 250 == 0:
                _say(f"{scene.name}: frame {view.frame.index + 1} of {len(scene)}")
    return Filmed(scene.name, video, len(scene), tuple(walks), source.truths, source.portraits)


class _Filming(Source):
    """A scene as a source that writes its frames and remembers what was true."""

    def __init__(self, scene: Scene, video: Path) -> None:
        super().__init__(scene.name, scene.name, fps=scene.fps, size=scene.size, frame_count=len(scene))
        self._scene = scene
        code = cv2.VideoWriter.fourcc(*"MJPG")
        self._writer = cv2.VideoWriter(str(video), cv2.CAP_FFMPEG, code, scene.fps, scene.size)
        if not self._writer.isOpened():
            raise SourceError(f"cannot write {video}", "room on disk", "choose another directory")
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
        """Keep a picture of each walker: whole, alone if possible, and near the middle."""
        for s in truth.sightings:
            off = abs(float(s.box[0] + s.box[2]) / 2 - image.shape[1] / 2) / image.shape[1]
            worth = s.share - off
            if worth > self._best.get(s.subject, 0.0):
                self._best[s.subject] = worth
                middle, feet = (s.box[0] + s.box[2]) / 2, s.box[3] + 8
                tall = int(s.box[3] - s.box[1]) + 16
                x, y = int(max(0, middle - 0.36 * tall)), int(max(0, feet - tall))
                self.portraits[s.subject] = image[y : y + tall, x : x + int(0.72 * tall)].copy()


def owner(walk: Walk, day: Filmed) -> str | None:
    """Whose walk it is by the truth, or None when its good frames show nobody or several."""
    if walk.sequence is None or walk.sequence.boxes is None:
        return None
    votes: Counter[str] = Counter()
    for moment, box in zip(walk.sequence.times, walk.sequence.boxes, strict=True):
        there = day.truths[float(moment)]
        shared = iou(box[None].astype(float), np.array([b for _, b in there], float).reshape(-1, 4))[0]
        if shared.max(initial=0) > 0.3:
            votes[there[int(shared.argmax())][0]] += 1
    subject, count = votes.most_common(1)[0] if votes else ("", 0)
    return subject if count >= _OWNED * len(walk.sequence) else None


def _enrol(matcher: RemoteMatcher, day: Filmed) -> tuple[dict[str, list[Walk]], list[str], int]:
    """Subjects with the walks they were enrolled from, those without any, and walks of nobody."""
    walks: dict[str, list[Walk]] = {}
    unowned = 0
    for walk in day.walks:
        if walk.sequence is None or not assess(walk.sequence).usable:
            continue
        subject = owner(walk, day)
        if subject is None:
            unowned += 1
        else:
            walks.setdefault(subject, []).append(walk)
    for subject, samples in walks.items():
        matcher.enrol(GALLERY, subject, [walk.sequence for walk in samples if walk.sequence])
    everybody = {subject for there in day.truths.values() for subject, _ in there}
    _say(f"{len(walks)} of {len(everybody)} people enrolled from day one")
    return walks, sorted(everybody - set(walks)), unowned


def _identify(
    matcher: RemoteMatcher, day: Filmed, scene: Scene, enrolled: set[str]
) -> tuple[list[Probe], int]:
    """An answer to every walk of day two that is long enough to be asked, and walks of nobody."""
    conditions = {scene.subject(k): walker.condition for k, walker in enumerate(scene.walkers, 1)}
    probes = []
    unowned = 0
    for walk in day.walks:
        if walk.sequence is None or len(walk.sequence) < _MIN_FRAMES:
            continue
        subject = owner(walk, day)
        if subject is None:
            unowned += 1
            continue
        decision = matcher.identify(GALLERY, walk.sequence, max_candidates=len(enrolled) or 1)
        probes.append(Probe(subject, conditions[subject], walk, decision, subject in enrolled))
    return probes, unowned


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
