"""Colour video of several walkers in a place, with the ground truth of every frame.

A scene lists who walks where and when in a `background.ScenePlace`. Frames are made in order: walkers are
painted twice as fine as the picture, far ones first, behind what stands in front of them. Then light, lens,
sensor noise and compression are added. Equal scenes give equal frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError
from gaitid.perception.sources import Source
from gaitid.records import Frame
from gaitid.synthetic.background import FINE, Backdrop, ScenePlace, draw_place, trace
from gaitid.synthetic.body import COCO
from gaitid.synthetic.camera import Camera
from gaitid.synthetic.garments import draw_colors
from gaitid.synthetic.path import Pace
from gaitid.synthetic.path import Path as Course
from gaitid.synthetic.population import Population
from gaitid.synthetic.render import SUBPIXEL, paint, snap

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

_MIN_PIXELS = 24
"""A walker with fewer visible pixels in a frame is not part of its ground truth."""
_NEAR_M = 0.3
"""A walker or shadow nearer to the camera than this is not drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class SceneWalker:
    """One walker of a scene.

    Attributes:
        identity: Number of the subject in the population of the scene.
        path: Path on the ground; see `crossing`.
        start_s: Time at which the walk begins, seconds; may be before the scene begins.
        session: Number of the day, which decides clothes and mood.
        number: Number of the walk on that day.
        condition: ``nm``, ``bg`` or ``cl``.
        pace: Share of the subject's own speed over time since `start_s`.
        seconds: Duration of the walk; default: to the end of the scene.
    """

    identity: int
    path: Course
    start_s: float = 0.0
    session: int = 0
    number: int = 0
    condition: str = "nm"
    pace: Pace | None = None
    seconds: float | None = None

    def first(self, fps: float) -> int:
        """Number of the first frame of the walker."""
        return round(self.start_s * fps)


