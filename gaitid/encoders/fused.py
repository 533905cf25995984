"""Fused: two encoders in one space, so that embeddings of either stream, or of both, can be compared.

Our own design. An embedding has a block for each encoder, its embedding as it is, and a block that both
share: linear heads map either embedding to it, so a walk of silhouettes can be compared with one of
skeletons. Blocks are weighted by the quality of their stream. A score is then the weighted sum of the
encoders' own scores, as in score-level quality fusion after Poh and Kittler 2012, "A Unified Framework for
Biometric Expert Fusion Incorporating Quality Measures", moved into the embedding; what the encoders know is
not changed. The heads are the canonical correlations (Hotelling 1936) of both encoders. The weight file
names the encoders with their contracts, and others are refused.

Runs with numpy only, if the experts do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.encoders import weights
from gaitid.encoders.base import PREPROCESSING, Encoder, contract_id, load_encoder
from gaitid.encoders.poses import are_seen
from gaitid.errors import SequenceError, SequenceTooShort, WeightsError
from gaitid.records import JOINTS, SILHOUETTE, SKELETON, Embedding, GaitSequence

Floats = NDArray[np.float32]

FUSED = "fused"
"""Architecture in the cards of such weight files."""
STREAMS = (SILHOUETTE, SKELETON)
TRAITS = 5
"""Measures of a stream's quality, a constant 1 first; see `traits`."""
_TOLERANCE = 1e-4


def traits(sequence: GaitSequence, stream: str) -> Floats:
    """(TRAITS,) float32: quality of one stream: 1, the log of the duration in seconds, and three measures.

    For silhouettes these are the share of the body's pixels that change from frame to frame, the same of the
    upper half, and the relative deviation of the area; for skeletons the mean confidence, the share of leg
    joints seen, and the log of how much joints jump, in body heights.
    """
    seconds = float(np.log(max(sequence.times[-1] - sequence.times[0], 0.1)))
    return np.array([1.0, seconds, *_MEASURES[stream](sequence.streams[stream])], np.float32)


