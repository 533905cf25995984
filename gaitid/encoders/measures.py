"""Measures of a body and its stride, from skeletons in space: lengths of limbs and waves of a gait cycle.

Lengths are the median over time of distances between joints, as logarithms of metres, left and right
averaged. A wave is a component of a bone's direction, a reach or a height as a function of the phase of the
stride, as mean and first harmonics. Waves of the right side are shifted by half a stride and averaged with
those of the left. The phase is zero where the left thigh is farthest ahead. What cannot be measured is NaN.

Sources: Andersson and Araujo 2015 (AAAI, "Person Identification Using Anthropometric and Gait Data from
Kinect Sensor"), who identify people by lengths and by angles of the legs; Troje 2002 (J. Vision 2(5),
"Decomposing biological motion"), who describes a walk by the harmonics of its stride. The path is not used,
because sensors may follow the walker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.encoders.poses import POSE_RATE_HZ

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Seen = NDArray[np.bool_]

_STRIDE_HZ = (0.5, 1.4)
"""Lowest and highest frequency of a stride that is searched."""
_LEAST_M = 0.01
"""Lengths below this are not those of a body."""
_LEAST_SWING = 0.02
"""Legs that move less, radians, stand still."""
_FEWEST = 8
"""Fewest frames of a measure."""
_LEFT, _RIGHT = (5, 7, 9, 11, 13, 15), (6, 8, 10, 12, 14, 16)
"""Shoulder, elbow, wrist, hip, knee, ankle."""


LENGTHS = (
    *("upper arm", "forearm", "thigh", "shank", "shoulders", "hips", "trunk", "neck"),
    *("height of the head", "height of the shoulders", "height of the hips"),
)
"""Names of the lengths, in order."""
HARMONICS: dict[str, tuple[int, ...]] = {
    "thigh ahead": (0, 1, 2, 3, 4),
    "thigh aside": (0, 1, 2),
    "shank ahead": (0, 1, 2, 3, 4),
    "shank aside": (0, 1),
    "upper arm ahead": (0, 1, 2),
    "upper arm aside": (0, 1),
    "forearm ahead": (0, 1, 2),
    "forearm aside": (0, 1),
    "foot ahead": (0, 1, 2),
    "foot aside": (0, 1),
    "trunk ahead": (0, 2),
    "trunk aside": (0, 1),
    "head ahead": (0, 2),
    "shoulders up": (0, 1),
    "hips up": (0, 1),
    "shoulders ahead": (1,),
    "hips ahead": (1,),
    "bounce": (2,),
}
"""Harmonics of each wave; 0 is its mean, the others are a cosine and a sine."""
NAMES = (
    *LENGTHS,
    "cadence",
    *(
        f"{wave} {part}"
        for wave, numbers in HARMONICS.items()
        for n in numbers
        for part in (("0",) if n == 0 else (f"{n} cos", f"{n} sin"))
    ),
)
"""Names of all measures, in order."""
MEASURES = len(NAMES)


def measure(stretches: Sequence[tuple[Floats, Seen]]) -> Floats:
    """(MEASURES,) measures of one walk, in the order of `NAMES`; NaN where joints are missing.

    Args:
        stretches: Parts of the walk between gaps: (T, 17, 3) metres ahead, left and up (see
            `modalities.skeleton.facing`) at `POSE_RATE_HZ`, and (T, 17) whether each joint was seen.
    """
    parts = [np.where(seen[..., None], places, np.nan) for places, seen in stretches]
    bodies = [_Body.of(part) for part in parts]
    swings = [_swing(body) for body in bodies]
    frequency = _frequency(swings)
    lengths = _lengths(np.concatenate([_distances(body) for body in bodies]))
    if not frequency:
        return np.concatenate([lengths, np.full(MEASURES - len(LENGTHS), np.nan)])
    phase = np.concatenate([_phase(swing, frequency) for swing in swings])
    sided = np.concatenate([_sided(body) for body in bodies])
    axial = np.concatenate([_axial(body, frequency) for body in bodies])
    terms = np.concatenate([_of_sides(sided, phase), _terms(axial, phase)], 1)
    return np.concatenate([lengths, [np.log(frequency)], _chosen(terms)])


@dataclass(frozen=True, slots=True, eq=False)
class _Body:
    """Joints of a stretch, NaN where missing.

    Attributes:
        sides: (2, T, 6, 3) metres: left and right shoulder, elbow, wrist, hip, knee, ankle; y is outwards.
        head: (T, 3) metres.
        middles: (2, T, 3) metres: between the shoulders and between the hips.
        across: (2, T, 3) metres: from the right to the left shoulder and hip.
        bones: (2, T, 4, 3) metres: upper arm, forearm, thigh, shank.
        length: (2, T, 4) metres, of the bones.
    """

    sides: Floats
    head: Floats
    middles: Floats
    across: Floats
    bones: Floats
    length: Floats

    @classmethod
    def of(cls, places: Floats) -> _Body:
        left, right = places[:, _LEFT], places[:, _RIGHT]
        ends = [0, 3]
        sides = np.stack([left, right * [1.0, -1.0, 1.0]])
        bones = sides[:, :, [1, 2, 4, 5]] - sides[:, :, [0, 1, 3, 4]]
        return cls(
            sides,
            places[:, 0],
            ((left + right) / 2)[:, ends].transpose(1, 0, 2),
            (left - right)[:, ends].transpose(1, 0, 2),
            bones,
            _norm(bones),
        )


def _distances(body: _Body) -> Floats:
    """(T, 15) metres: bones of the left and of the right side, then as `LENGTHS` has them."""
    ground = np.minimum(body.sides[0, :, 5, 2], body.sides[1, :, 5, 2])
    points = (body.head, *body.middles)
    return np.column_stack(
        [
            *body.length,
            *_norm(body.across),
            _norm(body.middles[0] - body.middles[1]),
            _norm(body.head - body.middles[0]),
            *(point[:, 2] - ground for point in points),
        ]
    )


def _lengths(distances: Floats) -> Floats:
    """(11,) logarithms of the median distances, of both sides together."""
    middle = _quantiles(distances)[1]
    both = _mean_of_sides(middle[:4], middle[4:8])
    found = np.concatenate([both, middle[8:]])
    return np.log(np.where(found > _LEAST_M, found, np.nan))


def _sided(body: _Body) -> Floats:
    """(T, 2, 10) waves of each side, in the order of `HARMONICS`."""
    straight = body.bones / np.maximum(body.length, 1e-6)[..., None]
    reach = body.sides[:, :, 5] - body.sides[:, :, 3]
    ahead_and_aside = np.concatenate([straight[:, :, [2, 3, 0, 1], :2], reach[:, :, None, :2]], 2)
    return ahead_and_aside.reshape(2, len(body.head), 10).transpose(1, 0, 2)


def _axial(body: _Body, frequency: float) -> Floats:
    """(T, 8) waves of the body's axis, in the order of `HARMONICS`."""
    trunk, head = body.middles[0] - body.middles[1], body.head - body.middles[0]
    upright = trunk / np.maximum(_norm(trunk), 1e-6)[:, None]
    nod = head / np.maximum(_norm(head), 1e-6)[:, None]
    level = body.across / np.maximum(_norm(body.across), 1e-6)[..., None]
    height = body.middles[:, :, 2].mean(0)
    return np.column_stack(
        [
            *(upright[:, 0], upright[:, 1], nod[:, 0]),
            *(level[0, :, 2], level[1, :, 2], level[0, :, 0], level[1, :, 0]),
            _detrended(height, max(1, round(POSE_RATE_HZ / frequency))),
        ]
    )


