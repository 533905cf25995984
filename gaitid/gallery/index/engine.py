"""Indexes held by an engine outside this process: Milvus, or PostgreSQL with pgvector.

The store remains the source of truth. An engine holds a projection of each gallery in a table of its own:
rows of an id and a vector, without names or scores. A search of one gallery queries one table, so it
cannot see another's rows. An engine cannot encrypt: it holds vectors as they are.

An engine supplies a shortlist. Its rows are scored here like those of any other index, and ids unknown to
this process are dropped, so an engine that lags never returns a removed row.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gaitid import registry
from gaitid.errors import ConfigError, EngineError
from gaitid.gallery.index.protocol import already_in_index, check_vectors, not_in_index, unequal_counts
from gaitid.gallery.index.ranking import SHORTLIST_TOLERANCE, among, best, exact_scores
from gaitid.settings import is_loopback

TOKEN = "GAITID_ENGINE_TOKEN"  # noqa: S105
"""Environment variable with the engine's password or token."""

SEARCHES = ("exact", "hnsw")
CONSISTENCIES = ("strong", "session")

_SPARE = 8
_BLOCK_BYTES = 4 << 20
"""Bytes of vectors per request: 4,096 rows of 256 dimensions."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The table ``[engine]`` of ``server.toml``; ignored unless the index is an engine.

    Attributes:
        address: Milvus: ``https://host:19530``, or a file ``name.db`` for milvus-lite. PostgreSQL: a
            connection string without a password, such as ``postgresql://gaitid@host/gaitid``. The
            password or token comes from the environment variable GAITID_ENGINE_TOKEN.
        search: ``exact`` scans all rows; ``hnsw`` searches a graph, which may miss some.
        consistency: Milvus only. ``strong`` waits for all earlier writes of every client, ``session`` for
            those of this process; the two are equal while this process is the only writer. PostgreSQL is
            always strong.
        timeout_s: Limit for one request, seconds.
        tls_ca: PEM file of the certificate authority for Milvus; None = those of the system.
        insecure: Allow an engine on another host without TLS.
        unsealed: Allow an engine although templates are encrypted here: the engine stores them in clear.
    """

    address: str = ""
    search: str = "exact"
    consistency: str = "strong"
    timeout_s: float = 5.0
    tls_ca: Path | None = None
    insecure: bool = False
    unsealed: bool = False

    def __post_init__(self) -> None:
        for key, allowed in (("search", SEARCHES), ("consistency", CONSISTENCIES)):
            if getattr(self, key) not in allowed:
                raise ConfigError(
                    f"Setting [engine] {key} is {getattr(self, key)!r}",
                    f"one of {', '.join(allowed)}",
                    f"Set {key} = {allowed[0]!r}",
                )
        if not 0 < self.timeout_s < float("inf"):
            raise ConfigError(
                f"Setting [engine] timeout_s is {self.timeout_s}", "a number above 0", "Set 5.0 for 5 seconds"
            )

    def check_tls(self, host: str, *, encrypted: bool) -> None:
        """Raise `ConfigError` when vectors would travel unencrypted to another host."""
        if not (encrypted or self.insecure or is_loopback(host)):
            raise ConfigError(
                f"The engine at {host} is on another host, without TLS",
                "TLS: https, or sslmode=verify-full",
                "Use TLS, or set insecure = true",
            )


