"""Skeleton clips for training: from any view, with the noise of a pose estimator and missing joints."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gaitid.encoders import bodies, poses
from gaitid.encoders.poses import POSE_RATE_HZ, resample
from gaitid.errors import SequenceError
from gaitid.records import JOINTS
from gaitid.synthetic.camera import Camera
from gaitid.synthetic.depth import PARTS, Sensor
from gaitid.synthetic.detect import detect, visible

from .corpus import Corpus, DatasetCorpus
from .recipe import PoseAugmentation

_FEWEST = 6
"""Fewest frames of a stretch, if the walk has that many."""


def clip(
    rng: np.random.Generator, corpus: Corpus, number: int, frames: int, view: float, how: PoseAugmentation
) -> NDArray[np.float32]:
    """(frames, 17, FEATURES) of a random stretch of a walk, recorded again from `view` degrees."""

    def shoot(window: NDArray[np.intp]) -> NDArray[np.float32]:
        seen = film(rng, corpus.joints(number)[window].astype(np.float64), view, how.noise)
        return _change(rng, seen, how)

    return _stretch(rng, corpus.times(number), frames, how, shoot, poses.features)


def recorded_clip(
    rng: np.random.Generator, corpus: DatasetCorpus, number: int, frames: int, how: PoseAugmentation
) -> NDArray[np.float32]:
    """(frames, 17, FEATURES) of a random stretch of a recorded walk."""
    skeletons = corpus.skeletons(number)

    def shoot(window: NDArray[np.intp]) -> NDArray[np.float32]:
        return _change(rng, skeletons[window].copy(), how)

    return _stretch(rng, corpus.times(number), frames, how, shoot, poses.features)


def clip_in_space(
    rng: np.random.Generator,
    corpus: Corpus,
    number: int,
    frames: int,
    sensor: Sensor,
    how: PoseAugmentation,
) -> NDArray[np.float32]:
    """(frames, 17, FEATURES_3D) of a random stretch of a walk, as measured by a depth sensor."""
    joints = corpus.joints(number)
    return _stretch(
        rng,
        corpus.times(number),
        frames,
        how,
        lambda window: sensor.measure(joints[window], rng),
        bodies.features,
    )


def _stretch(
    rng: np.random.Generator,
    times: NDArray[np.float64],
    frames: int,
    how: PoseAugmentation,
    shoot: Callable[[NDArray[np.intp]], NDArray[np.float32]],
    features: Callable[[NDArray[np.float64], NDArray[np.bool_]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """(frames, 17, F) features of a random stretch at a changed pace; zeros if no frame is usable."""
    for _ in range(4):
        clock = times * float(np.exp(rng.uniform(-1, 1) * np.log(how.speed)))
        window = _window(rng, clock, frames / POSE_RATE_HZ, how.drop)
        try:
            places, seen = resample(shoot(window), clock[window])
            longest = int(np.argmax([len(part) for part in places]))
            made = features(places[longest], seen[longest])
        except SequenceError:  # too much is hidden; try another stretch
            continue
        return made[np.resize(np.arange(len(made)), frames)]
    number = poses.FEATURES if features is poses.features else bodies.FEATURES_3D
    return np.zeros((frames, JOINTS, number), np.float32)


def film(
    rng: np.random.Generator, joints: NDArray[np.float64], view: float, noise: tuple[float, ...]
) -> NDArray[np.float32]:
    """Project true joints into a random camera at `view` and add the noise of a pose estimator.

    Args:
        rng: Source of randomness.
        joints: (T, 17, 3) metres, z up.
        view: Degrees.
        noise: Lowest and highest strength of the noise.

    Returns:
        (T, 17, 3) float32, pixels and confidence.
    """
    distance = float(np.exp(rng.uniform(np.log(3.0), np.log(12.0))))
    tall = float(np.exp(rng.uniform(np.log(60), np.log(400))))
    camera = Camera.beside(
        view,
        distance=distance,
        height=float(
            rng.uniform(0.8, 1.8) if rng.random() < 0.6 else rng.uniform(1.8, 0.35 * distance + 1.2)
        ),
        focal=tall / 1.7 * distance,
        roll=float(rng.normal(0, 1.5)),
    )
    centred = joints - np.append(joints[:, :, :2].mean((0, 1)), 0.0)
    pixels, depth = camera.project(centred)
    scale = camera.focal / np.maximum(depth.mean(1), 0.1)
    level = float(rng.uniform(noise[0], noise[-1]))
    seen = visible(pixels, depth, scale)
    return detect(pixels, seen, scale * 1.7, rng, level)


def film_badly(
    rng: np.random.Generator, joints: NDArray[np.float64], view: float, level: float
) -> NDArray[np.float32]:
    """Film true joints as `film` does, by an estimator that errs and does not know it.

    Each joint is off by the same amount in a whole walk and jumps between frames, the legs are swapped for
    a while, a part of the body may be lost, and the confidence of what was found says little.

    Args:
        rng: Source of randomness.
        joints: (T, 17, 3) metres, z up.
        view: Degrees.
        level: Strength of the errors: 1 for a light estimator, 5 for one that is hardly of use.
    """
    seen = film(rng, joints, view, (min(level, 1.2),))
    found = seen[..., 2] > 0
    rows = seen[..., 1][found]
    height = float(np.quantile(rows, 0.98) - np.quantile(rows, 0.02)) if len(rows) else 1.0
    off = rng.normal(0, 0.012, (1, 17, 2)) + rng.normal(0, 0.006, (len(seen), 17, 2))
    seen[..., :2] += (level * height * off * found[..., None]).astype(np.float32)
    seen[..., 2] = np.where(found, seen[..., 2] ** rng.uniform(0.05, 1), 0)
    for _ in range(int(rng.poisson(0.5 * level))):
        some = _while(rng, len(seen))
        seen[some, 11:] = seen[some][:, [12, 11, 14, 13, 16, 15]]
    if rng.random() < 0.3:
        lost = PARTS[int(rng.integers(len(PARTS)))]
        seen[_while(rng, len(seen)), lost] = 0
    return seen


def _while(rng: np.random.Generator, frames: int) -> slice:
    """A quarter of the frames or less."""
    first = int(rng.integers(0, frames))
    return slice(first, first + int(rng.integers(1, max(2, frames // 4))))


def mirror(poses: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mirror skeletons: negate x and swap left and right joints."""
    order = [0, *(j + 1 if j % 2 else j - 1 for j in range(1, 17))]
    return poses[:, order] * np.array([-1, 1, 1], np.float32)


