"""Skeleton clips for training: seen from anywhere, by a poor pose estimator, with joints missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.encoders import bodies, poses
from gaitid.encoders.poses import POSE_RATE_HZ, resample
from gaitid.errors import SequenceError
from gaitid.records import JOINTS
from gaitid.synthetic.camera import Camera
from gaitid.synthetic.depth import PARTS, Sensor
from gaitid.synthetic.detect import detect, visible

from .corpus import Corpus, Recorded

_FEWEST = 6
"""Frames that a stretch has at least, where the walk has them."""


@dataclass(frozen=True)
class PoseAugmentation:
    """How often and how strongly skeletons are changed.

    Attributes:
        spread_deg: Deviations of views within a batch, one drawn for each step: where all clips of a batch
            have nearly one view, identity is the largest difference left; with 180 the views are any.
        noise: Lowest and highest strength of the new noise; 1 is a light estimator on real video.
        speed: Largest factor on the time scale, up or down.
        drop: Largest share of source frames that are lost.
        hide: Probability that a part of the body is missing all the time.
        blink: Largest share of joints that are missing now and then.
        stretch: Largest relative change of height against width.
        flip: Probability of a mirrored walker.
        poor: Probability that a batch in space is told by a poor sensor; see `Sensor.poor`.
    """

    spread_deg: tuple[float, ...] = (10.0, 40.0, 180.0)
    noise: tuple[float, ...] = (0.0, 1.5)
    speed: float = 1.1
    drop: float = 0.3
    hide: float = 0.25
    blink: float = 0.1
    stretch: float = 0.05
    flip: float = 0.0
    poor: float = 0.0


def clip(
    rng: np.random.Generator, corpus: Corpus, number: int, frames: int, view: float, how: PoseAugmentation
) -> NDArray[np.float32]:
    """(frames, 17, FEATURES) of a random stretch of a walk, filmed anew from `view` degrees."""

    def shoot(window: NDArray[np.intp]) -> NDArray[np.float32]:
        seen = film(rng, corpus.joints(number)[window].astype(np.float64), view, how.noise)
        _hide(rng, seen, how)
        seen[..., 1] *= 1 + rng.uniform(-how.stretch, how.stretch)
        return mirror(seen) if rng.random() < how.flip else seen

    return _stretch(rng, corpus.times(number), frames, how, shoot, poses.features)


def recorded_clip(
    rng: np.random.Generator, corpus: Recorded, number: int, frames: int, how: PoseAugmentation
) -> NDArray[np.float32]:
    """(frames, 17, FEATURES) of a random stretch of a walk as it was recorded."""
    skeletons = corpus.skeletons(number)

    def shoot(window: NDArray[np.intp]) -> NDArray[np.float32]:
        seen = skeletons[window].copy()
        _hide(rng, seen, how)
        seen[..., 1] *= 1 + rng.uniform(-how.stretch, how.stretch)
        return mirror(seen) if rng.random() < how.flip else seen

    return _stretch(rng, corpus.times(number), frames, how, shoot, poses.features)


def clip_in_space(
    rng: np.random.Generator,
    corpus: Corpus,
    number: int,
    frames: int,
    sensor: Sensor,
    how: PoseAugmentation,
) -> NDArray[np.float32]:
    """(frames, 17, FEATURES_3D) of a random stretch of a walk, as a sensor tells it."""
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
    """(frames, 17, F) features of a random stretch at a changed pace; zeros when nothing can be seen."""
    for _ in range(4):
        clock = times * float(np.exp(rng.uniform(-1, 1) * np.log(how.speed)))
        window = _window(rng, clock, frames / POSE_RATE_HZ, how.drop)
        try:
            places, seen = resample(shoot(window), clock[window])
            longest = int(np.argmax([len(part) for part in places]))
            made = features(places[longest], seen[longest])
        except SequenceError:  # too much is hidden: try again
            continue
        return made[np.resize(np.arange(len(made)), frames)]
    number = poses.FEATURES if features is poses.features else bodies.FEATURES_3D
    return np.zeros((frames, JOINTS, number), np.float32)


def film(
    rng: np.random.Generator, joints: NDArray[np.float64], view: float, noise: tuple[float, ...]
) -> NDArray[np.float32]:
    """(T, 17, 3) keypoints of true (T, 17, 3) joints, from a camera at that view, by some estimator."""
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


def mirror(poses: NDArray[np.float32]) -> NDArray[np.float32]:
    """The walker in a mirror: x negated, left and right joints exchanged."""
    order = [0, *(j + 1 if j % 2 else j - 1 for j in range(1, 17))]
    return poses[:, order] * np.array([-1, 1, 1], np.float32)


def _window(
    rng: np.random.Generator, times: NDArray[np.float64], seconds: float, drop: float
) -> NDArray[np.intp]:
    """Indices of a random stretch of that length, some frames lost."""
    spare = max(0.0, float(times[-1] - times[0]) - seconds)
    start = times[0] + rng.uniform(0, spare)
    inside = np.flatnonzero((times >= start - 1e-9) & (times <= start + seconds + 0.1))
    if len(inside) < _FEWEST:  # the stretch fell into a gap
        inside = np.arange(len(times))
    kept = inside[rng.random(len(inside)) >= rng.uniform(0, drop)]
    return kept if len(kept) >= _FEWEST else inside


def _hide(rng: np.random.Generator, poses: NDArray[np.float32], how: PoseAugmentation) -> None:
    """Mark a part of the body as missing all the time, and single joints now and then."""
    if rng.random() < how.hide:
        poses[:, PARTS[int(rng.integers(len(PARTS)))]] = 0
    share = rng.uniform(0, how.blink)
    poses[rng.random(poses.shape[:2]) < share] = 0
