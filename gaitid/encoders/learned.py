"""Encoders made of a network and a weight file: ours run by numpy alone, reference networks by torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gaitid import blas
from gaitid.encoders import adapted, weights
from gaitid.encoders.architectures import Architecture, Batch, NumpyNetwork, find
from gaitid.encoders.base import PREPROCESSING, Encoder, check_frames, check_input, contract_id, load_encoder
from gaitid.encoders.fused import FUSED, FusedEncoder
from gaitid.encoders.measured import PREFIX, MeasureBlocks, measured
from gaitid.errors import InputError, SequenceError, SequenceTooShort, UnknownName, WeightsError
from gaitid.records import SILHOUETTE_GRAY, Embedding, GaitSequence

if TYPE_CHECKING:
    from gaitid.encoders.networks import Network

Streams = tuple[NDArray[Any], ...]

_TOLERANCE = 1e-3
"""Largest difference to the golden vector; other processors differ by 1e-6."""
_BATCH = 16
"""Sequences that go through a network at once."""


class LearnedEncoder:
    """The `Encoder` of a weight file; can be called from many threads.

    Args:
        path: A file written by `weights.save`.

    Attributes:
        path: The file.
        card: The description in the file.
        architecture: The kind of network.
        head: What was learned from a few people and follows the network; None for most files.

    Raises:
        WeightsError: The file is damaged, or made for another version of this code.
    """

    def __init__(self, path: Path) -> None:
        content = weights.load(path)
        card = content.card
        self.path, self.card = path, card
        self.architecture = find(card.architecture)
        self.name = card.name
        self.modalities: tuple[str, ...] = card.modalities
        self.min_frames = card.min_frames
        self.dimension = card.dimension
        self.parts = card.parts
        self.threshold = card.threshold
        self.contract = contract_id(
            architecture=json.dumps([card.architecture, card.arguments, card.rate_hz], sort_keys=True),
            weights=content.sha256,
            preprocessing=card.preprocessing,
            dimension=card.dimension,
        )
        _check_versions(card, self.architecture)
        self._tensors = content.tensors
        self.head = self._load_head()
        build = self.architecture.numpy
        self._forward = self._load_numpy(build) if build else self._load_torch()
        self._check_golden(content.golden)

    @property
    def network(self) -> Network:
        """A new torch network of these weights, in evaluation mode."""
        from gaitid.encoders import networks

        return networks.load(self.card, self._tensors)

    def _load_head(self) -> adapted.Head | None:
        try:
            return adapted.split(self._tensors, self.card.parts)[1]
        except (KeyError, ValueError) as error:
            raise weights.misfit(self.card, error) from error

    def _load_numpy(self, build: NumpyNetwork) -> Batch:
        try:
            forward = build(adapted.split(self._tensors, self.card.parts)[0], self.card.arguments)
        except (KeyError, ValueError) as error:
            raise weights.misfit(self.card, error) from error
        head = self.head

        def run(clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
            with blas.one_thread():
                vectors = np.stack([forward(clip) for clip in clips])
                return vectors if head is None else head(vectors)

        return run

    def _load_torch(self) -> Batch:
        from gaitid.encoders import networks

        return partial(networks.forward, self.network)

    def __call__(self, sequence: GaitSequence) -> Embedding:
        """Embed one sequence; see `Encoder`."""
        return self.batch([sequence])[0]

    def batch(self, sequences: Sequence[GaitSequence]) -> list[Embedding]:
        """Embed several sequences; equal to calling each."""
        embeddings: list[Embedding] = []
        for streams, times in self._batches(sequences):
            embeddings += [Embedding(vector, self.contract) for vector in self._embed(streams, times)]
        return embeddings

    def _embed(self, streams: Streams, times: Streams) -> NDArray[np.float32]:
        """(N, D) unit vectors of N walks."""
        return self.architecture.embed(self._forward, streams, times)

    def _batches(self, sequences: Sequence[GaitSequence]) -> Iterator[tuple[Streams, Streams]]:
        """Streams and times of a few sequences at a time, after all were checked."""
        for sequence in sequences:
            check_input(self, sequence)
        walks = [self._stream(sequence) for sequence in sequences]
        for start in range(0, len(walks), _BATCH):
            streams, times = zip(*walks[start : start + _BATCH], strict=True)
            yield streams, times

    def _stream(self, sequence: GaitSequence) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """The stream that the network reads and its times, without empty frames where those are gaps."""
        stream, times = sequence.streams[self.architecture.modality], sequence.times
        check_frames(self.name, self.architecture.modality, stream)
        if self.card.gray and SILHOUETTE_GRAY in sequence.streams:
            stream = sequence.streams[SILHOUETTE_GRAY].astype(np.float32) / 255
        filled = stream.any((1, 2))
        if not filled.any():
            raise SequenceError(
                "All frames of the sequence are empty", "frames with a body", "Check the extractor's output"
            )
        if not self.architecture.clips.skips_empty:
            return stream, times
        if filled.sum() < self.min_frames:
            raise SequenceTooShort(
                f"The sequence has {filled.sum()} frames with a body",
                f"at least {self.min_frames} for encoder {self.name}",
                "Record a longer walk, or check the extractor's output",
            )
        return stream[filled], times[filled]

    def _check_golden(self, golden: weights.Golden) -> None:
        try:
            vector = self._embed((golden.clip,), (golden.times,))[0]
        except ValueError as error:  # shapes that do not go together
            raise weights.misfit(self.card, error) from error
        weights.check_golden(vector, golden.vector, _TOLERANCE)


class PublishedEncoder(LearnedEncoder):
    """A reference network, run by torch; a `PartEncoder`, so published evaluators can compare its parts."""

    def _load_torch(self) -> Batch:
        from gaitid.encoders import networks

        network = self.network
        if isinstance(network, networks.PartNetwork):
            self._parts: Batch = partial(networks.parts, network)
        return partial(networks.forward, network)

    def part_vectors(self, sequences: Sequence[GaitSequence]) -> NDArray[np.float32]:
        """(N, P, D') float32, before any normalisation; raises as `batch` does."""
        batches = [self.architecture.mean(self._parts, *batch) for batch in self._batches(sequences)]
        return np.concatenate(batches)


class MeasuredEncoder(LearnedEncoder):
    """A network of skeletons in space, with measures of body and stride beside it; see `measured`."""

    def _load_numpy(self, build: NumpyNetwork) -> Batch:
        try:
            self._blocks = MeasureBlocks.of(self._tensors)
        except (KeyError, ValueError) as error:
            raise weights.misfit(self.card, error) from error
        self._tensors = {name: held for name, held in self._tensors.items() if not name.startswith(PREFIX)}
        return super()._load_numpy(build)

    def _embed(self, streams: Streams, times: Streams) -> NDArray[np.float32]:
        walks = zip(super()._embed(streams, times), streams, times, strict=True)
        return np.stack([self._blocks.join(vector, *measured(*walk)) for vector, *walk in walks])


def open_weights(path: Path) -> Encoder:
    """Open any weight file as an encoder.

    Raises:
        WeightsError: The file is damaged, or made for another version of this code.
    """
    content = weights.load(path)
    architecture = content.card.architecture
    if architecture == FUSED:
        return FusedEncoder(path)
    if any(name.startswith(PREFIX) for name in content.tensors):
        return MeasuredEncoder(path)
    published = find(architecture).numpy is None and adapted.MATRIX not in content.tensors
    return PublishedEncoder(path) if published else LearnedEncoder(path)


def shipped(name: str) -> Encoder:
    """Open a weight file that is part of this package.

    Raises:
        UnknownName: There is no such file.
    """
    folder = files("gaitid.encoders") / "weights"
    resource = folder / f"{name}.safetensors"
    if not resource.is_file():
        raise UnknownName(
            f"Unknown weights {name!r}", "the name of a shipped encoder", "Pass the path of a weight file"
        )
    with as_file(resource) as path:
        return open_weights(path)


def one_network(name: str) -> LearnedEncoder:
    """Load an encoder that is a single network, for export or further training.

    Args:
        name: Name in the registry, or path of a weight file.

    Raises:
        InputError: The encoder is not a single network.
    """
    encoder = load_encoder(name)
    if not isinstance(encoder, LearnedEncoder) or isinstance(encoder, MeasuredEncoder):
        raise InputError(
            f"Encoder {name} is not a single network", "one such as strider", "Pass one of its experts"
        )
    return encoder


def strider() -> Encoder:
    """The default silhouette encoder; see the package `strider`."""
    return shipped("strider")


def stickman() -> Encoder:
    """The default encoder of skeletons in images; see the package `stickman`."""
    return shipped("stickman")


def stickman3d() -> Encoder:
    """The default encoder of skeletons in space; see the package `stickman`, `bodies` and `measured`."""
    return shipped("stickman3d")


def fused() -> Encoder:
    """`strider` and `stickman` in one space; see `fused.FusedEncoder`."""
    return shipped("fused")


def _check_versions(card: weights.Card, architecture: Architecture) -> None:
    rate = architecture.clips.rate_hz
    if (card.preprocessing, card.rate_hz) != (PREPROCESSING, rate):
        raise WeightsError(
            f"Weights {card.name} were made for preprocessing {card.preprocessing} at {card.rate_hz} Hz",
            f"{PREPROCESSING} at {rate} Hz",
            "Use the version of gaitid that made the file, or train again",
        )
