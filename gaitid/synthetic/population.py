"""Populations of synthetic subjects: identity, session and sequence, reproducible from their numbers.

Every draw uses its own Philox stream, keyed by (seed, split, stage, identity, session, number). A sequence is
the same whenever it is made: alone, in any order, in any process.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError
from gaitid.records import SILHOUETTE, SKELETON, SKELETON_3D, GaitSequence, Origin
from gaitid.synthetic import lifelike as real
from gaitid.synthetic.actor import Actor
from gaitid.synthetic.body import COCO, FEMALE, MALE, BodyShape, load_body
from gaitid.synthetic.camera import Camera
from gaitid.synthetic.depth import Sensor
from gaitid.synthetic.detect import detect
from gaitid.synthetic.dress import Dressed
from gaitid.synthetic.frames import Extent, align_all
from gaitid.synthetic.motion import walk
from gaitid.synthetic.noise import degrade, draw_segmenter
from gaitid.synthetic.occlude import OCCLUSIONS, cut_at_border, hide_behind_object, join_walker
from gaitid.synthetic.outfit import Wardrobe, draw_arms, draw_hair, draw_wardrobe, style_changes
from gaitid.synthetic.path import Pace, Path
from gaitid.synthetic.render import masks as render_masks
from gaitid.synthetic.render import snap
from gaitid.synthetic.style import Style, draw_style, vary_sequence, vary_session

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

SPLITS = ("train", "validation", "test")
VIEWS = tuple(float(view) for view in range(0, 181, 18))
"""The eleven views of CASIA-B."""
_STAGES = ("identity", "session", "sequence", "camera", "occlusion", "masks", "keypoints", "depth")


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticSubject:
    """What stays the same about a subject.

    Attributes:
        subject: Name, unique over seeds and splits.
        sex: 0 male, 1 female.
        age: Years.
        figure: Body in its rest pose.
        style: Style of walking.
        hair: Hair style and size 0..1.
    """

    subject: str
    sex: int
    age: float
    figure: BodyShape
    style: Style
    hair: tuple[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Day:
    """A subject on one day: the style of walking of the day, and the clothes."""

    style: Style
    wardrobe: Wardrobe


@dataclass(frozen=True, slots=True)
class Key:
    """Identifies one sequence of a population; `lifelike` as in `Population`, the other fields as there."""

    seed: int
    split: str
    identity: int
    session: int
    number: int
    condition: str
    view: float
    lifelike: bool = False

    def camera_stream(self, stage: str) -> np.random.Generator:
        """The random stream of a stage that all walks of one day share that pass one camera."""
        return _stream(self.seed, self.split, stage, self.session, self._turn)

    @property
    def _turn(self) -> int:
        return round(self.view * 64) % (360 * 64)

    def stream(self, stage: str, draw: int = 0) -> np.random.Generator:
        """The random stream of a stage of this sequence; `draw` is the number of a repeated draw."""
        condition = int.from_bytes(self.condition.encode(), "big")
        return _stream(
            self.seed,
            self.split,
            stage,
            self.identity,
            self.session,
            self.number,
            condition,
            self._turn,
            draw,
        )


class Population:
    """An unlimited number of synthetic subjects, numbered from 0.

    Args:
        seed: Populations of different seeds share no subject.
        split: One of `SPLITS`; splits of a seed share no subject.
        shape: Factor on the differences between bodies; 0 gives all subjects the same body.
        motion: Factor on the differences between styles; 0 makes all subjects walk alike.
        restless: How much subjects turn, look aside and gesture while they walk: the mean strength, from
            which each walk draws its own. 0 adds nothing to the stride.
        lifelike: Clothes, postures and masks with the spreads of real people, see `lifelike`. Walks of one
            day and view pass the same camera. Bodies and free-form harmonics are those of the same seed
            without it.

    Raises:
        InputError: An argument is out of range.
    """

    def __init__(
        self,
        seed: int = 0,
        split: str = "train",
        *,
        shape: float = 1.0,
        motion: float = 1.0,
        restless: float = 0.0,
        lifelike: bool = False,
    ) -> None:
        if split not in SPLITS:
            raise InputError(f"Split is {split!r}", f"one of {SPLITS}", "Pass a known split")
        if not 0 <= seed < 2**63 or not all(0 <= f <= 2 for f in (shape, motion, restless)):
            raise InputError(
                f"Seed is {seed}; factors shape, motion and restless are {shape}, {motion} and {restless}",
                "a seed of 0 or more and factors from 0 to 2",
                "Pass values in these ranges",
            )
        self.seed, self.split, self.shape, self.motion = seed, split, shape, motion
        self.restless, self.lifelike = restless, lifelike
        self._subject = lru_cache(maxsize=256)(self._draw_subject)
        self._day = lru_cache(maxsize=256)(self._draw_day)
        self._dressed = lru_cache(maxsize=64)(self._dress)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments only: a copy draws the same subjects and has empty caches."""
        make = partial(
            Population,
            shape=self.shape,
            motion=self.motion,
            restless=self.restless,
            lifelike=self.lifelike,
        )
        return make, (self.seed, self.split)

    def identity(self, identity: int) -> SyntheticSubject:
        """The subject with that number."""
        return self._subject(_checked(identity, "identity"))

    def day(self, identity: int, session: int) -> Day:
        """A subject on a day."""
        return self._day(_checked(identity, "identity"), _checked(session, "session"))

    def sequence(
        self,
        identity: int,
        session: int = 0,
        number: int = 0,
        *,
        condition: str = "nm",
        view: float = 90.0,
        frames: int = 60,
        fps: float = 25.0,
        pace: Pace | None = None,
        path: Path | None = None,
        camera: Camera | None = None,
        height_px: float | None = None,
        occlusion: str = "none",
    ) -> SyntheticWalk:
        """Film one walk with one camera.

        Args:
            identity: Number of the subject.
            session: Number of the day; clothes and mood are the same within a day.
            number: Number of the walk on that day.
            condition: ``nm`` (normal), ``bg`` (with a bag) or ``cl`` (in a coat).
            view: Degrees from the walking direction, see `Camera.beside`. Cameras of different views
                film the same walk.
            frames: Number of frames.
            fps: Frames per second.
            pace: Speed over time; default: the subject's own.
            path: Path of the walk; default: straight along +x, at the origin in the middle of the walk.
            camera: The camera; default: one at `view` with a drawn distance, height and lens.
            height_px: Body height in the middle of the walk with the default camera; default: drawn
                from 48 to 120 (the real test video has 48 to 110).
            occlusion: One of `occlude.OCCLUSIONS`.

        Raises:
            InputError: An argument is out of range.
        """
        if occlusion not in OCCLUSIONS:
            raise InputError(f"Occlusion is {occlusion!r}", f"one of {OCCLUSIONS}", "Pass a known occlusion")
        key = self._key(identity, session, number, condition, view)
        subject = self.identity(identity)
        actor = self._act(key, frames, fps, pace, path)
        if path is None:
            actor = actor.moved(-actor.root.mean(0))
        camera = camera or _camera_of(key, subject.figure.height, height_px)
        walk = _film(actor, camera, key, subject.subject)
        if occlusion == "none":
            return walk
        return _hide(walk, self._occlude(walk, occlusion, camera))

    def _draw_subject(self, identity: int) -> SyntheticSubject:
        rng = _stream(self.seed, self.split, "identity", identity)
        sex = FEMALE if rng.random() < 0.5 else MALE
        age = float(rng.uniform(18, 60) if rng.random() < 0.8 else rng.uniform(60, 85))
        body = load_body()
        scores = body.draw(rng, sex, age)
        hair = draw_hair(rng, sex)
        if self.shape != 1:
            scores = self.shape * scores
        if self.shape == 0:
            hair = ("short", 0.5)
        figure = body.figure(scores, sex, age)
        subject = f"{self.split[:2]}{self.seed}-{identity:05d}"  # see `subject_of`
        return SyntheticSubject(subject, sex, age, figure, draw_style(rng, figure, self.motion), hair)

    def _draw_day(self, identity: int, session: int) -> Day:
        subject = self.identity(identity)
        rng = _stream(self.seed, self.split, "session", identity, session)
        style = vary_session(rng, subject.style)
        if self.lifelike:
            return Day(real.posture(style), real.wardrobe(rng, subject.sex, subject.hair))
        return Day(style, draw_wardrobe(rng, subject.sex, subject.hair))

    def _dress(self, identity: int, session: int, condition: str) -> Dressed:
        outfit = self.day(identity, session).wardrobe.wear(condition)
        rng = _stream(self.seed, self.split, "session", identity, session, 1)
        return Dressed(load_body(), self.identity(identity).figure, outfit, rng)

    def actor(
        self,
        identity: int,
        session: int = 0,
        number: int = 0,
        *,
        condition: str = "nm",
        frames: int = 60,
        fps: float = 25.0,
        pace: Pace | None = None,
        path: Path | None = None,
    ) -> Actor:
        """The same walk in world coordinates, for any camera or scene; see `sequence`.

        Without a path it begins at the origin and follows +x.
        """
        key = self._key(identity, session, number, condition, 0.0)
        return self._act(key, frames, fps, pace, path)

    def _key(self, identity: int, session: int, number: int, condition: str, view: float) -> Key:
        number = _checked(number, "number")
        return Key(self.seed, self.split, identity, session, number, condition, view, self.lifelike)

    def _act(self, key: Key, frames: int, fps: float, pace: Pace | None, path: Path | None) -> Actor:
        subject, day = self.identity(key.identity), self.day(key.identity, key.session)
        outfit = day.wardrobe.wear(key.condition)
        rng = replace(key, view=0.0).stream("sequence")
        style = vary_sequence(rng, day.style, real.WALKS if self.lifelike else 1.0)
        style = style.shifted(style_changes(outfit))
        arms = draw_arms(self._arms_stream(key, rng), outfit)
        motion = walk(
            load_body(), subject.figure, style, rng,
            frames=frames, fps=fps, path=path, pace=pace, arms=arms, restless=self.restless,
        )  # fmt: skip
        dressed = self._dressed(key.identity, key.session, key.condition)
        posed = dressed.pose(motion)
        root = motion.positions[:, 0, :2]
        return Actor(
            dressed, posed.vertices, posed.keypoints, motion.times, root,
            motion.heading, motion.phase, motion.planted,
        )  # fmt: skip

    def _arms_stream(self, key: Key, rng: np.random.Generator) -> np.random.Generator:
        """Lifelike subjects use their arms alike all day."""
        if not self.lifelike:
            return rng
        return _stream(self.seed, self.split, "session", key.identity, key.session, 2)

    def _occlude(self, walk: SyntheticWalk, occlusion: str, camera: Camera) -> Bytes:
        rng = walk.key.stream("occlusion")
        if occlusion == "object":
            return hide_behind_object(walk.clean, walk.corners, rng)
        if occlusion == "border":
            return cut_at_border(walk.clean, walk.corners, rng)
        key = walk.key
        other = 1_000_000_000 + key.identity  # a number that nobody uses
        middle = walk.root.mean(0)
        heading = float(rng.uniform(0, 360))
        away = np.deg2rad(heading)
        span = 1.2 * walk.times[-1] / 2
        place = middle + 0.8 * (camera.position[:2] - middle) / np.linalg.norm(camera.position[:2] - middle)
        start = place - span * np.array([np.cos(away), np.sin(away)])
        path = Path.straight((float(start[0]), float(start[1])), heading)
        fps = 1 / (walk.times[1] - walk.times[0])
        actor = self._act(replace(key, identity=other, view=0.0), len(walk.times), fps, None, path)
        pixels, _ = camera.project(actor.vertices)
        moved = snap(pixels - walk.corners[:, None])
        seen = render_masks(moved, actor.dressed.faces, actor.dressed.edges, *walk.clean.shape[1:])
        return join_walker(walk.clean, seen, rng)


