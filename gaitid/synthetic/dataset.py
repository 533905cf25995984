"""Streams of training sequences: clean masks are rendered once and cached, noise is new in every epoch."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from itertools import islice, product
from pathlib import Path as FilePath

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError
from gaitid.synthetic.frames import align_all
from gaitid.synthetic.outfit import CONDITIONS
from gaitid.synthetic.path import Pace, Path
from gaitid.synthetic.population import VIEWS, Key, Population, SyntheticWalk
from gaitid.workers import pool

Bytes = NDArray[np.uint8]

GENERATION = 2
"""Incremented with every change of the golden hashes of clean masks, so that caches never mix versions."""


@dataclass(frozen=True, slots=True)
class WalkPlan:
    """Plan of one walk to film; see `Population.sequence`.

    Attributes:
        identity: Number of the subject.
        session: Number of the day.
        number: Number of the walk.
        condition: ``nm``, ``bg`` or ``cl``.
        view: Degrees.
        frames: Number of frames.
        fps: Frames per second.
        pace: Share of the subject's own speed.
        turn: Degrees per metre by which the path turns, to the left when positive; 0 is straight.
        occlusion: One of `occlude.OCCLUSIONS`.
    """

    identity: int
    session: int = 0
    number: int = 0
    condition: str = "nm"
    view: float = 90.0
    frames: int = 60
    fps: float = 25.0
    pace: float = 1.0
    turn: float = 0.0
    occlusion: str = "none"

    def make(self, population: Population) -> SyntheticWalk:
        """Film the walk."""
        return population.sequence(
            self.identity, self.session, self.number,
            condition=self.condition, view=self.view, frames=self.frames, fps=self.fps,
            pace=None if self.pace == 1 else Pace.steady(self.pace), path=self._path(),
            occlusion=self.occlusion,
        )  # fmt: skip

    def _path(self) -> Path | None:
        """A bend through the origin whose middle points along +x; None for a straight walk."""
        if self.turn == 0:
            return None
        radius = float(np.rad2deg(1 / abs(self.turn)))
        metres = 1.1 * self.pace * self.frames / self.fps
        half = np.sign(self.turn) * np.rad2deg(metres / 2 / radius)
        to_end, to_start = Path.arc(radius, half), Path.arc(radius, -half)
        back = to_start.points[:0:-1] * [-1, 1] * [1, -1]
        return Path(np.concatenate([back, to_end.points]))


def plan_grid(
    identities: Sequence[int],
    *,
    sessions: Sequence[int] = (0, 1),
    numbers: Sequence[int] = (0, 1),
    conditions: Sequence[str] = CONDITIONS,
    views: Sequence[float] = VIEWS,
    frames: int = 60,
) -> list[WalkPlan]:
    """Plan every combination at 25 fps, as a laboratory records it."""
    return [
        WalkPlan(i, s, n, c, v, frames)
        for i, s, n, c, v in product(identities, sessions, numbers, conditions, views)
    ]


def plan_varied(
    identities: Sequence[int], *, per_identity: int = 12, sessions: int = 4, frames: int = 60, seed: int = 0
) -> list[WalkPlan]:
    """Plan varied walks: any view and condition, 8 to 30 fps, slow and fast, bends, some occlusion."""
    items = []
    for identity in identities:
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, int(identity), 7))))
        for number in range(per_identity):
            items.append(
                WalkPlan(
                    identity=int(identity),
                    session=number % sessions,
                    number=number // sessions,
                    condition=str(rng.choice(CONDITIONS, p=(0.4, 0.25, 0.35))),
                    view=round(float(rng.uniform(0, 360)), 1),
                    frames=frames,
                    fps=float(rng.choice([8, 10, 12.5, 15, 25, 30], p=(0.08, 0.12, 0.1, 0.2, 0.3, 0.2))),
                    pace=round(float(np.clip(rng.normal(1, 0.15), 0.6, 1.5)), 2),
                    turn=round(float(rng.normal(0, 12)), 1) if rng.random() < 0.25 else 0.0,
                    occlusion=str(
                        rng.choice(["none", "object", "border", "walker"], p=(0.85, 0.06, 0.05, 0.04))
                    ),
                )
            )
    return items


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticSample:
    """One sequence of the data set.

    Attributes:
        item: Its plan.
        silhouettes: (T, 64, 44) uint8 0/1; all zeros for a frame without a body.
        skeletons: (T, 17, 3) float32 pixels and confidence.
        times: (T,) seconds.
    """

    item: WalkPlan
    silhouettes: Bytes
    skeletons: NDArray[np.float32]
    times: NDArray[np.float64]


class PopulationDataset:
    """Sequences of a plan, by index or streamed by several processes; needs numpy and OpenCV only.

    A torch loader can use it as a map-style data set, and its workers may share the cache folder.

    Args:
        population: The subjects.
        items: The plan; see `plan_grid` and `plan_varied`.
        level: Strength of segmentation and keypoint noise; 0 none, 1 like real video.
        cache: Folder for clean, bit-packed masks and true keypoints (about 30 KB per sequence), or None.

    Raises:
        InputError: The plan is empty, or the level is not from 0 to 2.
    """

    def __init__(
        self,
        population: Population,
        items: Sequence[WalkPlan],
        *,
        level: float = 1.0,
        cache: FilePath | str | None = None,
    ) -> None:
        if not items:
            raise InputError(
                "The plan is empty", "one item or more", "Make a plan with plan_grid or plan_varied"
            )
        if not 0 <= level <= 2:
            raise InputError(f"Noise level is {level}", "0 to 2", "Pass 1 for noise like that of real video")
        self.population, self.items, self.level = population, tuple(items), level
        self.epoch = 0
        """Selects the noise; clean masks do not depend on it."""
        self._cache = None if cache is None else FilePath(cache)
        if self._cache is not None:
            self._cache.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> SyntheticSample:
        item = self.items[index]
        walk = self.walk(index)
        silhouettes = align_all(walk.masks(self.level, self.epoch))
        return SyntheticSample(item, silhouettes, walk.detected(self.level, self.epoch), walk.times)

    def walk(self, index: int) -> SyntheticWalk:
        """The walk of an item, from the cache if possible."""
        item = self.items[index]
        if self._cache is None:
            return item.make(self.population)
        file = self._cache / f"{self._name(item)}.npz"
        try:
            return _load(file)
        except (FileNotFoundError, EOFError, ValueError, KeyError, zipfile.BadZipFile):  # absent or damaged
            walk = item.make(self.population)
            _save(file, walk)
            return walk

    def stream(self, workers: int = 0, order: Sequence[int] | None = None) -> Iterator[SyntheticSample]:
        """Yield samples in `order` (default: by index).

        Args:
            workers: Number of processes that make them, 0 for this process. Samples do not depend on it.
            order: Indices of the items.
        """
        wanted = range(len(self)) if order is None else order
        if workers == 0:
            yield from (self[index] for index in wanted)
            return
        with pool(workers, _start_worker, self) as processes:
            indices = iter(wanted)
            waiting: list[Future[SyntheticSample]] = [
                processes.submit(_work, i) for i in islice(indices, 4 * workers)
            ]
            while waiting:
                sample = waiting.pop(0).result()
                waiting += [processes.submit(_work, i) for i in islice(indices, 1)]
                yield sample

    def _name(self, item: WalkPlan) -> str:
        population = self.population
        factors = population.shape, population.motion, population.restless
        kind = ("lifelike",) if population.lifelike else ()
        words = repr((GENERATION, population.seed, population.split, *factors, *kind, asdict(item)))
        return hashlib.sha256(words.encode()).hexdigest()[:32]


_worker_dataset: PopulationDataset | None = None


def _start_worker(dataset: PopulationDataset) -> None:
    global _worker_dataset
    _worker_dataset = dataset


def _work(index: int) -> SyntheticSample:
    if _worker_dataset is None:
        raise InputError("The worker has no data set", "a started worker", "Use PopulationDataset.stream")
    return _worker_dataset[index]


_ARRAYS = ("times", "corners", "keypoints", "seen", "joints", "root", "heading", "phase")


def _save(file: FilePath, walk: SyntheticWalk) -> None:
    """Write a walk and rename it into place, so that workers never read a partial file."""
    key = walk.key
    partial = file.with_name(f"{file.stem}-{os.getpid()}.part.npz")
    arrays = {name: getattr(walk, name) for name in _ARRAYS}
    arrays["clean"] = np.packbits(walk.clean, axis=None)
    arrays["shape"] = np.array(walk.clean.shape)
    words = [
        str(key.seed),
        key.split,
        str(key.identity),
        str(key.session),
        str(key.number),
        key.condition,
        repr(key.view),
        walk.subject,
        str(int(key.lifelike)),
    ]
    arrays["key"] = np.array(words)
    np.savez_compressed(partial, **arrays)
    partial.replace(file)


def _load(file: FilePath) -> SyntheticWalk:
    with np.load(file, allow_pickle=False) as archive:
        shape = tuple(archive["shape"])
        clean = np.unpackbits(archive["clean"], count=int(np.prod(shape))).reshape(shape)
        seed, split, identity, session, number, condition, view, subject, lifelike = archive["key"].tolist()
        arrays = {name: archive[name] for name in _ARRAYS}
    key = Key(
        int(seed), split, int(identity), int(session), int(number), condition, float(view), lifelike == "1"
    )
    return SyntheticWalk(key=key, subject=subject, clean=clean, **arrays)
