"""Where the indexes of a store's galleries are: in this process, or in an engine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gaitid import registry
from gaitid.errors import ConfigError, EngineError, UnknownName
from gaitid.gallery.index.engine import Engine, EngineIndex, EngineSettings, connect
from gaitid.gallery.index.exact import Fetch, Index
from gaitid.gallery.store.database import Store
from gaitid.gallery.store.rows import GalleryRow
from gaitid.gallery.store.schema import force
from gaitid.settings import load

RECORD = "gaitid.engine"
"""File of a data directory that says which engine holds its galleries, in the words of ``server.toml``."""


@dataclass(frozen=True, slots=True)
class _Record:
    index: str = "faiss"
    engine: EngineSettings = field(default_factory=EngineSettings)
    compare: bool = False


class Indexes:
    """Makes the indexes of a store's galleries, and forgets them.

    Args:
        name: Of `registry.INDEXES` or `registry.ENGINES`.
        settings: Of the engine.
        store: Its galleries.
        sealed: Its templates are sealed on disk.

    Attributes:
        compare: Ids are not enough: under those of this store an engine may hold vectors of another past.

    Raises:
        UnknownName: No such index or engine.
        ConfigError: Templates are sealed, and an engine does not seal; or see `engine.connect`.
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
                "templates are sealed, and an engine holds them unsealed",
                "galleries in this process",
                "set unsealed = true in [engine] if the engine's disks are protected otherwise",
            )
        self._engine = connect(name, settings)

    def of(self, row: GalleryRow) -> Callable[[int, Fetch], Index]:
        """Gives the index of a gallery for the length of its rows, and for where they are kept.

        It raises `ConfigError` where an engine would have to hold rows of normalised scores.
        """
        engine = self._engine
        if engine is None:
            return self._make

        def make(length: int, _: Fetch) -> Index:
            if length != row.dimension:
                raise ConfigError(
                    f"gallery {row.name!r} normalises its scores, and an engine holds plain rows",
                    "a gallery in this process, or plain scores",
                    "choose one of the two",
                )
            return EngineIndex(length, engine.table(self._table(row), length))

        return make

    def drop(self, row: GalleryRow) -> None:
        """Forget the index of a gallery that was deleted.

        Raises:
            EngineError: The engine still holds it.
        """
        if self._engine is None:
            return
        try:
            self._engine.drop(self._table(row))
        except EngineError as error:
            raise type(error)(
                f"gallery {row.name!r} is deleted, but the engine may still hold its rows ({error.got})",
                "none",
                "remove the cause; the next start drops them",
            ) from error

    def drop_others(self, rows: Iterable[GalleryRow]) -> None:
        """Forget the indexes of all galleries of this store but those of `rows`."""
        if self._engine is not None:
            for name in set(self._engine.names(self._prefix)) - {self._table(row) for row in rows}:
                self._engine.drop(name)

    def close(self) -> None:
        """Release the connection to the engine."""
        if self._engine is not None:
            self._engine.close()

    @property
    def _prefix(self) -> str:
        return f"gaitid_{self._store.name}_"

    def _table(self, row: GalleryRow) -> str:
        """Never that of another gallery: keys are not used again, and the name of a store is random."""
        return f"{self._prefix}{row.key}"


def open_indexes(name: str, settings: EngineSettings, store: Store, *, sealed: bool) -> Indexes:
    """The indexes of a store; from now on the directory says which engine holds them, if one does.

    A directory that says so is opened with that engine only: otherwise a subject could be erased here
    and remain there. One that did not, or was restored, has given its ids anew to others than an engine
    knows by them: `Indexes.compare` is true until `record` says that its rows were compared.

    Raises:
        ConfigError: The galleries are in another engine; or see `Indexes`.
        GaitIdError: See `Indexes`.
    """
    known = _recorded(store.directory)
    held_by, held = known.index, known.engine
    if is_engine(held_by) and (held_by, held.address) != (name, settings.address):
        raise ConfigError(
            f"the galleries are held by {held_by} at {held.address}",
            f"that, not {name} {settings.address}".rstrip(),
            "correct the settings, or move them with 'gaitid gallery migrate'",
        )
    indexes = Indexes(name, settings, store, sealed=sealed)
    if is_engine(name):
        indexes.compare = known.compare or not is_engine(held_by)
        record(store.directory, name, settings, compare=indexes.compare)
    return indexes


def is_engine(name: str) -> bool:
    """Whether a name is that of an engine, and not of an index in this process.

    Raises:
        UnknownName: It is neither.
    """
    known = (*registry.names("indexes"), *registry.names("engines"))
    if name not in known:
        raise UnknownName(
            f"unknown index {name!r}", f"known are {', '.join(known)}", registry.nearest(name, known)
        )
    return name in registry.names("engines")


def recall(directory: Path) -> tuple[str, EngineSettings]:
    """Index and engine that a data directory was opened with last; ``faiss`` when it was no engine.

    Raises:
        ConfigError: The record is damaged.
    """
    found = _recorded(directory)
    return found.index, found.engine


def _recorded(directory: Path) -> _Record:
    path = directory / RECORD
    return load(path, _Record) if path.exists() else _Record()


def record(directory: Path, name: str, engine: EngineSettings, *, compare: bool = False) -> None:
    """Say which engine holds the galleries; this is on the disk before the engine gets a row.

    Args:
        directory: The data directory.
        name: Of the engine.
        engine: Its settings.
        compare: The next start is to compare all of its vectors, not the ids alone.
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
