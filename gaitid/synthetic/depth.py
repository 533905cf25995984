"""Depth sensors and marker systems: true joints in space to measured ones, (T, 17, 4) metres and confidence.

Each kind of sensor defines its joints differently (the hip of a Kinect is not that of a marker set). Sensors
also measure a little long or short, jitter, drift, smooth, confuse left and right, and lose joints. What is
constant about a sensor is in `Sensor`; what differs between walks is drawn by `Sensor.measure`.

The sizes are our estimates after published comparisons of Kinect with optical capture, which report 1 to 4
cm for trunk and limbs and most at the feet: Otte et al. 2016 (PLoS ONE 11(11): e0166532, tables 2 to 4);
Wang et al. 2015 (ICHI, "Evaluation of pose tracking accuracy in the first and second generations of
Microsoft Kinect", section IV).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gaitid.modalities.skeleton import PAIRS

Doubles = NDArray[np.float64]

_FACE = (1, 2, 3, 4)
PARTS: tuple[tuple[int, ...], ...] = (
    *((0, 1, 2, 3, 4), (7, 8, 9, 10), (9, 10), (7, 9), (8, 10)),
    *((13, 15), (14, 16), (15, 16), (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)),
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16),  # all but one leg
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15),
)
"""Groups of joints that are lost together."""
_MIRROR = np.arange(17)
for _left, _right in PAIRS:
    _MIRROR[[_left, _right]] = _right, _left
_ENDS = np.ones((17, 1))
_ENDS[[9, 10, 15, 16]] = 1.8  # hands and feet are measured worst


@dataclass(frozen=True, slots=True, eq=False)
class Sensor:
    """How one sensor measures joints; the same for every subject.

    Attributes:
        shift: (17, 3) metres forward, left, up from our joints to those of the sensor.
        scale: Measured over true length.
        hidden: Joints that it never measures.
        white: Standard deviation of the noise of single frames, metres.
        slow: Standard deviation of the drifting noise, metres.
        smooth: Number of passes that average neighbouring frames.
        blink: Largest share of joints lost in a walk.
        swaps: Probability that left and right are swapped for some frames of a walk.
        tilt: Radians by which the sensor is not level, about its two horizontal axes.
        bias: Standard deviation of the error of each joint that lasts for a whole walk, metres.
        far: Largest factor on the noise of the far side of the body, drawn per walk; 1 for none.
    """

    shift: Doubles
    scale: float = 1.0
    hidden: tuple[int, ...] = ()
    white: float = 0.0
    slow: float = 0.0
    smooth: int = 0
    blink: float = 0.0
    swaps: float = 0.0
    tilt: tuple[float, float] = (0.0, 0.0)
    bias: float = 0.0
    far: float = 1.0

    @classmethod
    def exact(cls) -> Sensor:
        """A sensor without errors."""
        return cls(np.zeros((17, 3)))

    @classmethod
    def usual(cls) -> Sensor:
        """A sensor like a Kinect, always the same one; for figures on the test split."""
        drawn = cls.draw(np.random.Generator(np.random.Philox(77)))
        return replace(drawn, hidden=_FACE, white=0.015, slow=0.02, smooth=1, blink=0.05, tilt=(0.0, 0.0))

    @classmethod
    def poor(cls, rng: np.random.Generator) -> Sensor:
        """Draw a sensor with more noise, and with errors that differ between walks."""
        drawn = cls.draw(rng)
        return replace(
            drawn,
            white=1.5 * drawn.white,
            slow=1.7 * drawn.slow,
            swaps=float(rng.uniform(0, 0.5)),
            bias=float(rng.uniform(0, 0.025)),
            far=float(rng.uniform(1, 3)),
        )

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Sensor:
        """Draw a sensor."""
        shift = rng.normal(0, 1, (17, 3)) * rng.choice([0.0, 0.02, 0.05])
        shift = (shift + shift[_MIRROR] * [1, -1, 1]) / 2  # left and right are defined alike
        hidden = set(_FACE) if rng.random() < 0.6 else set()
        hidden |= {0} if rng.random() < 0.2 else set()
        if rng.random() < 0.15:
            hidden |= set(PARTS[int(rng.integers(len(PARTS)))])
        return cls(
            shift,
            scale=float(np.exp(rng.normal(0, 0.05))),
            hidden=tuple(sorted(hidden)),
            white=float(rng.uniform(0, 0.02)),
            slow=float(rng.uniform(0, 0.03)),
            smooth=int(rng.choice([0, 0, 1, 2])),
            blink=0.1,
            swaps=0.15,
            tilt=tuple(rng.normal(0, np.deg2rad(rng.choice([0.0, 5.0])), 2).tolist()),
        )

    def measure(self, joints: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.float32]:
        """Measure one walk from a drawn direction.

        Args:
            joints: (T, 17, 3) true metres, z up.
            rng: Random generator of the noise.

        Returns:
            (T, 17, 4) metres, z up, and confidence 0 or 1.
        """
        across = (joints[:, 5] - joints[:, 6] + joints[:, 11] - joints[:, 12]).mean(0)
        heading = float(np.arctan2(across[1], across[0]) - np.pi / 2)
        found = (_turned(joints, -heading) + self.shift) * self.scale * np.exp(rng.normal(0, 0.01))
        if self.bias:
            found += rng.normal(0, self.bias, (17, 3)) * _ENDS
        found += self._noise(rng, len(joints))
        if rng.random() < self.swaps:
            _swap(rng, found)
        for _ in range(self.smooth):
            found[1:-1] = (found[:-2] + 2 * found[1:-1] + found[2:]) / 4
        found = _turned(found, heading + rng.uniform(0, 2 * np.pi))
        found[..., 1:] = _turned(found[..., 1:], self.tilt[0])
        found[..., [2, 0]] = _turned(found[..., [2, 0]], self.tilt[1])
        poses = np.concatenate([found, np.ones((*found.shape[:2], 1))], 2)
        poses[:, list(self.hidden)] = 0
        poses[rng.random(poses.shape[:2]) < rng.uniform(0, self.blink)] = 0
        return np.asarray(poses, np.float32)

    def _noise(self, rng: np.random.Generator, frames: int) -> Doubles:
        """(T, 17, 3) metres of noise, larger along the line of sight."""
        knots = rng.normal(0, 1, (max(2, frames // 10), 17, 3))
        at = np.linspace(0, len(knots) - 1, frames)
        low = at.astype(int).clip(0, len(knots) - 2)
        share = (at - low)[:, None, None]
        drift = knots[low] * (1 - share) + knots[low + 1] * share
        noise = self.white * rng.normal(0, 1, drift.shape) + self.slow * drift
        angle = rng.uniform(0, 2 * np.pi)
        sight = np.array([np.cos(angle), np.sin(angle), 0.0])
        noise = noise + (noise @ sight)[..., None] * sight * rng.uniform(0, 1.5)
        if self.far > 1:
            noise[:, int(rng.integers(5, 7)) :: 2] *= rng.uniform(1, self.far)
        return np.asarray(noise * _ENDS * rng.uniform(0.5, 1.5))


def _swap(rng: np.random.Generator, found: Doubles) -> None:
    """Swap left and right in up to seven frames, of the legs or of all joints below the head, in place."""
    first = int(rng.integers(0, len(found)))
    some = slice(first, first + int(rng.integers(1, 8)))
    side = np.arange(11 if rng.random() < 0.5 else 5, 17)
    found[some, side] = found[some][:, _MIRROR[side]]


def _turned(joints: NDArray[np.floating], angle: float) -> Doubles:
    turned = np.array(joints, np.float64)
    cosine, sine = np.cos(angle), np.sin(angle)
    turned[..., 0] = cosine * joints[..., 0] - sine * joints[..., 1]
    turned[..., 1] = sine * joints[..., 0] + cosine * joints[..., 1]
    return turned
