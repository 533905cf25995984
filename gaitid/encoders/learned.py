"""Encoders that are a network and a weight file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gaitid.encoders import networks, weights
from gaitid.encoders.base import PREPROCESSING, Encoder, check_input, contract_id, load_encoder
from gaitid.encoders.fused import FusedEncoder
from gaitid.errors import InputError, SequenceError, UnknownName, WeightsError
from gaitid.records import SILHOUETTE, Embedding, GaitSequence

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
        network: In evaluation mode.
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
        self.network = _build(held)
        self.frame_shape = networks.frame_shape(card.architecture)
        _check_golden(card.architecture, self.network, held.golden)

    def __call__(self, sequence: GaitSequence) -> Embedding:
        """Embed one sequence; see `Encoder`."""
        return self.batch([sequence])[0]

    def batch(self, sequences: Sequence[GaitSequence]) -> list[Embedding]:
        """Embed several; each as if alone."""
        for sequence in sequences:
            check_input(self, sequence)
        clips = [self._stream(sequence) for sequence in sequences]
        times = [sequence.times for sequence in sequences]
        made: list[Embedding] = []
        for start in range(0, len(clips), _BATCH):
            part = slice(start, start + _BATCH)
            vectors = networks.embed(self.card.architecture, self.network, clips[part], times[part])
            made += [Embedding(vector, self.contract) for vector in vectors]
        return made

    def _stream(self, sequence: GaitSequence) -> NDArray[Any]:
        stream = sequence.streams[self.modalities[0]]
        if self.modalities[0] == SILHOUETTE and stream.shape[1:] != networks.SILHOUETTE_SIZE:
            raise SequenceError(
                f"silhouettes are {stream.shape[1]}x{stream.shape[2]}",
                f"encoder {self.name} needs {networks.SILHOUETTE_SIZE[0]}x{networks.SILHOUETTE_SIZE[1]}",
                "align the masks to that size",
            )
        if not stream.any():
            raise SequenceError("all frames are empty", "a walking body", "check the extractor")
        return stream


def open_weights(path: Path) -> Encoder:
    """The encoder of any weight file.

    Raises:
        WeightsError: The file is damaged, or made for another version of this code.
    """
    fused = weights.load(path).card.architecture == "fused"
    return FusedEncoder(path) if fused else LearnedEncoder(path)


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


def _build(held: weights.Weights) -> torch.nn.Module:
    network = networks.build(held.card.architecture, held.card.arguments)
    state = {name: torch.from_numpy(np.array(array)) for name, array in held.tensors.items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(
            f"tensors do not fit architecture {held.card.architecture} ({error})",
            "the network that the card names",
            "use the version of gaitid that made the file",
        ) from error
    return network.eval()


def _check_versions(card: weights.Card) -> None:
    kind = networks.ARCHITECTURES.get(card.architecture)
    rate = card.rate_hz if kind is None else kind.rate_hz  # an unknown architecture is refused by name
    if (card.preprocessing, card.rate_hz) != (PREPROCESSING, rate):
        raise WeightsError(
            f"{card.name} was made for preprocessing {card.preprocessing} at {card.rate_hz} Hz",
            f"this version has {PREPROCESSING} at {rate} Hz",
            "use the version of gaitid that made the file, or train again",
        )


def _check_golden(architecture: str, network: torch.nn.Module, golden: weights.Golden) -> None:
    vector = networks.embed(architecture, network, [golden.clip], [golden.times])[0]
    gap = float(np.abs(vector - golden.vector).max()) if vector.shape == golden.vector.shape else np.inf
    if not gap <= _TOLERANCE:
        raise WeightsError(
            f"the golden example gives another embedding (difference {gap:.3g})",
            f"at most {_TOLERANCE}",
            "use the version of gaitid that made the file",
        )
