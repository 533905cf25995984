"""Clothes, postures and masks with the spreads that were measured on real people.

Compared with the default generator: coats have hoods and collars and hardly change the legs, bags hang at the
hip, people differ at hair, neck and trunk rather than at the legs, walks of one day through one camera differ
little, and masks are steady, with bursts of frames without head or legs (CASIA-B, subjects 001 to 074;
`benchmarks/outlines.py` prints both side by side).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gaitid.synthetic.body import FEMALE
from gaitid.synthetic.noise import Segmenter
from gaitid.synthetic.outfit import Bag, Outfit, Tube, Wardrobe, draw_bag, draw_wardrobe
from gaitid.synthetic.style import PARAMETERS, Style

WALKS = 0.4
"""Factor on the differences between walks of one day."""
_POSTURE = {
    "lean": (0.5, 0.4),
    "slump": (2.0, 0.5),
    "head_pitch": (2.0, 0.4),
    "pelvis_tilt": (0.0, 0.5),
    "thigh_mean": (8.5, 0.5),
    "thigh_range": (40.0, 0.8),
    "knee_mean": (0.0, 0.5),
    "ankle_mean": (0.0, 0.6),
    "arm_mean": (-4.0, 0.6),
    "toe_out": (7.0, 0.7),
}
"""Means in the units of `style.PARAMETERS`, and factors on differences between subjects and days."""


def wardrobe(rng: np.random.Generator, sex: int, hair: tuple[str, float]) -> Wardrobe:
    """Draw the clothes of one day; see `outfit.draw_wardrobe`."""
    usual = draw_wardrobe(rng, sex, hair)
    outfit = _outfit(rng, usual.outfit)
    return Wardrobe(outfit, _coat(rng, outfit), _bag(rng, sex))


def _outfit(rng: np.random.Generator, usual: Outfit) -> Outfit:
    """Narrower trousers and shorter hems; more collars, hoods and hair."""
    wide = rng.beta(1.5, 3.0)
    top = float(rng.uniform(0.002, 0.036))
    skirt = any(tube.length > 0.45 for tube in usual.tubes)
    hem = Tube(float(rng.uniform(0.05, 0.3)), float(rng.uniform(0.008, 0.02)), 0.0, 0.03, 0.02)
    return replace(
        usual,
        torso=top,
        upper_arm=0.5 * top,
        thigh=usual.thigh if skirt else 0.012 + 0.010 * wide,
        shank=usual.shank if skirt else 0.020 + 0.014 * wide,
        bell=0.5 * usual.bell,
        collar=float(rng.uniform(0.0, 0.04)) if rng.random() < 0.35 else 0.0,
        hood=float(rng.uniform(0.2, 0.8)) if rng.random() < 0.2 else 0.0,
        hair_size=2.2 * usual.hair_size - 0.5,
        hat="none" if rng.random() < 0.8 else usual.hat,
        tubes=usual.tubes if skirt else (hem,) * int(rng.random() < 0.5),
    )


def _coat(rng: np.random.Generator, under: Outfit) -> Outfit:
    """A jacket or down jacket, mostly with hood or collar; one in five is a long coat."""
    thick = under.torso + float(rng.uniform(0.0, 0.015) if rng.random() < 0.5 else rng.uniform(0.035, 0.075))
    thick = min(thick, 0.085)
    long = rng.random() < 0.2
    length = float(rng.uniform(0.6, 1.2) if long else rng.uniform(0.3, 0.65))
    ease = 0.5 * thick + float(rng.uniform(0.005, 0.05))
    hem = Tube(length, ease, float(rng.uniform(0, 0.06 if long else 0.02)), 0.04, 0.03)
    return replace(
        under,
        torso=thick,
        upper_arm=0.5 * thick,
        forearm=0.5 * thick,
        collar=under.collar + (float(rng.uniform(0.02, 0.05)) if rng.random() < 0.35 else 0.0),
        hood=float(rng.uniform(0.5, 1.4)) if rng.random() < 0.45 else under.hood,
        tubes=(*(tube for tube in under.tubes if tube.length > length), hem),
    )


def _bag(rng: np.random.Generator, sex: int) -> Bag:
    """A bag at the hip in seven of ten, otherwise any bag."""
    usual = draw_bag(rng, sex)
    if rng.random() < 0.3 if sex == FEMALE else rng.random() < 0.4:
        return usual
    size = rng.uniform((0.14, 0.02, 0.10), (0.25, 0.05, 0.20)).tolist()
    return Bag("cross", usual.side, (size[0], size[1], size[2]), usual.weight, float(rng.uniform(0.02, 0.2)))


def posture(style: Style) -> Style:
    """The style of a day with postures as real people have them."""
    return style.shifted(
        {
            name: mean + factor * (style[name] - PARAMETERS[name].mean) - style[name]
            for name, (mean, factor) in _POSTURE.items()
        }
    )


def segmenter(camera: np.random.Generator, level: float = 1.0) -> Segmenter:
    """Draw the segmenter of one camera: steady, in half of the cameras with bursts of bad frames.

    Args:
        camera: Random generator of the camera.
        level: Factor on noise, bias and bursts.
    """
    bad = float(camera.uniform(0.02, 0.15)) if camera.random() < 0.5 else 0.0
    return Segmenter(
        blur=float(camera.uniform(0.004, 0.012)),
        coarse=float(level * camera.uniform(3, 15)),
        fine=float(level * camera.uniform(2, 12)),
        bias=float(level * np.clip(camera.normal(-30, 20), -80, 30)),
        hole=0.0,
        hole_size=0.1,
        feet=0.0,
        shadow=0.0,
        dirt=0.0,
        median=3,
        close=(3, 1),
        open=1,
        keep=0.1,
        lost=level * bad,
    )
