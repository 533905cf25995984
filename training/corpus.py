"""Training sequences by number, and the choice of sequences for each batch."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.datasets.base import TRAIN, Dataset
from gaitid.datasets.opening import open_dataset
from gaitid.errors import ConfigError, DatasetError
from gaitid.records import SILHOUETTE, SILHOUETTE_GRAY, SKELETON, SKELETON_3D, GaitSequence
from gaitid.synthetic.depth import Sensor

from .recipe import Data, Recipe
from .shards import HEIGHT, WIDTH, WalkLabel

_SENSOR_SEED = 77
"""Seed of the simulated depth sensor, so that a stored walk always gives the same 3D skeletons."""


@dataclass(frozen=True, slots=True)
class ShardSlice:
    """Position of a sequence: shard number, first frame, number of frames."""

    shard: int
    start: int
    frames: int


class Corpus:
    """Sequences of a folder of shards, by number. Frames stay on disk until they are read.

    Args:
        folder: Folder of shards; see `shards`.
        identities: Use only this many subjects, in order of name; 0 uses all.

    Raises:
        DatasetError: The folder has no shards, or fewer subjects than `identities`.
    """

    def __init__(self, folder: Path | str, identities: int = 0) -> None:
        self.folders = sorted(p.parent for p in Path(folder).glob("*/index.json") if ".part" not in str(p))
        if not self.folders:
            raise DatasetError(
                f"Folder {folder} has no shards",
                "at least one",
                f"Make some with python -m gaitid.training.shards {folder}",
            )
        self.labels: list[WalkLabel] = []
        self._slices: list[ShardSlice] = []
        for number, shard in enumerate(self.folders):
            for row in json.loads((shard / "index.json").read_text()):
                self._slices.append(ShardSlice(number, row.pop("start"), row.pop("frames")))
                self.labels.append(WalkLabel(**row))
        subjects = sorted({label.subject for label in self.labels})
        if identities > len(subjects):
            raise DatasetError(
                f"Folder {folder} has {len(subjects)} subjects",
                f"{identities} as requested",
                "Make more shards or lower data.identities",
            )
        self.subjects = tuple(subjects[: identities or None])
        self._arrays: dict[tuple[int, str], NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self.labels)

    def silhouettes(self, number: int) -> NDArray[np.uint8]:
        """(T, 64, 44) uint8, 0 or 1."""
        bits = self._rows(number, "silhouettes")
        return np.unpackbits(bits, axis=1).reshape(-1, HEIGHT, WIDTH)

    def skeletons(self, number: int) -> NDArray[np.float32]:
        """(T, 17, 3) float32, pixels and confidence."""
        return np.asarray(self._rows(number, "skeletons"), np.float32)

    def joints(self, number: int) -> NDArray[np.float32]:
        """(T, 17, 3) float32, true positions in metres, z up; synthetic walks only."""
        return np.asarray(self._rows(number, "joints"), np.float32)

    def skeletons_3d(self, number: int) -> NDArray[np.float32]:
        """(T, 17, 4) float32, metres and confidence, as measured by a usual sensor; always the same."""
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((_SENSOR_SEED, number))))
        return Sensor.usual().measure(self.joints(number), rng)

    def stream(self, number: int, modality: str) -> NDArray[Any]:
        """Frames of a sequence in one modality."""
        read: dict[str, Callable[[int], NDArray[Any]]] = {
            SILHOUETTE: self.silhouettes,
            SKELETON: self.skeletons,
            SKELETON_3D: self.skeletons_3d,
        }
        return read[modality](number)

    def times(self, number: int) -> NDArray[np.float64]:
        """(T,) float64, seconds."""
        return np.asarray(self._rows(number, "times"), np.float64)

    def _rows(self, number: int, name: str) -> NDArray[Any]:
        place = self._slices[number]
        key = (place.shard, name)
        if key not in self._arrays:
            self._arrays[key] = np.load(self.folders[place.shard] / f"{name}.npy", mmap_mode="r")
        return self._arrays[key][place.start : place.start + place.frames]


class DatasetCorpus:
    """Sequences of a data set, by number. Each is read from disk on access.

    Args:
        dataset: Original or prepared; a prepared one is a hundred times faster.
        subjects: Subjects of its training part to use.
        gray: Whether silhouettes keep the gray of their edges, as float32 0..1.

    Raises:
        DatasetError: `gray` is set, and the data set was prepared without it.
    """

    def __init__(self, dataset: Dataset, subjects: Sequence[str], *, gray: bool = False) -> None:
        if gray and not dataset.gray:
            raise DatasetError(
                f"Directory {dataset.root} has binary silhouettes",
                "gray ones, as data.gray asks for",
                "Prepare it with --gray, or set data.gray to false",
            )
        self._gray = gray
        chosen = set(subjects)
        self._dataset = dataset
        self._entries = [entry for entry in dataset.entries(TRAIN) if entry.subject in chosen]
        self.subjects = tuple(sorted(chosen))
        self.labels = [
            WalkLabel(entry.subject, entry.sequence, number, entry.condition, _degrees(entry.view))
            for number, entry in enumerate(self._entries)
        ]
        self._last: tuple[int, GaitSequence] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def silhouettes(self, number: int) -> NDArray[Any]:
        """(T, 64, 44) uint8, 0 or 1; float32 0..1 with gray."""
        return self.stream(number, SILHOUETTE)

    def skeletons(self, number: int) -> NDArray[np.float32]:
        """(T, 17, 3) float32, pixels and confidence."""
        return self.stream(number, SKELETON)

    def stream(self, number: int, modality: str) -> NDArray[Any]:
        """Frames of a sequence in one modality.

        Raises:
            DatasetError: The sequence does not have this modality.
        """
        walk = self._walk(number)
        if modality not in walk.streams:
            raise DatasetError(
                f"File {self._entries[number].path} has {', '.join(walk.streams)}",
                f"a {modality} stream",
                "Choose a network that reads what the data set holds",
            )
        if modality == SILHOUETTE and self._gray:
            return walk.streams[SILHOUETTE_GRAY].astype(np.float32) / 255
        return walk.streams[modality]

    def times(self, number: int) -> NDArray[np.float64]:
        """(T,) float64, seconds."""
        return self._walk(number).times

    def _walk(self, number: int) -> GaitSequence:
        if self._last is None or self._last[0] != number:
            self._last = number, self._dataset.load(self._entries[number])
        return self._last[1]


AnyCorpus = Corpus | DatasetCorpus


def _degrees(view: str) -> float:
    return float(view) if view.isdigit() else -1.0


def split_dataset(data: Data) -> tuple[DatasetCorpus, DatasetCorpus]:
    """Split the training part of a recipe's data set into training and validation subjects.

    Raises:
        DatasetError: The data set has fewer training subjects than the recipe requests.
    """
    dataset = open_dataset(data.dataset, data.train, gray=data.gray)
    subjects = sorted({entry.subject for entry in dataset.entries(TRAIN)})
    used = subjects[: data.identities + data.validation_subjects if data.identities else None]
    split = len(used) - data.validation_subjects
    if split < 2 or data.identities > split:
        raise DatasetError(
            f"Data set {data.dataset} has {len(subjects)} training subjects",
            f"{max(2, data.identities)} for training and {data.validation_subjects} for validation",
            "Lower data.identities or data.validation_subjects, or check the root",
        )
    return (
        DatasetCorpus(dataset, used[:split], gray=data.gray),
        DatasetCorpus(dataset, used[split:], gray=data.gray),
    )


def corpora(recipe: Recipe) -> tuple[AnyCorpus, AnyCorpus]:
    """Training and validation sequences of a recipe."""
    if recipe.data.dataset:
        return split_dataset(recipe.data)
    return Corpus(recipe.data.train, recipe.data.identities), Corpus(recipe.data.validation)


class Sampler:
    """Choose P subjects and K sequences of each: of different days first, then of different walks.

    The batch of a step depends only on the seed and the step, so a resumed run continues exactly.

    Args:
        corpus: Sequences to choose from.
        subjects: P.
        each: K.
        seed: Seed of the choice.
        cameras: Cameras in a batch; see `recipe.Batch`.

    Raises:
        DatasetError: The corpus has fewer than P subjects.
        ConfigError: A batch has fewer cameras than sequences of a subject.
    """

    def __init__(self, corpus: AnyCorpus, subjects: int, each: int, seed: int, cameras: int = 0) -> None:
        if 0 < cameras < each:
            raise ConfigError(
                f"Setting batch.cameras is {cameras} with batch.each at {each}",
                "as many cameras as sequences of a subject, or more",
                "Raise batch.cameras, or set it to 0",
            )
        self._each, self._seed, self._count, self._cameras = each, seed, subjects, cameras
        self._views = np.array([label.view for label in corpus.labels])
        chosen = {name: number for number, name in enumerate(corpus.subjects)}
        days: list[dict[str, dict[int, list[int]]]] = [
            defaultdict(lambda: defaultdict(list)) for _ in corpus.subjects
        ]
        for number, label in enumerate(corpus.labels):
            if label.subject in chosen:
                days[chosen[label.subject]][label.session][label.walk].append(number)
        self._days = [{day: dict(walks) for day, walks in subject.items()} for subject in days]
        if subjects > len(self._days):
            raise DatasetError(
                f"The training data have {len(self._days)} subjects",
                f"at least {subjects} for a batch",
                "Lower batch.subjects or add subjects",
            )

    def batch(self, step: int, subjects: Sequence[int] = ()) -> tuple[list[int], list[int], list[int]]:
        """Sequence numbers, classes and cameras of a step.

        Args:
            step: The step.
            subjects: Classes to use; random ones by default.
        """
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((self._seed, step))))
        views = rng.uniform(0, 360, self._cameras)
        numbers, classes, cameras = [], [], []
        for subject in subjects or rng.choice(len(self._days), self._count, replace=False).tolist():
            seen_by = rng.permutation(self._cameras)[: self._each] if self._cameras else [0] * self._each
            cameras += [int(camera) for camera in seen_by]
            numbers += (
                self._nearest(rng, subject, views[seen_by]) if self._cameras else self._pick(rng, subject)
            )
            classes += [subject] * self._each
        return numbers, classes, cameras

    def _nearest(self, rng: np.random.Generator, subject: int, views: NDArray[np.float64]) -> list[int]:
        """For each view, in degrees, the subject's walk seen from nearest to it."""
        walks = [versions for day in self._days[subject].values() for versions in day.values()]
        off = np.abs((self._views[[versions[0] for versions in walks]] - views[:, None] + 180) % 360 - 180)
        nearest = [walks[place] for place in off.argmin(1)]
        return [versions[int(rng.integers(len(versions)))] for versions in nearest]

    def _pick(self, rng: np.random.Generator, subject: int) -> list[int]:
        days = list(self._days[subject].values())
        queues = [list(rng.permutation(sorted(day))) for day in days]
        picked: list[int] = []
        while len(picked) < self._each:
            if not any(queues):  # fewer walks than K: start over
                queues = [list(rng.permutation(sorted(day))) for day in days]
            for place in rng.permutation(len(days)).tolist():
                if queues[place] and len(picked) < self._each:
                    versions = days[place][int(queues[place].pop())]
                    picked.append(versions[int(rng.integers(len(versions)))])
        return picked
