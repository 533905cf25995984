"""Measures of body and stride as part of an embedding, beside that of a network.

An embedding is a unit vector of three blocks, each a vector of fixed length; the score of two walks is the
weighted mean of their scores by block.

- The network's unit vector.
- Lengths: each coordinate x becomes cos(a x), sin(a x), so that a score is the mean cosine of differences,
  and a sensor that measures everybody longer changes nothing. These are Fourier features of a kernel of
  differences (Rahimi and Recht 2007, "Random Features for Large-Scale Kernel Machines"), with one frequency.
- Waves: the direction of the coordinates, as a cosine.

Coordinates are those in which a person differs little from walk to walk: within-class covariance
normalisation (Hatch et al. 2006, "Within-Class Covariance Normalization for SVM-based Speaker Recognition"),
then the axes of a discriminant analysis. `training.measures` fits them to synthetic subjects.

Measures that are missing are replaced by their expectation, given the others. A coordinate weighs as much as
they explain of it, so two partial bodies are compared by what both have. Measures of a longer walk are
steadier and weigh more beside the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.encoders import bodies, measures
from gaitid.encoders.poses import POSE_RATE_HZ, resample
from gaitid.errors import SequenceError

PREFIX = "measures."
"""Of the names of these tensors in a weight file."""
SLOWEST = 0.25
"""The frequency a: two people who differ by 12 deviations of a walk are least alike."""
_LEAST = 0.05
"""A block of which less is explained is left out."""

_USUAL_S = 4.0
"""Seconds at which the blocks have their shares; measures of an endless walk weigh twice as much."""

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MeasureBlocks:
    """Turns measures into blocks of an embedding.

    Attributes:
        centre: (M,) mean of the measures over people.
        scale: (M,) their standard deviations.
        correlation: (M, M) of the scaled measures over people and walks.
        lengths: (L, L) coordinates of the scaled lengths.
        waves: (W, W) coordinates of the other scaled measures.
        shares: (3,) weight of network, lengths and waves in a score; their sum is 1.
    """

    centre: Doubles
    scale: Doubles
    correlation: Doubles
    lengths: Doubles
    waves: Doubles
    shares: Doubles

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[Any]]) -> MeasureBlocks:
        """From the tensors of a weight file.

        Raises:
            KeyError: A tensor is missing.
            ValueError: Their shapes do not go together.
        """
        blocks = cls(*(np.asarray(tensors[f"{PREFIX}{name}"], np.float64) for name in cls.__slots__))
        split = len(measures.LENGTHS)
        shapes = {
            "centre": (measures.MEASURES,),
            "scale": (measures.MEASURES,),
            "correlation": (measures.MEASURES,) * 2,
            "lengths": (split,) * 2,
            "waves": (measures.MEASURES - split,) * 2,
            "shares": (3,),
        }
        for name, shape in shapes.items():
            if getattr(blocks, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(blocks, name).shape}, not {shape}")
        return blocks

    def join(
        self, vector: NDArray[np.float32], found: Doubles, seconds: float = _USUAL_S
    ) -> NDArray[np.float32]:
        """Join a network's vector and measures to an embedding.

        Args:
            vector: (E,) unit vector of the network.
            found: (M,) measures of the same walk; NaN where they are missing.
            seconds: Duration of the walk without gaps.

        Returns:
            (E + 2 L + W,) float32 unit vector.
        """
        scaled, known = self._completed((found - self.centre) / self.scale)
        split = len(self.lengths)
        shares = self.shares.copy()
        lengths, shares[1] = _phasors(scaled[:split] @ self.lengths, self._explained(self.lengths, known, 0))
        waves, shares[2] = _direction(scaled[split:] @ self.waves, self._explained(self.waves, known, split))
        shares[1:] *= self.shares[1:] * 2 * seconds / (seconds + _USUAL_S)
        parts = (vector, lengths, waves)
        joined = np.concatenate([np.sqrt(s) * part for s, part in zip(shares, parts, strict=True)])
        return np.asarray(joined / np.linalg.norm(joined), np.float32)

    def _completed(self, scaled: Doubles) -> tuple[Doubles, Doubles | None]:
        """Scaled measures with expectations for the missing ones, and the covariance that is known of all.

        The covariance is None when nothing is missing.
        """
        there = ~np.isnan(scaled)
        if there.all():
            return scaled, None
        if not there.any():
            return np.zeros_like(scaled), np.zeros_like(self.correlation)
        across = self.correlation[:, there]
        weights = np.linalg.solve(across[there], across.T)  # (seen, M)
        return scaled[there] @ weights, np.asarray(across @ weights)

    def _explained(self, axes: Doubles, known: Doubles | None, start: int) -> Doubles:
        """Share 0..1 of the variance of each coordinate that the measures explain."""
        if known is None:
            return np.ones(axes.shape[1])
        some = slice(start, start + len(axes))
        part, whole = (
            np.einsum("ij,ik,kj->j", axes, matrix[some, some], axes) for matrix in (known, self.correlation)
        )
        return np.asarray((part / whole).clip(0, 1))


def _phasors(coordinates: Doubles, explained: Doubles) -> tuple[Doubles, float]:
    """(2 L,) unit vector of cosines and sines, and the share of the block that is known."""
    known = float(explained.mean())
    if known < _LEAST:
        return np.zeros(2 * len(coordinates)), 0.0
    lengths = np.sqrt(explained / explained.sum())
    turns = SLOWEST * coordinates
    return np.concatenate([lengths * np.cos(turns), lengths * np.sin(turns)]), known


def _direction(coordinates: Doubles, explained: Doubles) -> tuple[Doubles, float]:
    """(W,) unit vector, and the share of the block that is known."""
    known, length = float(explained.mean()), float(np.linalg.norm(coordinates))
    if known < _LEAST or length == 0:
        return np.zeros(len(coordinates)), 0.0
    return coordinates / length, known


def measured(skeletons: NDArray[np.float32], times: NDArray[np.float64]) -> tuple[Doubles, float]:
    """(M,) measures of a walk, see `measures.measure`, and its seconds without gaps.

    Args:
        skeletons: (T, 17, 4) x, y, z in metres, z up, and confidence.
        times: (T,) seconds, increasing.

    Raises:
        SequenceError: The direction of the body is unknown in every stretch.
    """
    stretches, fault = [], None
    for places, seen in zip(*resample(skeletons, times), strict=True):
        try:
            stretches.append((bodies.turned(places, seen), seen))
        except SequenceError as error:
            fault = error
    if fault is not None and not stretches:
        raise fault
    return measures.measure(stretches), sum(len(places) for places, _ in stretches) / POSE_RATE_HZ
