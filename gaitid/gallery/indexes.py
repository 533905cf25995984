"""Where the indexes of a store's galleries are: in this process, or in an engine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gaitid import registry
from gaitid.errors import ConfigError, EngineError, UnknownName
from gaitid.gallery.engine import Engine, EngineIndex, EngineSettings, connect
from gaitid.gallery.index import Index
from gaitid.gallery.rows import GalleryRow
from gaitid.gallery.store import Store
from gaitid.settings import load

RECORD = "gaitid.engine"
"""File of a data directory that says which engine holds its galleries, in the words of ``server.toml``."""


@dataclass(frozen=True, slots=True)
class _Record:
    index: str = "faiss"
    engine: EngineSettings = field(default_factory=EngineSettings)


class Indexes:
    """Makes the indexes of a store's galleries, in this process or in an engine.

    A directory whose galleries an engine holds says so in a file of its own (`RECORD`), and is opened
    with that engine only: otherwise a subject could be erased here and remain there.

    Args:
        name: Of `registry.INDEXES` or `registry.ENGINES`.
        settings: Of the engine.
        store: Its galleries.
        sealed: Its templates are sealed on disk.

    Raises:
        UnknownName: No such index or engine.
        ConfigError: The galleries are in another engine; or they are sealed, and an engine does not seal.
        EngineError: See `connect`.
    """

    def __init__(self, name: str, settings: EngineSettings, store: Store, *, sealed: bool) -> None:
        self._store = store
        self._engine: Engine | None = None
        self._check_record(name, settings)
        if name in registry.names("engines"):
            if sealed and not settings.unsealed:
                raise ConfigError(
                    "templates are sealed, and an engine holds them unsealed",
                    "galleries in this process",
                    "set unsealed = true in [engine] if the engine's disks are protected otherwise",
                )
            self._engine = connect(name, settings)
            _write_record(store.directory, name, settings)
        elif name not in (known := (*registry.names("indexes"), *registry.names("engines"))):
            raise UnknownName(
                f"unknown index {name!r}", f"known are {', '.join(known)}", registry.nearest(name, known)
            )
        else:
            self._make: Callable[[int], Index] = registry.resolve("indexes", name)

    def of(self, row: GalleryRow) -> Callable[[int], Index]:
        """Gives the index of a gallery for its dimension."""
        engine = self._engine
        if engine is None:
            return self._make
        return lambda dimension: EngineIndex(dimension, engine.table(self._table(row), dimension))

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

    def leave(self) -> None:
        """Forget all indexes of this store: what an engine held of it is gone, and it may go elsewhere."""
        self.drop_others(())
        (self._store.directory / RECORD).unlink(missing_ok=True)

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

    def _check_record(self, name: str, settings: EngineSettings) -> None:
        engine, held = recall(self._store.directory)
        if engine in registry.names("engines") and (engine, held.address) != (name, settings.address):
            raise ConfigError(
                f"the galleries are held by {engine} at {held.address}",
                f"that, not {name} {settings.address}".rstrip(),
                "correct the settings, or move them with `gaitid gallery migrate`",
            )


def recall(directory: Path) -> tuple[str, EngineSettings]:
    """Index and engine that a data directory was opened with last; ``faiss`` when it was no engine.

    Raises:
        ConfigError: The record is damaged.
    """
    path = directory / RECORD
    if not path.exists():
        return "faiss", EngineSettings()
    record = load(path, _Record)
    return record.index, record.engine


def _write_record(directory: Path, name: str, engine: EngineSettings) -> None:
    """Say which engine it is; on the disk before the engine gets a row."""
    lines = [f"index = {json.dumps(name)}", "[engine]"]
    for key, value in asdict(engine).items():
        if value is not None:
            lines.append(f"{key} = {json.dumps(str(value) if isinstance(value, Path) else value)}")
    path, fresh = directory / RECORD, directory / (RECORD + ".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
