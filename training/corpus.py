"""The training sequences of many shards as one list, and which of them go into a batch."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import DatasetError
from training.shards import HEIGHT, WIDTH, Label


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
            raise DatasetError(f"no shards in {folder}", "one or more", "python -m training.shards FOLDER")
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

    def times(self, number: int) -> NDArray[np.float64]:
        """(T,) seconds."""
        return np.asarray(self._rows(number, "times"), np.float64)

    def _rows(self, number: int, name: str) -> NDArray[np.generic]:
        place = self._places[number]
        key = (place.shard, name)
        if key not in self._arrays:
            self._arrays[key] = np.load(self.folders[place.shard] / f"{name}.npy", mmap_mode="r")
        return self._arrays[key][place.start : place.start + place.frames]


class Sampler:
    """P subjects, K sequences each: of different days first, and of different walks.

    The batch of a step depends on the seed and the step only, so a resumed run goes on exactly.
    """

    def __init__(self, corpus: Corpus, subjects: int, each: int, seed: int) -> None:
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

    def batch(self, step: int) -> tuple[list[int], list[int]]:
        """Numbers of the sequences of a step, and the class of each."""
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((self._seed, step))))
        numbers, classes = [], []
        for subject in rng.choice(len(self._days), self._count, replace=False).tolist():
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
