"""Places for scenes: ground, wall, sky and furniture, ray-traced once per camera.

A place is drawn at twice the size of the picture to smooth its edges. The result includes the distance of
the things that can hide a walker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError
from gaitid.synthetic.camera import Camera

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Triple = tuple[float, float, float]

FINE = 2
"""Factor by which places and walkers are drawn finer than the picture."""
PLACES = ("street", "hall", "garden")
_GRAIN = 512
"""Side of the tile of fractal noise, pixels."""


@dataclass(frozen=True, slots=True)
class Thing:
    """A solid object in a place.

    Attributes:
        kind: ``box``, ``post`` (an upright round column) or ``bush`` (an ellipsoid).
        centre: Middle, metres.
        half: Half sizes, metres; the first one of a post is its radius.
        color: BGR, 0..255.
    """

    kind: str
    centre: Triple
    half: Triple
    color: Triple


@dataclass(frozen=True, slots=True)
class ScenePlace:
    """A place in world coordinates: x along the wall, y towards it, z up, metres.

    Attributes:
        name: One of `PLACES`.
        wall_y: Position of the wall, metres.
        wall_height: Height of the wall, metres; above it is sky.
        sun: Direction towards the light.
        shadow: Share of the light that a shadow removes, 0 to 1.
        softness: Blur of shadows, metres.
        things: The furniture.
        seed: Seed of the textures.
    """

    name: str
    wall_y: float
    wall_height: float
    sun: Triple
    shadow: float
    softness: float
    things: tuple[Thing, ...]
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """A place as a camera sees it without walkers.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        hiding: (2H, 2W) float32 metres along the optical axis to things, infinite elsewhere.
        receives: (H, W) float32, 0..1, how much the shadow of a walker can darken a pixel.
    """

    image: Bytes
    hiding: Floats
    receives: Floats


def draw_place(
    name: str, seed: int = 0, *, posts: int = 0, shadow: float | None = None, sun: Triple | None = None
) -> ScenePlace:
    """Draw a place with its furniture.

    Args:
        name: One of `PLACES`.
        seed: Seed of furniture and textures.
        posts: Number of posts in front of the walkers, 1.8 m apart.
        shadow: Share of the light that shadows remove; default: that of the place.
        sun: Direction towards the light; default: that of the place.

    Raises:
        InputError: The name is unknown.
    """
    if name not in PLACES:
        raise InputError(f"Place is {name!r}", f"one of {PLACES}", "Pass a known place")
    rng = np.random.default_rng([seed, PLACES.index(name)])
    wall_y, height, light, dark, soft = {
        "street": (5.2, 7.0, (-0.55, -0.75, 1.5), 0.42, 0.03),
        "hall": (6.0, 4.5, (0.15, -0.35, 1.6), 0.16, 0.10),
        "garden": (6.5, 2.6, (0.8, -0.6, 1.3), 0.22, 0.07),
    }[name]
    things = _FURNITURE[name](rng, wall_y)
    for k in range(posts):
        things.append(
            Thing("post", (1.8 * (k - (posts - 1) / 2) + 0.3, -1.6, 1.6), (0.06, 0, 1.6), (84, 88, 90))
        )
    return ScenePlace(
        name,
        wall_y,
        height,
        light if sun is None else sun,
        dark if shadow is None else shadow,
        soft,
        tuple(things),
        seed,
    )


def _street(rng: np.random.Generator, wall: float) -> list[Thing]:
    x = rng.uniform(-3, -1.5)
    return [
        Thing("box", (x, wall - 0.4, 0.45), (0.9, 0.22, 0.05), (46, 74, 110)),
        Thing("box", (x - 0.7, wall - 0.4, 0.2), (0.06, 0.2, 0.2), (60, 60, 62)),
        Thing("box", (x + 0.7, wall - 0.4, 0.2), (0.06, 0.2, 0.2), (60, 60, 62)),
        Thing("post", (x + rng.uniform(3.5, 5), wall - 0.5, 0.45), (0.24, 0, 0.45), (62, 92, 58)),
        Thing("post", (rng.uniform(4, 5.5), wall - 0.7, 2.6), (0.07, 0, 2.6), (96, 100, 102)),
    ]


def _hall(rng: np.random.Generator, wall: float) -> list[Thing]:
    x = rng.uniform(1.0, 3.0)
    seats = [
        Thing("box", (x + 0.6 * k, wall - 0.5, 0.42), (0.24, 0.24, 0.05), (128, 84, 44)) for k in range(4)
    ]
    backs = [
        Thing("box", (x + 0.6 * k, wall - 0.25, 0.72), (0.24, 0.03, 0.26), (128, 84, 44)) for k in range(4)
    ]
    return [
        *seats,
        *backs,
        Thing("post", (-x - 1.4, wall - 0.9, 2.2), (0.22, 0, 2.3), (188, 192, 194)),
        Thing("box", (-x + 0.6, wall - 0.4, 0.2), (0.3, 0.3, 0.2), (60, 64, 70)),
        Thing("bush", (-x + 0.6, wall - 0.4, 0.95), (0.42, 0.42, 0.62), (52, 96, 44)),
    ]


def _garden(rng: np.random.Generator, wall: float) -> list[Thing]:
    things = []
    for x in (rng.uniform(-6, -4), rng.uniform(3, 6)):
        things.append(Thing("post", (x, wall - 0.8, 1.2), (0.13, 0, 1.3), (54, 66, 84)))
        things.append(Thing("bush", (x, wall - 0.8, 3.1), (1.3, 1.0, 1.1), (44, 104, 60)))
    for _ in range(3):
        size = rng.uniform(0.35, 0.7)
        place = (float(rng.uniform(-5, 5)), wall - 0.6, 0.7 * size)
        things.append(Thing("bush", place, (1.2 * size, size * 0.8, size), (40, 86, 52)))
    return things


_FURNITURE: dict[str, Callable[[np.random.Generator, float], list[Thing]]] = {
    "street": _street, "hall": _hall, "garden": _garden,
}  # fmt: skip


def trace(place: ScenePlace, camera: Camera, size: tuple[int, int]) -> Backdrop:
    """Ray-trace a place for a camera and a picture of (width, height) pixels."""
    if camera.distortion:
        raise InputError(
            f"Distortion of the camera is {camera.distortion}", "0", "Use a lens without distortion in scenes"
        )
    rays = _rays(camera, size)
    eye = camera.position.astype(np.float32)
    nearest, owner = _meet_surfaces(place, eye, rays)
    hiding = np.full(nearest.shape, np.inf, np.float32)
    for number, thing in enumerate(place.things):
        part = _around(thing, camera, size)
        depth = _meet(thing, eye, rays[part])
        hiding[part] = np.minimum(hiding[part], depth)
        closer = depth < nearest[part]
        nearest[part][closer], owner[part][closer] = depth[closer], 3 + number
    points = eye + rays * np.where(owner == _SKY, 0, nearest)[..., None]
    flat = owner <= _WALL
    dark = _shadowed(place, points, flat)
    color = _paint(place, points, owner, nearest / np.float32(camera.focal * FINE))
    color *= 1 - np.float32(place.shadow) * np.where(flat, dark, 0)[..., None]
    image = cv2.resize(color, size, interpolation=cv2.INTER_AREA)
    receives = np.asarray(
        cv2.resize(np.where(flat, 1 - dark, 0), size, interpolation=cv2.INTER_AREA).clip(0, 1), np.float32
    )
    return Backdrop(np.rint(image.clip(0, 255)).astype(np.uint8), hiding, receives)


_GROUND, _WALL, _SKY = 0, 1, 2


def _vector(values: Triple) -> Floats:
    return np.asarray(values, np.float32)


def _rays(camera: Camera, size: tuple[int, int]) -> Floats:
    """(2H, 2W, 3) rays of the fine pixels, one metre long along the optical axis."""
    width, height = size
    u = (np.arange(width * FINE) + 0.5) / FINE - camera.centre[0]
    v = (np.arange(height * FINE) + 0.5) / FINE - camera.centre[1]
    local = np.empty((len(v), len(u), 3), np.float32)
    local[..., 0], local[..., 1], local[..., 2] = u / camera.focal, (v / camera.focal)[:, None], 1
    return np.asarray(local @ camera.rotation.astype(np.float32), np.float32)


def _meet_surfaces(place: ScenePlace, eye: Floats, rays: Floats) -> tuple[Floats, NDArray[np.int32]]:
    """Distance to the nearest of ground, wall and sky, and which one it is."""
    far = np.float32(1e6)
    with np.errstate(divide="ignore"):
        ground = np.where(rays[..., 2] < 0, -eye[2] / rays[..., 2], far)
        wall = np.where(rays[..., 1] > 0, (place.wall_y - eye[1]) / rays[..., 1], far)
        above = eye[2] + wall * rays[..., 2] > place.wall_height
    wall = np.where(above | (wall <= 0), far, wall)
    nearest = np.minimum(ground, wall).astype(np.float32)
    owner = np.where(ground <= wall, _GROUND, _WALL)
    return nearest, np.where(nearest >= far, _SKY, owner).astype(np.int32)


def _around(thing: Thing, camera: Camera, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the fine pixels that can show a thing."""
    half = np.array(thing.half) if thing.kind != "post" else np.array(thing.half)[[0, 0, 2]]
    corners = np.array(thing.centre) + half * np.array(list(np.ndindex(2, 2, 2))) * 2 - half
    pixels, depth = camera.project(corners)
    if depth.min() < 0.2:
        return slice(None), slice(None)
    low = np.clip(np.floor(pixels.min(0)) * FINE, 0, None).astype(int)
    high = np.clip(np.ceil(pixels.max(0)) * FINE, 0, np.array(size) * FINE).astype(int)
    return slice(low[1], max(high[1], low[1])), slice(low[0], max(high[0], low[0]))


