"""Strider: our silhouette network, cheap enough for one CPU core.

Our own design. Its parts have known origins: horizontal parts with a linear map each from Chao et al.
2019 (GaitSet, sec. 3.4) and Fu et al. 2019 (HPM); statistics of features over time instead of a
temporal network from set pooling (GaitSet, sec. 3.3) and statistics pooling (Snyder et al. 2018,
x-vectors); absolute differences in time as motion channels from temporal-difference networks (Wang et
al. 2021, TDN); channels of neighbouring frames exchanged for free from Lin et al. 2019 (TSM, sec. 3).

What differs: two paths share two small layers of each frame. The shape path pools over time at once, so its
wide layers run once a sequence and not once a frame, which makes it about nine times cheaper. The motion
path goes on frame by frame at half the resolution, where a frame costs little, and pools at the end.

Frames come at a fixed rate (`clips.RATE_HZ`). `light.strider` is the same without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from gaitid.encoders.light import LAG

_EPSILON = 1e-4


class StriderNet(nn.Module):
    """Silhouettes -> embeddings.

    Args:
        stem: Channels of the first layer on each frame: 3x3 on 2x2 blocks of pixels, a 6x6 window.
        frame: Channels of the 3x3 layer on each frame.
        trunk: Channels of the three 3x3 layers on the pooled map.
        parts: Horizontal parts; 16 is one a row of the map.
        part_dimension: Numbers a part.
        projection: Length of the embedding after the learned projection; 0 for none.
        motion: Channels of the motion path's layers on each frame; none for no such path.
        motion_dimension: Numbers a row of the motion path, which has eight rows.
    """

    def __init__(
        self,
        *,
        stem: int = 16,
        frame: int = 32,
        trunk: Sequence[int] = (128, 128, 160),
        parts: int = 16,
        part_dimension: int = 32,
        projection: int = 256,
        motion: Sequence[int] = (),
        motion_dimension: int = 32,
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
        self.enter = _layer(5 * frame, trunk[0])
        self.middle = _layer(trunk[0], trunk[1])
        self.leave = _layer(trunk[1], trunk[2])
        self.parts = parts
        self.part_weights = nn.Parameter(torch.randn(parts, trunk[2], part_dimension) / trunk[2] ** 0.5)
        width = parts * part_dimension
        self.motion = _MotionPath(frame, motion, motion_dimension) if motion else None
        if self.motion is not None:
            width += _MotionPath.ROWS * motion_dimension
        self.norm = nn.BatchNorm1d(width)
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
        x = _statistics(seen.reshape(count, frames, *seen.shape[1:]), lengths)  # (N, 5 C, H/4, W/4)
        x = self.enter(x.contiguous(memory_format=torch.channels_last))
        x = x + self.middle(x) if self.middle[0].out_channels == x.shape[1] else self.middle(x)
        wide = self._read_parts(self.leave(x))
        if self.motion is not None:
            wide = torch.cat([wide, self.motion(seen, count, lengths)], 1)
        return F.normalize(self.norm(wide), dim=1)

    def _read_parts(self, x: Tensor) -> Tensor:
        rows = x.mean(3) + x.max(3).values  # (N, C, rows)
        bands = rows.reshape(*rows.shape[:2], self.parts, -1).mean(3)  # (N, C, P)
        return torch.einsum("ncp,pcd->npd", bands, self.part_weights).flatten(1)


class _MotionPath(nn.Module):
    """Features of frames -> numbers of eight rows, with layers that see the frames before and after.

    Args:
        inputs: Channels of a frame's map, 16 x 11.
        channels: Of the layers; the first one halves the map.
        dimension: Numbers a row.
    """

    ROWS = 8

    def __init__(self, inputs: int, channels: Sequence[int], dimension: int) -> None:
        super().__init__()
        widths = (inputs, *channels)
        self.layers = nn.ModuleList(
            _layer(a, b, stride=1 if i else 2) for i, (a, b) in enumerate(pairwise(widths))
        )
        self.mix = nn.Linear(3 * widths[-1], widths[-1])
        self.row_weights = nn.Parameter(
            torch.randn(self.ROWS, 3 * widths[-1], dimension) / (3 * widths[-1]) ** 0.5
        )

    def forward(self, x: Tensor, count: int, lengths: Tensor | None) -> Tensor:
        """(N, 8 D) for maps (N * T, C, 16, 11) of N walks; frames from `lengths[n]` on do not count."""
        frames = x.shape[0] // count
        valid = None
        if lengths is not None and bool((lengths < frames).any()):
            valid = (torch.arange(frames, device=x.device) < lengths[:, None]).to(x.dtype)
        x = self.layers[0](x)
        for layer in list(self.layers)[1:]:
            x = layer(_exchange(x, count, valid))
        rows = (x.mean(3) + x.amax(3)).transpose(1, 2)
        rows = rows.reshape(count, frames, *rows.shape[1:])  # (N, T, rows, C)
        if valid is not None:
            rows = rows * valid[:, :, None, None]
        around = torch.cat([_later(rows), rows, _earlier(rows)], 3)
        rows = rows + F.leaky_relu(self.mix(around), 0.01)
        return torch.einsum("nrc,rcd->nrd", _moments(rows, lengths), self.row_weights).flatten(1)


def _later(x: Tensor) -> Tensor:
    """Each frame gets what the one before it has; the first gets zeros. (N, T, ...)."""
    return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)


def _earlier(x: Tensor) -> Tensor:
    """Each frame gets what the one after it has; the last gets zeros. (N, T, ...)."""
    return torch.cat([x[:, 1:], torch.zeros_like(x[:, :1])], 1)


def _exchange(x: Tensor, count: int, valid: Tensor | None) -> Tensor:
    """A quarter of the channels comes from the frame before, a quarter from the one after (TSM, sec. 3)."""
    quarter = x.shape[1] // 4
    x = x.reshape(count, -1, *x.shape[1:])  # (N, T, C, H, W)
    if valid is not None:
        x = x * valid[:, :, None, None, None]
    parts = [_later(x[:, :, :quarter]), _earlier(x[:, :, quarter : 2 * quarter]), x[:, :, 2 * quarter :]]
    return torch.cat(parts, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)


def _moments(rows: Tensor, lengths: Tensor | None) -> Tensor:
    """(N, rows, 3 C): maximum, mean and deviation over the valid frames of (N, T, rows, C)."""
    if lengths is not None and bool((lengths < rows.shape[1]).any()):
        parts = [
            _moments(one[None, :length], None) for one, length in zip(rows, lengths.tolist(), strict=True)
        ]
        return torch.cat(parts)
    mean = rows.mean(1)
    deviation = (rows.square().mean(1) - mean.square()).clamp(min=0).add(_EPSILON).sqrt()
    return torch.cat([rows.amax(1), mean, deviation], 2)


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.01, inplace=True),
    )


def _statistics(x: Tensor, lengths: Tensor | None) -> Tensor:
    """(N, 5 C, H, W): maximum, mean, deviation, largest and mean motion over the valid frames.

    Args:
        x: (N, T, C, H, W).
        lengths: (N,) valid frames, or None.
    """
    if lengths is None or bool((lengths == x.shape[1]).all()):
        return _pool(x)
    parts = [_pool(one[None, :length]) for one, length in zip(x, lengths.tolist(), strict=True)]
    return torch.cat(parts)


def _pool(x: Tensor) -> Tensor:
    """See `_statistics`, all frames valid."""
    mean = x.mean(1)
    deviation = (x.square().mean(1) - mean.square()).clamp(min=0).add(_EPSILON).sqrt()
    motion = (x[:, LAG:] - x[:, :-LAG]).abs() if x.shape[1] > LAG else torch.zeros_like(x[:, :1])
    return torch.cat([x.max(1).values, mean, deviation, motion.max(1).values, motion.mean(1)], 1)
