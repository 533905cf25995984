"""Encoders that are a network and a weight file: ours by numpy alone, reference networks by torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gaitid.encoders import architectures, light, weights
from gaitid.encoders.base import PREPROCESSING, Encoder, check_input, contract_id, load_encoder
from gaitid.encoders.fused import FusedEncoder
from gaitid.errors import InputError, SequenceError, SequenceTooShort, UnknownName, WeightsError
from gaitid.records import SILHOUETTE, Embedding, GaitSequence

if TYPE_CHECKING:
    from torch.nn import Module

Forward = Callable[[architectures.Clips], NDArray[np.float32]]
Streams = tuple[NDArray[Any], ...]

_TOLERANCE = 1e-3
"""Largest difference to the golden vector; other processors differ by 1e-6."""
_BATCH = 16


class LearnedEncoder:
    """The `Encoder` of a weight file; safe to call from many threads.

    Args:
        path: A file written by `weights.save`.

    Attributes:
        path: The file.
        card: What it says about itself.
        frame_shape: Of one frame as the network sees it.

    Raises:
        WeightsError: The file is damaged, or made for another version of this code.
    """

    def __init__(self, path: Path) -> None:
        held = weights.load(path)
        card = held.card
        self.path, self.card = path, card
        self.name = card.name
        self.modalities: tuple[str, ...] = card.modalities
        self.min_frames = card.min_frames
        self.dimension = card.dimension
        self.threshold = card.threshold
        self.contract = contract_id(
            architecture=json.dumps([card.architecture, card.arguments, card.rate_hz], sort_keys=True),
            weights=held.sha256,
            preprocessing=card.preprocessing,
            dimension=card.dimension,
        )
        _check_versions(card)
        self._tensors = held.tensors
        self._forward = self._light() if card.architecture in light.NETWORKS else self._heavy()
        self.frame_shape = architectures.frame_shape(card.architecture)
        _check_golden(card, self._forward, held.golden)

    @property
    def network(self) -> Module:
        """A new torch network of these weights, in evaluation mode."""
        from gaitid.encoders import networks

        return networks.load(self.card, self._tensors)

    def _light(self) -> Forward:
        try:
            alone = light.NETWORKS[self.card.architecture](self._tensors, self.card.arguments)
        except (KeyError, ValueError) as error:
            raise weights.misfit(self.card, error) from error
        return lambda clips: np.stack([alone(clip) for clip in clips])

    def _heavy(self) -> Forward:
        from gaitid.encoders import networks

        return partial(networks.forward, self.network)

    def __call__(self, sequence: GaitSequence) -> Embedding:
        """Embed one sequence; see `Encoder`."""
        return self.batch([sequence])[0]

    def batch(self, sequences: Sequence[GaitSequence]) -> list[Embedding]:
        """Embed several; each as if alone."""
        made: list[Embedding] = []
        for walks, times in self._batches(sequences):
            vectors = architectures.embed(self.card.architecture, self._forward, walks, times)
            made += [Embedding(vector, self.contract) for vector in vectors]
        return made

    def _batches(self, sequences: Sequence[GaitSequence]) -> Iterator[tuple[Streams, Streams]]:
        """Streams and times of a few at a time, after all were checked."""
        for sequence in sequences:
            check_input(self, sequence)
        walks = [self._stream(sequence) for sequence in sequences]
        for start in range(0, len(walks), _BATCH):
            streams, times = zip(*walks[start : start + _BATCH], strict=True)
            yield streams, times

    def _stream(self, sequence: GaitSequence) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """The stream and its times; frames in which a segmenter found nothing are gaps."""
        stream, times = sequence.streams[self.modalities[0]], sequence.times
        if self.modalities[0] == SILHOUETTE and stream.shape[1:] != architectures.SILHOUETTE_SIZE:
            raise SequenceError(
                f"silhouettes are {stream.shape[1]}x{stream.shape[2]}",
                f"encoder {self.name} needs {'x'.join(map(str, architectures.SILHOUETTE_SIZE))}",
                "align the masks to that size",
            )
        there = stream.any((1, 2))
        if not there.any():
            raise SequenceError("all frames are empty", "a walking body", "check the extractor")
        if self.modalities[0] != SILHOUETTE or not self.card.rate_hz:
            return stream, times
        if there.sum() < self.min_frames:
            raise SequenceTooShort(
                f"sequence has {there.sum()} frames with a body",
                f"encoder {self.name} needs at least {self.min_frames}",
                "record a longer walk, or check the extractor",
            )
        return stream[there], times[there]


class PublishedEncoder(LearnedEncoder):
    """A reference network; it also gives its parts, as published evaluators compare them (`PartEncoder`)."""

    def _heavy(self) -> Forward:
        from gaitid.encoders import networks

        network = self.network
        self._parts = partial(networks.parts, network)
        return partial(networks.forward, network)

    def parts(self, sequences: Sequence[GaitSequence]) -> NDArray[np.float32]:
        """(N, P, D') float32, before any normalisation; raises as `batch` does."""
        kind = self.card.architecture
        found = [architectures.mean(kind, self._parts, *batch) for batch in self._batches(sequences)]
        return np.concatenate(found)


def open_weights(path: Path) -> Encoder:
    """The encoder of any weight file.

    Raises:
        WeightsError: The file is damaged, or made for another version of this code.
    """
    architecture = weights.load(path).card.architecture
    if architecture == "fused":
        return FusedEncoder(path)
    return LearnedEncoder(path) if architecture in light.NETWORKS else PublishedEncoder(path)


def shipped(name: str) -> Encoder:
    """The encoder of a weight file in this package.

    Raises:
        UnknownName: There is none of that name.
    """
    folder = files("gaitid.encoders") / "weights"
    resource = folder / f"{name}.safetensors"
    if not resource.is_file():
        raise UnknownName(
            f"no weights of the name {name!r}", "a shipped encoder", "name a weight file instead"
        )
    with as_file(resource) as path:
        return open_weights(path)


def one_network(name: str) -> LearnedEncoder:
    """An encoder by name or weight file that is a single network, so that it can be exported or trained on.

    Raises:
        InputError: It is another kind of encoder.
    """
    encoder = load_encoder(name)
    if not isinstance(encoder, LearnedEncoder):
        raise InputError(
            f"encoder {name}", "a network by itself, such as strider", "choose one of its experts"
        )
    return encoder


def strider() -> Encoder:
    """The default silhouette encoder; see `strider.StriderNet`."""
    return shipped("strider")


def stickman() -> Encoder:
    """The default encoder of skeletons in pictures; see `stickman.StickmanNet`."""
    return shipped("stickman")


def stickman3d() -> Encoder:
    """The default encoder of skeletons in space; see `bodies`."""
    return shipped("stickman3d")


def fused() -> Encoder:
    """`strider` and `stickman` in one space; see `fused.FusedEncoder`."""
    return shipped("fused")


def _check_versions(card: weights.Card) -> None:
    rate = architectures.find(card.architecture).rate_hz
    if (card.preprocessing, card.rate_hz) != (PREPROCESSING, rate):
        raise WeightsError(
            f"{card.name} was made for preprocessing {card.preprocessing} at {card.rate_hz} Hz",
            f"this version has {PREPROCESSING} at {rate} Hz",
            "use the version of gaitid that made the file, or train again",
        )


def _check_golden(card: weights.Card, forward: Forward, golden: weights.Golden) -> None:
    try:
        vector = architectures.embed(card.architecture, forward, [golden.clip], [golden.times])[0]
    except ValueError as error:  # shapes that do not go together
        raise weights.misfit(card, error) from error
    gap = float(np.abs(vector - golden.vector).max()) if vector.shape == golden.vector.shape else np.inf
    if not gap <= _TOLERANCE:
        raise WeightsError(
            f"the golden example gives another embedding (difference {gap:.3g})",
            f"at most {_TOLERANCE}",
            "use the version of gaitid that made the file",
        )