def _window(
    rng: np.random.Generator, times: NDArray[np.float64], seconds: float, drop: float
) -> NDArray[np.intp]:
    """Indices of a random stretch of `seconds`, with some frames lost."""
    spare = max(0.0, float(times[-1] - times[0]) - seconds)
    start = times[0] + rng.uniform(0, spare)
    inside = np.flatnonzero((times >= start - 1e-9) & (times <= start + seconds + 0.1))
    if len(inside) < _FEWEST:  # the stretch fell into a gap
        inside = np.arange(len(times))
    kept = inside[rng.random(len(inside)) >= rng.uniform(0, drop)]
    return kept if len(kept) >= _FEWEST else inside


def _change(
    rng: np.random.Generator, poses: NDArray[np.float32], how: PoseAugmentation
) -> NDArray[np.float32]:
    """Hide joints, stretch and possibly mirror (T, 17, 3) skeletons; may change them in place."""
    _hide(rng, poses, how)
    poses[..., 1] *= 1 + rng.uniform(-how.stretch, how.stretch)
    return mirror(poses) if rng.random() < how.flip else poses


def _hide(rng: np.random.Generator, poses: NDArray[np.float32], how: PoseAugmentation) -> None:
    """Mark one body part as missing in all frames, and single joints in some, in place."""
    if rng.random() < how.hide:
        poses[:, PARTS[int(rng.integers(len(PARTS)))]] = 0
    share = rng.uniform(0, how.blink)
    poses[rng.random(poses.shape[:2]) < share] = 0