class Table(Protocol):
    """The rows of one gallery in an engine; any number of threads may use it.

    All methods raise `EngineUnreachable` when the engine does not answer in time, and `EngineError` when
    it refuses. Every call after `put` or `delete` sees their effect.
    """

    most: int
    """Largest count that `nearest` accepts."""

    def put(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Write rows: `ids` (M,), not negative, and `vectors` (M, D); rows with these ids are replaced."""
        ...

    def delete(self, ids: NDArray[np.int64]) -> None:
        """Delete the rows of `ids` (M,); missing rows are ignored."""
        ...

    def ids(self, among: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return the ids of all rows, or of those `among` the given ones, ascending, as of now."""
        ...

    def rows(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return which rows of `ids` exist, in any order."""
        ...

    def nearest(
        self, vectors: NDArray[np.float32], count: int
    ) -> Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """For each of `vectors` (N, D), find the rows of the `count` largest inner products, unordered."""
        ...


class Engine(Protocol):
    """A connection to an engine; constructed as ``Engine(settings, token)``."""

    def table(self, name: str, dimension: int) -> Table:
        """Open the table of that name; create it if necessary."""
        ...

    def drop(self, name: str) -> None:
        """Delete a table with its rows; a missing table is ignored."""
        ...

    def names(self, prefix: str) -> list[str]:
        """List the tables whose names begin with `prefix`."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


def connect(name: str, settings: EngineSettings) -> Engine:
    """Connect to the engine of that name in `registry.ENGINES`.

    Raises:
        ConfigError: The address is invalid.
        EngineUnreachable: The engine does not answer.
        MissingDependency: Its client package is not installed.
    """
    engine: Engine = registry.resolve("engines", name)(settings, os.environ.get(TOKEN, ""))
    return engine


_Scored = tuple[NDArray[np.int64], NDArray[np.float64]]


class EngineIndex:
    """The index of one gallery in an engine; see `protocol.Index`.

    It keeps its ids in this process (8 bytes a row), so a repeated or unknown id fails without a request.
    Everything else is asked of the engine.
    """

    def __init__(self, dimension: int, table: Table) -> None:
        self.dimension = dimension
        self._table = table
        self._ids = table.ids()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """See `Index.add`; many rows are written in blocks, one request each."""
        check_vectors(vectors, self.dimension)
        if len(ids) != len(vectors):
            raise unequal_counts(ids, vectors)
        ordered = np.sort(ids)
        if among(self._ids, ids).any() or (ordered[1:] == ordered[:-1]).any():
            raise already_in_index()
        for part in blocks(len(ids), self.dimension):
            self._table.put(ids[part], np.ascontiguousarray(vectors[part]))
        self._ids = np.insert(self._ids, np.searchsorted(self._ids, ordered), ordered)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """See `Index.remove`; the engine must confirm that the rows are gone.

        Raises:
            EngineError: The engine still holds a row.
        """
        self._require(ids)
        if not len(ids):
            return
        self._ids = np.delete(self._ids, np.searchsorted(self._ids, ids))  # first: searches drop them now
        self._table.delete(ids)
        left = len(self._table.ids(ids))
        if left:
            raise EngineError(
                f"The engine still holds {left} deleted rows", "none of them", "Read the engine's log"
            )

    def ids(self, among: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """See `Index.ids`."""
        return self._ids if among is None else self._table.ids(among)

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Index.vectors`.

        Raises:
            EngineError: The engine has lost a row.
        """
        self._require(ids)
        wanted, back = np.unique(ids, return_inverse=True)
        if not len(wanted):
            return np.empty((0, self.dimension), np.float32)
        found, rows = self._table.rows(wanted)
        order = np.argsort(found)
        if not np.array_equal(found[order], wanted):
            raise EngineError(
                f"The engine has {len(found)} of {len(wanted)} rows",
                "all of them",
                "Restart gaitid, which repairs the engine",
            )
        return rows[order][back]

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """See `Index.search`; as exact as the engine's search, and an approximate one may find fewer."""
        check_vectors(vectors, self.dimension)
        known = self._ids
        k = min(k, len(known))
        if k == 0 or not len(vectors):
            return np.empty((len(vectors), k), np.int64), np.empty((len(vectors), k))
        near = self._near(known, np.ascontiguousarray(vectors), k)
        k = min(k, *(len(ids) for ids, _ in near))
        found = [best(*scored, k) for scored in near]
        return np.array([ids for ids, _ in found], np.int64), np.array([scores for _, scores in found])

    def _near(self, known: NDArray[np.int64], vectors: NDArray[np.float32], k: int) -> list[_Scored]:
        """Ids and exact scores that certainly include the best k of each probe; see `faiss_index._near`."""
        fetch = k + _SPARE
        while fetch <= self._table.most:
            near = []
            for probe, (ids, rows) in zip(vectors, self._table.nearest(vectors, fetch), strict=True):
                scores, is_known = exact_scores(rows, probe), among(known, ids)
                near.append((ids[is_known], scores[is_known]))
                if len(ids) == fetch and not _is_clear(near[-1][1], scores.min(), k):
                    break
            else:
                return near
            fetch = self._table.most if fetch < self._table.most < 4 * fetch else 4 * fetch
        return [self._best_of_all(known, probe, k) for probe in vectors]

    def _best_of_all(self, known: NDArray[np.int64], probe: NDArray[np.float32], k: int) -> _Scored:
        """Read all rows: slow, for counts beyond what one search of the engine returns."""
        ids, scores = np.empty(0, np.int64), np.empty(0)
        for part in blocks(len(known), self.dimension):
            found, rows = self._table.rows(known[part])
            ids = np.concatenate((ids, found))
            scores = np.concatenate((scores, exact_scores(rows, probe)))
            ids, scores = best(ids, scores, min(k, len(ids)))
        return ids, scores

    def _require(self, ids: NDArray[np.int64]) -> None:
        if not among(self._ids, ids).all():
            raise not_in_index()


def blocks(count: int, dimension: int) -> Iterator[slice]:
    """Split 0..count into slices of as many vectors as one request should carry."""
    size = max(1, _BLOCK_BYTES // (4 * dimension))
    for start in range(0, count, size):
        yield slice(start, start + size)


def _is_clear(scores: NDArray[np.float64], lowest: float, k: int) -> bool:
    """Whether no unfetched row can be among the best k, however the engine rounds."""
    if len(scores) < k:
        return False
    return bool(np.partition(scores, len(scores) - k)[len(scores) - k] - lowest > 2 * SHORTLIST_TOLERANCE)
