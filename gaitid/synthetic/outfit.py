"""Clothes and bags, drawn once per day and worn by condition.

``nm`` is the outfit of the day, ``bg`` the same with a bag, ``cl`` the same under a coat or jacket.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gaitid.errors import InputError
from gaitid.synthetic.body import FEMALE

CONDITIONS = ("nm", "bg", "cl")
HAIR = ("none", "short", "bob", "long", "bun", "tail", "afro")
HATS = ("none", "cap", "beanie", "brim")
BAGS = ("backpack", "shoulder", "cross", "handbag", "shopping", "briefcase", "trolley", "belt")


@dataclass(frozen=True, slots=True)
class Tube:
    """Cloth that hangs around both legs: a skirt, the tails of a coat, the hem of a shirt.

    Attributes:
        length: Lower end: 0 at the hip, 1 at the knee, 2 at the ankle.
        ease: Gap between leg and cloth, metres.
        flare: Extra gap at the hem, metres.
        lag_s: Delay of the hem behind the legs, seconds.
        folds: Depth of the folds as a share of the radius.
    """

    length: float
    ease: float
    flare: float
    lag_s: float
    folds: float


@dataclass(frozen=True, slots=True)
class Bag:
    """A bag: kind, carrying side (L or R), half sizes (length, width, height) in metres, weight 0..1.

    A bag across the body hangs `low` metres lower than usual, half as far behind and nearer to the hip.
    """

    kind: str
    side: str
    size: tuple[float, float, float]
    weight: float
    low: float = 0.0


@dataclass(frozen=True, slots=True)
class Outfit:
    """Clothes of one appearance; thicknesses are metres over the skin.

    Attributes:
        torso: Thickness on the trunk.
        upper_arm: Thickness on the upper arm.
        forearm: Thickness on the forearm.
        thigh: Thickness on the thigh.
        shank: Thickness below the knee.
        bell: Extra thickness at the end of the trouser leg.
        shoe: Thickness of the upper shoe.
        sole: Thickness of the sole under the whole foot.
        heel: Extra height under the heel.
        collar: Extra thickness around the neck (scarf, hood lying on the shoulders).
        roughness: Standard deviation of small folds.
        lag_s: Delay of loose cloth behind the limb, seconds.
        hair: One of `HAIR`.
        hair_size: Size of the hair, 0..1.
        hat: One of `HATS`.
        tubes: Hanging cloth.
        bag: Bag that is carried, or None.
        hood: Size of a hood that lies behind the neck, about 1; 0 for none.
    """

    torso: float
    upper_arm: float
    forearm: float
    thigh: float
    shank: float
    bell: float
    shoe: float
    sole: float
    heel: float
    collar: float
    roughness: float
    lag_s: float
    hair: str
    hair_size: float
    hat: str
    tubes: tuple[Tube, ...] = ()
    bag: Bag | None = None
    hood: float = 0.0


@dataclass(frozen=True, slots=True)
class Wardrobe:
    """The clothes of one day: the outfit, the outfit under a coat, and the bag."""

    outfit: Outfit
    coated: Outfit
    bag: Bag

    def wear(self, condition: str) -> Outfit:
        """The outfit under a condition, one of `CONDITIONS`."""
        if condition not in CONDITIONS:
            raise InputError(f"Condition is {condition!r}", f"one of {CONDITIONS}", "Pass nm, bg or cl")
        if condition == "bg":
            return replace(self.outfit, bag=self.bag)
        return self.outfit if condition == "nm" else self.coated


def draw_hair(rng: np.random.Generator, sex: int) -> tuple[str, float]:
    """Draw the hair style of a subject, which does not change, and its size 0..1."""
    chances = (
        (0.03, 0.1, 0.27, 0.33, 0.1, 0.14, 0.03)
        if sex == FEMALE
        else (0.2, 0.68, 0.06, 0.01, 0.01, 0.02, 0.02)
    )
    return str(rng.choice(HAIR, p=chances)), float(rng.uniform())


def draw_wardrobe(rng: np.random.Generator, sex: int, hair: tuple[str, float]) -> Wardrobe:
    """Draw the clothes of one day for a subject with that sex and hair."""
    kind, size = hair
    if kind in ("long", "tail", "bun") and rng.random() < 0.35:  # long hair is worn in several ways
        kind = str(rng.choice(("long", "tail", "bun")))
    outfit = _draw_outfit(rng, sex, kind, float(np.clip(size + rng.normal(0, 0.1), 0, 1)))
    return Wardrobe(outfit, _draw_coat(rng, sex, outfit), draw_bag(rng, sex))


def _draw_outfit(rng: np.random.Generator, sex: int, hair: str, hair_size: float) -> Outfit:
    top = rng.uniform(0.006, 0.022)
    tubes = []
    skirt = sex == FEMALE and rng.random() < 0.16
    if skirt:
        tubes.append(_draw_skirt(rng))
    elif rng.random() < 0.6:  # shirt or sweater over the trousers
        tubes.append(
            Tube(rng.uniform(0.05, 0.35), rng.uniform(0.012, 0.03), rng.uniform(0, 0.015), 0.03, 0.03)
        )
    wide = rng.beta(1.5, 3.0)  # most trousers are narrow to straight
    return Outfit(
        torso=top,
        upper_arm=float(rng.uniform(0.3, 0.8) * top),
        forearm=float(rng.choice([0.0, 0.004, 0.010])),
        thigh=0.004 if skirt else 0.005 + 0.024 * wide,
        shank=0.001 if skirt else 0.004 + 0.030 * wide,
        bell=0.0 if skirt else float(max(0.0, rng.normal(0.004, 0.012))),
        shoe=float(rng.uniform(0.006, 0.016)),
        sole=float(rng.uniform(0.008, 0.028)),
        heel=float(rng.uniform(0.02, 0.07)) if sex == FEMALE and rng.random() < 0.2 else 0.0,
        collar=float(rng.uniform(0.01, 0.035)) if rng.random() < 0.15 else 0.0,
        roughness=float(rng.uniform(0.001, 0.004)),
        lag_s=float(rng.uniform(0.0, 0.03) + 0.05 * wide),
        hair=hair,
        hair_size=hair_size,
        hat=str(rng.choice(HATS, p=(0.9, 0.05, 0.03, 0.02))),
        tubes=tuple(tubes),
    )


def _draw_skirt(rng: np.random.Generator) -> Tube:
    length = rng.choice(
        [rng.uniform(0.5, 0.9), rng.uniform(0.9, 1.3), rng.uniform(1.4, 1.85)], p=(0.35, 0.4, 0.25)
    )
    return Tube(
        float(length),
        rng.uniform(0.008, 0.03),
        rng.uniform(0.0, 0.10),
        rng.uniform(0.04, 0.14),
        rng.uniform(0.03, 0.12),
    )


def _draw_coat(rng: np.random.Generator, sex: int, under: Outfit) -> Outfit:
    thick = rng.uniform(0.010, 0.035)
    kind = rng.choice(("jacket", "short", "long", "down"), p=(0.3, 0.3, 0.25, 0.15))
    if kind == "down":
        thick = rng.uniform(0.03, 0.055)
    reach = {"jacket": (0.0, 0.2), "short": (0.3, 0.7), "long": (0.8, 1.5), "down": (0.05, 1.2)}[str(kind)]
    coat = Tube(
        rng.uniform(*reach),
        rng.uniform(0.02, 0.05),
        rng.uniform(0.0, 0.06),
        rng.uniform(0.03, 0.12),
        rng.uniform(0.02, 0.08),
    )
    below = tuple(tube for tube in under.tubes if tube.length > coat.length)
    return replace(
        under,
        torso=float(thick),
        upper_arm=float(thick * rng.uniform(0.55, 0.9)),
        forearm=float(thick * rng.uniform(0.35, 0.75)),
        collar=float(rng.uniform(0.015, 0.055)) if rng.random() < 0.6 else under.collar,
        roughness=float(rng.uniform(0.002, 0.005)),
        hat=str(rng.choice(HATS, p=(0.55, 0.08, 0.29, 0.08))) if rng.random() < 0.4 else under.hat,
        tubes=(*below, coat),
    )


def draw_bag(rng: np.random.Generator, sex: int) -> Bag:
    """Draw a bag of any kind in `BAGS`."""
    chances = (0.27, 0.2, 0.13, 0.15, 0.1, 0.05, 0.05, 0.05)
    if sex != FEMALE:
        chances = (0.4, 0.1, 0.17, 0.03, 0.1, 0.09, 0.06, 0.05)
    kind = str(rng.choice(BAGS, p=chances))
    low, high = {
        "backpack": ((0.06, 0.12, 0.17), (0.13, 0.18, 0.27)),
        "shoulder": ((0.11, 0.04, 0.09), (0.19, 0.08, 0.17)),
        "cross": ((0.09, 0.03, 0.07), (0.17, 0.07, 0.13)),
        "handbag": ((0.10, 0.04, 0.08), (0.18, 0.08, 0.15)),
        "shopping": ((0.12, 0.06, 0.14), (0.21, 0.11, 0.22)),
        "briefcase": ((0.17, 0.03, 0.11), (0.23, 0.06, 0.16)),
        "trolley": ((0.10, 0.15, 0.24), (0.15, 0.23, 0.35)),
        "belt": ((0.05, 0.10, 0.05), (0.08, 0.15, 0.08)),
    }[kind]
    length, width, height = rng.uniform(low, high)
    return Bag(
        kind, str(rng.choice(["L", "R"])), (float(length), float(width), float(height)), float(rng.uniform())
    )


def style_changes(outfit: Outfit) -> dict[str, float]:
    """Changes of the style caused by clothes and load, in the units of `style.PARAMETERS`."""
    changes = {
        "ankle_mean": -200.0 * outfit.heel,
        "cadence": 60.0 * outfit.heel,
        "thigh_range": -40.0 * outfit.heel,
    }
    hobble = max(
        (t.length - 0.8) * (0.05 - t.ease - t.flare) for t in (*outfit.tubes, Tube(0.8, 0.05, 0, 0, 0))
    )
    changes["thigh_range"] -= 120.0 * max(0.0, hobble)
    changes["arm_spread"] = 90.0 * max(0.0, outfit.torso - 0.01)
    changes["arm_range"] = -60.0 * max(0.0, outfit.upper_arm - 0.01)
    bag = outfit.bag
    if bag is not None:
        side = 1.0 if bag.side == "L" else -1.0
        if bag.kind == "backpack":
            changes["lean"] = 1.0 + 5.0 * bag.weight
        elif bag.kind in ("handbag", "shopping", "briefcase", "shoulder"):
            changes["side_lean"] = -side * (0.5 + 2.5 * bag.weight)
            changes["shoulder_tilt"] = side * 2.5 * bag.weight
        changes["cadence"] = changes["cadence"] - 1.5 * bag.weight
    return changes


def draw_arms(rng: np.random.Generator, outfit: Outfit) -> dict[str, str]:
    """Draw the modes of the arms in one walk, by side; see `motion.ARM_MODES`. Missing sides are free."""
    arms: dict[str, str] = {}
    bag = outfit.bag
    if bag is not None:
        if bag.kind in ("handbag", "shopping", "briefcase", "trolley"):
            arms[bag.side] = "carry"
        elif bag.kind in ("shoulder", "backpack") and rng.random() < 0.35:
            arms[bag.side] = "strap"
    chance = rng.random()
    if chance < 0.05:
        arms.setdefault(str(rng.choice(["L", "R"])), "phone")
    elif chance < 0.08:
        arms.setdefault(str(rng.choice(["L", "R"])), "hold")
    elif chance < 0.14:
        for side in ("L", "R") if rng.random() < 0.5 else (str(rng.choice(["L", "R"])),):
            arms.setdefault(side, "pocket")
    return arms