def _meet(thing: Thing, eye: Floats, rays: Floats) -> Floats:
    """Distance along each ray to a thing, infinite for rays that miss it."""
    centre, half = _vector(thing.centre), _vector(thing.half)
    start = eye - centre
    with np.errstate(divide="ignore", invalid="ignore"):
        if thing.kind == "box":
            one, two = (-half - start) / rays, (half - start) / rays
            enter, leave = np.minimum(one, two).max(-1), np.maximum(one, two).min(-1)
        else:
            axes = 2 if thing.kind == "post" else 3
            scale = half[0] if thing.kind == "post" else half
            way, off = (rays / scale)[..., :axes], (start / scale)[..., :axes]
            square, mixed = (way**2).sum(-1), (way * off).sum(-1)
            root = np.sqrt(mixed**2 - square * ((off**2).sum(-1) - 1))
            enter, leave = (-mixed - root) / square, (-mixed + root) / square
            if thing.kind == "post":
                one, two = (-half[2] - start[..., 2]) / rays[..., 2], (half[2] - start[..., 2]) / rays[..., 2]
                enter = np.maximum(enter, np.minimum(one, two))
                leave = np.minimum(leave, np.maximum(one, two))
        hit = (leave > enter) & (enter > 1e-3)
    return np.where(hit, enter, np.inf).astype(np.float32)


