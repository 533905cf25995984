"""Move the indexes of a store's galleries into an engine, and back: verified, and resumed if interrupted.

Templates stay in the store; only the indexes move.
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
from gaitid.gallery.placement import RECORD, Indexes, is_engine, recall, record
from gaitid.gallery.store.database import Store
from gaitid.gallery.store.rows import GalleryRow
from gaitid.records import Candidate

_CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class Moved:
    """A gallery that was moved and verified.

    Attributes:
        gallery: Name of the gallery.
        rows: Rows of its index, all compared with the store.
        added: Rows that were missing in the target before.
        searches: Number of sampled searches.
        equal: Searches with the same candidates and scores as an exact search in this process.
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

    If interrupted, even by a kill, the same call finishes it: rows that are already there are not sent again.
    When the galleries leave an engine, their rows there are deleted after all galleries are verified.

    Args:
        store: The open store; no matcher uses it.
        name: Name in `registry.INDEXES` or `registry.ENGINES`; if the galleries are there already, they are
            only verified.
        settings: Settings of the engine.
        sealed: Whether templates are encrypted on disk.
        samples: Searches to compare per gallery.

    Raises:
        ConfigError: They are in another engine; or see `indexes.Indexes`.
        EngineError: The engine fails, or holds or finds other rows than it was given.
    """
    held_by, held = recall(store.directory)
    leaves = is_engine(held_by) and not is_engine(name)
    if is_engine(held_by) and not leaves and (held_by, held.address) != (name, settings.address):
        raise ConfigError(
            f"Engine {held_by} at {held.address} holds the galleries",
            "galleries that no other engine holds",
            "Move them to faiss first",
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
    if is_kept:  # an index in this process was just built from the same vectors
        gallery = Gallery(store, row, target.of(row), thorough=True)
        if gallery.repair != (0, 0):
            raise EngineError(
                f"After the migration the engine lacked {gallery.repair.added} rows of gallery {row.name!r}"
                f" and held {gallery.repair.removed} others",
                "exactly the gallery's rows",
                "Look at the log of the engine, and repeat the migration",
            )
    reference, probes = Gallery(store, row, ExactIndex), _probes(store, row, samples)
    equal = sum(_found(gallery, probe) == _found(reference, probe) for probe in probes)
    if is_exact and equal < len(probes):
        others = len(probes) - equal
        raise EngineError(
            f"In {others} of {len(probes)} searches the engine found other candidates",
            "the candidates of an exact search",
            "Look at the log of the engine",
        )
    return Moved(row.name, gallery.rows, added, len(probes), equal)


def _found(gallery: Gallery, probe: NDArray[np.float32]) -> tuple[Candidate, ...]:
    return gallery.search(probe, _CANDIDATES).candidates


def _probes(store: Store, row: GalleryRow, count: int) -> list[NDArray[np.float32]]:
    """Return one template of each of `count` subjects, with noise of the same norm (cosine about 0.7)."""
    contents = store.galleries.contents(row, most_subjects=count)
    turned = contents.space.projection
    vectors = contents.vectors if turned is None else turned.undo(contents.vectors)
    first = dict(zip(reversed(contents.subjects), reversed(vectors), strict=True))
    noise = np.random.default_rng(0).standard_normal((len(first), row.dimension)) / np.sqrt(row.dimension)
    return [(vector + part).astype(np.float32) for vector, part in zip(first.values(), noise, strict=True)]
