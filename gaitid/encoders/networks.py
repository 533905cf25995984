"""Networks by name, in torch: for training, export, and the reference networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gaitid.encoders import architectures, weights


def build(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A new network of that architecture, in training mode.

    Raises:
        UnknownName: No architecture of that name.
    """
    module, _, attribute = architectures.find(name).target.partition(":")
    network: nn.Module = getattr(import_module(module), attribute)(**arguments)
    return network


def load(card: weights.Card, tensors: Mapping[str, NDArray[Any]]) -> nn.Module:
    """The network of a weight file, in evaluation mode.

    Raises:
        WeightsError: The tensors do not fit the architecture.
    """
    network = build(card.architecture, card.arguments)
    try:
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in tensors.items()})
    except RuntimeError as error:
        raise weights.misfit(card, error) from error
    return network.eval()


def embed(
    architecture: str,
    network: nn.Module,
    streams: Sequence[NDArray[Any]],
    times: Sequence[NDArray[np.float64]],
) -> NDArray[np.float32]:
    """(N, D) unit embeddings of whole walks by a network in evaluation mode; see `architectures.embed`."""
    return architectures.embed(architecture, partial(forward, network), streams, times)


def forward(network: nn.Module, clips: architectures.Clips) -> NDArray[np.float32]:
    """(N, D) unit vectors of clips of any lengths, in one batch."""
    return _read(network, network, clips)


def parts(network: nn.Module, clips: architectures.Clips) -> NDArray[np.float32]:
    """(N, P, D') parts of clips of any lengths, not normalised; for networks that have them."""
    return _read(network, network.parts, clips)  # type: ignore[arg-type]


def _read(
    network: nn.Module, method: Callable[..., torch.Tensor], clips: architectures.Clips
) -> NDArray[np.float32]:
    lengths = torch.tensor([len(clip) for clip in clips])
    batch = np.zeros((len(clips), int(lengths.max()), *clips[0].shape[1:]), np.float32)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    device = next(network.parameters()).device
    with torch.inference_mode():
        found = method(torch.from_numpy(batch).to(device), lengths.to(device))
        return np.asarray(found.cpu().numpy(), np.float32)
