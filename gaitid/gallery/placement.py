"""Where the indexes of a store's galleries are: in this process or in an engine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gaitid import registry
from gaitid.errors import ConfigError, EngineError, UnknownName
from gaitid.gallery.index.engine import Engine, EngineIndex, EngineSettings, connect
from gaitid.gallery.index.protocol import Fetch, Index
from gaitid.gallery.store.database import Store
from gaitid.gallery.store.rows import GalleryRow
from gaitid.gallery.store.schema import force
from gaitid.settings import load

RECORD = "gaitid.engine"
"""File of a data directory that names the engine of its galleries, with the keys of ``server.toml``."""


@dataclass(frozen=True, slots=True)
class _Record:
    index: str = "faiss"
    engine: EngineSettings = field(default_factory=EngineSettings)
    compare: bool = False


class Indexes:
    """Creates and drops the indexes of a store's galleries.

    Args:
        name: A name of `registry.INDEXES` or `registry.ENGINES`.
        settings: Settings of the engine.
        store: The store of the galleries.
        sealed: Whether its templates are encrypted on disk.

    Attributes:
        compare: Whether vectors must be compared, not ids alone: the engine may hold other vectors under
            the same ids, from another history of this store.

    Raises:
        UnknownName: No such index or engine.
        ConfigError: Templates are encrypted, and an engine does not encrypt; or see `engine.connect`.
        EngineError: See `engine.connect`.
    """

    def __init__(self, name: str, settings: EngineSettings, store: Store, *, sealed: bool) -> None:
        self._store = store
        self.compare = False
        self._engine: Engine | None = None
        if not is_engine(name):
            self._make: Callable[[int, Fetch], Index] = registry.resolve("indexes", name)
            return
        if sealed and not settings.unsealed:
            raise ConfigError(
                "Templates are encrypted here, and an engine stores them in clear",
                "galleries in this process",
                "Set unsealed = true in [engine] if the engine's disks are protected otherwise",
            )
        self._engine = connect(name, settings)

    def of(self, row: GalleryRow) -> Callable[[int, Fetch], Index]:
        """Return the factory of a gallery's index: it takes the row length and a `Fetch`.

        The factory raises `ConfigError` where an engine would have to hold rows of normalised scores.
        """
        engine = self._engine
        if engine is None:
            return self._make

        def make(length: int, _: Fetch) -> Index:
            if length != row.dimension:
                raise ConfigError(
                    f"Gallery {row.name!r} normalises its scores, and an engine holds plain rows",
                    "a gallery in this process, or plain scores",
                    "Stop normalising, or use an index in this process",
                )
            return EngineIndex(length, engine.table(self._table(row), length))

        return make

    def drop(self, row: GalleryRow) -> None:
        """Drop the index of a deleted gallery.

        Raises:
            EngineError: The engine still holds it.
        """
        if self._engine is None:
            return
        try:
            self._engine.drop(self._table(row))
        except EngineError as error:
            raise type(error)(
                f"Gallery {row.name!r} is deleted, but the engine may still hold its rows ({error.got})",
                "no rows",
                "Remove the cause and restart, which drops them",
            ) from error

    def drop_others(self, rows: Iterable[GalleryRow]) -> None:
        """Drop the indexes of all galleries of this store except those of `rows`."""
        if self._engine is not None:
            for name in set(self._engine.names(self._prefix)) - {self._table(row) for row in rows}:
                self._engine.drop(name)

    def close(self) -> None:
        """Close the connection to the engine."""
        if self._engine is not None:
            self._engine.close()

    @property
    def _prefix(self) -> str:
        return f"gaitid_{self._store.name}_"

    def _table(self, row: GalleryRow) -> str:
        """Name of a gallery's table, unique because keys are never reused and store names are random."""
        return f"{self._prefix}{row.key}"


def open_indexes(name: str, settings: EngineSettings, store: Store, *, sealed: bool) -> Indexes:
    """Open the indexes of a store, and record its engine in the data directory if it has one.

    A directory with a recorded engine opens with that engine only: otherwise a subject could be erased
    here and remain there. In a directory without one, or after a restore, ids may have been reused, so the
    engine's rows may be out of date: `Indexes.compare` is true until `record` states that the rows were
    compared.

    Raises:
        ConfigError: Another engine holds the galleries; or see `Indexes`.
        GaitIdError: See `Indexes`.
    """
    known = _recorded(store.directory)
    held_by, held = known.index, known.engine
    if is_engine(held_by) and (held_by, held.address) != (name, settings.address):
        raise ConfigError(
            f"The engine {held_by} at {held.address} holds the galleries",
            f"that engine, not {name} {settings.address}".rstrip(),
            "Restore the settings, or move the galleries with 'gaitid gallery migrate'",
        )
    indexes = Indexes(name, settings, store, sealed=sealed)
    if is_engine(name):
        indexes.compare = known.compare or not is_engine(held_by)
        record(store.directory, name, settings, compare=indexes.compare)
    return indexes


def is_engine(name: str) -> bool:
    """Whether a name is an engine's, and not that of an index in this process.

    Raises:
        UnknownName: It is neither.
    """
    known = (*registry.names("indexes"), *registry.names("engines"))
    if name not in known:
        raise UnknownName(
            f"Index {name!r} is unknown", f"one of {', '.join(known)}", registry.nearest(name, known)
        )
    return name in registry.names("engines")


def recall(directory: Path) -> tuple[str, EngineSettings]:
    """Return the index and engine that a data directory was last opened with; ``faiss`` without an engine.

    Raises:
        ConfigError: The record is damaged.
    """
    found = _recorded(directory)
    return found.index, found.engine


def _recorded(directory: Path) -> _Record:
    path = directory / RECORD
    return load(path, _Record) if path.exists() else _Record()


def record(directory: Path, name: str, engine: EngineSettings, *, compare: bool = False) -> None:
    """Record which engine holds the galleries; this reaches the disk before the engine gets a row.

    Args:
        directory: The data directory.
        name: Name of the engine.
        engine: Its settings.
        compare: Whether the next start must compare all vectors, not the ids alone.
    """
    lines = [f"index = {json.dumps(name)}", *["compare = true"] * compare, "[engine]"]
    for key, value in asdict(engine).items():
        if value is not None:
            lines.append(f"{key} = {json.dumps(str(value) if isinstance(value, Path) else value)}")
    path, fresh = directory / RECORD, directory / (RECORD + ".new")
    fresh.touch(0o600)
    with fresh.open("w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    force(directory)
