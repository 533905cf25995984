"""Camera profiles: what the embeddings of one camera and direction of travel have in common, removed.

The mean embedding of one real camera is long (0.5 to 0.75 of a unit vector) and carries no identity, but
makes all who pass it alike. Each vector is therefore moved by the mean of its own camera, no matter of whom,
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
"""Site of a vector without an origin; the general profile is that of all such vectors."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A version of a camera profile.

    Attributes:
        version: 1 or more.
        mean: (D,) float32 mean embedding.
        people: Effective number of different people that it rests on.
    """

    version: int
    mean: Vectors
    people: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """The profiles that a gallery uses at one revision.

    Attributes:
        parts: Number of equal blocks of an embedding.
        cameras: Profile by direction, by camera.
        general: What the cameras have in common; corrects all vectors whose camera has no profile.
    """

    parts: int = 1
    cameras: Mapping[str, Mapping[str, Profile]] = field(default_factory=lambda: MappingProxyType({}))
    general: Profile | None = None

    def __bool__(self) -> bool:
        return bool(self.cameras) or self.general is not None

    def version(self, site: Site, vector: Vectors) -> int:
        """Version of the profile of a vector (D,) from `site`; 0 = its camera is unknown or has none."""
        known = self.cameras.get(site.camera)
        return known[self._direction(known, site, vector)].version if known else 0

    def correct(self, vectors: Vectors, sites: Sequence[Site]) -> Vectors:
        """Vectors (N, D) float32, each corrected by the profile of its site.

        Without a profile of its direction, a vector is corrected by the nearest one of its camera.
        """
        if not self:
            return vectors
        places: dict[Site, list[int]] = {}
        for n, site in enumerate(sites):
            places.setdefault(site, []).append(n)
        moved = vectors.copy()
        for site, at in places.items():
            means = self._means(site, vectors[at])
            if means is not None:
                moved[at] = corrected(vectors[at], means, self.parts)
        return moved

    def _means(self, site: Site, vectors: Vectors) -> Vectors | None:
        """Mean (D,) of a site, or means (N, D) that depend on the vectors (N, D) from it."""
        known = self.cameras.get(site.camera)
        if not known:
            return None if self.general is None else self.general.mean
        if site.direction in known:
            return known[site.direction].mean
        return np.stack([known[nearest(known, vector)].mean for vector in vectors])

    @staticmethod
    def _direction(known: Mapping[str, Profile], site: Site, vector: Vectors) -> str:
        return site.direction if site.direction in known else nearest(known, vector)


def profiles_of(parts: int, used: Mapping[Site, Profile | None]) -> Profiles:
    """Arrange the profiles in use, by site; the one of `NOWHERE` is the general one."""
    cameras: dict[str, dict[str, Profile]] = {}
    for site, profile in used.items():
        if profile is not None and site != NOWHERE:
            cameras.setdefault(site.camera, {})[site.direction] = profile
    return Profiles(parts, MappingProxyType(cameras), used.get(NOWHERE))


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
