"""The training sequences of many shards as one list, and which of them go into a batch."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gaitid.datasets.base import TRAIN, Dataset
from gaitid.datasets.opening import open_dataset
from gaitid.errors import DatasetError
from gaitid.records import SILHOUETTE, SKELETON, SKELETON_3D, GaitSequence
from gaitid.synthetic.depth import Sensor

from .shards import HEIGHT, WIDTH, Label

if TYPE_CHECKING:
    from .recipe import Data


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sequence lies: shard number, first frame, number of frames."""

    shard: int
    start: int
    frames: int


class Corpus:
    """Read-only sequences by number; frames stay on disk until they are asked for.

    Args:
        folder: Folder of shards; see `shards`.
        identities: Use the first so many subjects, by name; 0 uses all.

    Raises:
        DatasetError: No shards, or fewer subjects than asked for.
    """

    def __init__(self, folder: Path | str, identities: int = 0) -> None:
        self.folders = sorted(p.parent for p in Path(folder).glob("*/index.json") if ".part" not in str(p))
        if not self.folders:
            raise DatasetError(
                f"no shards in {folder}", "one or more", "python -m gaitid.training.shards FOLDER"
            )
        self.labels: list[Label] = []
        self._places: list[Place] = []
        for number, shard in enumerate(self.folders):
            for row in json.loads((shard / "index.json").read_text()):
                self._places.append(Place(number, row.pop("start"), row.pop("frames")))
                self.labels.append(Label(**row))
        subjects = sorted({label.subject for label in self.labels})
        if identities > len(subjects):
            raise DatasetError(
                f"{folder} has {len(subjects)} subjects", f"{identities} were asked for", "make more shards"
            )
        self.subjects = tuple(subjects[: identities or None])
        self._arrays: dict[tuple[int, str], NDArray[np.generic]] = {}

    def __len__(self) -> int:
        return len(self.labels)

    def silhouettes(self, number: int) -> NDArray[np.uint8]:
        """(T, 64, 44) uint8 0/1."""
        bits = self._rows(number, "silhouettes")
        return np.unpackbits(bits, axis=1).reshape(-1, HEIGHT, WIDTH)

    def skeletons(self, number: int) -> NDArray[np.float32]:
        """(T, 17, 3) float32 pixels and confidence."""
        return np.asarray(self._rows(number, "skeletons"), np.float32)

    def joints(self, number: int) -> NDArray[np.float32]:
        """(T, 17, 3) true metres, z up; synthetic walks only."""
        return np.asarray(self._rows(number, "joints"), np.float32)

    def told(self, number: int) -> NDArray[np.float32]:
        """(T, 17, 4) metres and confidence, as a usual sensor tells the walk; always the same."""
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((77, number))))
        return Sensor.usual().measure(self.joints(number), rng)

    def reader(self, modality: str) -> Callable[[int], NDArray[Any]]:
        """What gives the stream of a walk."""
        return {SILHOUETTE: self.silhouettes, SKELETON: self.skeletons, SKELETON_3D: self.told}[modality]

    def times(self, number: int) -> NDArray[np.float64]:
        """(T,) seconds."""
        return np.asarray(self._rows(number, "times"), np.float64)

    def _rows(self, number: int, name: str) -> NDArray[np.generic]:
        place = self._places[number]
        key = (place.shard, name)
        if key not in self._arrays:
            self._arrays[key] = np.load(self.folders[place.shard] / f"{name}.npy", mmap_mode="r")
        return self._arrays[key][place.start : place.start + place.frames]


