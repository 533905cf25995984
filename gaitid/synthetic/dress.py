"""A body in its outfit as one posable mesh: body, solids (hair, hats, bags) and hanging cloth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gaitid.synthetic.body import LABEL, Body, BodyShape
from gaitid.synthetic.motion import Motion, skin
from gaitid.synthetic.outfit import Bag, Outfit, Tube
from gaitid.synthetic.render import edges_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bytes = NDArray[np.uint8]

SECTORS = 16
_RINGS = 4
_HANG = ("hang_left", "hang_right", "cart")
"""Bones added to those of the body: a weight that hangs from each hand, and a trolley behind."""


@dataclass(frozen=True, slots=True, eq=False)
class Posed:
    """A dressed body over time.

    Attributes:
        vertices: (T, V, 3) world metres.
        keypoints: (T, 23, 3) world metres; the 17 of COCO first.
    """

    vertices: Floats
    keypoints: Floats


class Dressed:
    """A body in clothes, ready to be posed.

    Attributes:
        faces: (F, 3) vertex indices.
        edges: (E, 4), see `render.edges_of`.
        labels: (F,) part of each face, see `body.PARTS`.
        lift: Thickness of the soles, metres.
    """

    def __init__(self, body: Body, figure: BodyShape, outfit: Outfit, rng: np.random.Generator) -> None:
        self._body, self._figure, self._outfit = body, figure, outfit
        worn, delay = _worn(body, figure, outfit, rng)
        pieces = [Piece(worn, np.pad(body.weights, ((0, 0), (0, len(_HANG)))), body.faces, body.labels)]
        pieces += _hair(body, figure, outfit) + _hat(body, figure, outfit) + _hood(body, figure, outfit)
        if outfit.bag is not None:
            pieces.append(_bag(body, figure, outfit.bag, outfit.torso))
        self._tubes = [_Hanging(body, figure, outfit, tube, rng) for tube in outfit.tubes]
        pieces += [tube.top for tube in self._tubes]
        self._rest = np.concatenate([piece.vertices for piece in pieces])
        self._weights = np.concatenate([piece.weights for piece in pieces])
        self._delay = np.pad(delay, (0, len(self._rest) - len(delay)))
        self._loose = np.flatnonzero(self._delay > 0.004)
        self._lay_out(pieces)
        self.lift = outfit.sole

    def _lay_out(self, pieces: list[Piece]) -> None:
        offset, faces, labels = 0, [], []
        first_top = len(pieces) - len(self._tubes)
        free = len(self._rest)
        for k, piece in enumerate(pieces):
            if k >= first_top:  # moving rings follow the last fixed ring of a tube, at the end of the array
                tube = self._tubes[k - first_top]
                faces.append(tube.faces(offset, free))
                labels.append(np.full(len(faces[-1]), LABEL["skirt"], np.uint8))
                free += tube.moving
            else:
                faces.append(piece.faces + offset)
                labels.append(piece.labels)
            offset += len(piece.vertices)
        self.faces: Ints = np.concatenate(faces).astype(np.int32)
        self.labels: Bytes = np.concatenate(labels)
        self.edges = _edges(self._body, self.faces)

    def pose(self, motion: Motion) -> Posed:
        """Pose the mesh and the keypoints in a motion of this body."""
        rotations, positions = _with_hanging(self._body, motion, self._outfit.bag)
        joints = np.concatenate([self._figure.joints, np.zeros((len(_HANG), 3))])
        vertices = skin(self._rest, self._weights, joints, rotations, positions)
        if len(self._loose):
            self._trail(vertices, motion)
        rings = [tube.rings(motion) for tube in self._tubes]
        rows = [part.transpose(0, 2, 1) for part in (vertices, *rings)]
        vertices = np.concatenate(rows, axis=2).transpose(
            0, 2, 1
        )  # long rows in memory, like those of `skin`
        keypoints = motion.points(self._figure.keypoints, self._body.keypoint_weights, self._figure.joints)
        vertices[..., 2] += self.lift
        keypoints[..., 2] += self.lift
        return Posed(vertices, keypoints)

    def _trail(self, vertices: Floats, motion: Motion) -> None:
        """Delay loose cloth behind its limb, in place."""
        limb = vertices[:, self._loose] - motion.positions[:, :1]
        velocity = np.empty_like(limb)
        velocity[1:-1] = (limb[2:] - limb[:-2]) / 2
        velocity[0], velocity[-1] = limb[1] - limb[0], limb[-1] - limb[-2]
        velocity *= self._delay[self._loose, None] / (motion.times[1] - motion.times[0])
        vertices[:, self._loose] -= velocity.clip(-0.04, 0.04)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Part of the mesh at rest: vertices (N, 3), weights (N, 24), faces (M, 3), labels (M,)."""

    vertices: Floats
    weights: Floats
    faces: Ints
    labels: Bytes