@dataclass(frozen=True, eq=False)
class SyntheticWalk:
    """One walk as a camera sees it; noise is drawn on demand.

    Attributes:
        key: Identity of the sequence.
        subject: Name of the subject.
        times: (T,) seconds.
        clean: (T, H, W) uint8 0/1, true masks in windows that follow the subject.
        corners: (T, 2) int64 x, y of the first pixel of each window in the picture.
        keypoints: (T, 17, 2) true pixels in the picture.
        seen: (T, 17) visibility: 0 hidden by the body, 1 visible.
        joints: (T, 17, 3) true metres in the world, z up.
        root: (T, 2) metres, position on the ground.
        heading: (T,) walking direction, radians.
        phase: (T,) strides; a left heel strikes at whole numbers.
    """

    key: Key
    subject: str
    times: Floats
    clean: Bytes
    corners: NDArray[np.int64]
    keypoints: Singles
    seen: Singles
    joints: Singles
    root: Floats
    heading: Floats
    phase: Floats

    @cached_property
    def _extent(self) -> Extent:
        return Extent.of(self.clean)

    @cached_property
    def heights(self) -> Floats:
        """(T,) heights of the true masks in pixels; 0 for an empty mask."""
        extent = self._extent
        return np.where(extent.filled, extent.bottom - extent.top, 0).astype(np.float64)

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(T, 4) xyxy boxes of the true masks in the picture; the whole window for an empty mask."""
        return self._extent.boxes(self.corners)

    def masks(self, level: float = 1.0, draw: int = 0) -> Bytes:
        """(T, H, W) masks with the noise of a segmenter; `level` 0 is clean, `draw` selects the noise."""
        if level == 0:
            return self.clean
        rng = self.key.stream("masks", draw)
        if self.key.lifelike:
            errors = real.segmenter(self.key.camera_stream("masks"), level)
        else:
            errors = draw_segmenter(rng, level)
        return degrade(self.clean, rng, errors, self._extent)

    def detected(self, level: float = 1.0, draw: int = 0) -> NDArray[np.float32]:
        """(T, 17, 3) keypoints with the noise of a pose estimator."""
        spans = (
            np.ptp(self.keypoints[..., 1], axis=1).astype(np.float64) * 1.15
        )  # eyes to ankles, hidden or not
        pixels, seen = self.keypoints.astype(np.float64), self.seen.astype(np.float64)
        return detect(pixels, seen, spans, self.key.stream("keypoints", draw), level)

    def measured(self, sensor: Sensor | None = None, draw: int = 0) -> NDArray[np.float32]:
        """(T, 17, 4) joints in metres as a depth sensor measures them; default: `Sensor.usual`."""
        return (sensor or Sensor.usual()).measure(self.joints, self.key.stream("depth", draw))

    @cached_property
    def silhouettes(self) -> Bytes:
        """(T, 64, 44) uint8 0/1, noisy and aligned; all zeros for a frame without a body."""
        return align_all(self.masks())

    @cached_property
    def skeletons(self) -> NDArray[np.float32]:
        """(T, 17, 3) float32 pixels and confidence, noisy."""
        return self.detected()

    def sequence(
        self, level: float = 1.0, draw: int = 0, *, modalities: tuple[str, ...] = (SILHOUETTE, SKELETON)
    ) -> GaitSequence:
        """Build the `GaitSequence` of the frames that show a body.

        Args:
            level: Strength of the noise; 0 none, 1 like real video.
            draw: Number of the draw of the noise.
            modalities: Streams to include.

        Raises:
            InputError: No frame shows the body.
        """
        masks = self.masks(level, draw)
        extent = Extent.of(masks)
        silhouettes = align_all(masks, extent=extent)
        good = silhouettes.any((1, 2))
        if not good.any():
            raise InputError("No frame of the walk shows the body", "one frame or more", "Use less occlusion")
        made: dict[str, Callable[[], NDArray[np.generic]]] = {
            SILHOUETTE: lambda: silhouettes,
            SKELETON: lambda: self.detected(level, draw),
            SKELETON_3D: lambda: self.measured(draw=draw),
        }
        streams = {name: make()[good] for name, make in made.items() if name in modalities}
        boxes = extent.boxes(self.corners)[good]
        return GaitSequence(
            streams, self.times[good], boxes, {}, Origin(f"view-{self.key.view:g}", self.key.number)
        )


def subject_of(subject: str) -> SyntheticSubject:
    """Draw the subject with a name, from a population without factors on shape and motion.

    Raises:
        InputError: It is not the name of a synthetic subject.
    """
    found = re.fullmatch(r"([a-z]{2})(\d+)-(\d{5,})", subject)
    splits = {split[:2]: split for split in SPLITS}
    if found is None or found[1] not in splits:
        raise InputError(
            f"Subject is {subject!r}", "a name such as 'tr1-00042'", "Pass the name of a synthetic subject"
        )
    return _population(int(found[2]), splits[found[1]]).identity(int(found[3]))


@lru_cache(maxsize=8)
def _population(seed: int, split: str) -> Population:
    return Population(seed, split)


def _film(actor: Actor, camera: Camera, key: Key, subject: str) -> SyntheticWalk:
    clean, corners = actor.masks(camera)
    points, seen = (values.astype(np.float32) for values in actor.joints(camera))
    joints = actor.keypoints[:, :COCO].astype(np.float32)
    return SyntheticWalk(
        key,
        subject,
        actor.times,
        clean,
        corners,
        points,
        seen,
        joints,
        actor.root,
        actor.heading,
        actor.phase,
    )


def _hide(walk: SyntheticWalk, left: Bytes) -> SyntheticWalk:
    """The walk with the masks that an occlusion leaves; a joint whose pixel is hidden is not seen."""
    frames, height, width = left.shape
    x, y = np.moveaxis(np.rint(walk.keypoints - walk.corners[:, None]).astype(int), -1, 0)
    spot = np.arange(frames)[:, None], y.clip(0, height - 1), x.clip(0, width - 1)
    gone = (walk.clean[spot] == 1) & (left[spot] == 0)
    return replace(walk, clean=left, seen=np.where(gone, np.float32(0), walk.seen))


def _camera_of(key: Key, stature: float, height_px: float | None) -> Camera:
    if key.lifelike:
        return _draw_camera(key.camera_stream("camera"), key.view, 1.7, height_px)
    return _draw_camera(key.stream("camera"), key.view, stature, height_px)


def _draw_camera(rng: np.random.Generator, view: float, stature: float, height_px: float | None) -> Camera:
    """Draw a camera at a view: distance, height, lens and a little roll."""
    distance = float(np.exp(rng.uniform(np.log(4.0), np.log(11.0))))
    height = float(rng.uniform(0.9, 1.8) if rng.random() < 0.6 else rng.uniform(1.8, 0.35 * distance + 1.2))
    tall = height_px or float(np.exp(rng.uniform(np.log(48), np.log(120))))
    along = float(np.hypot(distance, height - 0.9))
    return Camera.beside(
        view + float(rng.normal(0, 2.0)),
        distance=distance,
        height=height,
        focal=tall / stature * along**2 / distance,
        roll=float(rng.normal(0, 0.8)),
        distortion=float(rng.choice([0.0, rng.uniform(-0.12, 0.04)])),
    )


def _stream(seed: int, split: str, stage: str, *numbers: int) -> np.random.Generator:
    """The random stream of a stage and its numbers."""
    words = (seed, SPLITS.index(split), _STAGES.index(stage), len(numbers), *numbers)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))


def _checked(number: int, what: str) -> int:
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or not 0 <= number < 2**40:
        raise InputError(
            f"Argument {what} is {number!r}", "a whole number from 0 to 2**40 - 1", "Count from 0"
        )
    return int(number)