def _of_sides(waves: Floats, phase: Floats) -> Complexes:
    """(5, 10) harmonics of (T, 2, 10) waves: the mean of both sides, the right one half a stride late."""
    left, right = _terms(waves[:, 0], phase), _terms(waves[:, 1], phase + np.pi)
    return _mean_of_sides(left, right)


def _terms(waves: Floats, phase: Floats) -> Complexes:
    """(5, S) mean and harmonics 1 to 4 of (T, S) waves; NaN where a wave has too few frames."""
    low, middle, high = _quantiles(waves)
    spread = 2 * (high - low)
    tamed = np.clip(waves, middle - spread, middle + spread)
    there = ~np.isnan(tamed)
    count = there.sum(0)
    mean = np.where(there, tamed, 0).sum(0) / np.maximum(count, 1)
    rest = np.where(there, tamed - mean, 0)
    turns = 2 * np.exp(-1j * np.arange(1, 5)[:, None] * phase) @ rest / np.maximum(count, 1)
    found = np.concatenate([mean[None], turns])
    found[:, count < _FEWEST] = complex(np.nan, np.nan)
    return np.asarray(found)


def _chosen(terms: Complexes) -> Floats:
    """The harmonics that `HARMONICS` lists, as means, cosines and sines."""
    values: list[float] = []
    for wave, numbers in enumerate(HARMONICS.values()):
        for n in numbers:
            term = terms[n, wave]
            values += [term.real] if n == 0 else [term.real, term.imag]
    return np.array(values)