def normals(vertices: Floats, faces: Ints) -> Floats:
    """(V, 3) unit normals, area-weighted."""
    corner = vertices[faces]
    face = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    flat = faces.ravel()
    out = np.stack([np.bincount(flat, np.repeat(column, 3), len(vertices)) for column in face.T], 1)
    return np.asarray(out / (np.linalg.norm(out, axis=1, keepdims=True) + 1e-12))


@lru_cache(maxsize=256)
def _body_normals(body: Body, figure: BodyShape) -> Floats:
    return normals(figure.vertices, body.faces)


@lru_cache(maxsize=1)
def _body_edges(body: Body) -> Ints:
    return edges_of(body.faces)


def _edges(body: Body, faces: Ints) -> Ints:
    """Edges of a mesh that starts with the faces of the body, whose edges are cached."""
    count = len(body.faces)
    rest = edges_of(faces[count:])
    rest[:, 2:] = np.where(rest[:, 2:] < 0, -1, rest[:, 2:] + count)
    return np.concatenate([_body_edges(body), rest])


def _worn(body: Body, figure: BodyShape, outfit: Outfit, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Vertices of the body displaced by the clothes, and the delay of each in seconds."""
    share = body.share
    torso = share("pelvis", "lumbar", "thorax", "clav")
    shank, thigh = share("shank"), share("thigh")
    at = figure.joints
    knee, ankle = at[body.index["shankL"], 2], at[body.index["footL"], 2]
    low = np.clip((knee - figure.vertices[:, 2]) / (knee - ankle), 0, 1)
    thick = (
        torso * outfit.torso
        + share("uarm") * outfit.upper_arm
        + share("farm") * outfit.forearm
        + thigh * outfit.thigh
        + shank * (outfit.shank + outfit.bell * low)
        + share("foot", "toe") * outfit.shoe
        + share("neck") * outfit.collar
    )
    waves = rng.normal(size=(4, 3)) * 9
    folds = np.sin(figure.vertices @ waves.T + rng.uniform(0, 2 * np.pi, 4)).mean(1)
    thick = thick * (1 + 0.35 * folds)
    thick += outfit.roughness * (1 - share("head")) * rng.normal(size=len(thick))
    worn = figure.vertices + _body_normals(body, figure) * thick[:, None]
    if outfit.heel:
        floor = figure.vertices[:, 2].min()
        sole = (share("foot") > 0.5) & (figure.vertices[:, 2] < floor + 0.03)
        rear = figure.vertices[:, 0] < at[body.index["footL"], 0] + 0.02
        worn[sole & rear, 2] -= 0.5 * outfit.heel
    worn[figure.vertices[:, 2] < figure.vertices[:, 2].min() + 0.025, 2] -= outfit.sole
    loose = (shank * (0.3 + 0.7 * low) + 0.4 * thigh + 0.5 * share("farm")) * outfit.lag_s
    return worn, loose


def solid(centre: Floats, size: Floats, box: float = 1.0) -> tuple[Floats, Ints]:
    """A closed superellipsoid: 42 vertices, 80 faces; `box` 1 is an ellipsoid, near 0 a box."""
    unit, faces = _ball()
    return centre + np.sign(unit) * np.abs(unit) ** box * size, faces


@lru_cache(maxsize=1)
def _ball() -> tuple[Floats, Ints]:
    polar = np.linspace(0, np.pi, 7)[1:-1]
    around = np.arange(8) * 2 * np.pi / 8
    ring = np.stack(
        [np.outer(np.sin(polar), np.cos(around)), np.outer(np.sin(polar), np.sin(around)),
         np.outer(np.cos(polar), np.ones(8))], -1
    ).reshape(-1, 3)  # fmt: skip
    unit = np.concatenate([[[0.0, 0.0, 1.0]], ring, [[0.0, 0.0, -1.0]]])
    faces = [(0, 1 + k, 1 + (k + 1) % 8) for k in range(8)]
    for row in range(4):
        a, b = 1 + 8 * row, 9 + 8 * row
        for k in range(8):
            n = (k + 1) % 8
            faces += [(a + k, b + k, b + n), (a + k, b + n, a + n)]
    faces += [(41, 33 + (k + 1) % 8, 33 + k) for k in range(8)]
    return unit, np.array(faces, np.int32)


def _rigid(shape: tuple[Floats, Ints], bone: int, bones: int, part: str) -> Piece:
    vertices, faces = shape
    weights = np.zeros((len(vertices), bones + len(_HANG)))
    weights[:, bone] = 1
    return Piece(vertices, weights, faces, np.full(len(faces), LABEL[part], np.uint8))


def _skull(body: Body, figure: BodyShape) -> tuple[Floats, Floats]:
    """Centre and half sizes of the head above the ears, metres."""
    head = figure.vertices[body.share("head") > 0.6]
    high, low = head.max(0), head.min(0)
    half = np.array([(high[0] - low[0]) / 2, (high[1] - low[1]) / 2, 0.095 * figure.height / 1.7])
    return np.array([(high[0] + low[0]) / 2, 0.0, high[2] - half[2]]), half


def _hair(body: Body, figure: BodyShape, outfit: Outfit) -> list[Piece]:
    if outfit.hair == "none":
        return []
    centre, half = _skull(body, figure)
    big = outfit.hair_size
    grow = {"short": 1.01 + 0.06 * big, "afro": 1.25 + 0.45 * big}.get(outfit.hair, 1.04 + 0.10 * big)
    shapes = [solid(centre + half * [-0.12, 0, 0.08], half * grow * [0.95, 1.0, 1.0])]
    back = centre - [half[0] * 0.75, 0, 0]
    if outfit.hair == "bob":
        size = np.array([0.06, half[1] * 1.15, 0.10 + 0.03 * big])
        shapes.append(solid(back + np.array([0.02, 0, -0.06]), size))
    if outfit.hair == "long":
        drop = 0.13 + 0.12 * big
        shapes.append(solid(back - [0.005, 0, drop * 0.8], np.array([0.045, half[1] * 1.1, drop])))
    if outfit.hair == "bun":
        shapes.append(solid(back + np.array([-0.03, 0, 0.03 + 0.06 * big]), np.full(3, 0.03 + 0.02 * big)))
    if outfit.hair == "tail":
        shapes.append(solid(back - [0.045, 0, 0.06 + 0.05 * big], np.array([0.03, 0.03, 0.09 + 0.08 * big])))
    head, neck = body.index["head"], body.index["neck"]
    bones = [head] + [neck if outfit.hair == "long" else head] * (len(shapes) - 1)
    return [_rigid(s, b, len(body.bones), "hair") for s, b in zip(shapes, bones, strict=True)]


def _hat(body: Body, figure: BodyShape, outfit: Outfit) -> list[Piece]:
    if outfit.hat == "none":
        return []
    centre, half = _skull(body, figure)
    shapes = [solid(centre + half * [0, 0, 0.35], half * [1.08, 1.1, 0.85])]
    if outfit.hat == "cap":
        shapes.append(solid(centre + half * [1.3, 0, 0.25], half * [0.7, 0.8, 0.1]))
    if outfit.hat == "brim":
        shapes.append(solid(centre + half * [0, 0, 0.3], half * [1.9, 1.9, 0.1]))
    return [_rigid(shape, body.index["head"], len(body.bones), "hat") for shape in shapes]


def _hood(body: Body, figure: BodyShape, outfit: Outfit) -> list[Piece]:
    if not outfit.hood:
        return []
    neck = figure.vertices[body.owner == body.index["neck"]]
    size = np.array([0.05, 0.085, 0.055]) * (0.5 + outfit.hood)
    back = neck[:, 0].min() - 0.3 * size[0] - 0.5 * outfit.torso
    middle = np.array([back, 0.0, neck[:, 2].mean() - 0.01])
    return [_rigid(solid(middle, size), body.index["thorax"], len(body.bones), "torso")]


def _bag(body: Body, figure: BodyShape, bag: Bag, cloth: float) -> Piece:
    at, joints = body.index, figure.joints
    size = np.array(bag.size)
    sign = 1.0 if bag.side == "L" else -1.0
    chest = figure.vertices[body.owner == at["thorax"]]
    back, shoulder = chest[:, 0].min() - cloth, joints[at["uarm" + bag.side]]
    hip = joints[at["thigh" + bag.side]]
    beside = sign * (abs(hip[1]) + (0.07 if bag.low else 0.11) + cloth + size[1])
    bone, box = at["lumbar"], 0.5
    if bag.kind == "backpack":
        bone, centre = at["thorax"], np.array([back - 0.6 * size[0], 0, shoulder[2] - 0.98 * size[2]])
    elif bag.kind == "shoulder":
        centre = np.array([-0.02, sign * (abs(shoulder[1]) + 0.04 + cloth), hip[2] + 0.18])
    elif bag.kind == "cross":
        centre = np.array([-0.02 - 0.5 * bag.low, beside, hip[2] + 0.02 - bag.low])
    elif bag.kind == "belt":
        bone, centre = at["pelvis"], np.array([0.12 + cloth + 0.5 * size[0], 0, hip[2] + 0.1])
    elif bag.kind == "trolley":
        bone, centre = len(body.bones) + 2, np.array([0, 0, 0.08 + size[2]])
    else:
        drop = {"handbag": 0.10, "shopping": 0.16, "briefcase": 0.03}[bag.kind]
        bone, centre = len(body.bones) + "LR".index(bag.side), np.array([0, 0, -drop - size[2]])
    return _rigid(solid(centre, size, box), bone, len(body.bones), "bag")


def _with_hanging(body: Body, motion: Motion, bag: Bag | None) -> tuple[Floats, Floats]:
    """Rotations and positions of all bones, `_HANG` included; weights in the hands swing a little."""
    cosine, sine = np.cos(motion.heading), np.sin(motion.heading)
    upright = np.zeros((len(motion), 3, 3))
    upright[:, 0, 0] = upright[:, 1, 1] = cosine
    upright[:, 1, 0], upright[:, 0, 1], upright[:, 2, 2] = sine, -sine, 1
    forward = upright[:, :, 0]
    rotations = np.repeat(upright[:, None], len(_HANG), 1)
    positions = np.empty((len(motion), len(_HANG), 3))
    for k, side in enumerate("LR"):
        hand = body.index["hand" + side]
        grip = motion.positions[:, hand] + 0.07 * (motion.positions[:, hand] - motion.positions[:, hand - 1])
        positions[:, k] = grip
        swing = ((grip - motion.positions[:, 0]) * forward).sum(1)
        tilt = np.clip(0.8 * (swing - swing.mean()), -0.25, 0.25)
        rotations[:, k] = upright @ _pitch(-tilt)
    aside = 0.0 if bag is None else (0.18 if bag.side == "L" else -0.18)
    positions[:, 2] = motion.positions[:, 0] - 0.62 * forward + aside * upright[:, :, 1]
    positions[:, 2, 2] = 0.0
    return np.concatenate([motion.rotations, rotations], 1), np.concatenate([motion.positions, positions], 1)


def _pitch(angle: Floats) -> Floats:
    out = np.zeros((len(angle), 3, 3))
    out[:, 0, 0] = out[:, 2, 2] = np.cos(angle)
    out[:, 0, 2], out[:, 2, 0], out[:, 1, 1] = np.sin(angle), -np.sin(angle), 1
    return out


class _Hanging:
    """A tube of cloth: two rings fixed to the pelvis, then rings that wrap both legs.

    A wrapping ring is the convex hull of the cross-sections of both legs, now and `Tube.lag_s` ago, so the
    cloth is never inside a leg and lags behind it.
    """

    moving = _RINGS * SECTORS

    def __init__(
        self, body: Body, figure: BodyShape, outfit: Outfit, tube: Tube, rng: np.random.Generator
    ) -> None:
        self._body, self._tube = body, tube
        angle = np.arange(SECTORS) * 2 * np.pi / SECTORS
        self._rays = np.stack([np.cos(angle), np.sin(angle)], 1)
        turns = rng.uniform(0, 2 * np.pi, 2)
        waves = np.sin(5 * angle + turns[0]) + 0.6 * np.sin(3 * angle + turns[1])
        self._folds = tube.folds * waves
        self._radii = _leg_radii(body, figure) + np.array([outfit.thigh, outfit.thigh, outfit.shank])
        self._levels = tube.length * (np.arange(_RINGS) + 1) / _RINGS
        self.top = self._fixed(figure, outfit)

    def _fixed(self, figure: BodyShape, outfit: Outfit) -> Piece:
        hip = figure.joints[self._body.index["thighL"], 2]
        trunk = self._body.share("pelvis", "lumbar", "thorax", "thigh") > 0.5
        rings = []
        for level in (0.11, 0.0):
            near = trunk & (np.abs(figure.vertices[:, 2] - hip - level) < 0.05)
            cut = figure.vertices[near][:, :2]
            centre = (cut.max(0) + cut.min(0)) / 2
            reach = ((cut - centre) @ self._rays.T).max(0) * 0.97 + outfit.torso
            reach = reach + (self._tube.ease if level == 0.0 else 0.0)
            flat = centre + reach[:, None] * self._rays
            rings.append(np.column_stack([flat, np.full(SECTORS, hip + level)]))
        empty = np.zeros((0, 3), np.int32)
        piece = _rigid((np.concatenate(rings), empty), 0, len(self._body.bones), "skirt")
        return piece

    def faces(self, fixed: int, free: int) -> Ints:
        """Faces between successive rings; fixed rings start at vertex `fixed`, moving ones at `free`."""
        starts = [fixed, fixed + SECTORS, *(free + k * SECTORS for k in range(_RINGS))]
        k = np.arange(SECTORS)
        after = (k + 1) % SECTORS
        out = []
        for a, b in pairwise(starts):
            out += [np.stack([a + k, b + k, b + after], 1), np.stack([a + k, b + after, a + after], 1)]
        return np.concatenate(out).astype(np.int32)

    def rings(self, motion: Motion) -> Floats:
        """(T, rings * sectors, 3) vertices of the wrapping rings."""
        centres = np.stack([self._leg_points(motion, side) for side in "LR"], 2)  # (T, R, 2, 3)
        late = _late(centres - motion.positions[:, None, None, 0], motion.times, self._tube.lag_s)
        discs = np.concatenate([centres, late + motion.positions[:, None, None, 0]], 2)  # (T, R, 4, 3)
        cosine, sine = np.cos(motion.heading), np.sin(motion.heading)
        turn = np.stack([np.stack([cosine, sine], 1), np.stack([-sine, cosine], 1)], 1)
        rays = self._rays @ turn  # (T, S, 2)
        middle = centres[..., :2].mean(2)  # (T, R, 2)
        share = self._levels / max(self._levels[-1], 1e-6)
        room = np.interp(self._levels, [0, 1, 2], self._radii) + self._tube.ease
        room = room + self._tube.flare * min(1.0, self._tube.length) * share  # a short hem cannot flare
        reach = np.einsum("trdc,tsc->trds", discs[..., :2] - middle[:, :, None], rays)
        best = reach.argmax(2)  # (T, R, S)
        chosen = np.take_along_axis(discs, best[..., None], 2)  # (T, R, S, 3)
        radius = room[None, :, None] * (1 + self._folds * share[:, None])
        flat = chosen[..., :2] + radius[..., None] * rays[:, None]
        height = 0.5 * chosen[..., 2] + 0.5 * centres[..., 2].mean(2)[..., None]
        return np.concatenate([flat, height[..., None]], -1).reshape(len(motion), -1, 3)

    def _leg_points(self, motion: Motion, side: str) -> Floats:
        """(T, R, 3) points on the axis of the leg at the levels of the rings."""
        at = self._body.index
        chain = [motion.positions[:, at[name + side]] for name in ("thigh", "shank", "foot")]
        points = []
        for level in self._levels:
            k = min(int(level), 1)
            points.append(chain[k] + (level - k) * (chain[k + 1] - chain[k]))
        return np.stack(points, 1)


def _late(values: Floats, times: Floats, lag_s: float) -> Floats:
    """Values (T, ...) delayed by an exponential filter."""
    keep = np.exp(-(times[1] - times[0]) / max(lag_s, 1e-3))
    out = values.copy()
    for t in range(1, len(values)):
        out[t] = keep * out[t - 1] + (1 - keep) * values[t]
    return out


@lru_cache(maxsize=256)
def _leg_radii(body: Body, figure: BodyShape) -> Floats:
    """Radius of the left leg at the levels of hip, knee and ankle, metres."""
    at, joints = body.index, figure.joints
    radii = []
    for bone, end, share in (("thighL", "shankL", 0.3), ("thighL", "shankL", 0.95), ("shankL", "footL", 0.7)):
        start, axis = joints[at[bone]], joints[at[end]] - joints[at[bone]]
        chosen = figure.vertices[body.owner == at[bone]] - start
        along = chosen @ axis / (axis @ axis)
        off = np.linalg.norm(chosen - along[:, None] * axis, axis=1)
        weight = np.exp(-(((along - share) / 0.2) ** 2))
        radii.append((off * weight).sum() / weight.sum())
    return np.array(radii)
