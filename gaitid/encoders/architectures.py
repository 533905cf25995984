"""The table of architectures: one entry per kind of network. Importing it imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.encoders import bodies, poses, stickman, strider
from gaitid.encoders.clips import CHUNK, RATE_HZ, Clipping, Clips, sampled, whole
from gaitid.encoders.numpy_layers import Forward, Tensors
from gaitid.encoders.poses import POSE_RATE_HZ
from gaitid.encoders.stickman.inference import forward_pass as stickman_forward
from gaitid.encoders.strider.inference import forward_pass as strider_forward
from gaitid.errors import UnknownName
from gaitid.modalities.streams import STREAMS
from gaitid.records import JOINTS, MAX_FRAMES, SILHOUETTE, SKELETON, SKELETON_3D
from gaitid.registry import nearest

SILHOUETTE_SIZE = STREAMS[SILHOUETTE].shapes[0]
"""Height and width of the silhouettes that networks read."""
NumpyNetwork = Callable[[Tensors, Mapping[str, Any]], Forward]
"""Builds a forward pass from a weight file's tensors and the arguments on its card."""
Batch = Callable[[Clips], NDArray[np.float32]]
"""Turns n clips of any lengths into (n, ...) float32."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A kind of network: how it is built, what it reads, and how walks are cut for it.

    Attributes:
        name: Name in weight files and recipes.
        torch: ``module:class`` of the `networks.Network`, imported on use.
        numpy: Builds the forward pass without torch; None if only torch can run the network.
        modality: Stream that it reads.
        clips: How a walk becomes the clips that it sees.
        min_frames: Fewest frames that its encoders accept. Published evaluators embed walks of any length.
    """

    name: str
    torch: str
    numpy: NumpyNetwork | None
    modality: str
    clips: Clipping
    min_frames: int = 8

    def embed(
        self, forward: Batch, streams: Sequence[NDArray[Any]], times: Sequence[NDArray[np.float64]]
    ) -> NDArray[np.float32]:
        """(N, D) unit embeddings of whole walks; see `mean`, with unit vectors from `forward`."""
        vectors = self.mean(forward, streams, times)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12), np.float32)

    def mean(
        self, forward: Batch, streams: Sequence[NDArray[Any]], times: Sequence[NDArray[np.float64]]
    ) -> NDArray[np.float32]:
        """(N, ...) outputs of a network for whole walks: the mean over a walk's clips, weighted by length.

        Args:
            forward: (n, ...) outputs for n clips.
            streams: N streams of (T, ...) frames.
            times: N arrays of (T,) seconds.

        Raises:
            SequenceError: Skeletons without a body.
        """
        clips: Clips = []
        owners: list[int] = []
        for owner, (stream, moments) in enumerate(zip(streams, times, strict=True)):
            pieces = self.clips(stream, moments)
            clips += pieces
            owners += [owner] * len(pieces)
        outputs = forward(clips)
        lengths = np.array([len(clip) for clip in clips], np.float32)
        total = np.zeros((len(streams), *outputs.shape[1:]), np.float32)
        np.add.at(total, owners, (outputs.T * lengths).T)
        return np.asarray((total.T / np.bincount(owners, lengths)).T, np.float32)


_SAMPLED = Clipping(SILHOUETTE_SIZE, RATE_HZ, CHUNK, sampled, skips_empty=True)
_WHOLE = Clipping(SILHOUETTE_SIZE, 0.0, MAX_FRAMES, whole)
_PARTED = Clipping(SILHOUETTE_SIZE, 0.0, 720, whole)
_POSES = Clipping((JOINTS, poses.FEATURES), POSE_RATE_HZ, 2 * CHUNK, poses.prepare)
_BODIES = Clipping((JOINTS, bodies.FEATURES_3D), POSE_RATE_HZ, 2 * CHUNK, bodies.prepare)

ARCHITECTURES: Mapping[str, Architecture] = {
    one.name: one
    for one in (
        Architecture("strider", strider.TORCH, strider_forward, SILHOUETTE, _SAMPLED),
        Architecture("stickman", stickman.TORCH, stickman_forward, SKELETON, _POSES),
        Architecture("stickman3d", stickman.TORCH, stickman_forward, SKELETON_3D, _BODIES),
        Architecture("gaitset", "gaitid.encoders.gaitset:GaitSetNet", None, SILHOUETTE, _WHOLE, min_frames=1),
        Architecture(
            "gaitbase", "gaitid.encoders.gaitbase:GaitBaseNet", None, SILHOUETTE, _WHOLE, min_frames=1
        ),
        Architecture(
            "deepgaitv2", "gaitid.encoders.deepgaitv2:DeepGaitV2Net", None, SILHOUETTE, _PARTED, min_frames=1
        ),
    )
}


def find(name: str) -> Architecture:
    """The architecture of that name.

    Raises:
        UnknownName: There is none.
    """
    if name not in ARCHITECTURES:
        raise UnknownName(
            f"Unknown architecture {name!r}",
            f"one of {', '.join(ARCHITECTURES)}",
            nearest(name, ARCHITECTURES),
        )
    return ARCHITECTURES[name]
