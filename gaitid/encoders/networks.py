"""Networks in torch, for training, export and the reference networks.

`Network` is what training, export and embedding need of a network; `PartNetwork` is one whose embedding
is made of parts that can be compared one by one.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from gaitid.encoders import adapted, weights
from gaitid.encoders.architectures import Architecture, find
from gaitid.encoders.clips import Clips
from gaitid.encoders.parts import PartMap, unit_parts


class Network(nn.Module, abc.ABC):
    """A network that turns clips into unit vectors.

    Attributes:
        architecture: Its entry in the table; set by `build`.
        dimension: Dimensions D of an embedding.
        wide_dimension: Dimensions of an embedding before the projection, on which most losses work.
        projection: Linear map from the wide embedding to the embedding; None if both are the same.
        compiles: Whether `torch.compile` can take the network; it cannot if lengths decide what is computed.
    """

    architecture: Architecture
    dimension: int
    wide_dimension: int
    projection: nn.Linear | None
    compiles: ClassVar[bool] = True

    def forward(self, clips: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, D) unit vectors.

        Args:
            clips: (N, T, ...) float, silhouettes (N, T, H, W) 0..1; frames from `lengths[n]` on are padding.
            lengths: (N,) int64, frames of each clip, 1..T; None when nothing is padding.
        """
        return self.project(self.wide(clips, lengths))

    @abc.abstractmethod
    def wide(self, clips: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, wide_dimension) unit vectors before the projection; see `forward`."""

    @property
    def blocks(self) -> int:
        """Equal blocks of an embedding, each of a part of the body; see `base.parts_of`."""
        return 1

    def project(self, wide: Tensor) -> Tensor:
        """(N, D) unit vectors of (N, wide_dimension) wide ones."""
        return wide if self.projection is None else F.normalize(self.projection(wide), dim=1)


class PartNetwork(Network):
    """A network with an embedding of P parts, each a unit vector by itself.

    Attributes:
        head: Linear map of each part, (P, C, D').
    """

    head: PartMap
    projection = None
    compiles = False

    def wide(self, clips: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, P * D') unit vectors; see `Network.wide`."""
        if lengths is None:
            lengths = torch.full((len(clips),), clips.shape[1])
        return unit_parts(self.parts(clips, lengths))

    @property
    def blocks(self) -> int:
        """Number P of parts."""
        return len(self.head.weight)

    @abc.abstractmethod
    def parts(self, clips: Tensor, lengths: Tensor) -> Tensor:
        """(N, P, D') parts, not normalised; see `forward`."""


class Adapted(Network):
    """A network with a head, as `adapted.Head` computes it.

    Args:
        network: The network before the head.
        head: The head.
    """

    projection = None
    mean: Tensor
    matrix: Tensor

    def __init__(self, network: Network, head: adapted.Head) -> None:
        super().__init__()
        self.network, self.architecture = network, network.architecture
        self._blocks = head.parts
        self.dimension = self.wide_dimension = len(head.mean)
        self.register_buffer("mean", torch.from_numpy(head.mean.copy()))
        self.register_buffer("matrix", torch.from_numpy(head.matrix.copy()))

    @property
    def blocks(self) -> int:
        """See `Network.blocks`."""
        return self._blocks

    def wide(self, clips: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, D) unit vectors; see `Network.wide`."""
        vectors = self.network(clips, lengths)
        shape = (vectors.shape[0], self.blocks, self.dimension // self.blocks)
        mapped = F.normalize(((vectors - self.mean) @ self.matrix).reshape(shape), dim=2)
        return F.normalize((mapped * vectors.reshape(shape).norm(dim=2, keepdim=True)).flatten(1), dim=1)


def build(name: str, arguments: Mapping[str, Any]) -> Network:
    """A new network of that architecture, in training mode.

    Raises:
        UnknownName: There is no architecture of that name.
    """
    architecture = find(name)
    module, _, attribute = architecture.torch.partition(":")
    network: Network = getattr(import_module(module), attribute)(**arguments)
    network.architecture = architecture
    return network


def load(card: weights.Card, tensors: Mapping[str, NDArray[Any]]) -> Network:
    """The network of a weight file with its head, if it has one, in evaluation mode.

    Raises:
        WeightsError: The tensors do not fit the architecture.
    """
    network = build(card.architecture, card.arguments)
    try:
        own, head = adapted.split(tensors, card.parts)
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in own.items()})
    except (KeyError, ValueError, RuntimeError) as error:
        raise weights.misfit(card, error) from error
    return network.eval() if head is None else Adapted(network, head).eval()


def embed(
    network: Network, streams: Sequence[NDArray[Any]], times: Sequence[NDArray[np.float64]]
) -> NDArray[np.float32]:
    """(N, D) unit embeddings of whole walks by a network in evaluation mode; see `Architecture.embed`."""
    return network.architecture.embed(partial(forward, network), streams, times)


def forward(network: Network, clips: Clips) -> NDArray[np.float32]:
    """(N, D) unit vectors of clips of any lengths, in one batch."""
    return _run(network, network, clips)


def parts(network: PartNetwork, clips: Clips) -> NDArray[np.float32]:
    """(N, P, D') parts of clips of any lengths, not normalised."""
    return _run(network, network.parts, clips)


def _run(network: Network, method: Callable[..., Tensor], clips: Clips) -> NDArray[np.float32]:
    lengths = torch.tensor([len(clip) for clip in clips])
    batch = np.zeros((len(clips), int(lengths.max()), *clips[0].shape[1:]), np.float32)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    device = next(network.parameters()).device
    with torch.inference_mode():
        output = method(torch.from_numpy(batch).to(device), lengths.to(device))
        return np.asarray(output.cpu().numpy(), np.float32)
