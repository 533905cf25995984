"""The `Encoder` protocol, loading by name, and the contract that keeps embeddings of encoders apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import SequenceError, SequenceTooShort
from gaitid.modalities.streams import STREAMS
from gaitid.records import Embedding, GaitSequence
from gaitid.registry import missing, resolve

if TYPE_CHECKING:
    from gaitid.encoders.weights import Impostors

PREPROCESSING = "1"
"""Version of `perception.align` and of the frame gates; incremented if embeddings would change."""


WEIGHTS = ".safetensors"
"""Suffix of weight files."""


@runtime_checkable
class Encoder(Protocol):
    """Turns gait sequences into embeddings.

    Attributes:
        name: Name in the registry.
        modalities: Streams that it reads (``silhouette``, ``skeleton``).
        min_frames: Fewest frames that it accepts.
        dimension: Dimensions D of its embeddings.
        contract: See `contract_id`.
        threshold: Score threshold of the operating point of a new gallery.
    """

    name: str
    modalities: tuple[str, ...]
    min_frames: int
    dimension: int
    contract: str
    threshold: float

    def __call__(self, sequence: GaitSequence) -> Embedding:
        """Embed one sequence.

        Raises:
            SequenceError: A required stream is missing or has another size.
            SequenceTooShort: It has fewer than `min_frames` frames.
        """
        ...

    def batch(self, sequences: Sequence[GaitSequence]) -> list[Embedding]:
        """Embed several sequences; equal to embedding each, but may be faster."""
        ...


@runtime_checkable
class PartEncoder(Encoder, Protocol):
    """An encoder that also returns its parts, for published evaluators that compare them one by one."""

    def part_vectors(self, sequences: Sequence[GaitSequence]) -> NDArray[np.float32]:
        """(N, P, D) float32: P parts of each sequence, before any normalisation.

        Raises:
            SequenceError: See `Encoder`.
        """
        ...


def contract_id(*, architecture: str, weights: str, preprocessing: str, dimension: int) -> str:
    """The contract of an encoder: 32 hex digits of a SHA-256 over everything that affects its embeddings.

    Args:
        architecture: Name and arguments of the network.
        weights: SHA-256 of the weight file, or ``none``.
        preprocessing: Version of the steps before the network.
        dimension: Dimensions of an embedding.
    """
    facts = json.dumps([architecture, weights, preprocessing, dimension])
    return hashlib.sha256(facts.encode()).hexdigest()[:32]


def check_input(encoder: Encoder, sequence: GaitSequence) -> None:
    """Check that an encoder can read a sequence.

    Raises:
        SequenceError: A required stream is missing.
        SequenceTooShort: It has fewer than `encoder.min_frames` frames.
    """
    for name in encoder.modalities:
        if name not in sequence.streams:
            raise SequenceError(
                f"The sequence has {', '.join(sequence.streams)}",
                f"the stream {name} for encoder {encoder.name}",
                "Extract that stream, or use another encoder",
            )
    if len(sequence) < encoder.min_frames:
        raise SequenceTooShort(
            f"The sequence has {len(sequence)} frames",
            f"at least {encoder.min_frames} for encoder {encoder.name}",
            "Record a longer walk",
        )


def check_frames(encoder: str, name: str, stream: NDArray[Any]) -> None:
    """Check that a stream has frames of its usual shape, for an encoder that reads no other.

    Args:
        encoder: Name of the encoder.
        name: Name of the stream.
        stream: (T, ...) frames.

    Raises:
        SequenceError: They have another shape.
    """
    usual = STREAMS[name].shapes[0]
    if stream.shape[1:] != usual:
        raise SequenceError(
            f"Frames of stream {name} are {'x'.join(map(str, stream.shape[1:]))}",
            f"{'x'.join(map(str, usual))} for encoder {encoder}",
            "Align the masks to that size with perception.align",
        )


def parts_of(encoder: Encoder) -> int:
    """Number of equal blocks of an encoder's embedding, each a part of the body; its attribute `parts`, or 1.

    A camera profile corrects each block by itself and keeps its length, which is the learned weight of the
    part.
    """
    return int(getattr(encoder, "parts", 1))


def impostors_of(encoder: Encoder, *, corrected: bool = False) -> Impostors | None:
    """Scores of different people from the encoder's card, of embeddings corrected by camera profiles or not.

    None if it has none.
    """
    card = getattr(encoder, "card", None)
    found: Impostors | None = getattr(card, "corrected" if corrected else "impostors", None)
    return found


def wants_gray(encoder: Encoder) -> bool:
    """Whether an encoder was trained on gray silhouettes, as its card says."""
    return bool(getattr(getattr(encoder, "card", None), "gray", False))


def load_encoder(name: str) -> Encoder:
    """Load an encoder by name, or from a weight file.

    Args:
        name: Name in the registry, or path of a ``.safetensors`` file.

    Raises:
        UnknownName: There is no such encoder; the message names the nearest one.
        WeightsError: The weight file is missing, damaged, or of another version.
        MissingDependency: It requires a package that is not installed.
    """
    if name.endswith(WEIGHTS):
        try:
            opened: Encoder = import_module("gaitid.encoders.learned").open_weights(Path(name))
        except ModuleNotFoundError as error:
            raise missing(error, f"weight file {name}") from error
        return opened
    encoder: Encoder = resolve("encoders", name)()
    return encoder
