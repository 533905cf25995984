"""Batches of a run, prepared by worker processes. A batch depends only on the seed and the step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.encoders.architectures import SILHOUETTE_SIZE, find
from gaitid.errors import ConfigError, InputError
from gaitid.records import SILHOUETTE, SKELETON, SKELETON_3D
from gaitid.synthetic.depth import Sensor
from gaitid.workers import pool

from . import augment, poses, published
from .cameras import BatchCamera
from .corpus import Corpus, DatasetCorpus, Sampler, corpora
from .recipe import Recipe

_AHEAD = 3
"""Batches that each worker prepares in advance."""

Clips = list[NDArray[Any]]


class LabelledClips(NamedTuple):
    """A batch.

    Attributes:
        clips: (N, T, ...) silhouettes, binary uint8 or float32 0..1, or float32 skeleton features.
        classes: (N,) their subjects.
        cameras: (N,) the cameras that saw them, from 0.
    """

    clips: NDArray[Any]
    classes: NDArray[np.int64]
    cameras: NDArray[np.int64]


class BatchMaker:
    """Make the batch of any step.

    Args:
        recipe: Settings of the run.
    """

    def __init__(self, recipe: Recipe) -> None:
        cv2.setNumThreads(1)
        self._recipe = recipe
        if recipe.data.gray and recipe.published is None:
            raise ConfigError(
                "Setting data.gray is true without a table published",
                "changes that keep gray",
                "Add an empty table [published] to the recipe, or set data.gray to false",
            )
        self._clips: Callable[[np.random.Generator, list[int], int], Clips] = {
            SILHOUETTE: self._silhouettes,
            SKELETON: self._skeletons,
            SKELETON_3D: self._skeletons_3d,
        }[find(recipe.network.name).modality]
        self.corpus = corpora(recipe)[0]
        self._sampler = Sampler(
            self.corpus, recipe.batch.subjects, recipe.batch.each, recipe.seed, recipe.batch.cameras
        )

    def __call__(self, step: int, subjects: Sequence[int] = ()) -> LabelledClips:
        """Make a batch.

        Args:
            step: The step.
            subjects: Classes to use; by default those of the step.

        """
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((self._recipe.seed, step, 1))))
        frames = int(rng.choice(self._recipe.batch.frames))
        numbers, classes, cameras = self._sampler.batch(step, subjects)
        clips = np.stack(self._clips(rng, numbers, frames))
        if self._recipe.augmentation.camera:
            clips = self._seen(rng, clips, cameras)
        return LabelledClips(clips, np.array(classes, np.int64), np.array(cameras, np.int64))

    def _seen(self, rng: np.random.Generator, clips: NDArray[Any], cameras: list[int]) -> NDArray[Any]:
        """Show each clip as its camera sees it."""
        strength = self._recipe.augmentation.camera
        drawn = [BatchCamera.draw(rng, strength, SILHOUETTE_SIZE) for _ in range(max(cameras) + 1)]
        return np.stack([drawn[camera](rng, clip) for clip, camera in zip(clips, cameras, strict=True)])

    def _silhouettes(self, rng: np.random.Generator, numbers: list[int], frames: int) -> Clips:
        how = self._recipe.augmentation
        choose = self._choice()
        clips: Clips = []
        for number in numbers:
            places = choose(rng, self.corpus.times(number), frames, how)
            clips.append(self._augmented(rng, self.corpus.silhouettes(number)[places]))
        return clips

    def _choice(self) -> augment.Choice:
        """The function that chooses the frames of a clip."""
        batch = self._recipe.batch
        if not batch.skip:
            return augment.CHOICES[batch.order]
        if batch.order != "ordered":
            raise ConfigError(
                f"Setting batch.skip is {batch.skip} with batch.order {batch.order!r}",
                "0, or order 'ordered'",
                "Change one of them in the recipe",
            )
        return partial(augment.ordered, skip=batch.skip)

    def _augmented(self, rng: np.random.Generator, clip: NDArray[Any]) -> NDArray[Any]:
        recipe = self._recipe
        if recipe.published is not None:
            return published.change(rng, clip, recipe.published)
        return augment.silhouettes(rng, clip, recipe.augmentation)

    def _skeletons(self, rng: np.random.Generator, numbers: list[int], frames: int) -> Clips:
        how = self._recipe.poses
        if isinstance(self.corpus, DatasetCorpus):
            return [poses.recorded_clip(rng, self.corpus, number, frames, how) for number in numbers]
        spread = float(rng.choice(how.spread_deg))
        views = rng.uniform(0, 360) + spread * rng.standard_normal(len(numbers))
        return [
            poses.clip(rng, self.corpus, number, frames, float(view), how)
            for number, view in zip(numbers, views, strict=True)
        ]

    def _skeletons_3d(self, rng: np.random.Generator, numbers: list[int], frames: int) -> Clips:
        how = self._recipe.poses
        sensor = Sensor.poor(rng) if how.poor and rng.random() < how.poor else Sensor.draw(rng)
        corpus = self._synthetic()
        return [poses.clip_in_space(rng, corpus, number, frames, sensor, how) for number in numbers]

    def _synthetic(self) -> Corpus:
        if isinstance(self.corpus, DatasetCorpus):
            raise InputError(
                f"Setting data.dataset is {self._recipe.data.dataset!r}, a set of recorded walks",
                "synthetic shards, which 3D skeletons are simulated from",
                "Set data.train to a folder of shards and remove data.dataset",
            )
        return self.corpus


def stream(recipe: Recipe, steps: range, workers: int) -> Iterator[LabelledClips]:
    """Generate the batches of `steps` in order.

    Args:
        recipe: Settings of the run.
        steps: Steps of the batches.
        workers: Processes that make batches; 0 makes them in this process.
    """
    if workers == 0:
        maker = BatchMaker(recipe)
        yield from (maker(step) for step in steps)
        return
    with pool(workers, _start, recipe) as processes:
        waiting: list[Future[LabelledClips]] = []
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


def _work(step: int) -> LabelledClips:
    if _maker is None:
        raise InputError("The worker has no batch maker", "a worker started by stream", "Call stream instead")
    return _maker(step)
