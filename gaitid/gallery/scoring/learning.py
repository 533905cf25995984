"""What a gallery learns about its cameras from walks that nobody labelled, and the means that follow from it.

A mean must describe the camera, not the people who pass most often:

- An enrolled subject counts as one person, however often she passes: her share is the mean of her last walks.
- Other walks count by track: one track is one visitor. Only their sum is kept, and it fades: after `_MOST`
  visitors the oldest weigh less and less, so a camera that was moved recovers.
- With few people a mean would describe them. It is shrunk toward the mean of all cameras, and that toward
  zero: ``m = (n mean + k m0) / (n + k)`` with n different people. The mean of all cameras is also the profile
  of vectors whose camera has none.

Figures of rank-1 below: strider's parts at unit length, trunk at 0.7, CASIA-B dev (50 subjects), NM / BG /
CL, a view for a camera, means from n other people a view, k as chosen; plain 49.6 / 41.7 / 28.9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.scoring.profiles import NOWHERE, Profile, Profiles, Site, Vectors, nearest, profiles_of
from gaitid.records import CameraProfile

Doubles = NDArray[np.float64]

FEWEST = 3
"""Different people from which a mean is used, and the sum of visitors stored; with 3: 61.9 / 50.4 / 36.2."""
_GROWTH, _STEP = 1.5, 0.2
"""A mean gets a new version when it rests on 1.5 times as many people, or has moved by 0.2. Two means of 64
people each differ by 0.14, so that a busy camera keeps its version, and one that was moved does not."""

_CHECKED_WALKS = 16
"""Walks after which the distance is measured again, which takes as long as a tenth of a small search."""

_SHRINK = 1.0
"""k: people that the mean of all cameras counts as. NM for n = 10 and k = 0, 1, 3, 10: 67.8, 67.2, 65.5,
61.3; for n = 1 and k = 0, 1, 3: 55.0, 55.2, 51.8. If three residents both give the means and are searched
for, FNIR at FPIR 10 % is 34.0, 36.3 and 44.1 for k = 0, 1, 3 (plain 59.7)."""
_SHRINK_ALL = 1.0
"""Cameras that zero counts as in the mean of all cameras."""
_MOST = 64
"""Largest number of subjects with a share, and of visitors remembered in full: more people add nothing."""
_LAST_WALKS = 16
"""Walks of a subject that her share remembers."""
_SAME_VISIT_S = 600.0
"""A track number that returns later is another visitor: trackers begin with 1 again."""
_MOST_TRACKS = 4_096


class Owner(NamedTuple):
    """An enrolled subject: its name, and its pseudonym."""

    name: str
    pseudonym: bytes


@dataclass(slots=True, eq=False)
class Share:
    """What one enrolled subject contributes.

    Attributes:
        owner: The subject's pseudonym, which another subject of the same name does not have.
        mean: (D,) mean of her last walks.
        walks: Their number.
        seen: When the last one was learned, Unix seconds.
    """

    owner: bytes
    mean: Doubles
    walks: int
    seen: float

    def add(self, vector: Vectors, at: float) -> None:
        """Add a walk."""
        self.walks += 1
        self.mean += (vector - self.mean) / min(self.walks, _LAST_WALKS)
        self.seen = at


@dataclass(slots=True, eq=False)
class Statistics:
    """What is known about one camera and direction.

    Attributes:
        others: (D,) faded sum over visitors who are not enrolled.
        weight: Their number, faded likewise.
        shares: Share of each enrolled subject, by name.
        walks: Number of walks seen.
        updated: When the last was learned, Unix seconds.
        used: The profile in use; None = none.
        tracks: When each track was last seen.
    """

    others: Doubles
    weight: float = 0.0
    shares: dict[str, Share] = field(default_factory=dict)
    walks: int = 0
    updated: float = 0.0
    used: Profile | None = None
    tracks: dict[int, float] = field(default_factory=dict)

    @property
    def people(self) -> float:
        """Effective number of different people."""
        return self.weight + len(self.shares)

    @property
    def mean(self) -> Doubles:
        """Mean (D,) over people; zeros without any."""
        total = self.others + sum(share.mean for share in self.shares.values())
        return np.asarray(total / max(self.people, 1e-9))

    def copy(self) -> Statistics:
        """Return a copy, which later walks do not change."""
        shares = {name: replace(one, mean=one.mean.copy()) for name, one in self.shares.items()}
        return replace(self, shares=shares)

    def add(self, vector: Vectors, owner: Owner | None, track: int, at: float) -> None:
        """Add a walk (D,) of a subject; None = of somebody who is not enrolled."""
        self.walks += 1
        self.updated = at
        if owner is not None:
            self._add_share(vector, owner, at)
        elif self._is_new(track, at):
            fade = min(1.0, _MOST / (self.weight + 1.0))
            self.others, self.weight = fade * (self.others + vector), fade * (self.weight + 1.0)

    def _add_share(self, vector: Vectors, owner: Owner, at: float) -> None:
        if owner.name not in self.shares:
            if len(self.shares) >= _MOST:
                del self.shares[min(self.shares, key=lambda name: self.shares[name].seen)]
            self.shares[owner.name] = Share(owner.pseudonym, np.zeros(len(vector)), 0, at)
        self.shares[owner.name].add(vector, at)

    def _is_new(self, track: int, at: float) -> bool:
        if not track:  # unknown
            return True
        before = self.tracks.pop(track, -np.inf)
        self.tracks[track] = at
        if len(self.tracks) > _MOST_TRACKS:
            del self.tracks[next(iter(self.tracks))]
        return bool(at - before > _SAME_VISIT_S)


class Cameras:
    """The statistics of a gallery's cameras; the caller locks it.

    Attributes:
        known: What is known, by site.
        profiles: The profiles in use.

    Args:
        dimension: Length D of an embedding.
        parts: Number of its equal blocks.
        known: What is known already, by site.
    """

    def __init__(self, dimension: int, parts: int, known: Mapping[Site, Statistics] | None = None) -> None:
        self._dimension, self._parts = dimension, parts
        self.known: dict[Site, Statistics] = dict(known or {})
        self.known.setdefault(NOWHERE, Statistics(np.zeros(dimension)))
        self.profiles = self.using({})

    def using(self, fresh: Mapping[Site, Profile | None]) -> Profiles:
        """The profiles that are in use after new versions of some; None = it is forgotten."""
        used = {site: fresh.get(site, one.used) for site, one in self.known.items()}
        return profiles_of(self._parts, used)

    def add(self, vector: Vectors, site: Site, owner: Owner | None, track: int, at: float) -> Site:
        """Add a walk (D,) of a subject (None = not enrolled); return the site that it counts for.

        A walk of unknown direction counts for the most similar direction of its camera, if there is one.
        """
        if not site.direction:
            known = self.profiles.cameras.get(site.camera)
            if known:
                site = Site(site.camera, nearest(known, vector))
        one = self.known.get(site)
        if one is None:
            one = self.known[site] = Statistics(np.zeros(self._dimension))
        one.add(vector, owner, track, at)
        return site

    def drop_subject(self, name: str) -> bool:
        """Take a subject out of all statistics; return whether it was in one."""
        held = [one for one in self.known.values() if one.shares.pop(name, None) is not None]
        return bool(held)

    def of(self, camera: str) -> list[Site]:
        """Return the sites of a camera."""
        return [site for site in self.known if site.camera == camera and site != NOWHERE]

    def forget(self, sites: Iterable[Site]) -> None:
        """Forget what is known about some sites."""
        for site in sites:
            self.known.pop(site, None)
        self.known.setdefault(NOWHERE, Statistics(np.zeros(self._dimension)))
        self.profiles = self.using({})

    def may_be_due(self, site: Site) -> bool:
        """Whether `due` is worth its time after a walk: people have come, or some walks passed unchecked."""
        one, general = self.known[site], self.known[NOWHERE].used
        if one.used is None or general is None:
            return one.people >= FEWEST
        return one.people >= _GROWTH * max(one.used.people, FEWEST) or one.walks % _CHECKED_WALKS == 0

    def due(self, sites: Iterable[Site], *, always: bool = False) -> dict[Site, Profile]:
        """New versions of the profiles of `sites`, and of the general one, where one is due.

        `always`: a version is due wherever the mean differs at all.
        """
        found = {}
        for site in {*sites, NOWHERE} & self.known.keys():
            used, people = self.known[site].used, self.people(site)
            if used is None:
                if people >= FEWEST:
                    found[site] = Profile(1, self.mean(site), people)
                continue
            mean = self.mean(site)
            moved = float(np.linalg.norm(mean - used.mean))
            if moved > (0 if always else _STEP) or people >= _GROWTH * max(used.people, FEWEST):
                found[site] = Profile(used.version + 1, mean, people)
        return found

    def people(self, site: Site) -> float:
        """Effective number of different people behind the mean of a site."""
        if site != NOWHERE:
            return self.known[site].people
        return sum(one.people for one in self._sufficing())

    def mean(self, site: Site) -> Vectors:
        """Shrunk mean (D,) float32 of a site."""
        one, general = self.known[site], self._general()
        if site == NOWHERE:
            return general.astype(np.float32)
        total = one.people * one.mean + _SHRINK * general
        return np.asarray(total / (one.people + _SHRINK), np.float32)

    def use(self, fresh: Mapping[Site, Profile]) -> None:
        """Use new versions of profiles."""
        for site, profile in fresh.items():
            self.known[site].used = profile
        self.profiles = self.using({})

    def describe(self) -> list[CameraProfile]:
        """List the profiles by camera and direction, without the general one."""
        return [self.describe_one(site) for site in sorted(self.known) if site != NOWHERE]

    def describe_one(self, site: Site) -> CameraProfile:
        """Describe the profile of one site."""
        one = self.known[site]
        version, shift = 0, 0.0
        if one.used is not None:
            version, shift = one.used.version, float(np.linalg.norm(one.used.mean))
        return CameraProfile(*site, version, one.walks, one.people, min(1.0, shift), one.updated)

    def _sufficing(self) -> list[Statistics]:
        """Statistics of the sites that have enough people."""
        return [one for site, one in self.known.items() if site != NOWHERE and one.people >= FEWEST]

    def _general(self) -> Doubles:
        """Mean (D,) over all sites, shrunk toward zero."""
        means = [one.mean for one in self._sufficing()]
        total = np.sum([np.zeros(self._dimension), *means], axis=0)
        return np.asarray(total / (len(means) + _SHRINK_ALL))
