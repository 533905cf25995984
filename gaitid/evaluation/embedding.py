"""Embed the sequences of a data set, and report those that fail."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gaitid.datasets.base import TEST, Dataset, DatasetEntry, labels_of
from gaitid.datasets.protocol import Labels
from gaitid.encoders.base import Encoder, PartEncoder
from gaitid.errors import DatasetError, InputError
from gaitid.evaluation.scores import Floats
from gaitid.records import GaitSequence

BATCH = 32

Take = Callable[[Sequence[GaitSequence]], list[Floats]]


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embeddings of a data set.

    Attributes:
        vectors: (N, D) float32, or raw parts (N, P, D).
        labels: Labels of the N sequences.
        entries: The N entries.
        left_out: Entries without an embedding, each with the reason.
    """

    vectors: Floats
    labels: Labels
    entries: tuple[DatasetEntry, ...]
    left_out: tuple[tuple[DatasetEntry, str], ...]


def embed(
    dataset: Dataset,
    encoder: Encoder,
    *,
    part: str = TEST,
    raw: bool = False,
    subjects: Container[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Embedded:
    """Embed every sequence of a part; sequences that cannot be read or embedded are listed.

    Args:
        dataset: An open data set.
        encoder: Any encoder.
        part: ``test`` or ``train``.
        raw: Take the encoder's parts before normalisation, as published evaluators with ``euc`` do.
        subjects: Embed only their sequences; None = those of all subjects.
        progress: Called with (sequences done, total sequences).

    Raises:
        InputError: `raw` is set, and the encoder has no parts.
        DatasetError: No sequence could be embedded.
    """
    take = _parts_of(encoder) if raw else _vectors_of(encoder)
    entries = [one for one in dataset.entries(part) if subjects is None or one.subject in subjects]
    kept: list[DatasetEntry] = []
    vectors: list[Floats] = []
    left_out: list[tuple[DatasetEntry, str]] = []
    for start in range(0, len(entries), BATCH):
        for entry, found in _batch(dataset, take, entries[start : start + BATCH]):
            if isinstance(found, InputError):
                left_out.append((entry, str(found)))
            else:
                kept.append(entry)
                vectors.append(found)
        if progress is not None:
            progress(min(start + BATCH, len(entries)), len(entries))
    if not kept:
        reason = left_out[0][1] if left_out else "the part is empty"
        raise DatasetError(
            f"None of {len(entries)} sequences of {dataset.name} could be embedded ({reason})",
            f"sequences that encoder {encoder.name} accepts",
            "Check the root, or pass another encoder",
        )
    return Embedded(np.stack(vectors), labels_of(kept), tuple(kept), tuple(left_out))


def _vectors_of(encoder: Encoder) -> Take:
    return lambda sequences: [one.vector for one in encoder.batch(sequences)]


def _parts_of(encoder: Encoder) -> Take:
    if not isinstance(encoder, PartEncoder):
        raise InputError(
            f"Encoder {encoder.name} returns unit vectors only",
            "an encoder with parts for metric euc",
            "Pass metric cos",
        )
    return lambda sequences: list(encoder.part_vectors(sequences))


def _batch(
    dataset: Dataset, take: Take, entries: Sequence[DatasetEntry]
) -> Iterator[tuple[DatasetEntry, Floats | InputError]]:
    loaded: list[tuple[DatasetEntry, GaitSequence]] = []
    for entry in entries:
        try:
            loaded.append((entry, dataset.load(entry)))
        except InputError as error:
            yield entry, error
    if not loaded:
        return
    try:
        found = take([sequence for _, sequence in loaded])
        yield from ((entry, one) for (entry, _), one in zip(loaded, found, strict=True))
    except InputError:  # one of them is unusable for the encoder: find it
        for entry, sequence in loaded:
            try:
                yield entry, take([sequence])[0]
            except InputError as error:
                yield entry, error
