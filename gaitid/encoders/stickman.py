"""Stickman: our skeleton network, a temporal network over marked joints.

Our own design. Known origins: joint, bone and motion streams from Shi et al. 2019 (2s-AGCN, sec. 3.4;
early fusion of the three as in Song et al. 2020, ResGCN, sec. 3.2); residual dilated convolutions over
time from Bai et al. 2018 (TCN, sec. 3); statistics pooling from Snyder et al. 2018 (x-vectors). What
differs: the joints are mixed by one learned map instead of a graph, since 17 joints are few; a mark
for each missing joint, and training with joints, limbs and halves hidden, so partial bodies can be
compared.

Deviations from published skeleton encoders: no adjacency matrix, no attention, one forward pass.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from gaitid.encoders.light import DILATIONS
from gaitid.encoders.parts import real_frames
from gaitid.encoders.poses import FEATURES

_JOINTS = 17
_EPSILON = 1e-4


class StickmanNet(nn.Module):
    """Skeleton features -> embeddings.

    Args:
        width: Channels over time.
        dilations: One residual layer each, with three taps.
        hidden: Numbers after the first map of the pooled statistics, the embedding before the
            projection.
        projection: Length of the embedding; 0 for no projection.
        features: Numbers a joint: `poses.FEATURES` in pictures, `bodies.FEATURES_3D` in space.
    """

    def __init__(
        self,
        *,
        width: int = 160,
        dilations: tuple[int, ...] = DILATIONS,
        hidden: int = 512,
        projection: int = 256,
        features: int = FEATURES,
    ) -> None:
        super().__init__()
        self.enter = nn.Sequential(
            nn.Conv1d(_JOINTS * features, width, 3, padding=1, bias=False),
            nn.BatchNorm1d(width),
            nn.LeakyReLU(0.01),
        )
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(width, width, 3, padding=d, dilation=d, bias=False),
                nn.BatchNorm1d(width),
                nn.LeakyReLU(0.01),
            )
            for d in dilations
        )
        self.pooled = nn.Linear(4 * width, hidden, bias=False)
        self.norm = nn.BatchNorm1d(hidden)
        self.projection = nn.Linear(hidden, projection, bias=False) if projection else None
        if self.projection is not None:
            nn.init.orthogonal_(self.projection.weight)
        self.wide_dimension, self.dimension = hidden, projection or hidden

    def forward(self, clips: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, D) unit vectors.

        Args:
            clips: (N, T, 17, F) float; frames from `lengths[n]` on are padding.
            lengths: (N,) int64; None when nothing is padding.
        """
        wide = self.wide(clips, lengths)
        if self.projection is not None:
            wide = F.normalize(self.projection(wide), dim=1)
        return wide

    def wide(self, clips: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, hidden) unit vectors before the projection; see `forward`."""
        x = clips.flatten(2).transpose(1, 2)  # (N, 17 * F, T)
        real = torch.ones_like(x[:, :1])  # (N, 1, T)
        if lengths is not None:
            real = real_frames(lengths, clips.shape[1], x.device)[:, None].to(x.dtype)
        x = self.enter(x * real) * real
        for layer in self.layers:
            x = (x + layer(x)) * real
        return F.normalize(self.norm(self.pooled(_statistics(x, real))), dim=1)


def _statistics(x: Tensor, real: Tensor) -> Tensor:
    """(N, 4 C): mean, deviation, largest and smallest over the valid frames of (N, C, T)."""
    count = real.sum(2).clamp(min=1)
    mean = (x * real).sum(2) / count
    spread = ((x - mean[..., None]).square() * real).sum(2) / count
    far = (1 - real) * 1e4
    largest, smallest = (x - far).amax(2), (x + far).amin(2)
    return torch.cat([mean, (spread + _EPSILON).sqrt(), largest, smallest], 1)
