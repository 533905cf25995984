"""Losses on unit embeddings. Each takes (N, D) embeddings and (N,) classes and returns a scalar."""

from __future__ import annotations

import abc

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

_FAR = 1e4
"""Score or distance beyond any real one; masks entries."""


def supervised_contrastive(embeddings: Tensor, classes: Tensor, temperature: float = 0.1) -> Tensor:
    """Supervised contrastive loss: other sequences of the same subject are positives, all others negatives.

    Source: Khosla et al. 2020, "Supervised Contrastive Learning", equation 2 (L_out).
    """
    scores = embeddings @ embeddings.T / temperature
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    scores = scores.masked_fill(own, -_FAR)
    same = (classes[:, None] == classes[None, :]) & ~own
    logs = scores - scores.logsumexp(1, keepdim=True)
    per_anchor = (logs * same).sum(1) / same.sum(1).clamp(min=1)
    return -per_anchor[same.any(1)].mean()


def centred(embeddings: Tensor, cameras: Tensor, blocks: int) -> Tensor:
    """(N, D) embeddings without the mean of their camera; each of the `blocks` keeps its length.

    Args:
        embeddings: (N, D) unit vectors.
        cameras: (N,) camera of each, from 0.
        blocks: Equal blocks of an embedding.
    """
    counts = torch.bincount(cameras).clamp(min=1)
    means = embeddings.new_zeros(len(counts), embeddings.shape[1]).index_add(0, cameras, embeddings)
    shifted = embeddings - (means / counts[:, None])[cameras]
    shape = (len(embeddings), blocks, -1)
    lengths = embeddings.reshape(shape).norm(dim=2, keepdim=True)
    return F.normalize((F.normalize(shifted.reshape(shape), dim=2) * lengths).flatten(1), dim=1)


def batch_all_triplet(embeddings: Tensor, classes: Tensor, margin: float = 0.2) -> Tensor:
    """Mean hinge loss of all triplets that violate the margin, with Euclidean distances.

    Source: Hermans et al. 2017, "In Defense of the Triplet Loss", section 2, batch all, non-zero mean.
    """
    distances = _distances(embeddings)
    same = classes[:, None] == classes[None, :]
    own = torch.eye(len(same), dtype=torch.bool, device=same.device)
    hinge = (distances[:, :, None] - distances[:, None, :] + margin).clamp(min=0)
    hinge = hinge * ((same & ~own)[:, :, None] & ~same[:, None, :])
    return hinge.sum() / (hinge > 0).sum().clamp(min=1)


def batch_hard_triplet(embeddings: Tensor, classes: Tensor, margin: float = 0.2) -> Tensor:
    """Mean hinge loss of each anchor's farthest positive and nearest negative.

    Source: Hermans et al. 2017, equation 5.
    """
    distances = _distances(embeddings)
    same = classes[:, None] == classes[None, :]
    farthest = distances.masked_fill(~same, 0).amax(1)
    nearest = distances.masked_fill(same, _FAR).amin(1)
    return (farthest - nearest + margin).clamp(min=0).mean()


def open_set(embeddings: Tensor, classes: Tensor, temperature: float = 0.05) -> Tensor:
    """Push the best non-mated score of every probe below the mated scores of every probe.

    At a given FPIR, the highest non-mated score decides whether an alarm is raised. The loss therefore
    compares the soft maximum of each anchor's non-mated scores with the soft minimum of the mated scores, not
    only of the same anchor but across the batch, because one threshold serves all probes. The loss is our
    own; the idea of training at the operating threshold is in Su et al. 2024, "Open-set biometrics beyond
    good closed-set models" (arXiv 2407.16133).
    """
    scores = embeddings @ embeddings.T
    same = classes[:, None] == classes[None, :]
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    non_mated = temperature * (scores / temperature).masked_fill(same, -_FAR).logsumexp(1)
    mated = -temperature * (-scores / temperature).masked_fill(~same | own, -_FAR).logsumexp(1)
    gap = (non_mated[None, :] - mated[:, None]) / (4 * temperature)
    return F.softplus(gap).mean()


class Classifier(nn.Module, abc.ABC):
    """A loss with a learned direction per subject.

    Attributes:
        weight: The directions.
    """

    weight: nn.Parameter

    @abc.abstractmethod
    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        """Mean cross-entropy of N features with (N,) classes."""


class PartClassifier(Classifier):
    """Cross-entropy of each horizontal part, on its batch-normalised unit vector.

    Source: BNNeck of Luo et al. 2019, "Bag of Tricks", section 3.6; per part as in Fan et al. 2023.

    Args:
        parts: P, number of parts.
        dimension: D', dimension of a part.
        classes: Number of subjects.
        scale: Scale of the cosines.
        smoothing: Label smoothing.
    """

    def __init__(self, parts: int, dimension: int, classes: int, *, scale: float, smoothing: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(parts * dimension)
        self.weight = nn.Parameter(torch.randn(parts, dimension, classes) / dimension**0.5)
        self.scale, self.smoothing = scale, smoothing

    def forward(self, parts: Tensor, classes: Tensor) -> Tensor:
        """Mean cross-entropy of (N, P, D') parts with (N,) classes."""
        necks = F.normalize(self.norm(parts.flatten(1)).reshape(parts.shape), dim=2)
        logits = self.scale * torch.einsum("npd,pdc->ncp", necks, F.normalize(self.weight, dim=1))
        targets = classes[:, None].expand(-1, parts.shape[1])
        return F.cross_entropy(logits, targets, label_smoothing=self.smoothing)


class CosineClassifier(Classifier):
    """Cross-entropy of scaled cosines to one learned direction per subject.

    Source: Wang et al. 2017, "NormFace", section 3.3; label smoothing of Szegedy et al. 2016.

    Args:
        dimension: D, dimension of an embedding.
        classes: Number of subjects.
        scale: Scale of the cosines.
        smoothing: Label smoothing.
    """

    def __init__(self, dimension: int, classes: int, *, scale: float = 24.0, smoothing: float = 0.05) -> None:
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.randn(classes, dimension), dim=1))
        self.scale, self.smoothing = scale, smoothing

    def forward(self, embeddings: Tensor, classes: Tensor) -> Tensor:
        """Mean cross-entropy of (N, D) unit embeddings with (N,) classes."""
        logits = self.scale * embeddings @ F.normalize(self.weight, dim=1).T
        return F.cross_entropy(logits, classes, label_smoothing=self.smoothing)


class TraitRegressor(nn.Module):
    """Mean squared error of a linear prediction of subjects' traits; see `traits.trait_table`.

    Args:
        dimension: Dimension of an embedding.
        traits: (C, K) traits of each class.
        weights: (K,) weight of each trait.
    """

    traits: Tensor
    weights: Tensor

    def __init__(self, dimension: int, traits: Tensor, weights: Tensor) -> None:
        super().__init__()
        self.guess = nn.Linear(dimension, traits.shape[1])
        self.scale = dimension**0.5  # the components of a unit vector are small
        self.register_buffer("traits", traits, persistent=False)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, embeddings: Tensor, classes: Tensor) -> Tensor:
        """Weighted mean squared error; 1 for a constant prediction of zero."""
        errors = self.guess(self.scale * embeddings) - self.traits[classes]
        weighted: Tensor = errors.square() * self.weights
        return weighted.mean()


def _distances(embeddings: Tensor) -> Tensor:
    squares = embeddings.square().sum(1)
    between = squares[:, None] + squares[None, :] - 2 * embeddings @ embeddings.T
    return between.clamp(min=1e-12).sqrt()
