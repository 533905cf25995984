"""DeepGaitV2: residual layers on frames, or on frames and time, deep on purpose.

Source: Fan, Hou, Huang & Yu, "Exploring Deep Models for Practical Gait Recognition", arXiv 2303.03301,
sec. 3.2 and figure 3: a plain stage on frames, then three stages of one of three modes; maximum over time,
horizontal pooling into 16 parts, a linear map for each part. Written by us from the papers; no code was
copied. The modes:

- ``p3d`` (pseudo-3D): blocks add a (3, 1, 1) convolution over time to the first of their two 3x3
  convolutions, as Qiu, Yao & Mei, "Learning Spatio-Temporal Representation with Pseudo-3D Residual
  Networks", ICCV 2017, sec. 3.2;
- ``3d``: both convolutions are 3x3x3;
- ``2d``: both are 3x3 on frames, so the order of the frames does not matter.

Deviations: the BNNeck is used in training only and is left out unless `neck` is set; walks longer than 720
frames are embedded in pieces. Every part is normalised, so the inner product is the mean cosine over parts.

The times of the frames do not matter; all frames are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from gaitid.encoders.gaitbase import Residual, stages, stem
from gaitid.encoders.networks import PartNetwork
from gaitid.encoders.parts import PartMap, PartNeck, pyramid, running_max
from gaitid.errors import ConfigError
from gaitid.registry import nearest


class DeepGaitV2Net(PartNetwork):
    """Silhouettes -> embeddings of 16 parts.

    Args:
        channels: Of each of the four stages.
        blocks: Blocks per stage: (1, 4, 4, 1) for wild data, (1, 1, 1, 1) for laboratories.
        parts: Horizontal parts.
        part_dimension: Dimensions of a part.
        mode: ``p3d``, ``3d`` or ``2d``; see the module.
        neck: Whether the embedding is taken behind the BNNeck (``use_emb2`` of published configurations).

    Raises:
        ConfigError: The mode is unknown.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int] = (64, 128, 256, 512),
        blocks: Sequence[int] = (1, 4, 4, 1),
        parts: int = 16,
        part_dimension: int = 256,
        mode: str = "p3d",
        neck: bool = False,
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise ConfigError(
                f"Argument mode of deepgaitv2 is {mode!r}", f"one of {', '.join(MODES)}", nearest(mode, MODES)
            )
        self.mode = mode
        self.stem = stem(channels[0])
        self.frame = nn.Sequential(*(Residual(channels[0], channels[0], 1) for _ in range(blocks[0])))
        sizes = zip(channels[1:], blocks[1:], (2, 2, 1), strict=True)
        self.stages = stages(MODES[mode], channels[0], sizes)
        self.head = PartMap(parts, channels[-1], part_dimension)
        self.neck = PartNeck(parts, part_dimension) if neck else None
        self.dimension = self.wide_dimension = parts * part_dimension

    def parts(self, clips: Tensor, lengths: Tensor) -> Tensor:
        """(N, P, D') parts of (N, T, H, W) silhouettes, unit vectors only with a neck; see `PartNetwork`."""
        if self.mode == "2d":
            (x,) = running_max(lambda frames: [self.stages(self.frame(self.stem(frames)))], clips, lengths)
        elif bool((lengths == clips.shape[1]).all()):
            x = self._pooled(clips)
        else:  # padding must not reach real frames through time
            rows = zip(clips, lengths.tolist(), strict=True)
            x = torch.cat([self._pooled(one[None, :length]) for one, length in rows])
        parts: Tensor = self.head(pyramid(x, (self.head.weight.shape[0],)))
        return parts if self.neck is None else self.neck(parts)

    def _pooled(self, silhouettes: Tensor) -> Tensor:
        """(N, C, h, w) maxima over time, by blocks that convolve over it."""
        count, frames, height, width = silhouettes.shape
        x: Tensor = self.frame(self.stem(silhouettes.reshape(-1, 1, height, width)))
        x = self.stages(x.reshape(count, frames, *x.shape[1:]))
        return x.amax(1)


class _VolumeResidual(nn.Module):
    """Two 3x3x3 convolutions with a shortcut; arguments as of `Residual`."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        steps = (1, stride, stride)
        self.first = nn.Conv3d(inputs, outputs, 3, stride=steps, padding=1, bias=False)
        self.first_norm = nn.BatchNorm3d(outputs)
        self.second = nn.Conv3d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm3d(outputs)
        self.shortcut = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, C', h, w) of (N, T, C, H, W)."""
        x = x.transpose(1, 2)  # (N, C, T, H, W)
        inner = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(inner)) + self.shortcut(x)).transpose(1, 2)


class _PseudoResidual(nn.Module):
    """Two 3x3 convolutions, the first with one over time beside it, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.time = nn.Conv3d(outputs, outputs, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.time_norm = nn.BatchNorm3d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, C', h, w) of (N, T, C, H, W)."""
        count, frames = x.shape[:2]
        inner = F.relu(self.first_norm(self.first(x.flatten(0, 1))))
        inner = inner.reshape(count, frames, *inner.shape[1:]).transpose(1, 2)  # (N, C, T, h, w)
        inner = F.relu(inner + self.time_norm(self.time(inner))).transpose(1, 2)
        outer = self.second_norm(self.second(inner.flatten(0, 1)))
        outer = outer.reshape(count, frames, *outer.shape[1:])
        return F.relu(outer + self.shortcut(x.transpose(1, 2)).transpose(1, 2))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """What is added to the output of a block: its input, mapped if the shapes differ."""
    if stride == 1 and inputs == outputs:
        return nn.Sequential()
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 1, stride=(1, stride, stride), bias=False), nn.BatchNorm3d(outputs)
    )


MODES: Mapping[str, Callable[[int, int, int], nn.Module]] = {
    "p3d": _PseudoResidual,
    "3d": _VolumeResidual,
    "2d": Residual,
}
"""Blocks of the last three stages by mode."""
