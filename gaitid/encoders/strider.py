"""Strider: our silhouette network, cheap enough for one CPU core.

Our own design. Its parts have known origins: horizontal parts with a linear map each from Chao et al.
2019 (GaitSet, sec. 3.4) and Fu et al. 2019 (HPM); statistics of features over time instead of a
temporal network from set pooling (GaitSet, sec. 3.3) and statistics pooling (Snyder et al. 2018,
x-vectors); absolute differences in time as motion channels from temporal-difference networks (Wang et
al. 2021, TDN); channels of neighbouring frames exchanged for free from Lin et al. 2019 (TSM, sec. 3).

What differs: only small layers see each frame. The walk is pooled over time after them, so the wide layers
run once a sequence and not once a frame, which makes the network about nine times cheaper.

Frames come at a fixed rate (`clips.RATE_HZ`). `light.strider` is the same without torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from gaitid.encoders.light import LAG
from gaitid.encoders.parts import real_frames

_EPSILON = 1e-4


class StriderNet(nn.Module):
    """Silhouettes -> embeddings.

    Args:
        stem: Channels of the first layer on each frame: 3x3 on 2x2 blocks of pixels, a 6x6 window.
        frame: Channels of the 3x3 layers on each frame.
        later: Number of those after the first; they see the frames before and after, and are residual.
        trunk: Channels of the three 3x3 layers on the pooled map.
        parts: Horizontal parts; 16 is one a row of the map.
        part_dimension: Numbers a part.
        mix: Hidden numbers of a residual layer pair that sees all parts at once; 0 for none.
        projection: Length of the embedding after the learned projection; 0 for none.
    """

    def __init__(
        self,
        *,
        stem: int = 16,
        frame: int = 32,
        later: int = 0,
        trunk: Sequence[int] = (128, 128, 160),
        parts: int = 16,
        part_dimension: int = 32,
        mix: int = 0,
        projection: int = 256,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(2),  # four input channels: 3.6 times faster than a 5x5 layer on one
            nn.Conv2d(4, stem, 3, padding=1, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(stem),
            nn.LeakyReLU(0.01, inplace=True),
        )
        self.frame = _layer(stem, frame)
        self.later = nn.ModuleList(_layer(frame, frame) for _ in range(later))
        self.enter = _layer(5 * frame, trunk[0])
        self.middle = _layer(trunk[0], trunk[1])
        self.leave = _layer(trunk[1], trunk[2])
        self.parts = parts
        self.part_weights = nn.Parameter(torch.randn(parts, trunk[2], part_dimension) / trunk[2] ** 0.5)
        width = parts * part_dimension
        self.norm = nn.BatchNorm1d(width)
        self.mix = _mix(width, mix) if mix else None
        self.projection = nn.Linear(width, projection, bias=False) if projection else None
        if self.projection is not None:
            nn.init.orthogonal_(self.projection.weight)
        self.wide_dimension, self.dimension = width, projection or width
        self.to(memory_format=torch.channels_last)

    def forward(self, silhouettes: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, D) unit vectors.

        Args:
            silhouettes: (N, T, H, W) float, 0..1; frames from `lengths[n]` on are padding.
            lengths: (N,) int64, frames of each sequence, 1..T; None when nothing is padding.
        """
        wide = self.wide(silhouettes, lengths)
        if self.projection is not None:
            wide = F.normalize(self.projection(wide), dim=1)
        return wide

    def wide(self, silhouettes: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, P * D') unit vectors before the projection; see `forward`."""
        count, frames, height, width = silhouettes.shape
        x = silhouettes.reshape(-1, 1, height, width)
        seen = self.frame(self.stem(x))  # (N * T, C, H/4, W/4)
        if lengths is not None and bool((lengths == frames).all()):
            lengths = None  # nothing is padding
        valid = None if lengths is None else real_frames(lengths, frames, seen.device).to(seen.dtype)
        for layer in self.later:
            seen = seen + layer(_exchange(seen, count, valid))
        x = _statistics(seen.reshape(count, frames, *seen.shape[1:]), lengths)  # (N, 5 C, H/4, W/4)
        x = self.enter(x.contiguous(memory_format=torch.channels_last))
        x = x + self.middle(x) if self.middle[0].out_channels == x.shape[1] else self.middle(x)
        parts = self.norm(self._read_parts(self.leave(x)))
        if self.mix is not None:
            parts = parts + self.mix(parts)
        return F.normalize(parts, dim=1)

    def _read_parts(self, x: Tensor) -> Tensor:
        rows = x.mean(3) + x.max(3).values  # (N, C, rows)
        bands = rows.reshape(*rows.shape[:2], self.parts, -1).mean(3)  # (N, C, P)
        return torch.einsum("ncp,pcd->npd", bands, self.part_weights).flatten(1)


def _exchange(x: Tensor, count: int, valid: Tensor | None) -> Tensor:
    """A quarter of the channels comes from the frame before, a quarter from the one after (TSM, sec. 3)."""
    x = x.reshape(count, -1, *x.shape[1:])  # (N, T, C, H, W)
    if valid is not None:
        x = x * valid[:, :, None, None, None]
    around = F.pad(x, (0, 0, 0, 0, 0, 0, 1, 1))  # zeros before the first frame and after the last
    kind = (torch.arange(x.shape[2], device=x.device) // (x.shape[2] // 4))[:, None, None]
    mixed = torch.where(kind == 0, around[:, :-2], torch.where(kind == 1, around[:, 2:], x))
    return mixed.flatten(0, 1).contiguous(memory_format=torch.channels_last)


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.01, inplace=True),
    )


def _mix(width: int, hidden: int) -> nn.Sequential:
    """A pair of dense layers that begins as zero, so a trained network may get it at any time."""
    leave = nn.Linear(hidden, width, bias=False)
    nn.init.zeros_(leave.weight)
    return nn.Sequential(
        nn.Linear(width, hidden, bias=False), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.01), leave
    )


def _statistics(x: Tensor, lengths: Tensor | None) -> Tensor:
    """(N, 5 C, H, W): maximum, mean, deviation, largest and mean motion over the valid frames.

    Args:
        x: (N, T, C, H, W).
        lengths: (N,) valid frames; None when all are.
    """
    if lengths is None:
        return _pool(x)
    parts = [_pool(one[None, :length]) for one, length in zip(x, lengths.tolist(), strict=True)]
    return torch.cat(parts)


def _pool(x: Tensor) -> Tensor:
    """See `_statistics`, all frames valid."""
    mean = x.mean(1)
    deviation = (x.square().mean(1) - mean.square()).clamp(min=0).add(_EPSILON).sqrt()
    motion = (x[:, LAG:] - x[:, :-LAG]).abs() if x.shape[1] > LAG else torch.zeros_like(x[:, :1])
    return torch.cat([x.max(1).values, mean, deviation, motion.max(1).values, motion.mean(1)], 1)
