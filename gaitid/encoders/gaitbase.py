"""GaitBase: a plain residual network on each silhouette, the strong simple baseline.

Source: Fan, Liang, Shen, Hou, Huang & Yu, "OpenGait: Revisiting Gait Recognition Toward Better
Practicality", CVPR 2023, arXiv 2211.06597, sec. 4.1 and figure 4: ResNet-like backbone on frames,
maximum over time, horizontal pooling into 16 parts, a linear map for each part. The residual block is
that of He et al., "Deep Residual Learning", CVPR 2016, figure 5 left. Written by us from the papers;
no code was copied.

Deviations: the BNNeck is used in training only and is left out; the maximum over frames is computed piece by
piece. Every part is normalised, so the inner product is the mean cosine over parts.

The order and the times of the frames do not matter; all frames are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from gaitid.encoders.networks import PartNetwork
from gaitid.encoders.parts import PartMap, pyramid, running_max


def stem(channels: int) -> nn.Sequential:
    """The first convolution of a silhouette network, with batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def stages(
    block: Callable[[int, int, int], nn.Module], inputs: int, sizes: Iterable[tuple[int, int, int]]
) -> nn.Sequential:
    """Stages of residual blocks.

    Args:
        block: Makes a block of input channels, output channels and stride.
        inputs: Channels before the first stage.
        sizes: Output channels, number of blocks and stride of the first block of each stage.
    """
    made = []
    for outputs, count, stride in sizes:
        layers = [block(inputs, outputs, stride)]
        layers += [block(outputs, outputs, 1) for _ in range(count - 1)]
        made.append(nn.Sequential(*layers))
        inputs = outputs
    return nn.Sequential(*made)


class GaitBaseNet(PartNetwork):
    """Silhouettes -> embeddings of 16 parts.

    Args:
        channels: Of each of the four stages.
        blocks: Residual blocks per stage.
        strides: Of each stage.
        parts: Horizontal parts.
        part_dimension: Dimensions of a part.
        maxpool: Whether a 3x3 maximum with stride 2 follows the first convolution.
        bins: Numbers of horizontal strips, for a pyramid of several levels; by default `parts` strips.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int] = (64, 128, 256, 512),
        blocks: Sequence[int] = (1, 1, 1, 1),
        strides: Sequence[int] = (1, 2, 2, 1),
        parts: int = 16,
        part_dimension: int = 256,
        maxpool: bool = False,
        bins: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.bins = tuple(bins) or (parts,)
        parts = sum(self.bins)
        self.stem = stem(channels[0])
        if maxpool:
            self.stem.append(nn.MaxPool2d(3, stride=2, padding=1))
        self.stages = stages(Residual, channels[0], zip(channels, blocks, strides, strict=True))
        self.head = PartMap(parts, channels[-1], part_dimension)
        self.dimension = self.wide_dimension = parts * part_dimension

    def parts(self, clips: Tensor, lengths: Tensor) -> Tensor:
        """(N, P, D') parts of (N, T, H, W) silhouettes, not normalised; see `PartNetwork`."""
        (x,) = running_max(lambda frames: [self.stages(self.stem(frames))], clips, lengths)
        parts: Tensor = self.head(pyramid(x, self.bins))
        return parts


class Residual(nn.Module):
    """Two 3x3 convolutions with a shortcut.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        stride: Stride of the first convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(M, C', h, w) of (M, C, H, W)."""
        inner = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(inner)) + self.shortcut(x))
