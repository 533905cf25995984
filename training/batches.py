"""Batches of a run, made ahead by a worker process; a batch depends on the seed and the step only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.encoders.architectures import find
from gaitid.errors import InputError
from gaitid.records import SKELETON, SKELETON_3D
from gaitid.synthetic.depth import Sensor
from gaitid.workers import pool

from . import augment, poses
from .corpus import Corpus, Recorded, Sampler, recorded
from .recipe import Recipe

_AHEAD = 3

Arrays = tuple[NDArray[np.generic], NDArray[np.int64]]


class BatchMaker:
    """Clips and classes of any step.

    Args:
        recipe: The run.
    """

    def __init__(self, recipe: Recipe) -> None:
        cv2.setNumThreads(1)
        self._recipe = recipe
        self._modality = find(recipe.network.name).modality
        data = recipe.data
        self.corpus = recorded(data)[0] if data.dataset else Corpus(data.train, data.identities)
        self._sampler = Sampler(self.corpus, recipe.batch.subjects, recipe.batch.each, recipe.seed)

    def __call__(self, step: int, subjects: Sequence[int] = ()) -> Arrays:
        """(N, T, ...) clips, uint8 silhouettes or float32 skeleton features, and (N,) classes.

        Args:
            step: The step.
            subjects: Classes to take instead of the step's own.
        """
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((self._recipe.seed, step, 1))))
        frames = int(rng.choice(self._recipe.batch.frames))
        numbers, classes = self._sampler.batch(step, subjects)
        if self._modality == SKELETON_3D:
            poor = self._recipe.poses.poor
            sensor = Sensor.poor(rng) if poor and rng.random() < poor else Sensor.draw(rng)
            clips = [self._told(rng, sensor, number, frames) for number in numbers]
        elif self._modality == SKELETON:
            clips = self._film(rng, numbers, frames)
        else:
            clips = [self._clip(rng, number, frames) for number in numbers]
        return np.stack(clips), np.array(classes, np.int64)

    def _clip(self, rng: np.random.Generator, number: int, frames: int) -> NDArray[np.generic]:
        how = self._recipe.augmentation
        choose = augment.CHOICES[self._recipe.batch.order]
        places = choose(rng, self.corpus.times(number), frames, how)
        return augment.silhouettes(rng, self.corpus.silhouettes(number)[places], how)

    def _film(self, rng: np.random.Generator, numbers: list[int], frames: int) -> list[NDArray[np.generic]]:
        how = self._recipe.poses
        if isinstance(self.corpus, Recorded):
            return [poses.recorded_clip(rng, self.corpus, number, frames, how) for number in numbers]
        spread = float(rng.choice(how.spread_deg))
        views = rng.uniform(0, 360) + spread * rng.standard_normal(len(numbers))
        return [
            poses.clip(rng, self.corpus, number, frames, float(view), how)
            for number, view in zip(numbers, views, strict=True)
        ]

    def _told(
        self, rng: np.random.Generator, sensor: Sensor, number: int, frames: int
    ) -> NDArray[np.generic]:
        if isinstance(self.corpus, Recorded):
            raise InputError(
                "a data set of recorded walks",
                "synthetic shards",
                "skeletons in space are trained on walkers",
            )
        return poses.clip_in_space(rng, self.corpus, number, frames, sensor, self._recipe.poses)


def stream(recipe: Recipe, steps: range, workers: int) -> Iterator[Arrays]:
    """The batches of those steps, in order; `workers` 0 makes them here."""
    if workers == 0:
        maker = BatchMaker(recipe)
        yield from (maker(step) for step in steps)
        return
    with pool(workers, _start, recipe) as processes:
        waiting: list[Future[Arrays]] = []
        for step in steps:
            waiting.append(processes.submit(_work, step))
            if len(waiting) >= _AHEAD * workers:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()


_maker: BatchMaker | None = None


def _start(recipe: Recipe) -> None:
    global _maker
    _maker = BatchMaker(recipe)


def _work(step: int) -> Arrays:
    if _maker is None:
        raise InputError("worker has no batches", "a started worker", "use stream")
    return _maker(step)
