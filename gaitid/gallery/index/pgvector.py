"""Galleries in PostgreSQL with the extension pgvector: one table each. The only file that imports psycopg.

``exact`` reads the whole table with several server processes; ``hnsw`` keeps a graph beside it, of up to
2,000 dimensions. Every change is on the server's disk before it is acknowledged.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from psycopg.adapt import Dumper
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format
from psycopg.types import TypeInfo

from gaitid.errors import ConfigError, EngineError, EngineUnreachable
from gaitid.gallery.index.engine import TOKEN, EngineSettings

T = TypeVar("T")
_Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

_HNSW_MOST, _HNSW_DIMENSIONS = 1_000, 2_000
_EXACT_MOST = 100_000
_MIN_EF = 128
_INLINE_DIMENSIONS = 1_950
"""Vectors up to here fit into a page beside their id, where a scan reads them without a second access."""
_BUILD_S = 3600
"""Seconds that building the graph may take."""


class _Vector(Dumper):
    """float32 (D,) in pgvector's wire format: dimension, 0, big-endian floats."""

    format = Format.BINARY

    def dump(self, obj: NDArray[np.float32]) -> bytes:
        return struct.pack(">HH", len(obj), 0) + obj.astype(">f4").tobytes()


class PgvectorEngine:
    """Connections to a database, opened on demand and kept; see `engine.Engine`."""

    def __init__(self, settings: EngineSettings, token: str) -> None:
        self._settings = settings
        self._where = _checked(settings)
        self._token = token
        self._idle: deque[_Connection] = deque()
        self.run(lambda db: None)

    def table(self, name: str, dimension: int) -> PgvectorTable:
        """See `engine.Engine.table`; builds or drops the graph according to the settings.

        Raises:
            ConfigError: A graph cannot have so many dimensions.
        """
        graph = self._settings.search == "hnsw"
        if graph and dimension > _HNSW_DIMENSIONS:
            raise ConfigError(
                f"Vectors have {dimension} dimensions",
                f"{_HNSW_DIMENSIONS} or fewer for search = 'hnsw'",
                "Set search = 'exact', or use Milvus",
            )
        table, index = sql.Identifier(name), sql.Identifier(name + "_hnsw")
        storage = sql.SQL("PLAIN" if dimension <= _INLINE_DIMENSIONS else "EXTERNAL")

        def make(db: _Connection) -> None:
            db.execute(
                sql.SQL(
                    "CREATE TABLE IF NOT EXISTS {} (id bigint PRIMARY KEY, vector vector({}) NOT NULL)"
                ).format(table, sql.Literal(dimension))
            )
            db.execute(sql.SQL("ALTER TABLE {} ALTER COLUMN vector SET STORAGE {}").format(table, storage))
            db.execute(f"SET LOCAL statement_timeout = '{_BUILD_S}s'")
            if graph:
                db.execute(
                    sql.SQL("CREATE INDEX IF NOT EXISTS {} ON {} USING hnsw (vector vector_ip_ops)").format(
                        index, table
                    )
                )
            else:
                db.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(index))

        self.run(make)
        return PgvectorTable(self, table, dimension, graph=graph)

    def drop(self, name: str) -> None:
        """See `engine.Engine.drop`."""
        statement = sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name))
        self.run(lambda db: db.execute(statement))

    def names(self, prefix: str) -> list[str]:
        """See `engine.Engine.names`."""
        found = self.run(
            lambda db: db.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
                " AND starts_with(tablename, %s) ORDER BY 1",
                (prefix,),
            ).fetchall()
        )
        return [name for (name,) in found]

    def close(self) -> None:
        """See `engine.Engine.close`."""
        while self._idle:
            self._idle.pop().close()

    def run(self, act: Callable[[_Connection], T]) -> T:
        """Run `act`, which may be repeated, in a transaction; retry when a kept connection was dead."""
        try:
            db = self._idle.pop()
        except IndexError:
            return self._run(self._connect(), act)
        try:
            return self._run(db, act)
        except EngineUnreachable:
            if not db.broken:  # alive, but too slow
                raise
            self.close()  # the other connections are dead too
            return self._run(self._connect(), act)

    def _run(self, db: _Connection, act: Callable[[_Connection], T]) -> T:
        try:
            with db.transaction():
                result = act(db)
        except psycopg.Error as error:
            if not db.broken:
                db.close()
            raise self._typed(error) from error
        except BaseException:
            db.close()
            raise
        self._idle.append(db)
        return result

    def _connect(self) -> _Connection:
        limit = self._settings.timeout_s
        try:
            db = psycopg.connect(
                self._settings.address,
                password=self._token or None,
                autocommit=True,
                connect_timeout=max(2, round(limit)),
                tcp_user_timeout=round(1000 * limit),
                options=f"-c statement_timeout={round(1000 * limit)}",
            )
            kind = TypeInfo.fetch(db, "vector")
            if kind is None:
                db.execute("CREATE EXTENSION IF NOT EXISTS vector")
                kind = TypeInfo.fetch(db, "vector")
        except psycopg.Error as error:
            raise self._typed(error) from error
        known = cast(TypeInfo, kind)
        known.register(db)
        db.adapters.register_dumper(np.ndarray, type("_VectorOf", (_Vector,), {"oid": known.oid}))
        return db

    def _typed(self, error: psycopg.Error) -> EngineError:
        if isinstance(error, psycopg.OperationalError):
            return EngineUnreachable(
                f"PostgreSQL at {self._where} does not answer ({error.sqlstate or 'no connection'})",
                "an answer in time",
                f"Start PostgreSQL, raise timeout_s, or set {TOKEN}",
            )
        what = error.diag.message_primary or type(error).__name__  # not its context, which quotes values
        return EngineError(
            f"PostgreSQL at {self._where} failed with {what!r}", "no failure", "Read PostgreSQL's log"
        )