def _mean_of_sides(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """The mean of two sides, or the one that was measured."""
    return np.where(np.isnan(left), right, np.where(np.isnan(right), left, (left + right) / 2))


def _swing(body: _Body) -> Floats:
    """(T,) how far the left thigh is ahead of the right one; of one thigh where only one was seen."""
    ahead = body.bones[:, :, 2, 0] / np.maximum(body.length[:, :, 2], 1e-6)
    left, right = ahead - _quantiles(ahead.T)[1][:, None]
    both = np.where(np.isnan(right), 2 * left, np.where(np.isnan(left), -2 * right, left - right))
    return _filled(both)


def _filled(signal: Floats) -> Floats:
    """A signal whose gaps are interpolated; zeros if there is too little of it."""
    there = np.flatnonzero(~np.isnan(signal))
    if len(there) < _FEWEST:
        return np.zeros(len(signal))
    return np.interp(np.arange(len(signal)), there, signal[there])


def _frequency(signals: Sequence[Floats]) -> float:
    """Frequency of the stride, hertz: where the signals have most power; 0 if they do not move."""
    grid = np.linspace(*_STRIDE_HZ, 73)
    power = np.zeros(len(grid))
    for signal in signals:
        if len(signal) >= _FEWEST and np.ptp(signal) > _LEAST_SWING:
            centred = (signal - signal.mean()) * np.hanning(len(signal) + 2)[1:-1]
            times = np.arange(len(signal)) / POSE_RATE_HZ
            power += np.abs(np.exp(-2j * np.pi * grid[:, None] * times) @ centred) ** 2
    return float(grid[power.argmax()]) if power.any() else 0.0


def _phase(signal: Floats, frequency: float) -> Floats:
    """(T,) phase of the stride, radians: that of the signal's component near a frequency."""
    turn = 2 * np.pi * frequency * np.arange(len(signal)) / POSE_RATE_HZ
    window = min(len(signal), max(3, round(1.5 * POSE_RATE_HZ / frequency)))
    slow = (signal - signal.mean()) * np.exp(-1j * turn)
    smooth = np.convolve(slow, np.hanning(window + 2)[1:-1], "full")[(window - 1) // 2 :][: len(signal)]
    return np.asarray(turn + np.angle(smooth))


def _detrended(signal: Floats, window: int) -> Floats:
    """A signal less its mean over `window` frames around each."""
    there = ~np.isnan(signal)
    sums = np.concatenate([[0.0], np.cumsum(np.where(there, signal, 0))])
    counts = np.concatenate([[0], np.cumsum(there)])
    frames = np.arange(len(signal))
    first, last = np.maximum(frames - window // 2, 0), np.minimum(frames + window // 2 + 1, len(signal))
    return np.asarray(signal - (sums[last] - sums[first]) / np.maximum(counts[last] - counts[first], 1))


def _quantiles(values: Floats) -> Floats:
    """(3, S) quartiles of (T, S) values without their NaN; NaN where there are too few."""
    ordered = np.sort(values, axis=0)  # NaN last
    count = (~np.isnan(values)).sum(0)
    rows = np.round(np.array([0.25, 0.5, 0.75])[:, None] * np.maximum(count - 1, 0)).astype(int)
    found = np.take_along_axis(ordered, rows, 0)
    found[:, count < _FEWEST] = np.nan
    return np.asarray(found)


def _norm(vectors: Floats) -> Floats:
    return np.asarray(np.sqrt(np.einsum("...c,...c->...", vectors, vectors)))
