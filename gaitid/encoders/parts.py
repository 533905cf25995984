"""Layers in torch that networks with horizontal parts share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

_PIECE = 128
"""Frames that go through a network at once; more would only use memory."""


class PartMap(nn.Module):
    """A separate linear map for each part.

    Args:
        parts: P.
        inputs: C.
        outputs: D'.
    """

    def __init__(self, parts: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(parts, inputs, outputs) / inputs**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(N, P, D') of (N, C, P)."""
        return torch.einsum("ncp,pcd->npd", x, self.weight)


class PartNeck(nn.Module):
    """Batch normalisation of each dimension of each part, then unit length of each part.

    Source: BNNeck of Luo et al. 2019, "Bag of Tricks", section 3.6; per part as in Fan et al. 2023.

    Args:
        parts: P.
        dimension: D'.
    """

    def __init__(self, parts: int, dimension: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(parts * dimension)

    def forward(self, parts: Tensor) -> Tensor:
        """(N, P, D') unit parts of (N, P, D')."""
        return F.normalize(self.norm(parts.flatten(1)).reshape(parts.shape), dim=2)


def pyramid(x: Tensor, bins: Sequence[int]) -> Tensor:
    """(N, C, P): mean plus maximum of each of `bins` horizontal strips of (N, C, H, W).

    Strips have equal numbers of pixels, row by row; they are whole rows if a number of `bins` divides H.
    """
    count, channels = x.shape[:2]
    strips = [x.reshape(count, channels, number, -1) for number in bins]
    return torch.cat([strip.mean(3) + strip.amax(3) for strip in strips], 2)


def unit_parts(parts: Tensor) -> Tensor:
    """(N, P * D') unit vectors of (N, P, D'): the inner product is the mean cosine over parts."""
    unit: Tensor = F.normalize(parts, dim=2).flatten(1) / math.sqrt(parts.shape[1])
    return unit


def running_max(
    frames: Callable[[Tensor], list[Tensor]], silhouettes: Tensor, lengths: Tensor
) -> list[Tensor]:
    """Maxima over time of the features of single silhouettes, computed piece by piece to save memory.

    Args:
        frames: Turns (M, 1, H, W) silhouettes into one or more features (M, C, h, w).
        silhouettes: (N, T, H, W).
        lengths: (N,) valid frames.

    Returns:
        (N, C, h, w) each.
    """
    count, total = silhouettes.shape[:2]
    best: list[Tensor] = []
    step = max(1, _PIECE // count)
    for start in range(0, total, step):
        piece = silhouettes[:, start : start + step]
        made = frames(piece.reshape(-1, 1, *piece.shape[2:]))
        valid = real_frames(lengths - start, piece.shape[1], silhouettes.device)
        peaks = [_masked_max(x.reshape(count, -1, *x.shape[1:]), valid) for x in made]
        best = [torch.maximum(a, b) for a, b in zip(best, peaks, strict=True)] if best else peaks
    return best


def real_frames(lengths: Tensor, frames: int, device: torch.device) -> Tensor:
    """(N, frames) bool on that device: which frames of sequences of these lengths are not padding."""
    return torch.arange(frames, device=device) < lengths.to(device)[:, None]


def _masked_max(x: Tensor, valid: Tensor) -> Tensor:
    """(N, C, h, w) maximum over the valid frames of (N, t, C, h, w)."""
    if not bool(valid.all()):
        x = x.masked_fill(~valid[:, :, None, None, None], float("-inf"))
    return x.amax(1)
