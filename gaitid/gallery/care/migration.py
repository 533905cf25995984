"""Moves the indexes of a store's galleries into an engine, and back; verified, and resumed when cut short.

Templates stay in the store all the while; what moves is its projection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import ConfigError, EngineError
from gaitid.gallery.gallery import Gallery
from gaitid.gallery.index.engine import EngineSettings
from gaitid.gallery.index.exact import ExactIndex
from gaitid.gallery.index.placement import RECORD, Indexes, is_engine, recall, record
from gaitid.gallery.store.database import Store
from gaitid.gallery.store.rows import GalleryRow
from gaitid.records import Candidate

_CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class Moved:
    """One gallery that was moved and verified.

    Attributes:
        gallery: Its name.
        rows: Rows of its index, all compared with the store.
        added: Rows that were missing there before.
        searches: Sampled searches.
        equal: Those with the same best subjects and scores as a search of all rows in this process.
    """

    gallery: str
    rows: int
    added: int
    searches: int
    equal: int


def migrate(
    store: Store, name: str, settings: EngineSettings, *, sealed: bool, samples: int = 100
) -> Iterator[Moved]:
    """Move all galleries of a store to the index or engine `name`, one after the other.

    Cut short, even by a kill, the same call finishes it: rows that are there are not sent again. An
    engine that is left forgets its rows when all galleries are verified.

    Args:
        store: Opened by nobody else.
        name: Of `registry.INDEXES` or `registry.ENGINES`; where they are already, they are verified.
        settings: Of the engine.
        sealed: The templates are sealed on disk.
        samples: Searches of each gallery to compare.

    Raises:
        ConfigError: They are in another engine; or see `indexes.Indexes`.
        EngineError: The engine fails, or holds or finds other than it was given.
    """
    held_by, held = recall(store.directory)
    leaves = is_engine(held_by) and not is_engine(name)
    if is_engine(held_by) and not leaves and (held_by, held.address) != (name, settings.address):
        raise ConfigError(
            f"the galleries are held by {held_by} at {held.address}", "one engine", "move them to faiss first"
        )
    target = Indexes(name, settings, store, sealed=sealed)
    is_kept, is_exact = is_engine(name), not is_engine(name) or settings.search == "exact"
    if is_kept:
        record(store.directory, name, settings, compare=True)
        target.drop_others(store.galleries.all())
    try:
        for row in store.galleries.all():
            yield _moved(store, row, target, samples, is_kept=is_kept, is_exact=is_exact)
        if is_kept:
            record(store.directory, name, settings)
    finally:
        target.close()
    if leaves:
        left = Indexes(held_by, held, store, sealed=False)
        left.drop_others(())
        left.close()
        (store.directory / RECORD).unlink()


def _moved(
    store: Store, row: GalleryRow, target: Indexes, samples: int, *, is_kept: bool, is_exact: bool
) -> Moved:
    gallery = Gallery(store, row, target.of(row))
    added = gallery.repair.added
    if is_kept:  # an index in this process has just been made of the same vectors
        gallery = Gallery(store, row, target.of(row), thorough=True)
        if gallery.repair != (0, 0):
            raise EngineError(
                f"the engine differed from gallery {row.name!r} in {gallery.repair} rows",
                "none, after all were written",
                "look at its log, and repeat",
            )
    reference, probes = Gallery(store, row, ExactIndex), _probes(store, row, samples)
    equal = sum(_found(gallery, probe) == _found(reference, probe) for probe in probes)
    if is_exact and equal < len(probes):
        others = len(probes) - equal
        raise EngineError(f"{others} of {len(probes)} searches found others", "none", "look at its log")
    return Moved(row.name, gallery.rows, added, len(probes), equal)


def _found(gallery: Gallery, probe: NDArray[np.float32]) -> tuple[Candidate, ...]:
    return gallery.search(probe, _CANDIDATES).candidates


def _probes(store: Store, row: GalleryRow, count: int) -> list[NDArray[np.float32]]:
    """Templates of `count` subjects, one each, moved by as much again as noise (cosine about 0.7)."""
    contents = store.galleries.contents(row, most_subjects=count)
    turned = contents.space.projection
    vectors = contents.vectors if turned is None else turned.undo(contents.vectors)
    first = dict(zip(reversed(contents.subjects), reversed(vectors), strict=True))
    noise = np.random.default_rng(0).standard_normal((len(first), row.dimension)) / np.sqrt(row.dimension)
    return [(vector + part).astype(np.float32) for vector, part in zip(first.values(), noise, strict=True)]
