"""The torch network of strider; see the package for its origins."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from gaitid.encoders.networks import Network
from gaitid.encoders.parts import real_frames
from gaitid.encoders.strider import LAG, VARIANCE_FLOOR


class StriderNet(Network):
    """Silhouettes -> embeddings.

    Args:
        stem: Channels of the first layer on each frame: 3x3 on 2x2 blocks of pixels, a 6x6 window.
        frame: Channels of the 3x3 layers on each frame.
        later: Number of residual 3x3 layers after the first; they see the frames before and after.
        trunk: Channels of the three 3x3 layers on the pooled map.
        parts: Horizontal parts; 16 is one per row of the map.
        part_dimension: Dimensions of a part.
        mix: Hidden units of a residual layer pair that sees all parts at once; 0 for none.
        projection: Dimensions of the embedding after the learned projection; 0 for no projection.
        scaled: Scale each part to a learned length, so that none outweighs another by its norm. Without
            `mix` and `projection`.
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
        scaled: bool = False,
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
        self.part_weights = nn.Parameter(torch.randn(parts, trunk[2], part_dimension) / trunk[2] ** 0.5)
        width = parts * part_dimension
        self.norm = nn.BatchNorm1d(width)
        self.mix = _mix(width, mix) if mix else None
        self.projection = nn.Linear(width, projection, bias=False) if projection else None
        if self.projection is not None:
            nn.init.orthogonal_(self.projection.weight)
        self.part_scales = nn.Parameter(torch.ones(parts)) if scaled else None
        self.wide_dimension, self.dimension = width, projection or width
        self.to(memory_format=torch.channels_last)

    @property
    def blocks(self) -> int:
        """See `Network.blocks`."""
        return 1 if self.part_scales is None else len(self.part_scales)

    def wide(self, clips: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, P * D') unit vectors before the projection, of (N, T, H, W) silhouettes; see `Network`."""
        count, frames, height, width = clips.shape
        x = clips.reshape(-1, 1, height, width)
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
        if self.part_scales is not None:
            unit = F.normalize(parts.reshape(count, self.blocks, -1), dim=2)
            parts = (unit * self.part_scales[:, None]).flatten(1)
        return F.normalize(parts, dim=1)

    def _read_parts(self, x: Tensor) -> Tensor:
        rows = x.mean(3) + x.max(3).values  # (N, C, rows)
        bands = rows.reshape(*rows.shape[:2], len(self.part_weights), -1).mean(3)  # (N, C, P)
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
    """A pair of dense layers that starts as zero, so it can be added to a trained network at any time."""
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
    deviation = (x.square().mean(1) - mean.square()).clamp(min=0).add(VARIANCE_FLOOR).sqrt()
    motion = (x[:, LAG:] - x[:, :-LAG]).abs() if x.shape[1] > LAG else torch.zeros_like(x[:, :1])
    return torch.cat([x.max(1).values, mean, deviation, motion.max(1).values, motion.mean(1)], 1)