def _silhouette_measures(silhouettes: NDArray[np.uint8]) -> tuple[float, float, float]:
    filled = silhouettes[silhouettes.any((1, 2))]
    area = np.maximum(filled.mean((1, 2), dtype=np.float64), 1e-3)
    upper = filled[:, : filled.shape[1] // 2]
    changed, steady = ((x[1:] != x[:-1]).mean() if len(x) > 1 else 0.0 for x in (filled, upper))
    return float(changed / area.mean()), float(steady / area.mean()), float(area.std() / area.mean())


def _skeleton_measures(skeletons: Floats) -> tuple[float, float, float]:
    seen = are_seen(skeletons)
    return float((skeletons[..., 2] * seen).mean()), float(seen[:, 11:].mean()), _jumps(skeletons, seen)


def _jumps(skeletons: Floats, seen: NDArray[np.bool_]) -> float:
    """Log of the median second difference of joints over the body height; 0 if too few were seen."""
    there = seen[2:] & seen[1:-1] & seen[:-2]
    places = skeletons[..., :2].astype(np.float64)
    if there.sum() < JOINTS:
        return 0.0
    bend = np.linalg.norm(places[2:] - 2 * places[1:-1] + places[:-2], axis=2)[there]
    rows = places[..., 1][seen]
    height = float(np.quantile(rows, 0.98) - np.quantile(rows, 0.02))
    return float(np.log(1e-3 + np.median(bend) / max(height, 1e-6)))


_MEASURES: Mapping[str, Callable[[NDArray[Any]], tuple[float, float, float]]] = {
    SILHOUETTE: _silhouette_measures,
    SKELETON: _skeleton_measures,
}


def fuse(tensors: Mapping[str, NDArray[np.floating]], found: Mapping[str, tuple[Floats, Floats]]) -> Floats:
    """Fuse the streams' embeddings (E,) and traits (TRAITS,) into a (D,) unit vector.

    Args:
        tensors: ``head.<stream>`` (C, E), ``centre.<stream>`` (E,) and ``gate.<stream>`` (TRAITS,), and
            ``common`` (1,), the length of the block that both streams share beside the others.
        found: Embedding and traits by stream; one or more.
    """
    blocks = [np.zeros(tensors[f"head.{stream}"].shape[1]) for stream in STREAMS]
    shared = np.zeros(len(tensors[f"head.{STREAMS[0]}"]))
    for stream, (vector, quality) in found.items():
        weight = np.logaddexp(0, tensors[f"gate.{stream}"] @ quality)  # softplus: never negative
        blocks[STREAMS.index(stream)] = weight * vector
        mapped = tensors[f"head.{stream}"] @ (vector - tensors[f"centre.{stream}"])
        shared += weight * mapped / np.linalg.norm(mapped)
    strength = np.linalg.norm(np.concatenate(blocks))
    blocks.append(float(tensors["common"][0]) * strength * shared / np.linalg.norm(shared))
    total = np.concatenate(blocks)
    return np.asarray(total / np.linalg.norm(total), np.float32)


class FusedEncoder:
    """The `Encoder` made of two others; reads sequences with either stream or both.

    Args:
        path: A file written by ``training.fuse``.
        load: Loads the experts by name.

    Attributes:
        card: The description in the file.

    Raises:
        WeightsError: The file is damaged, or made for other experts.
    """

    def __init__(self, path: Path, load: Callable[[str], Encoder] = load_encoder) -> None:
        held = weights.load(path)
        self.card = held.card
        self.name = held.card.name
        self.modalities: tuple[str, ...] = STREAMS
        self.min_frames = held.card.min_frames
        self.dimension = held.card.dimension
        self.parts = held.card.parts
        self.threshold = held.card.threshold
        self._tensors = {name: np.asarray(value, np.float32) for name, value in held.tensors.items()}
        experts = _experts(held.card)
        self._experts = {stream: load(experts[stream][0]) for stream in STREAMS}
        for stream, expert in self._experts.items():
            _check_expert(held.card, expert, experts[stream][1])
        self.contract = contract_id(
            architecture=json.dumps([FUSED, held.card.arguments], sort_keys=True),
            weights=held.sha256,
            preprocessing=held.card.preprocessing,
            dimension=self.dimension,
        )
        _check_golden(self._tensors, held.golden)

    def __call__(self, sequence: GaitSequence) -> Embedding:
        """Embed one sequence; see `Encoder`."""
        return self.batch([sequence])[0]

    def batch(self, sequences: Sequence[GaitSequence]) -> list[Embedding]:
        """Embed several sequences; equal to calling each."""
        for sequence in sequences:
            self._check(sequence)
        found: list[dict[str, tuple[Floats, Floats]]] = [{} for _ in sequences]
        faults: dict[int, SequenceError] = {}
        for stream, expert in self._experts.items():
            rows = [i for i, sequence in enumerate(sequences) if stream in sequence.streams]
            for i, result in zip(rows, each(expert, [sequences[i] for i in rows]), strict=True):
                if isinstance(result, SequenceError):
                    faults[i] = result
                else:
                    found[i][stream] = (result, traits(sequences[i], stream))
        for i, streams in enumerate(found):
            if not streams:  # no stream could be embedded
                raise faults[i]
        return [Embedding(fuse(self._tensors, streams), self.contract) for streams in found]

    def _check(self, sequence: GaitSequence) -> None:
        if not set(self.modalities) & set(sequence.streams):
            raise SequenceError(
                f"The sequence has {', '.join(sequence.streams)}",
                f"silhouette, skeleton or both for encoder {self.name}",
                "Extract one of them, or use another encoder",
            )
        if len(sequence) < self.min_frames:
            raise SequenceTooShort(
                f"The sequence has {len(sequence)} frames",
                f"at least {self.min_frames} for encoder {self.name}",
                "Record a longer walk",
            )


def each(expert: Encoder, sequences: Sequence[GaitSequence]) -> list[Floats | SequenceError]:
    """Embeddings, or for a sequence that cannot be embedded its error."""
    try:
        return [embedding.vector for embedding in expert.batch(sequences)]
    except SequenceError as error:
        if len(sequences) == 1:
            return [error]
    return [each(expert, [sequence])[0] for sequence in sequences]


def _experts(card: weights.Card) -> Mapping[str, tuple[str, str]]:
    """(name, contract) by stream."""
    experts = card.arguments.get("experts")
    if card.architecture != FUSED or not isinstance(experts, dict) or set(experts) != set(STREAMS):
        raise WeightsError(
            f"Weights {card.name} have architecture {card.architecture} with arguments {card.arguments}",
            "fused, with an expert for silhouette and one for skeleton",
            "Use a file made by training.fuse",
        )
    return experts


def _check_expert(card: weights.Card, expert: Encoder, contract: str) -> None:
    if expert.contract != contract or card.preprocessing != PREPROCESSING:
        raise WeightsError(
            f"Weights {card.name} were made for encoder {expert.name} with contract {contract[:8]}",
            f"contract {expert.contract[:8]}",
            "Use the version of gaitid that made the file, or run training.fuse again",
        )


def _check_golden(tensors: Mapping[str, Floats], golden: weights.Golden) -> None:
    sizes = [tensors[f"head.{stream}"].shape[1] for stream in STREAMS]
    rows = np.split(golden.clip[0], np.cumsum([sizes[0], TRAITS, sizes[1]]))
    found = {STREAMS[0]: (rows[0], rows[1]), STREAMS[1]: (rows[2], rows[3])}
    weights.check_golden(fuse(tensors, found), golden.vector, _TOLERANCE)
