"""Losses over unit embeddings; each takes (N, D) embeddings and (N,) classes and gives a scalar."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

_FAR = 1e4


def supervised_contrastive(embeddings: Tensor, classes: Tensor, temperature: float = 0.1) -> Tensor:
    """Every other sequence of the same subject is a positive, all else negatives.

    Source: Khosla et al. 2020, "Supervised Contrastive Learning", equation 2 (L_out).
    """
    scores = embeddings @ embeddings.T / temperature
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    scores = scores.masked_fill(own, -_FAR)
    same = (classes[:, None] == classes[None, :]) & ~own
    logs = scores - scores.logsumexp(1, keepdim=True)
    per_anchor = (logs * same).sum(1) / same.sum(1).clamp(min=1)
    return -per_anchor[same.any(1)].mean()


def batch_all_triplet(embeddings: Tensor, classes: Tensor, margin: float = 0.2) -> Tensor:
    """The mean hinge of all triplets that violate the margin, over Euclidean distances.

    Source: Hermans et al. 2017, "In Defense of the Triplet Loss", section 2, batch all, non-zero mean.
    """
    distances = _distances(embeddings)
    same = classes[:, None] == classes[None, :]
    own = torch.eye(len(same), dtype=torch.bool, device=same.device)
    hinge = (distances[:, :, None] - distances[:, None, :] + margin).clamp(min=0)
    hinge = hinge * ((same & ~own)[:, :, None] & ~same[:, None, :])
    return hinge.sum() / (hinge > 0).sum().clamp(min=1)


def batch_hard_triplet(embeddings: Tensor, classes: Tensor, margin: float = 0.2) -> Tensor:
    """The hinge of each anchor's farthest positive and nearest negative; source as above, equation 5."""
    distances = _distances(embeddings)
    same = classes[:, None] == classes[None, :]
    farthest = distances.masked_fill(~same, 0).amax(1)
    nearest = distances.masked_fill(same, _FAR).amin(1)
    return (farthest - nearest + margin).clamp(min=0).mean()


def open_set(embeddings: Tensor, classes: Tensor, temperature: float = 0.05) -> Tensor:
    """Every probe's best stranger should score below every probe's own subject.

    What decides an alarm at a set FPIR is the largest score of a stranger, so the soft maximum over
    strangers of each anchor is compared with the soft minimum over its own subject, not only within the
    anchor but across the batch, as one threshold has to do. Our own; the idea of training at the operating
    threshold is in Su et al. 2024, "Open-set biometrics beyond good closed-set models" (arXiv 2407.16133).
    """
    scores = embeddings @ embeddings.T
    same = classes[:, None] == classes[None, :]
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    strangers = temperature * (scores / temperature).masked_fill(same, -_FAR).logsumexp(1)
    mates = -temperature * (-scores / temperature).masked_fill(~same | own, -_FAR).logsumexp(1)
    gap = (strangers[None, :] - mates[:, None]) / (4 * temperature)
    return F.softplus(gap).mean()


class PartClassifier(nn.Module):
    """Cross-entropy of each horizontal part, on its batch-normalised, normalised numbers.

    Source: BNNeck of Luo et al. 2019, "Bag of Tricks", section 3.6, for each part as in Fan et al. 2023.

    Args:
        parts: P.
        dimension: Numbers a part.
        classes: Number of subjects.
        scale: Of the cosines.
        smoothing: Of the labels.
    """

    def __init__(self, parts: int, dimension: int, classes: int, *, scale: float, smoothing: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(parts * dimension)
        self.weight = nn.Parameter(torch.randn(parts, dimension, classes) / dimension**0.5)
        self.scale, self.smoothing = scale, smoothing

    def forward(self, parts: Tensor, classes: Tensor) -> Tensor:
        """The mean cross-entropy of (N, P, D') parts."""
        necks = F.normalize(self.norm(parts.flatten(1)).reshape(parts.shape), dim=2)
        logits = self.scale * torch.einsum("npd,pdc->ncp", necks, F.normalize(self.weight, dim=1))
        targets = classes[:, None].expand(-1, parts.shape[1])
        return F.cross_entropy(logits, targets, label_smoothing=self.smoothing)


class CosineClassifier(nn.Module):
    """Cross-entropy over scaled cosines to one learned direction a subject.

    Source: Wang et al. 2017, "NormFace", section 3.3; label smoothing of Szegedy et al. 2016.
    """

    def __init__(self, dimension: int, classes: int, *, scale: float = 24.0, smoothing: float = 0.05) -> None:
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.randn(classes, dimension), dim=1))
        self.scale, self.smoothing = scale, smoothing

    def forward(self, embeddings: Tensor, classes: Tensor) -> Tensor:
        """The mean cross-entropy."""
        logits = self.scale * embeddings @ F.normalize(self.weight, dim=1).T
        return F.cross_entropy(logits, classes, label_smoothing=self.smoothing)


class TraitReader(nn.Module):
    """Mean square error of linear guesses of people's traits; see `traits.trait_table`.

    Args:
        dimension: Numbers of an embedding.
        traits: (C, K) of each class.
        weights: (K,) of each trait.
    """

    def __init__(self, dimension: int, traits: Tensor, weights: Tensor) -> None:
        super().__init__()
        self.guess = nn.Linear(dimension, traits.shape[1])
        self.scale = dimension**0.5  # a unit vector's numbers are small
        self.register_buffer("traits", traits, persistent=False)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, embeddings: Tensor, classes: Tensor) -> Tensor:
        """The weighted mean square error; 1 for guesses that know nothing."""
        errors = self.guess(self.scale * embeddings) - self.traits[classes]
        return (errors.square() * self.weights).mean()


def _distances(embeddings: Tensor) -> Tensor:
    squares = embeddings.square().sum(1)
    between = squares[:, None] + squares[None, :] - 2 * embeddings @ embeddings.T
    return between.clamp(min=1e-12).sqrt()