def _shadowed(place: ScenePlace, points: Floats, flat: NDArray[np.bool_]) -> Floats:
    """Share of the light of each point that things block, 0..1."""
    sun = _vector(place.sun)
    coarse = flat[::FINE, ::FINE]
    dark = np.zeros(coarse.shape, np.float32)
    origin = points[::FINE, ::FINE][coarse] + 0.002 * sun
    for thing in place.things:
        dark[coarse] = np.maximum(dark[coarse], np.isfinite(_meet(thing, origin, sun)))
    soft = cv2.GaussianBlur(dark, (0, 0), 0.5 + 30 * place.softness)
    return np.asarray(cv2.resize(soft, flat.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


class _Grain:
    """Tiled fractal noise on a plane, mean 0."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 77])
        total = np.zeros((_GRAIN, _GRAIN), np.float32)
        for cells, weight in ((8, 1.0), (32, 0.8), (128, 0.6), (512, 0.5)):
            coarse = np.tile(rng.standard_normal((cells, cells)).astype(np.float32), (3, 3))
            fine = cv2.resize(coarse, (3 * _GRAIN, 3 * _GRAIN), interpolation=cv2.INTER_CUBIC)
            total += weight * fine[_GRAIN : 2 * _GRAIN, _GRAIN : 2 * _GRAIN]
        self._picture = np.pad(total / total.std(), ((0, 1), (0, 1)), mode="wrap")
        self.cells = rng.uniform(-1, 1, (64, 64)).astype(np.float32)

    def __call__(self, u: Floats, v: Floats, metres: float) -> Floats:
        """Noise at (u, v) metres that repeats after `metres`."""
        scale = np.float32(_GRAIN / metres)
        rows = len(u) // 1024 + 1  # remap rejects over 32767 rows, and an empty picture
        where = np.zeros((2, rows * 1024), np.float32)
        where[0, : len(u)], where[1, : len(u)] = np.mod(u * scale, _GRAIN), np.mod(v * scale, _GRAIN)
        x, y = where.reshape(2, rows, 1024)
        return np.asarray(cv2.remap(self._picture, x, y, cv2.INTER_LINEAR), np.float32).ravel()[: len(u)]

    def cell(self, u: Floats, v: Floats) -> Floats:
        """A random value -1..1 for each unit cell."""
        return np.asarray(self.cells[np.floor(v).astype(int) % 64, np.floor(u).astype(int) % 64])


def _paint(place: ScenePlace, points: Floats, owner: NDArray[np.int32], footprint: Floats) -> Floats:
    """(2H, 2W, 3) colours; `footprint` is the size of a pixel at each point, metres."""
    grain = _Grain(place.seed)
    out = np.empty(points.shape, np.float32)
    rows = np.linspace(1.04, 0.96, len(out), dtype=np.float32)[:, None, None]
    out[:] = _vector(_SKIES[place.name]) * rows
    for which, paint in ((_GROUND, _GROUNDS[place.name]), (_WALL, _WALLS[place.name])):
        here = owner == which
        out[here] = paint(grain, points[here], footprint[here])
    sun = _vector(place.sun) / np.linalg.norm(place.sun)
    for number, thing in enumerate(place.things):
        here = owner == 3 + number
        at = points[here]
        light = 0.62 + 0.42 * (_normal(thing, at) @ sun).clip(-0.3, 1)
        rough = 0.22 if thing.kind == "bush" else 0.04
        light *= 1 + rough * grain(at[:, 0] + at[:, 1], at[:, 2], 0.9)
        out[here] = _vector(thing.color) * light[:, None]
    return out


def _normal(thing: Thing, points: Floats) -> Floats:
    local = (points - _vector(thing.centre)) / np.maximum(_vector(thing.half), 1e-3)
    if thing.kind == "post":
        local[:, 2] = 0
    if thing.kind == "box":
        local = np.sign(local) * (np.abs(local) >= np.abs(local).max(1, keepdims=True))
    else:
        local /= np.maximum(_vector(thing.half), 1e-3) if thing.kind == "bush" else 1
    return np.asarray(local / np.maximum(np.linalg.norm(local, axis=1, keepdims=True), 1e-6), np.float32)


def _joint(u: Floats, width: float, footprint: Floats) -> Floats:
    """Share of each pixel that is a joint between unit cells, 0..1; `width`, `footprint` in cells."""
    gap = np.abs(u - np.rint(u))
    reach = 0.5 * np.maximum(width, footprint)
    return np.asarray((gap < reach) * np.minimum(1, width / np.maximum(2 * reach, 1e-6)))


def _tint(color: Triple, light: NDArray[np.floating]) -> Floats:
    return np.asarray(_vector(color) * light[:, None], np.float32)


def _slabs(grain: _Grain, points: Floats, footprint: Floats) -> Floats:
    """Pavement slabs, a kerb and a strip of asphalt."""
    x, y = points[:, 0], points[:, 1]
    u, v = x / 0.6, y / 0.6
    joint = np.maximum(_joint(u, 0.02, footprint / 0.6), _joint(v, 0.02, footprint / 0.6))
    slab = 1 + 0.05 * grain.cell(u, v) + 0.05 * grain(x, y, 4.0) - 0.3 * joint
    out = _tint((150, 156, 160), slab)
    road = y < -2.2
    out[road] = _tint(
        (92, 90, 88), 1 + 0.07 * grain(x[road], y[road], 1.7) + 0.04 * grain(x[road], y[road], 9)
    )
    kerb = np.abs(y + 2.1) < 0.1
    out[kerb] = _tint((176, 180, 182), 1 + 0.04 * grain(x[kerb], y[kerb], 2.0))
    return out


def _polished(grain: _Grain, points: Floats, footprint: Floats) -> Floats:
    """Large tiles in two tones with faint reflections of lamps."""
    x, y = points[:, 0], points[:, 1]
    u, v = x / 0.9, y / 0.9
    joint = np.maximum(_joint(u, 0.012, footprint / 0.9), _joint(v, 0.012, footprint / 0.9))
    tone = 0.04 * np.sign(grain.cell(u, v))
    glow = 0.08 * np.exp(-((np.mod(x, 3.0) - 1.5) ** 2) / 0.5) * np.exp(-((y - 2) ** 2) / 8)
    return _tint((172, 182, 188), 1 + tone + glow + 0.03 * grain(x, y, 3.0) - 0.22 * joint)


def _lawn(grain: _Grain, points: Floats, footprint: Floats) -> Floats:
    """Grass with a gravel path."""
    x, y = points[:, 0], points[:, 1]
    blades = 1 + 0.16 * grain(x, y, 1.3) + 0.09 * grain(x, y, 11.0)
    out = _tint((58, 118, 92), blades)
    edge = np.abs(y - 1.0 + 0.12 * grain(x, y, 8.0)) < 2.4
    out[edge] = _tint(
        (138, 156, 168), 1 + 0.09 * grain(x[edge], y[edge], 0.8) + 0.04 * grain(x[edge], y[edge], 6)
    )
    return out


def _bricks(grain: _Grain, points: Floats, footprint: Floats) -> Floats:
    """Bricks over a plinth, with windows."""
    x, z = points[:, 0], points[:, 2]
    v = z / 0.08
    u = x / 0.25 + 0.5 * (np.floor(v) % 2)
    joint = np.maximum(_joint(u, 0.05, footprint / 0.25), _joint(v, 0.14, footprint / 0.08))
    fade = np.clip(1.2 - footprint / 0.05, 0, 1)
    tone = 1 + 0.09 * fade * grain.cell(u, v) + 0.05 * grain(x, z, 5.0)
    out = _tint((74, 92, 142), tone)
    out += (0.6 * joint * fade)[:, None] * (_vector((150, 158, 164)) - out)
    plinth = z < 0.45
    out[plinth] = _tint((118, 122, 126), 1 + 0.06 * grain(x[plinth], z[plinth], 2.5))
    along = np.mod(x + 0.7, 3.4) - 1.7
    frame = (np.abs(along) < 0.8) & (np.abs(z - 1.9) < 0.85)
    out[frame] = (196, 200, 202)
    bars = np.minimum(np.abs(np.abs(along) - 0.38), np.abs(z - 1.9) + 0.2) < 0.03
    pane = (np.abs(along) < 0.73) & (np.abs(z - 1.9) < 0.78) & ~bars
    out[pane] = _tint((92, 82, 74), 1 + 0.22 * grain(x[pane] + z[pane], z[pane], 7.0) + 0.1 * (z[pane] - 1.9))
    return out


def _panels(grain: _Grain, points: Floats, footprint: Floats) -> Floats:
    """Painted panels with a rail, doors and posters."""
    x, z = points[:, 0], points[:, 2]
    joint = _joint(x / 1.5, 0.012, footprint / 1.5)
    out = _tint((188, 200, 206), 1 + 0.02 * grain(x, z, 6.0) - 0.2 * joint + 0.02 * (z - 2))
    for low, high, color in ((0.0, 0.12, (70, 74, 80)), (0.95, 1.03, (96, 124, 150))):
        rail = (z > low) & (z < high)
        out[rail] = color
    number = np.floor((x + 2.0) / 4.0)
    along = np.mod(x + 2.0, 4.0) - 2.0
    door = (np.abs(along) < 0.5) & (z < 2.1) & (number % 2 == 0)
    out[door] = _tint((70, 108, 146), 1 + 0.06 * grain(z[door] * 0.2, x[door] * 3, 3.0))
    poster = (np.abs(along) < 0.55) & (np.abs(z - 1.9) < 0.5) & (number % 2 == 1)
    ink = 0.9 + 0.25 * grain.cell(x[poster] * 4, z[poster] * 5)
    out[poster] = _tint((170, 140, 92), ink)
    return out


def _hedge(grain: _Grain, points: Floats, footprint: Floats) -> Floats:
    """Leaves."""
    x, z = points[:, 0], points[:, 2]
    leaves = 0.8 + 0.2 * grain(x, z, 0.9) + 0.1 * grain(x, z, 5.0) + 0.1 * (z - 1)
    return _tint((46, 88, 62), leaves)


_SKIES = {"street": (222, 206, 192), "hall": (214, 220, 222), "garden": (228, 212, 196)}
_Painter = Callable[[_Grain, Floats, Floats], Floats]
_GROUNDS: dict[str, _Painter] = {"street": _slabs, "hall": _polished, "garden": _lawn}
_WALLS: dict[str, _Painter] = {"street": _bricks, "hall": _panels, "garden": _hedge}