class Recorded:
    """Walks of a data set, with the interface of `Corpus`; each is read when asked for.

    Args:
        dataset: Original or prepared; prepared is a hundred times faster.
        subjects: Of its training part.
    """

    def __init__(self, dataset: Dataset, subjects: Sequence[str]) -> None:
        chosen = set(subjects)
        self._dataset = dataset
        self._entries = [entry for entry in dataset.entries(TRAIN) if entry.subject in chosen]
        self.subjects = tuple(sorted(chosen))
        self.labels = [
            Label(entry.subject, entry.sequence, number, entry.condition, _degrees(entry.view))
            for number, entry in enumerate(self._entries)
        ]
        self._last: tuple[int, GaitSequence] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def silhouettes(self, number: int) -> NDArray[np.uint8]:
        """(T, 64, 44) uint8 0/1."""
        return self._stream(number, SILHOUETTE)

    def skeletons(self, number: int) -> NDArray[np.float32]:
        """(T, 17, 3) float32 pixels and confidence."""
        return self._stream(number, SKELETON)

    def told(self, number: int) -> NDArray[np.float32]:
        """(T, 17, 4) metres and confidence."""
        return self._stream(number, SKELETON_3D)

    def times(self, number: int) -> NDArray[np.float64]:
        """(T,) seconds."""
        return self._walk(number).times

    def reader(self, modality: str) -> Callable[[int], NDArray[Any]]:
        """What gives the stream of a walk."""
        return {SILHOUETTE: self.silhouettes, SKELETON: self.skeletons, SKELETON_3D: self.told}[modality]

    def _stream(self, number: int, name: str) -> NDArray[Any]:
        walk = self._walk(number)
        if name not in walk.streams:
            raise DatasetError(
                f"{self._entries[number].path} has {', '.join(walk.streams)}",
                f"a {name} stream",
                "choose an encoder of what the data set holds",
            )
        return walk.streams[name]

    def _walk(self, number: int) -> GaitSequence:
        if self._last is None or self._last[0] != number:
            self._last = number, self._dataset.load(self._entries[number])
        return self._last[1]


def _degrees(view: str) -> float:
    return float(view) if view.isdigit() else -1.0


def recorded(data: Data) -> tuple[Recorded, Recorded]:
    """The training part of a recipe's data set: who is trained on, and who is kept out and watched.

    Raises:
        DatasetError: The data set has fewer training subjects than the recipe asks for.
    """
    dataset = open_dataset(data.dataset, data.train)
    subjects = sorted({entry.subject for entry in dataset.entries(TRAIN)})
    used = subjects[: data.identities + data.watched if data.identities else None]
    if len(used) - data.watched < 2 or data.identities > len(used) - data.watched:
        raise DatasetError(
            f"{data.dataset} has {len(subjects)} training subjects",
            f"{max(2, data.identities)} and {data.watched} more to watch",
            "lower data.identities or data.watched, or check the root",
        )
    split = len(used) - data.watched
    return Recorded(dataset, used[:split]), Recorded(dataset, used[split:])


class Sampler:
    """P subjects, K sequences each: of different days first, and of different walks.

    The batch of a step depends on the seed and the step only, so a resumed run goes on exactly.
    """

    def __init__(self, corpus: Corpus | Recorded, subjects: int, each: int, seed: int) -> None:
        self._each, self._seed, self._count = each, seed, subjects
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
                f"{len(self._days)} subjects", f"at least {subjects} for a batch", "lower batch.subjects"
            )

    def batch(self, step: int, subjects: Sequence[int] = ()) -> tuple[list[int], list[int]]:
        """Numbers of the sequences of a step, and the class of each; of those subjects, or of random ones."""
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((self._seed, step))))
        numbers, classes = [], []
        for subject in subjects or rng.choice(len(self._days), self._count, replace=False).tolist():
            numbers += self._pick(rng, subject)
            classes += [subject] * self._each
        return numbers, classes

    def _pick(self, rng: np.random.Generator, subject: int) -> list[int]:
        days = list(self._days[subject].values())
        queues = [list(rng.permutation(sorted(day))) for day in days]
        picked: list[int] = []
        while len(picked) < self._each:
            if not any(queues):  # fewer walks than K: go round again
                queues = [list(rng.permutation(sorted(day))) for day in days]
            for place in rng.permutation(len(days)).tolist():
                if queues[place] and len(picked) < self._each:
                    versions = days[place][int(queues[place].pop())]
                    picked.append(versions[int(rng.integers(len(versions)))])
        return picked
