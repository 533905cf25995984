"""Kinds of networks, and how a walk becomes the clips that one sees; no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.encoders import bodies, poses
from gaitid.encoders.clips import CHUNK, RATE_HZ, chunks, resample
from gaitid.encoders.poses import POSE_RATE_HZ
from gaitid.errors import UnknownName
from gaitid.records import JOINTS, MAX_FRAMES, SILHOUETTE, SKELETON, SKELETON_3D
from gaitid.registry import nearest

Clips = list[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Architecture:
    """A kind of network.

    Attributes:
        target: ``module:class``, imported on use.
        modality: Stream that it reads.
        rate_hz: Frames a second that it sees; 0 for all frames as they are.
        chunk: Longest clip that it sees at once, frames.
    """

    target: str
    modality: str
    rate_hz: float
    chunk: int


ARCHITECTURES: Mapping[str, Architecture] = {
    "strider": Architecture("gaitid.encoders.strider:StriderNet", SILHOUETTE, RATE_HZ, CHUNK),
    "stickman": Architecture("gaitid.encoders.stickman:StickmanNet", SKELETON, POSE_RATE_HZ, 2 * CHUNK),
    "stickman3d": Architecture("gaitid.encoders.stickman:StickmanNet", SKELETON_3D, POSE_RATE_HZ, 2 * CHUNK),
    "gaitset": Architecture("gaitid.encoders.gaitset:GaitSetNet", SILHOUETTE, 0.0, MAX_FRAMES),
    "gaitbase": Architecture("gaitid.encoders.gaitbase:GaitBaseNet", SILHOUETTE, 0.0, MAX_FRAMES),
    "deepgaitv2": Architecture("gaitid.encoders.deepgaitv2:DeepGaitV2Net", SILHOUETTE, 0.0, 720),
}
SILHOUETTE_SIZE = (64, 44)
"""Height and width of the silhouettes that networks read."""
_FRAMES = {
    SILHOUETTE: SILHOUETTE_SIZE,
    SKELETON: (JOINTS, poses.FEATURES),
    SKELETON_3D: (JOINTS, bodies.FEATURES_3D),
}


def find(name: str) -> Architecture:
    """The architecture of that name.

    Raises:
        UnknownName: There is none.
    """
    if name not in ARCHITECTURES:
        raise UnknownName(
            f"unknown architecture {name!r}",
            f"known are {', '.join(ARCHITECTURES)}",
            nearest(name, ARCHITECTURES),
        )
    return ARCHITECTURES[name]


def frame_shape(architecture: str) -> tuple[int, ...]:
    """Shape of one frame as that kind of network sees it."""
    return _FRAMES[ARCHITECTURES[architecture].modality]


def embed(
    architecture: str,
    forward: Callable[[Clips], NDArray[np.float32]],
    streams: Sequence[NDArray[Any]],
    times: Sequence[NDArray[np.float64]],
) -> NDArray[np.float32]:
    """(N, D) unit embeddings of whole walks; see `mean`, with unit vectors from `forward`."""
    vectors = mean(architecture, forward, streams, times)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12), np.float32)


def mean(
    architecture: str,
    forward: Callable[[Clips], NDArray[np.float32]],
    streams: Sequence[NDArray[Any]],
    times: Sequence[NDArray[np.float64]],
) -> NDArray[np.float32]:
    """(N, ...) what a network says of whole walks; of a long one the mean over its clips, by their length.

    Args:
        architecture: Name in `ARCHITECTURES`.
        forward: (n, ...) of n clips.
        streams: N streams of (T, ...) frames.
        times: N arrays of (T,) seconds.

    Raises:
        SequenceError: Skeletons without a body.
    """
    clips: Clips = []
    owners: list[int] = []
    for owner, (stream, moments) in enumerate(zip(streams, times, strict=True)):
        pieces = clips_of(architecture, stream, moments)
        clips += pieces
        owners += [owner] * len(pieces)
    found = forward(clips)
    lengths = np.array([len(clip) for clip in clips], np.float32)
    total = np.zeros((len(streams), *found.shape[1:]), np.float32)
    np.add.at(total, owners, (found.T * lengths).T)
    return np.asarray((total.T / np.bincount(owners, lengths)).T, np.float32)


def clips_of(architecture: str, stream: NDArray[Any], times: NDArray[np.float64]) -> Clips:
    """A walk as the clips that the network sees: at its rate, parted at gaps and where it is too long."""
    kind = ARCHITECTURES[architecture]
    if kind.modality == SILHOUETTE:
        stretches: Sequence[NDArray[Any]] = [stream[resample(times)] if kind.rate_hz else stream]
    else:
        prepare = bodies.prepare if kind.modality == SKELETON_3D else poses.prepare
        stretches = prepare(stream, times)
    return [clip[piece] for clip in stretches for piece in chunks(len(clip), kind.chunk)]
