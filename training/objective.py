"""The objective of a run: weighted losses on the embeddings of a batch, and the modules they need."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name

from gaitid.encoders.networks import Network, PartNetwork
from gaitid.errors import ConfigError

from . import losses
from .recipe import Loss
from .traits import Traits


def classifier_for(how: Loss, network: Network, classes: int) -> losses.Classifier:
    """Make the module of the cross-entropy loss for this number of training subjects.

    Raises:
        ConfigError: The settings of the losses contradict each other or do not fit the network.
    """
    if not how.per_part:
        width = network.wide_dimension
        return losses.CosineClassifier(width, classes, scale=how.scale, smoothing=how.smoothing)
    if how.neck:
        raise ConfigError(
            "Settings loss.neck and loss.per_part are both true", "at most one", "Set loss.neck to false"
        )
    if not isinstance(network, PartNetwork):
        raise ConfigError(
            f"Setting loss.per_part is true for network {network.architecture.name}",
            "a network with parts, such as gaitset",
            "Set loss.per_part to false, or change network.name",
        )
    parts, _, dimension = network.head.weight.shape
    return losses.PartClassifier(parts, dimension, classes, scale=how.scale, smoothing=how.smoothing)


def regressor_for(how: Loss, network: Network, traits: Traits) -> losses.TraitRegressor:
    """Make the module of the trait loss.

    Raises:
        ConfigError: The losses are computed per part.
    """
    if how.per_part:
        raise ConfigError(
            "Setting loss.traits is above 0 with loss.per_part", "at most one of them", "Set loss.traits to 0"
        )
    return losses.TraitRegressor(network.wide_dimension, *map(torch.from_numpy, traits))


def loss_terms(
    how: Loss,
    network: Network,
    classifier: losses.Classifier,
    wide: Tensor,
    classes: Tensor,
    cameras: Tensor,
) -> dict[str, Tensor]:
    """Weighted losses of (N, D) wide embeddings of (N,) classes, seen by (N,) cameras, by name."""
    terms = {}
    if how.contrastive:
        terms["contrastive"] = how.contrastive * losses.supervised_contrastive(wide, classes, how.temperature)
    if how.cross_entropy:
        terms["cross_entropy"] = how.cross_entropy * classifier(wide, classes)
    if how.triplet:
        terms["triplet"] = how.triplet * losses.batch_all_triplet(wide, classes, how.margin)
    if how.hard_triplet:
        terms["hard_triplet"] = how.hard_triplet * losses.batch_hard_triplet(wide, classes, how.margin)
    narrow = network.project(wide) if how.projected else wide
    if how.projected and network.projection is not None:
        terms["projected"] = how.projected * losses.supervised_contrastive(narrow, classes, how.temperature)
    if how.centred:
        seen = losses.centred(narrow, cameras, network.blocks)
        terms["centred"] = how.centred * losses.supervised_contrastive(seen, classes, how.temperature)
    if how.open_set:
        terms["open_set"] = how.open_set * losses.open_set(narrow, classes)
    return terms


def part_terms(how: Loss, classifier: losses.Classifier, parts: Tensor, classes: Tensor) -> dict[str, Tensor]:
    """Weighted losses of published recipes: triplets of each of (N, P, D') parts, BNNeck cross-entropy."""
    terms = {}
    each = parts.unbind(1)
    for name, weight, triplet in (
        ("triplet", how.triplet, losses.batch_all_triplet),
        ("hard_triplet", how.hard_triplet, losses.batch_hard_triplet),
    ):
        if weight:
            terms[name] = weight * torch.stack([triplet(part, classes, how.margin) for part in each]).mean()
    if how.cross_entropy:
        terms["cross_entropy"] = how.cross_entropy * classifier(parts, classes)
    return terms


def necked(how: Loss, wide: Tensor) -> Tensor:
    """(N, D) embeddings as the losses see them; see `recipe.Loss.neck`."""
    return F.normalize(F.batch_norm(wide, None, None, training=True), dim=1) if how.neck else wide


def flat(features: Tensor) -> Tensor:
    """(N, D) unit vectors of wide embeddings or of parts."""
    return F.normalize(features.flatten(1), dim=1)


def likeness(vectors: Tensor, classes: Tensor) -> float:
    """Mean cosine of different subjects, of (N, D) unit vectors."""
    scores = vectors @ vectors.T
    return float(scores[classes[:, None] != classes[None, :]].mean())
