"""Sequences, embeddings and probes <-> `sequence.proto`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError, MessageError, SequenceError
from gaitid.modalities import silhouette, skeleton
from gaitid.modalities.streams import check_live
from gaitid.records import (
    MAX_FRAMES,
    SILHOUETTE,
    SKELETON,
    SKELETON_3D,
    Embedding,
    GaitSequence,
    Origin,
    Probe,
)
from gaitid.v1 import sequence_pb2
from gaitid.wire.fields import README, floats

MAX_MESSAGE_BYTES = 8 * 2**20
"""Default size limit of a message, bytes; 60 silhouettes of 64x44 take about 4 KB deflated."""
_UNPACKINGS = {
    sequence_pb2.SILHOUETTE_PACKING_BITS: silhouette.unpack,
    sequence_pb2.SILHOUETTE_PACKING_BITS_DEFLATED: silhouette.inflate,
}
_PRECISIONS: dict[int, skeleton.Precision] = {
    sequence_pb2.FLOAT_FORMAT_FLOAT32: "float32",
    sequence_pb2.FLOAT_FORMAT_FLOAT16: "float16",
}


def pack_sequence(sequence: GaitSequence) -> sequence_pb2.GaitSequence:
    """Pack a sequence; silhouettes are deflated, skeletons keep full precision.

    Raises:
        InputError: It is not a `GaitSequence`.
        SequenceError: Its origin or counts do not fit in a message, or no message has one of its streams.
    """
    if not isinstance(sequence, GaitSequence):
        raise InputError(
            f"Argument sequence is of type {type(sequence).__name__}",
            "a GaitSequence",
            "Convert it to a GaitSequence",
        )
    check_live(sequence.streams)
    try:
        message = sequence_pb2.GaitSequence(
            times_s=sequence.times,
            dropped=sequence.dropped,
            camera=sequence.origin.camera,
            track=sequence.origin.track,
        )
    except (TypeError, ValueError) as error:
        raise SequenceError(
            f"The origin or counts cannot be sent ({error})",
            "a text, a 64-bit track number and 32-bit counts",
            "Check origin and dropped",
        ) from error
    for name, array in sequence.streams.items():
        getattr(message, _CODECS[name].field).CopyFrom(_CODECS[name].pack(array))
    if sequence.boxes is not None:
        message.boxes = sequence.boxes.astype("<f4", copy=False).tobytes()
    return message


def unpack_sequence(message: sequence_pb2.GaitSequence) -> GaitSequence:
    """Unpack a sequence.

    Raises:
        MessageError: A length, layout or count is wrong.
        SequenceError: The content is not a valid gait sequence.
    """
    streams = {
        name: codec.unpack(getattr(message, codec.field))
        for name, codec in _CODECS.items()
        if message.HasField(codec.field)
    }
    times = np.array(message.times_s, np.float64)
    boxes = floats(message.boxes, (len(times), 4), "boxes") if message.boxes else None
    return GaitSequence(streams, times, boxes, dict(message.dropped), Origin(message.camera, message.track))


def pack_embedding(embedding: Embedding) -> sequence_pb2.Embedding:
    """Pack an embedding."""
    vector = embedding.vector.astype("<f4", copy=False).tobytes()
    return sequence_pb2.Embedding(
        vector=vector,
        contract=embedding.contract,
        camera=embedding.origin.camera,
        track=embedding.origin.track,
        direction=embedding.direction,
    )


def unpack_embedding(message: sequence_pb2.Embedding) -> Embedding:
    """Unpack an embedding.

    Raises:
        MessageError: The vector is not an array of float32.
        InputError: It does not have unit length, has no contract, or its direction is unknown.
    """
    return Embedding(
        floats(message.vector, (len(message.vector) // 4,), "vector"),
        message.contract,
        Origin(message.camera, message.track),
        message.direction,
    )


def pack_probe(probe: Probe) -> sequence_pb2.Probe:
    """Pack a probe.

    Raises:
        InputError: It is neither a sequence nor an embedding.
    """
    if isinstance(probe, Embedding):
        return sequence_pb2.Probe(embedding=pack_embedding(probe))
    if isinstance(probe, GaitSequence):
        return sequence_pb2.Probe(sequence=pack_sequence(probe))
    raise InputError(
        f"Argument probe is of type {type(probe).__name__}",
        "a GaitSequence or Embedding",
        "Convert it to that type",
    )


def unpack_probe(message: sequence_pb2.Probe) -> Probe:
    """Unpack a probe.

    Raises:
        MessageError: It is neither a sequence nor an embedding.
        InputError: It is malformed.
    """
    match message.WhichOneof("probe"):
        case "sequence":
            return unpack_sequence(message.sequence)
        case "embedding":
            return unpack_embedding(message.embedding)
    raise MessageError("The probe is empty", "a sequence or an embedding", "Set one of the two")


def unpack_samples(messages: Sequence[sequence_pb2.Probe]) -> list[Probe]:
    """Unpack the probes of one message.

    Raises:
        MessageError: They have more than `records.MAX_FRAMES` frames in total.
        InputError: One of them is malformed.
    """
    frames = sum(
        max(getattr(one, codec.field).frames for codec in _CODECS.values())
        for one in (message.sequence for message in messages)
    )
    if frames > MAX_FRAMES:
        raise MessageError(
            f"The probes of the message have {frames} frames",
            f"at most {MAX_FRAMES}",
            "Send several messages",
        )
    return [unpack_probe(message) for message in messages]


def _pack_silhouettes(silhouettes: NDArray[np.uint8]) -> sequence_pb2.SilhouetteStream:
    frames, height, width = silhouettes.shape
    return sequence_pb2.SilhouetteStream(
        frames=frames,
        height=height,
        width=width,
        packing=sequence_pb2.SILHOUETTE_PACKING_BITS_DEFLATED,
        data=silhouette.deflate(silhouettes),
    )


def _unpack_silhouettes(message: sequence_pb2.SilhouetteStream) -> NDArray[np.uint8]:
    silhouette.check_size(message.height, message.width)
    unpack = _UNPACKINGS.get(message.packing)
    if unpack is None:
        raise MessageError(f"Field packing is {message.packing}", "bits or deflated bits", README)
    return unpack(message.data, message.frames, message.height, message.width)


def _pack_skeletons(skeletons: NDArray[np.float32]) -> sequence_pb2.SkeletonStream:
    data = skeleton.pack(skeletons, "float32")
    return sequence_pb2.SkeletonStream(
        frames=len(skeletons), format=sequence_pb2.FLOAT_FORMAT_FLOAT32, data=data
    )


def _pack_space(skeletons: NDArray[np.float32]) -> sequence_pb2.SpaceSkeletonStream:
    data = skeleton.pack(skeletons, "float32")
    return sequence_pb2.SpaceSkeletonStream(
        frames=len(skeletons), format=sequence_pb2.FLOAT_FORMAT_FLOAT32, data=data
    )


def _unpack_skeletons(
    message: sequence_pb2.SkeletonStream | sequence_pb2.SpaceSkeletonStream, values: int
) -> NDArray[np.float32]:
    precision = _PRECISIONS.get(message.format)
    if precision is None:
        raise MessageError(f"Field format is {message.format}", "float32 or float16", README)
    return skeleton.unpack(message.data, message.frames, precision, values)


@dataclass(frozen=True, slots=True)
class _Codec:
    """The message of one stream: its field in `GaitSequence`, and both directions."""

    field: str
    pack: Callable[[Any], Any]
    unpack: Callable[[Any], NDArray[Any]]


_CODECS: Mapping[str, _Codec] = {
    SILHOUETTE: _Codec("silhouettes", _pack_silhouettes, _unpack_silhouettes),
    SKELETON: _Codec("skeletons", _pack_skeletons, partial(_unpack_skeletons, values=3)),
    SKELETON_3D: _Codec("skeletons_3d", _pack_space, partial(_unpack_skeletons, values=4)),
}
