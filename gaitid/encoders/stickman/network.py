"""The torch network of stickman; see the package for its origins."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from gaitid.encoders.networks import Network
from gaitid.encoders.parts import real_frames
from gaitid.encoders.poses import FEATURES
from gaitid.encoders.stickman import DILATIONS, VARIANCE_FLOOR
from gaitid.records import JOINTS


class StickmanNet(Network):
    """Skeleton features -> embeddings.

    Args:
        width: Channels over time.
        dilations: One residual layer with three taps per value.
        hidden: Dimensions of the embedding before the projection, mapped from the pooled statistics.
        projection: Dimensions of the embedding; 0 for no projection.
        features: Features per joint: `poses.FEATURES` in images, `bodies.FEATURES_3D` in space.
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
            nn.Conv1d(JOINTS * features, width, 3, padding=1, bias=False),
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

    def wide(self, clips: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, hidden) unit vectors before the projection, of (N, T, 17, F) features; see `Network`."""
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
    return torch.cat([mean, (spread + VARIANCE_FLOOR).sqrt(), largest, smallest], 1)