@dataclass(frozen=True, slots=True)
class Light:
    """Changes of the light of the whole picture.

    Attributes:
        drift: Share by which the light slowly rises and falls.
        period_s: Period of the drift, seconds.
        jump_s: Time of a sudden change, seconds; None for no change.
        jump: Factor of the sudden change.
    """

    drift: float = 0.02
    period_s: float = 23.0
    jump_s: float | None = None
    jump: float = 1.0

    def at(self, time: float) -> float:
        """Factor of the light at a time in seconds."""
        slow = 1 + self.drift * np.sin(2 * np.pi * time / self.period_s)
        return float(slow * (self.jump if self.jump_s is not None and time >= self.jump_s else 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruthWalker:
    """Ground truth of one walker in one frame.

    Attributes:
        track: Number of the walker in the scene, from 1.
        subject: Name of the subject.
        box: (4,) float32 xyxy pixels of the visible part.
        mask: (h, w) uint8 0/1 of the visible part, in the box.
        whole_box: (4,) float32 xyxy pixels of the whole body, also outside the picture.
        whole_mask: (h, w) uint8 0/1 of the whole body, in its box, without occlusion.
        keypoints: (17, 3) float32 x, y pixels and 1 for visible, 0 for hidden or outside.
    """

    track: int
    subject: str
    box: NDArray[np.float32]
    mask: Bytes
    whole_box: NDArray[np.float32]
    whole_mask: Bytes
    keypoints: NDArray[np.float32]

    @property
    def share(self) -> float:
        """Visible share of the body, 0..1."""
        return int(np.count_nonzero(self.mask)) / max(int(np.count_nonzero(self.whole_mask)), 1)


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """Ground truth of a frame: time in seconds, number, and visible walkers by track."""

    time: float
    index: int
    sightings: tuple[GroundTruthWalker, ...]


@dataclass(frozen=True, eq=False)
class Scene:
    """A synthetic video; each iteration yields the same frames with their ground truth.

    Attributes:
        walkers: The walkers.
        camera: The camera; its principal point is the middle of the picture.
        place: The place.
        seed: Seed of population, colours and noise.
        size: (width, height) pixels.
        fps: Frames per second.
        seconds: Duration of the video.
        light: Changes of the light.
        noise: Standard deviation of the noise of the image sensor, grey levels.
        quality: Quality of the JPEG compression of every frame, 1 to 100.
        population: Population of `SceneWalker.identity`; default: the test split of `seed`.
        name: Name of the camera in each frame.

    Raises:
        InputError: Size, rate, duration, noise or quality are out of range.
    """

    walkers: Sequence[SceneWalker]
    camera: Camera
    place: ScenePlace
    seed: int = 0
    size: tuple[int, int] = (640, 360)
    fps: float = 25.0
    seconds: float = 10.0
    light: Light = Light()
    noise: float = 2.5
    quality: int = 85
    population: Population | None = None
    name: str = "synthetic"

    def __post_init__(self) -> None:
        width, height = self.size
        if not (32 <= width <= 4096 and 32 <= height <= 4096 and 5 <= self.fps <= 120 and self.seconds > 0):
            raise InputError(
                f"Scene is {width}x{height} at {self.fps} fps for {self.seconds} s",
                "32 to 4096 pixels, 5 to 120 fps and more than 0 s",
                "Pass values in these ranges",
            )
        if self.noise < 0 or not 1 <= self.quality <= 100:
            raise InputError(
                f"Noise is {self.noise} and quality is {self.quality}",
                "noise of 0 or more and quality from 1 to 100",
                "Pass values in these ranges",
            )

    def __len__(self) -> int:
        return round(self.seconds * self.fps)

    @cached_property
    def backdrop(self) -> Backdrop:
        """The place without walkers."""
        return trace(self.place, self.camera, self.size)

    @cached_property
    def people(self) -> Population:
        """The population of the walkers."""
        return self.population or Population(self.seed, "test")

    def subject(self, track: int) -> str:
        """Name of the subject with a track number."""
        return self.people.identity(self.walkers[track - 1].identity).subject

    def __iter__(self) -> Iterator[tuple[Frame, GroundTruth]]:
        waiting = {track: walker.first(self.fps) for track, walker in enumerate(self.walkers, 1)}
        playing: dict[int, _Player] = {}
        sensor = _ImageSensor(self)
        for index in range(len(self)):
            for track in [track for track, first in waiting.items() if first <= index]:
                del waiting[track]
                playing[track] = _Player(self, track)
            for track in [track for track, player in playing.items() if player.gone(index)]:
                del playing[track]
            found = (player.film(index) for player in playing.values())
            views = [view for view in found if view is not None]
            time = index / self.fps
            views.sort(key=lambda view: -view.depth)
            picture, sightings = _compose(self.backdrop, self.place, views)
            image = sensor(picture, index, self.light.at(time))
            yield Frame(image, time, self.name, index), GroundTruth(time, index, sightings)


@dataclass(frozen=True, slots=True, eq=False)
class _PaintedWalker:
    """A painted walker in one frame, in a window of the fine picture that may extend beyond it."""

    track: int
    subject: str
    depth: float
    corner: tuple[int, int]  # x, y of the window in pixels of the picture
    color: Bytes  # (2h, 2w, 3)
    whole: Bytes  # (2h, 2w) 0/255
    shadow: tuple[tuple[int, int], NDArray[np.float32]] | None
    joints: Floats  # (17, 3) x, y, visible


_NOBODY = np.zeros((0, 0, 3), np.uint8)


class _Player:
    """A walker of a scene, posed for all its frames."""

    def __init__(self, scene: Scene, track: int) -> None:
        walker, people = scene.walkers[track - 1], scene.people
        first = walker.first(scene.fps)
        count = len(scene) - first
        if walker.seconds is not None:
            count = min(count, round(walker.seconds * scene.fps))
        actor = people.actor(
            walker.identity, walker.session, walker.number, condition=walker.condition,
            frames=max(count, 2), fps=scene.fps, pace=walker.pace, path=walker.path,
        )  # fmt: skip
        self._scene, self._track, self._first, self._count = scene, track, first, count
        self._subject = scene.subject(track)
        self._vertices, self._faces = actor.vertices, actor.dressed.faces
        self._colors = draw_colors(people, walker.identity, walker.session, walker.condition)
        self._labels = self._colors.labels(actor.dressed.labels)
        points, free = actor.joints(scene.camera)
        self._joints = np.concatenate([points, (free > 0.5)[..., None]], 2)

    def gone(self, index: int) -> bool:
        """Whether the walk of the walker is over."""
        return index - self._first >= self._count

    def film(self, index: int) -> _PaintedWalker | None:
        """Paint the walker as the camera sees it; None outside the picture."""
        scene, points = self._scene, self._vertices[index - self._first]
        pixels, depth = scene.camera.project(points)
        if depth.min() < _NEAR_M:
            return None
        shadow = _cast_shadow(points, self._faces, scene)
        low, high = np.floor(pixels.min(0)).astype(int) - 2, np.ceil(pixels.max(0)).astype(int) + 3
        width, height = scene.size
        name, corner = self._subject, (int(low[0]), int(low[1]))
        joints = self._joints[index - self._first]
        if high[0] <= 0 or high[1] <= 0 or low[0] >= width or low[1] >= height:
            if shadow is None:
                return None
            return _PaintedWalker(
                self._track, name, float(depth.mean()), corner, _NOBODY, _NOBODY[..., 0], shadow, joints
            )
        fine = snap((pixels - low) * FINE)
        across, down = (high - low) * FINE
        labels, bright = paint(
            fine, depth, self._faces, self._labels, scene.place.sun, points, int(down), int(across)
        )
        whole = np.where(labels > 0, np.uint8(255), np.uint8(0))
        color = self._colors.paint(labels, bright)
        return _PaintedWalker(self._track, name, float(depth.mean()), corner, color, whole, shadow, joints)


def _cast_shadow(
    points: Floats, faces: NDArray[np.int32], scene: Scene
) -> tuple[tuple[int, int], NDArray[np.float32]] | None:
    """Corner in the picture and darkness 0..1 of the shadow of a walker on ground and wall."""
    place = scene.place
    sun = np.asarray(place.sun, np.float64)
    down = points[:, 2] / sun[2]
    if sun[1] < 0:  # light from the front can cast the shadow onto the wall
        down = np.minimum(down, (place.wall_y - points[:, 1]) / -sun[1])
    pixels, depth = scene.camera.project(points - down[:, None] * sun)
    blur = max(0.6, place.softness * scene.camera.focal / max(float(depth.mean()), 0.5))
    room = int(3 * blur) + 2
    low, high = np.floor(pixels.min(0)).astype(int) - room, np.ceil(pixels.max(0)).astype(int) + room
    low, high = np.maximum(low, -room), np.minimum(high, np.array(scene.size) + room)
    if depth.min() < _NEAR_M or (high - low).min() <= 2 * room:
        return None
    dark = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    corner = np.rint((pixels - low - 0.5) * SUBPIXEL).astype(np.int32)[faces]
    one, two = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    for triangle in corner[one[:, 0] * two[:, 1] < one[:, 1] * two[:, 0]]:  # one side covers the whole shadow
        cv2.fillConvexPoly(dark, triangle, 255, lineType=cv2.LINE_8, shift=4)
    soft = np.asarray(cv2.GaussianBlur(dark, (0, 0), blur), np.float32) / np.float32(255)
    return (int(low[0]), int(low[1])), soft


def _compose(
    backdrop: Backdrop, place: ScenePlace, views: Sequence[_PaintedWalker]
) -> tuple[Bytes, tuple[GroundTruthWalker, ...]]:
    """The picture without noise, and the ground truth of the walkers in the order of their tracks."""
    picture = backdrop.image.copy()
    _darken(picture, backdrop, place, views)
    owner = np.zeros(picture.shape[:2], np.int32)
    bodies = [view for view in views if view.whole.size]
    for view in bodies:
        there, window = _meet_picture(view.corner, view.whole.shape, picture.shape)
        fine, behind = _finer(there), _finer(window)
        free = np.where(backdrop.hiding[fine] > view.depth, view.whole[behind], 0).astype(np.uint8)
        color = np.where(free[..., None] > 0, view.color[behind], 0)
        shape = (picture[there].shape[1], picture[there].shape[0])
        alpha = cv2.resize(free, shape, interpolation=cv2.INTER_AREA)
        color = cv2.resize(color.astype(np.uint8), shape, interpolation=cv2.INTER_AREA)
        keep = 255 - alpha.astype(np.uint16)[..., None]
        picture[there] = (color + (picture[there] * keep + 127) // 255).clip(0, 255).astype(np.uint8)
        owner[there][alpha >= 128] = view.track
    sightings = (_sight(view, owner) for view in sorted(bodies, key=lambda view: view.track))
    return picture, tuple(sighting for sighting in sightings if sighting is not None)


def _darken(picture: Bytes, backdrop: Backdrop, place: ScenePlace, views: Sequence[_PaintedWalker]) -> None:
    """Darken the empty place by the shadows of the walkers, in place."""
    if not place.shadow or not any(view.shadow for view in views):
        return
    dark = np.zeros(picture.shape[:2], np.float32)
    for view in views:
        if view.shadow is not None:
            corner, soft = view.shadow
            there, window = _meet_picture(corner, soft.shape, picture.shape, 1)
            dark[there] = np.maximum(dark[there], soft[window])
    x, y, width, height = cv2.boundingRect((dark > 0).astype(np.uint8))
    part = (slice(y, y + height), slice(x, x + width))
    factor = 1 - np.float32(place.shadow) * dark[part] * backdrop.receives[part]
    picture[part] = np.rint(picture[part] * factor[..., None]).astype(np.uint8)


def _meet_picture(
    corner: tuple[int, int], fine: tuple[int, ...], shape: tuple[int, ...], finer: int = FINE
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Rows and columns of the picture that a window covers, and the same part within the window."""
    there, window = [], []
    for start, length, most in (
        (corner[1], fine[0] // finer, shape[0]),
        (corner[0], fine[1] // finer, shape[1]),
    ):
        low, high = min(max(start, 0), most), min(max(start + length, 0), most)
        there.append(slice(low, high))
        window.append(slice(low - start, high - start))
    return (there[0], there[1]), (window[0], window[1])


def _finer(part: tuple[slice, slice]) -> tuple[slice, slice]:
    """The same part of the fine picture."""
    rows, columns = part
    return slice(rows.start * FINE, rows.stop * FINE), slice(columns.start * FINE, columns.stop * FINE)


def _sight(view: _PaintedWalker, owner: NDArray[np.int32]) -> GroundTruthWalker | None:
    """Ground truth of a walker; None if fewer than `_MIN_PIXELS` are visible."""
    size = (view.whole.shape[1] // FINE, view.whole.shape[0] // FINE)
    whole = (cv2.resize(view.whole, size, interpolation=cv2.INTER_AREA) >= 128).astype(np.uint8)
    there, _ = _meet_picture(view.corner, view.whole.shape, owner.shape)
    seen = (owner[there] == view.track).astype(np.uint8)
    if np.count_nonzero(seen) < _MIN_PIXELS:
        return None
    mask, box = _trim(seen, (there[1].start, there[0].start))
    whole_mask, whole_box = _trim(whole, view.corner)
    keypoints = view.joints.astype(np.float32)
    x, y = np.floor(view.joints[:, :2]).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < owner.shape[1]) & (y < owner.shape[0])
    near = cv2.dilate((owner == view.track).astype(np.uint8), np.ones((3, 3), np.uint8))
    keypoints[:, 2] *= inside & (near[y.clip(0, len(owner) - 1), x.clip(0, owner.shape[1] - 1)] > 0)
    return GroundTruthWalker(view.track, view.subject, box, mask, whole_box, whole_mask, keypoints)


def _trim(mask: Bytes, corner: tuple[int, int]) -> tuple[Bytes, NDArray[np.float32]]:
    """Crop a mask to its bounding box; returns the mask and the box."""
    x, y, width, height = cv2.boundingRect(mask)
    box = np.array([corner[0] + x, corner[1] + y, corner[0] + x + width, corner[1] + y + height], np.float32)
    return mask[y : y + height, x : x + width], box


class _ImageSensor:
    """Light, lens, noise and compression."""

    _SHIFTS = 64

    def __init__(self, scene: Scene) -> None:
        self._rng = np.random.Generator(np.random.Philox([scene.seed, 4]))
        width, height = scene.size
        shape = (height + self._SHIFTS, width + self._SHIFTS, 3)
        # One sheet of noise, shifted for each frame, costs a tenth of fresh noise and looks the same.
        grain = self._rng.standard_normal(shape, np.float32) + self._rng.standard_normal(
            (*shape[:2], 1), np.float32
        )
        self._sheet = np.rint(grain * scene.noise / np.sqrt(2)).clip(-60, 60).astype(np.int16)
        self._quality = [cv2.IMWRITE_JPEG_QUALITY, scene.quality]
        self._seed = scene.seed

    def __call__(self, picture: Bytes, index: int, light: float) -> Bytes:
        rng = np.random.Generator(np.random.Philox([self._seed, 5, index]))
        x, y = rng.integers(0, self._SHIFTS, 2)
        lit = cv2.convertScaleAbs(cv2.GaussianBlur(picture, (3, 3), 0.45), alpha=light)
        sheet = self._sheet[y : y + picture.shape[0], x : x + picture.shape[1]]
        noisy = cv2.add(lit, sheet, dtype=cv2.CV_8U)
        done, code = cv2.imencode(".jpg", noisy, self._quality)
        if not done:
            raise InputError(
                f"Picture of shape {noisy.shape} does not fit into JPEG", "a smaller size", "Lower the size"
            )
        return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)


class _SceneSource(Source):
    """A scene as a source of frames."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(
            f"scene:{scene.name}", scene.name, fps=scene.fps, size=scene.size, frame_count=len(scene)
        )
        self._scene = scene

    def _pictures(self) -> Iterator[tuple[Bytes, float]]:
        for frame, _ in self._scene:
            yield frame.image, frame.time


def scene_source(scene: Scene) -> Source:
    """Wrap a scene as a source for `perception.pipeline.watch`."""
    return _SceneSource(scene)


def write_scene(scene: Scene, path: Path) -> None:
    """Write a video (``.avi``, Motion JPEG) and, beside it, an ``.npz`` file with the ground truth.

    Raises:
        InputError: The file cannot be written.
    """
    sightings: list[tuple[int, GroundTruthWalker]] = []
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), scene.fps, scene.size
    )
    if path.suffix != ".avi" or not writer.isOpened():
        raise InputError(
            f"File {path} cannot be written",
            "a name that ends in .avi in an existing directory",
            "Check the name and the directory",
        )
    for frame, truth in scene:
        writer.write(frame.image)
        sightings += [(truth.index, sighting) for sighting in truth.sightings]
    writer.release()
    masks = [np.packbits(part) for _, s in sightings for part in (s.mask, s.whole_mask)]
    np.savez_compressed(
        path.with_suffix(".npz"),
        fps=np.float64(scene.fps),
        frames=np.int64(len(scene)),
        index=np.array([index for index, _ in sightings], np.int32),
        track=np.array([s.track for _, s in sightings], np.int32),
        subject=np.array([s.subject for _, s in sightings], str),
        boxes=np.array([(s.box, s.whole_box) for _, s in sightings], np.float32).reshape(-1, 2, 4),
        keypoints=np.array([s.keypoints for _, s in sightings], np.float32).reshape(-1, COCO, 3),
        masks=np.concatenate(masks) if masks else np.zeros(0, np.uint8),
    )


def read_truth(path: Path) -> list[GroundTruth]:
    """Read the ground truth of every frame, as written by `write_scene`."""
    with np.load(path, allow_pickle=False) as archive:
        data = {name: archive[name] for name in archive.files}
    found: list[list[GroundTruthWalker]] = [[] for _ in range(int(data["frames"]))]
    at = 0
    for k, index in enumerate(data["index"]):
        masks = []
        for box in data["boxes"][k]:
            width, height = np.rint(box[2:] - box[:2]).astype(int)
            size = -(-width * height // 8)
            flat = np.unpackbits(data["masks"][at : at + size], count=width * height)
            masks.append(flat.reshape(height, width))
            at += size
        box, whole_box = data["boxes"][k]
        found[index].append(
            GroundTruthWalker(
                int(data["track"][k]), str(data["subject"][k]), box, masks[0], whole_box, masks[1],
                data["keypoints"][k],
            )
        )  # fmt: skip
    return [GroundTruth(i / float(data["fps"]), i, tuple(row)) for i, row in enumerate(found)]


def crossing(camera: Camera, size: tuple[int, int], y: float, *, leftwards: bool = False) -> Course:
    """A path along x at depth `y` that enters and leaves the picture, to +x or, `leftwards`, to -x."""
    x = np.linspace(-30, 30, 1201)
    pixels, depth = camera.project(np.stack([x, np.full(len(x), y), np.full(len(x), 0.9)], 1))
    seen = x[(depth > 0.5) & (pixels[:, 0] > 0) & (pixels[:, 0] < size[0])]
    if not len(seen):
        raise InputError(
            f"The camera does not see the lane at y = {y} m", "a visible lane", "Move the camera or the lane"
        )
    first, last = float(seen.min()) - 0.8, float(seen.max()) + 0.8
    points = [(first, y), (last, y)]
    return Course(np.array(points[::-1] if leftwards else points))


def lane_camera(size: tuple[int, int], azimuth: float = 0.0, distance: float = 8.0) -> Camera:
    """A camera in front of lanes along x, 2.6 m high, with a lens that keeps walkers equally tall.

    Args:
        size: (width, height) of its pictures, pixels.
        azimuth: Degrees by which it stands beside the middle, to +x when positive.
        distance: Metres to the middle of the lanes; the view changes less along a lane from farther away.
    """
    angle = np.deg2rad(azimuth)
    place = (float(distance * np.sin(angle)), float(1.0 - distance * np.cos(angle)), 2.6)
    return Camera.looking_at(place, (0.0, 1.0, 0.95), 0.108 * distance * size[0], (size[0] / 2, size[1] / 2))


SCENES = ("single", "crossing", "side_by_side", "posts", "shadows", "light_change", "crowd")
_ENTER_S = 2.6
"""Start of the first walkers of the named scenes: extractors can learn the empty place before."""


def named_scene(name: str, seed: int = 0, *, size: tuple[int, int] = (640, 360)) -> Scene:
    """Build one of the `SCENES`, the situations that perception must handle, at 25 fps.

    Args:
        name: One of `SCENES`.
        seed: Seed of subjects, clothes, place and noise.
        size: (width, height) pixels.

    Raises:
        InputError: The name is unknown.
    """
    if name not in SCENES:
        raise InputError(f"Scene is {name!r}", f"one of {SCENES}", "Pass a known scene")
    camera = lane_camera(size)

    def lane(identity: int, y: float, start_s: float, leftwards: bool = False) -> SceneWalker:
        return SceneWalker(identity, crossing(camera, size, y, leftwards=leftwards), _ENTER_S + start_s)

    street, seconds, light = draw_place("street", seed), 10.0, Light()
    walkers = [lane(0, 1.0, 0.0)]
    if name == "crossing":
        walkers = [lane(0, 0.6, 0.0), lane(1, 1.8, 0.0, True)]
    elif name == "side_by_side":
        walkers = [lane(0, 0.6, 0.0), lane(1, 1.3, 0.25)]
    elif name == "posts":
        street = draw_place("street", seed, posts=3)
    elif name == "shadows":
        street = draw_place("garden", seed, shadow=0.5, sun=(-1.2, 0.5, 1.0))
    elif name == "light_change":
        light = Light(0.06, 9.0, jump_s=6.0, jump=0.72)
    elif name == "crowd":
        street, seconds = draw_place("hall", seed), 16.0
        walkers = [lane(k, 0.0 + 0.7 * ((3 * k) % 5), 1.1 * k, bool(k % 2)) for k in range(7)]
    return Scene(walkers, camera, street, seed, size, seconds=seconds, light=light, name=name)
