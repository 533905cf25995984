"""GaitSet: a walk as a set of silhouettes.

Source: Chao, He, Zhang & Feng, "GaitSet: Regarding Gait as a Set for Cross-View Gait Recognition",
AAAI 2019, arXiv 1811.06186: the network of sec. 3 and figure 2 (two convolutions per block, maximum as
set pooling, multilayer global pipeline), horizontal pyramid mapping with bins 1, 2, 4, 8, 16 on both
pipelines (sec. 3.4, 62 parts of 256 dimensions). Written by us from the paper; no code was copied.

Deviations: no bias in convolutions and first block padded to keep the size, the form in which trained
checkpoints are published; the maximum over frames is computed piece by piece, so a long walk needs little
memory. Every part is normalised, so the inner product is the mean cosine over parts.

The order and the times of the frames do not matter; all frames are read.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gaitid.encoders.networks import PartNetwork
from gaitid.encoders.parts import PartMap, pyramid, running_max

BINS = (16, 8, 4, 2, 1)


class GaitSetNet(PartNetwork):
    """Silhouettes -> embeddings of 62 parts.

    Args:
        channels: Of each of the three blocks.
        part_dimension: Dimensions of a part.
        bins: Numbers of horizontal strips, in the order of the parts.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int] = (32, 64, 128),
        part_dimension: int = 256,
        bins: Sequence[int] = BINS,
    ) -> None:
        super().__init__()
        one, two, three = channels
        self.frame1 = _block(1, one, first=5, shrink=True)
        self.frame2 = _block(one, two, shrink=True)
        self.frame3 = _block(two, three)
        self.global2 = _block(one, two, shrink=True)
        self.global3 = _block(two, three)
        self.bins = tuple(bins)
        parts = 2 * sum(self.bins)
        self.head = PartMap(parts, three, part_dimension)
        self.dimension = self.wide_dimension = parts * part_dimension
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # with the default initialisation features fade away
                nn.init.xavier_uniform_(module.weight)

    def parts(self, clips: Tensor, lengths: Tensor) -> Tensor:
        """(N, P, D') parts of (N, T, H, W) silhouettes, not normalised; see `PartNetwork`."""
        first, second, third = running_max(self._frames, clips, lengths)
        whole = self.global3(self.global2(first) + second) + third
        parts: Tensor = self.head(torch.cat([pyramid(third, self.bins), pyramid(whole, self.bins)], 2))
        return parts

    def _frames(self, frames: Tensor) -> list[Tensor]:
        """Features of (M, 1, H, W) frames after each block."""
        first = self.frame1(frames)
        second = self.frame2(first)
        return [first, second, self.frame3(second)]


def _block(inputs: int, outputs: int, *, first: int = 3, shrink: bool = False) -> nn.Sequential:
    layers = [
        nn.Conv2d(inputs, outputs, first, padding=first // 2, bias=False),
        nn.LeakyReLU(0.01, inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.LeakyReLU(0.01, inplace=True),
    ]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if shrink else []))
