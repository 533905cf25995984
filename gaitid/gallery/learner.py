"""Learns the camera profiles of a gallery from the walks that it accepts, and brings them into use."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.scoring.learning import Cameras, Owner, Statistics
from gaitid.gallery.scoring.profiles import NOWHERE, Profile, Profiles, Site, Vectors
from gaitid.gallery.scoring.space import Space
from gaitid.gallery.store.database import Store
from gaitid.gallery.store.rows import Change, GalleryRow
from gaitid.records import CameraProfile

_LOG = logging.getLogger(__name__)

_UNSAVED = 256
"""Walks after which statistics are stored although no mean has changed: a kill loses no more."""


_MOST_ENROLLED = 4_096
"""Templates from which a gallery learns when profiles are switched on."""


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """An accepted walk.

    Attributes:
        vector: (D,) float32 embedding, norm 1.
        site: Where it was seen.
        track: Its track number; 0 = unknown.
        owner: The enrolled subject that it is of, as far as known; None = somebody else.
        seen: Its first and last time, seconds of the camera's clock; None = unknown.
    """

    vector: Vectors
    site: Site
    track: int = 0
    owner: Owner | None = None
    seen: tuple[float, float] | None = None


Apply = Callable[[Profiles, Collection[Site]], Callable[[Change], None]]
"""Prepares the use of profiles that are new for some sites; returns what follows the commit."""


class Learner:
    """The camera profiles of one gallery; any number of threads may use it.

    Statistics are in memory, ahead of the store. A mean is in use only once it is stored, so after a crash
    rows and profiles agree, and at most the last `_UNSAVED` walks are not part of the statistics.

    Args:
        store: Where they are stored.
        row: The gallery.
        apply: Brings stored profiles into use.
        is_enrolled: Tells whether an owner is still enrolled.
    """

    def __init__(
        self, store: Store, row: GalleryRow, apply: Apply, is_enrolled: Callable[[Owner], bool]
    ) -> None:
        self._store, self._row = store, row
        self._apply, self._is_enrolled = apply, is_enrolled
        known, self._is_stale = store.cameras.load(row)
        self._cameras = Cameras(row.dimension, row.parts, known)
        self._lock = Lock()  # of the statistics; never held while a commit is waited for
        self._publishing = Lock()  # one new version at a time
        self._unsaved: dict[Site, int] = {}

    def describe(self) -> list[CameraProfile]:
        """List the profiles by camera and direction."""
        with self._lock:
            return self._cameras.describe()

    def describe_one(self, site: Site) -> CameraProfile:
        """Describe the profile of one site."""
        with self._lock:
            return self._cameras.describe_one(site)

    def learn(self, walks: Iterable[Walk], *, waits: bool = False, later: bool = False) -> list[Site]:
        """Learn from walks, and use new versions of the profiles that are due.

        Args:
            walks: Accepted walks.
            waits: Wait while another thread stores profiles; else a later walk brings these into use.
            later: Leave new versions to `save`, because they take long.

        Returns:
            The sites that the walks counted for; walks without a camera count for none.
        """
        now = time.time()
        with self._lock:
            sites = [self._add(walk, now) for walk in walks if walk.site.camera]
            is_due = not later and any(map(self._cameras.may_be_due, set(sites)))
            is_due = is_due and bool(self._cameras.due(sites))
            unsaved = sum(self._unsaved.values())
        if is_due:
            self._publish(sites, waits=waits)
        elif unsaved >= _UNSAVED:
            self._keep()
        return sites

    def enrolled(self) -> list[Walk]:
        """Return walks of the templates that were enrolled last, at most `_MOST_ENROLLED`."""
        rows = self._store.cameras.enrolled(self._row, _MOST_ENROLLED)
        ids = np.array([row.id for row in rows], np.int64)
        found, vectors = self._store.galleries.vectors(self._row, ids)
        by_id = dict(zip(found.tolist(), vectors, strict=True))
        return [
            Walk(by_id[row.id], Site(row.camera, row.direction), 0, Owner(row.name, row.pseudonym))
            for row in rows
            if row.id in by_id
        ]

    def save(self) -> None:
        """Use new versions that are due, and store the statistics that are ahead of the store."""
        if self._unsaved:
            self._publish(list(self._unsaved))
            self._keep()

    def drop(self, names: Iterable[str]) -> None:
        """Take erased subjects out of all statistics; called in the order of the commits."""
        with self._lock:
            for name in names:
                if self._cameras.drop_subject(name):
                    self._is_stale = True

    def renew(self) -> None:
        """Make all means again if a subject that they rest on was erased."""
        if self._is_stale:
            with self._lock:
                sites = list(self._cameras.known)
            self._is_stale = False
            try:
                self._publish(sites, always=True)
            except BaseException:
                self._is_stale = True
                raise

    def forget(self, camera: str) -> int:
        """Forget a camera; return how many profiles it had."""
        with self._publishing:
            with self._lock:
                gone: dict[Site, Profile | None] = dict.fromkeys(self._cameras.of(camera))
                count = len(gone)
                if not self._cameras.using(gone).cameras:  # then the cameras have nothing in common
                    gone[NOWHERE] = None
                profiles = self._cameras.using(gone)
            if not count:
                return 0
            follow = self._apply(profiles, gone)

            def then(change: Change) -> None:
                with self._lock:
                    self._cameras.forget(gone)
                    for site in gone:
                        self._unsaved.pop(site, None)
                follow(change)

            self._store.cameras.forget(self._row, list(gone), then)
        self._publish([], always=True)
        return count

    def _add(self, walk: Walk, now: float) -> Site:
        owner = walk.owner if walk.owner is not None and self._is_enrolled(walk.owner) else None
        site = self._cameras.add(walk.vector, walk.site, owner, walk.track, now)
        self._unsaved[site] = self._unsaved.get(site, 0) + 1
        return site

    def _keep(self) -> None:
        with self._publishing:  # else a camera that is forgotten now would be stored again
            self._store.cameras.keep(self._row, self._take_unsaved)

    def _publish(self, sites: Iterable[Site], *, always: bool = False, waits: bool = True) -> None:
        if not self._publishing.acquire(blocking=waits):
            return
        try:
            with self._lock:
                fresh = self._cameras.due(sites, always=always)
                profiles = self._cameras.using(fresh)
            if not fresh:
                return
            is_all = always and set(sites) >= self._cameras.known.keys()
            follow = self._apply(profiles, fresh)

            def then(change: Change) -> None:
                with self._lock:
                    self._cameras.use(fresh)
                follow(change)

            self._store.cameras.publish(self._row, lambda: self._taken(fresh), then, settles=is_all)
        finally:
            self._publishing.release()

    def _taken(self, fresh: Mapping[Site, Profile]) -> dict[Site, Statistics]:
        """Copies of the statistics of new profiles, as they are stored."""
        with self._lock:
            for site in fresh:
                self._unsaved.pop(site, None)
            return {
                site: replace(self._cameras.known[site].copy(), used=profile)
                for site, profile in fresh.items()
            }

    def _take_unsaved(self) -> dict[Site, Statistics]:
        with self._lock:
            taken = {site: self._cameras.known[site].copy() for site in self._unsaved}
            self._unsaved.clear()
            return taken


def corrected_by(
    store: Store, row: GalleryRow, profiles: Profiles, fresh: Collection[Site]
) -> NDArray[np.int64]:
    """Return the ids (M,) of the templates that new profiles of some sites correct, ascending."""
    cameras, is_general = {site.camera for site in fresh}, NOWHERE in fresh
    return store.cameras.templates(
        row, lambda name: name in cameras or (is_general and name not in profiles.cameras)
    )


def derived(
    store: Store, row: GalleryRow, ids: NDArray[np.int64], space: Space
) -> tuple[NDArray[np.int64], Vectors]:
    """Return those templates `ids` (M,) that exist, and their rows (M', L) in a space."""
    found, vectors = store.galleries.vectors(row, ids, space)
    return found, space.rows(vectors)
