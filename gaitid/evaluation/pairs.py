"""Scores of genuine and impostor pairs, with the rows they came from.

All genuine pairs are kept. Above `limit`, impostor pairs are a uniform random sample: 2 million resolve an
FMR of 1.5e-5 with 30 observed errors (the rule of 30, ISO/IEC 19795-1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.datasets.protocol import Labels
from gaitid.errors import InputError
from gaitid.evaluation.scores import Block, Floats, Rows

LIMIT = 2_000_000


@dataclass(frozen=True, slots=True)
class Pairs:
    """Scores of compared pairs.

    Attributes:
        scores: (M,) float32, higher = more alike.
        genuine: (M,) bool, True when both rows are of one subject.
        probe: (M,) row of the probe among all sequences.
        gallery: (M,) row of the gallery sequence.
        impostors: Number of impostor pairs that the protocol compares; those kept are a sample of them.
    """

    scores: Floats
    genuine: NDArray[np.bool_]
    probe: NDArray[np.int32]
    gallery: NDArray[np.int32]
    impostors: int

    def __len__(self) -> int:
        return len(self.scores)

    def part(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Select pairs; `impostors` becomes the number kept."""
        kept = int((chosen & ~self.genuine).sum())
        return Pairs(
            self.scores[chosen], self.genuine[chosen], self.probe[chosen], self.gallery[chosen], kept
        )

    def split(self) -> tuple[Floats, Floats]:
        """Return (genuine scores, impostor scores)."""
        return self.scores[self.genuine], self.scores[~self.genuine]

    def by(self, labels: NDArray[np.str_]) -> dict[str, Pairs]:
        """Group the pairs by the probe's label; a label without genuine or impostor pairs is omitted."""
        of_pair = labels[self.probe]
        parts = {str(label): self.part(of_pair == label) for label in np.unique(labels) if label}
        return {label: part for label, part in parts.items() if 0 < part.genuine.sum() < len(part)}


class PairSampler:
    """Gathers `Pairs` from blocks.

    Args:
        gallery: Rows of the gallery, in the order of the blocks' columns.
        comparisons: Probes times gallery, an upper bound on the pairs to come.
        limit: Approximate number of impostor pairs to keep.
        seed: Seed of the sample.
    """

    def __init__(self, gallery: Rows, comparisons: int, *, limit: int = LIMIT, seed: int = 0) -> None:
        if limit < 1:
            raise InputError(
                f"Argument limit is {limit}", "1 impostor pair or more", f"Pass {LIMIT} for the default"
            )
        self._gallery = gallery
        self._share = min(1.0, limit / max(1, comparisons))
        self._random = np.random.default_rng(seed)
        self._kept: list[tuple[Floats, NDArray[np.bool_], NDArray[np.int32], NDArray[np.int32]]] = []
        self._impostors = 0

    def add(self, block: Block) -> None:
        """Add one block."""
        flat = block.scores.ravel()
        compared = np.isfinite(flat)
        mates = block.mates.ravel()
        genuine = np.flatnonzero(mates)
        self._impostors += int(np.count_nonzero(compared)) - len(genuine)
        if self._share < 1.0:
            # Drawing gaps between positions costs as much as the sample, not as the block.
            expected = int(len(flat) * self._share)
            gaps = self._random.geometric(self._share, expected + 6 * int(np.sqrt(expected)) + 16)
            drawn = np.cumsum(gaps) - 1
            drawn = drawn[drawn < len(flat)]
        else:
            drawn = np.arange(len(flat))
        drawn = drawn[compared[drawn] & ~mates[drawn]]
        at = np.r_[genuine, drawn]
        row, column = np.divmod(at, block.scores.shape[1])
        self._kept.append(
            (
                flat[at],
                np.r_[np.ones(len(genuine), bool), np.zeros(len(drawn), bool)],
                block.probes[row].astype(np.int32),
                self._gallery[column].astype(np.int32),
            )
        )

    def done(self) -> Pairs:
        """Return all pairs kept."""
        scores, genuine, probe, gallery = (np.concatenate(column) for column in zip(*self._kept, strict=True))
        return Pairs(scores, genuine, probe, gallery, self._impostors)


def subject_codes(labels: Labels) -> tuple[NDArray[np.int32], int]:
    """Return ((N,) integer code of each row's subject, number of subjects)."""
    names, codes = np.unique(labels.subject, return_inverse=True)
    return codes.astype(np.int32), len(names)
