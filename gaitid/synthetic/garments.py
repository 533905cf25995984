"""Colours of skin, hair and clothes, drawn once per day and painted onto labels and brightness."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.synthetic.body import LABEL, PARTS, load_body
from gaitid.synthetic.population import Key, Population

Bytes = NDArray[np.uint8]

_SKIN = ((168, 196, 232), (128, 164, 214), (96, 134, 190), (62, 92, 142), (40, 58, 92))
_HAIR = ((28, 30, 34), (30, 38, 48), (150, 152, 154), (34, 48, 68), (54, 84, 122), (108, 156, 190))
"""Darker skin uses fewer of these, counted from the first."""
_DARK = ((38, 36, 34), (62, 46, 36), (56, 58, 62), (44, 52, 66), (84, 66, 48), (40, 60, 44))
_SHOES = ((34, 34, 36), (40, 54, 80), (58, 60, 64), (196, 198, 200), (60, 44, 38))
_TOPS = (
    (206, 208, 210), (58, 44, 148), (140, 92, 44), (66, 116, 66), (70, 150, 196), (150, 132, 118),
    (90, 70, 60), (44, 42, 44), (120, 120, 176), (178, 160, 90),
)  # fmt: skip
_BAGS = ((40, 40, 42), (46, 66, 108), (70, 46, 40), (48, 40, 124), (86, 104, 110))
_SHEET = 1024
"""Side of the cloth patterns, pixels."""
_BARE = np.uint8(len(PARTS) + 1)
"""Label of bare forearms."""


@dataclass(frozen=True, slots=True, eq=False)
class Colors:
    """Colours and patterns of one outfit.

    Attributes:
        palette: (16, 3) uint8 BGR of each label.
        bare_arms: Whether the forearms are bare.
        weave: (1024, 1024) float32 folds and threads, shares of brightness.
        pattern: (1024, 1024) float32 stripes or checks on the trunk, shares of brightness.
    """

    palette: Bytes
    bare_arms: bool
    weave: NDArray[np.float32]
    pattern: NDArray[np.float32]

    def labels(self, labels: Bytes) -> Bytes:
        """Replace the labels (F,) of bare forearms by their own label."""
        if not self.bare_arms:
            return labels
        body = load_body()
        out = labels.copy()
        arms = np.isin(body.owner[body.faces], [body.index["farmL"], body.index["farmR"]]).all(1)
        out[: arms.size][arms] = _BARE
        return out

    def paint(self, labels: Bytes, bright: Bytes) -> Bytes:
        """Paint (h, w, 3) BGR from the labels and the brightness (h, w) of `render.paint`."""
        # Near the outline the blur includes the dark outside; dividing by the share inside corrects that.
        inside = cv2.blur((labels > 0).astype(np.float32), (5, 5))
        factor = cv2.blur(bright, (5, 5)).astype(np.float32) / np.maximum(inside, 0.05) / 215
        weave, pattern = _cover(self.weave, labels.shape), _cover(self.pattern, labels.shape)
        factor *= 1 + weave * _WOVEN[labels] + pattern * _PATTERNED[labels]
        return np.asarray((self.palette[labels] * factor[..., None]).clip(0, 255), np.uint8)


def _cover(sheet: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Crop or tile a sheet to (h, w)."""
    if max(shape) > _SHEET:
        times = -(-max(shape) // _SHEET)
        sheet = np.tile(sheet, (times, times))
    return sheet[: shape[0], : shape[1]]


def _share(parts: dict[str, float]) -> NDArray[np.float32]:
    out = np.zeros(len(PARTS) + 2, np.float32)
    for part, share in parts.items():
        out[LABEL[part]] = share
    return out


_WOVEN = _share(
    {"torso": 1, "arm_left": 1, "arm_right": 1, "leg_left": 1, "leg_right": 1, "skirt": 1, "bag": 0.6,
     "hair": 1.4, "hat": 1}
)  # fmt: skip
_PATTERNED = _share({"torso": 1, "arm_left": 1, "arm_right": 1, "skirt": 0.6})


def draw_colors(population: Population, identity: int, session: int, condition: str) -> Colors:
    """Draw the colours of a subject: skin and hair stay, clothes change by day, the coat by condition."""
    ever = Key(population.seed, population.split, identity, 0, 0, "colors", 0.0).stream("identity")
    day = Key(population.seed, population.split, identity, session, 0, "colors", 0.0).stream("session")
    outfit = population.day(identity, session).wardrobe.wear(condition)
    tone = int(ever.integers(len(_SKIN)))
    skin, hair = _pick(ever, _SKIN[tone : tone + 1]), _pick(ever, _HAIR[: 6 - tone])
    top, legs, shoes = _pick(day, _TOPS), _pick(day, _DARK), _pick(day, _SHOES)
    bag, coat, hat, skirt = _pick(day, _BAGS), _pick(day, _DARK), _pick(day, _DARK), _pick(day, _TOPS + _DARK)
    bare = day.random()
    if condition == "cl":
        top = coat
    long = bool(outfit.tubes) and outfit.tubes[0].length > 0.45  # a skirt rather than the hem of a shirt
    hangs = coat if condition == "cl" else skirt if long else top
    if long and condition != "cl":
        legs = skin if day.random() < 0.5 else (46, 44, 46)
    by_part = {
        "head": skin, "torso": top, "arm_left": top, "arm_right": top, "hand_left": skin,
        "hand_right": skin, "leg_left": legs, "leg_right": legs, "foot_left": shoes, "foot_right": shoes,
        "skirt": hangs, "bag": bag, "hair": hair, "hat": hat,
    }  # fmt: skip
    palette = np.zeros((len(PARTS) + 2, 3), np.uint8)
    for part, color in by_part.items():
        palette[LABEL[part]] = color
    palette[_BARE] = skin
    bare_arms = bool(outfit.forearm == 0 and condition != "cl" and bare < 0.7)
    return Colors(palette, bare_arms, _weave(day), _pattern(day))


def _pick(rng: np.random.Generator, colors: tuple[tuple[int, int, int], ...]) -> tuple[int, int, int]:
    """Pick one of the colours with a little variation."""
    base = np.array(colors[int(rng.integers(len(colors)))]) * rng.uniform(0.85, 1.1) + rng.normal(0, 4, 3)
    blue, green, red = np.rint(base.clip(12, 235)).astype(int).tolist()
    return blue, green, red


def _weave(rng: np.random.Generator) -> NDArray[np.float32]:
    """(1024, 1024) float32 folds and threads."""
    grain = rng.standard_normal((_SHEET, _SHEET), np.float32)
    folds, threads = cv2.GaussianBlur(grain, (0, 0), 6), cv2.GaussianBlur(grain, (0, 0), 1)
    return np.asarray(0.05 * folds / folds.std() + 0.035 * threads / threads.std(), np.float32)


def _pattern(rng: np.random.Generator) -> NDArray[np.float32]:
    """(1024, 1024) float32: mostly plain, sometimes horizontal stripes or checks."""
    rows, columns = np.indices((_SHEET, _SHEET))
    kind, width, depth = rng.random(), rng.uniform(7, 18), rng.uniform(0.06, 0.2)
    stripes = np.sign(np.sin(rows * 2 * np.pi / width))
    if kind < 0.12:
        stripes = 0.6 * stripes + 0.6 * np.sign(np.sin(columns * 2 * np.pi / width))
    return np.asarray(depth * stripes if kind < 0.32 else 0 * stripes, np.float32)