class PgvectorTable:
    """One table of PostgreSQL; see `engine.Table`."""

    def __init__(self, engine: PgvectorEngine, name: sql.Identifier, dimension: int, *, graph: bool) -> None:
        self.most = _HNSW_MOST if graph else _EXACT_MOST
        self._engine = engine
        self._name = name
        self._dimension = dimension
        self._graph = graph

    def put(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """See `engine.Table.put`."""

        def act(db: _Connection) -> None:
            self._delete(db, ids)
            with db.cursor().copy(self._sql("COPY {} (id, vector) FROM STDIN (FORMAT BINARY)")) as copy:
                copy.set_types(["int8", "vector"])
                for key, vector in zip(ids.tolist(), vectors, strict=True):
                    copy.write_row((key, vector))

        self._engine.run(act)

    def delete(self, ids: NDArray[np.int64]) -> None:
        """See `engine.Table.delete`."""
        self._engine.run(lambda db: self._delete(db, ids))

    def ids(self, among: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """See `engine.Table.ids`."""
        if among is None:
            rows = self._fetch("SELECT id FROM {} ORDER BY id")
        else:
            rows = self._fetch("SELECT id FROM {} WHERE id = ANY(%s) ORDER BY id", among.tolist())
        return np.array([key for (key,) in rows], np.int64)

    def rows(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See `engine.Table.rows`."""
        return self._unpacked(self._fetch("SELECT id, vector FROM {} WHERE id = ANY(%s)", ids.tolist()))

    def nearest(
        self, vectors: NDArray[np.float32], count: int
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """See `engine.Table.nearest`."""

        def act(db: _Connection) -> list[list[tuple[Any, ...]]]:
            if self._graph:
                db.execute(f"SET LOCAL hnsw.ef_search = {max(_MIN_EF, min(count, _HNSW_MOST))}")
            query = self._sql("SELECT id, vector FROM {} ORDER BY vector <#> %s LIMIT %s")
            cursor = db.cursor(binary=True)
            return [cursor.execute(query, (vector, count)).fetchall() for vector in vectors]

        return [self._unpacked(rows) for rows in self._engine.run(act)]

    def _delete(self, db: _Connection, ids: NDArray[np.int64]) -> None:
        db.execute(self._sql("DELETE FROM {} WHERE id = ANY(%s)"), (ids.tolist(),))

    def _fetch(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._engine.run(
            lambda db: db.cursor(binary=True).execute(self._sql(query), values).fetchall()
        )

    def _sql(self, query: str) -> sql.Composed:
        return sql.SQL(cast(Any, query)).format(self._name)

    def _unpacked(self, rows: list[tuple[Any, ...]]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        ids = np.array([key for key, _ in rows], np.int64)
        packed = b"".join(bytes(vector[4:]) for _, vector in rows)  # after 4 bytes of header
        vectors = np.frombuffer(packed, ">f4").astype(np.float32)
        return ids, vectors.reshape(-1, self._dimension)


def _checked(settings: EngineSettings) -> str:
    """Return where the database is, without a password, if the address is valid and allowed."""
    try:
        parts = conninfo_to_dict(settings.address)
    except psycopg.Error:
        parts = {}
    if not parts or "password" in parts:
        raise ConfigError(
            f"Setting [engine] address {'contains a password' if parts else 'is no connection string'}",
            "postgresql://user@host/database",
            f"Set address in [engine], and the password in the environment variable {TOKEN}",
        )
    host = str(parts.get("host", ""))
    if host and not host.startswith("/"):
        settings.check_tls(host, encrypted=parts.get("sslmode") in ("verify-ca", "verify-full"))
    return f"{host or 'its socket'}/{parts.get('dbname', '')}"
