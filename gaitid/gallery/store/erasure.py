"""Verify that no file of a data directory holds a trace of erased data."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from gaitid.errors import StoreError
from gaitid.gallery.store.connection import Connection
from gaitid.gallery.store.traces import name_traces, scan

_NAMED = "SELECT gallery, id, name, enrolled_at FROM subjects WHERE instr(?, CAST(name AS BLOB))"
_VECTORS = tuple(
    f"SELECT 1 AS found FROM {table} WHERE instr(vector, ?) LIMIT 1"  # noqa: S608
    for table in ("templates", "shares")
)
_TEXTS = tuple(
    f"SELECT 1 AS found FROM {table} WHERE instr({' || char(10) || '.join(columns)}, ?) LIMIT 1"  # noqa: S608
    for table, columns in (
        ("sqlite_master", ("name", "coalesce(sql, '')")),
        ("galleries", ("name", "encoder", "contract", "fusion")),
        ("calibrations", ("contract", "law")),
        ("subjects", ("name", "coalesce(key_name, '')", "legal_basis", "purpose", "reference")),
        ("templates", ("coalesce(quality, '')", "camera", "direction")),
        ("audit", ("action", "outcome", "detail")),
        ("projections", ("key_name",)),
        ("cohorts", ("contract", "normalisation", "law", "sites", "coalesce(key_name, '')")),
        ("profiles", ("camera", "direction", "coalesce(key_name, '')")),
    )
)
"""All texts of the database that may contain a subject's name. Callers are missing: they are stored forever,
so no name may be part of one."""


class _NameRow(NamedTuple):
    gallery: int
    id: int
    name: str
    enrolled_at: float


class _Hit(NamedTuple):
    found: int


class Erasure:
    """Searches the files of a data directory for what was erased.

    Args:
        directory: The data directory.
        connection: Its open database.
    """

    def __init__(self, directory: Path, connection: Connection) -> None:
        self._directory, self._commits = directory, connection.commits

    def scan(self, traces: tuple[bytes, ...]) -> int:
        """See `Store.scan`."""
        try:
            return scan(self._directory, traces, self._is_alive)
        except StoreError:
            self._rewrite()
            return scan(self._directory, traces, self._is_alive)

    def empty_log(self) -> None:
        """See `Store.empty_log`."""
        self._commits.run(self._commits.require_empty_log)

    def _rewrite(self) -> None:
        with self._commits.mutex:
            self._commits.execute("VACUUM")
        self.empty_log()

    def _is_alive(self, trace: bytes) -> bool:
        text = trace.decode("latin-1")
        with self._commits.mutex:
            named = self._commits.read(_NameRow, _NAMED, trace)
            if any(trace in name_traces(*row) for row in named):
                return True
            if any(self._commits.read(_Hit, statement, trace) for statement in _VECTORS):
                return True
            return any(self._commits.read(_Hit, statement, text) for statement in _TEXTS)
