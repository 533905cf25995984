"""Networks by name, and how a sequence goes through one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from gaitid.encoders.clips import chunks, resample
from gaitid.errors import UnknownName
from gaitid.records import SILHOUETTE
from gaitid.registry import nearest

ARCHITECTURES: Mapping[str, str] = {"strider": "gaitid.encoders.strider:StriderNet"}
MODALITY: Mapping[str, str] = {"strider": SILHOUETTE}
"""The stream that each architecture reads."""
SILHOUETTE_SIZE = (64, 44)
"""Height and width of the silhouettes that networks read."""


def build(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A new network of that architecture, in training mode.

    Raises:
        UnknownName: No architecture of that name.
    """
    if name not in ARCHITECTURES:
        raise UnknownName(
            f"unknown architecture {name!r}",
            f"known are {', '.join(ARCHITECTURES)}",
            nearest(name, ARCHITECTURES),
        )
    module, _, attribute = ARCHITECTURES[name].partition(":")
    network: nn.Module = getattr(import_module(module), attribute)(**arguments)
    return network


def embed(
    network: nn.Module, clips: list[NDArray[np.generic]], times: list[NDArray[np.float64]]
) -> NDArray[np.float32]:
    """(N, D) unit embeddings of whole walks; long ones are the mean of their parts.

    Args:
        network: In evaluation mode.
        clips: N streams of (T, ...) frames.
        times: N arrays of (T,) seconds.
    """
    parts: list[NDArray[np.generic]] = []
    owners: list[int] = []
    for owner, (clip, moments) in enumerate(zip(clips, times, strict=True)):
        frames = clip[resample(moments)]
        for part in chunks(len(frames)):
            parts.append(frames[part])
            owners.append(owner)
    lengths = torch.tensor([len(part) for part in parts])
    batch = np.zeros((len(parts), int(lengths.max()), *parts[0].shape[1:]), np.float32)
    for row, part in zip(batch, parts, strict=True):
        row[: len(part)] = part
    with torch.inference_mode():
        vectors = network(torch.from_numpy(batch), lengths)
        weighted = vectors * lengths[:, None]
        total = torch.zeros(len(clips), vectors.shape[1]).index_add_(0, torch.tensor(owners), weighted)
        return F.normalize(total, dim=1).numpy()
