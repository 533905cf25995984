"""Camera profiles: what the embeddings of one camera and direction of travel have in common, removed.

The mean embedding of one real camera is long (0.5 to 0.75 of a unit vector) and carries no identity, but
makes all who pass it alike. Each vector is therefore moved by the mean of its own camera, whoever it is of,
before it is compared: unlabelled centring per domain, as in i-vector systems for speakers.

Deviation: an embedding may consist of equal blocks, each a part of the body. A block keeps its length when it
is moved, so that the weights which an encoder has learned for its parts survive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

_NOTHING = 1e-6
"""Length from which a moved block has a direction."""


class Site(NamedTuple):
    """Where a walk was seen: camera (empty = unknown) and direction of travel (empty = unknown)."""

    camera: str = ""
    direction: str = ""


NOWHERE = Site()
"""Site of a vector without an origin, such as an embedding."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A version of a camera profile.

    Attributes:
        version: 1 or more.
        mean: (D,) float32 mean embedding.
    """

    version: int
    mean: Vectors


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """The profiles that a gallery uses at one revision.

    Attributes:
        parts: Number of equal blocks of an embedding.
        cameras: Profile by direction, by camera.
    """

    parts: int = 1
    cameras: Mapping[str, Mapping[str, Profile]] = field(default_factory=lambda: MappingProxyType({}))

    def __bool__(self) -> bool:
        return bool(self.cameras)

    def find(self, site: Site, vector: Vectors) -> Profile | None:
        """Profile of a vector (D,) from `site`; None = its camera is unknown or has none.

        Without a profile of its direction it is corrected by the most similar one of its camera.
        """
        known = self.cameras.get(site.camera)
        if not known:
            return None
        return known.get(site.direction) or known[nearest(known, vector)]

    def version(self, site: Site, vector: Vectors) -> int:
        """Version of the profile of a vector (D,) from `site`; 0 = there is none."""
        found = self.find(site, vector)
        return 0 if found is None else found.version

    def correct(self, vectors: Vectors, sites: Sequence[Site]) -> Vectors:
        """Vectors (N, D) float32, each corrected by the profile of its site; the others as they are."""
        found = [
            self.find(site, vector) if site.camera in self.cameras else None
            for site, vector in zip(sites, vectors, strict=True)
        ]
        at = [n for n, profile in enumerate(found) if profile is not None]
        if not at:
            return vectors
        moved = vectors.copy()
        means = np.stack([profile.mean for profile in found if profile is not None])
        moved[at] = corrected(vectors[at], means, self.parts)
        return moved


def nearest(known: Mapping[str, Profile], vector: Vectors) -> str:
    """Direction of the profile whose mean is nearest to a vector (D,)."""
    return min(known, key=lambda direction: float(np.square(vector - known[direction].mean).sum()))


def corrected(vectors: NDArray[np.floating], means: NDArray[np.floating], parts: int = 1) -> Vectors:
    """Move vectors by means, part by part, at constant length of each part, and scale them to norm 1.

    With `parts` 1 this is the direction of ``vector - mean``. A part that equals its mean becomes zero. A
    vector that equals its mean in all parts has nothing of its own, and stays as it is.

    Args:
        vectors: (N, D) unit vectors.
        means: (N, D) mean of the camera of each vector, or (D,) of all, within the unit ball.
        parts: Number P of equal blocks, a divisor of D.

    Returns:
        (N, D) float32 unit vectors.
    """
    wide = vectors.astype(np.float64).reshape(len(vectors), parts, -1)  # (N, P, D / P)
    moved = wide - means.astype(np.float64).reshape(-1, *wide.shape[1:])
    lengths, left = _norm(wide), _norm(moved)
    moved *= np.where(left > _NOTHING, lengths / np.maximum(left, _NOTHING), 0.0)
    total = _norm(moved.reshape(len(vectors), 1, -1))
    kept = np.where(total > _NOTHING, moved / np.maximum(total, _NOTHING), wide)
    return np.asarray(kept.reshape(vectors.shape), np.float32)


def _norm(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Norms (N, P, 1) of blocks (N, P, D)."""
    return np.asarray(np.sqrt(np.square(vectors).sum(axis=2, keepdims=True)))
