"""Indexes that are kept by an engine outside of this process: Milvus, PostgreSQL with pgvector.

The store stays the truth, and what an engine holds of a gallery is its projection, in a table of its
own (`table_name`): rows of an id and a vector, no name, no score. A search of one gallery asks one
table, so it cannot see another's rows. An engine cannot seal: it holds vectors as they are.

An engine makes a short list. The best of it are scored here as by any other index, and ids that this
process does not know are left out, so that an engine that lags never brings back what was removed.
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
from gaitid.errors import ConfigError, EngineError, InputError
from gaitid.gallery.index.exact import SHORTLIST_TOLERANCE, best, exact_scores
from gaitid.settings import is_loopback

TOKEN = "GAITID_ENGINE_TOKEN"  # noqa: S105
"""Environment variable of the password or token that an engine asks for."""

SEARCHES = ("exact", "hnsw")
CONSISTENCIES = ("strong", "session")

_SPARE = 8
_BLOCK_BYTES = 4 << 20
"""Vectors written at once, bytes: 4,096 rows of 256 dimensions."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The table ``[engine]`` of ``server.toml``; without an engine as index nothing of it is used.

    Attributes:
        address: Milvus: ``https://host:19530``, or a file ``name.db`` for milvus-lite. PostgreSQL: a
            connection string without a password, such as ``postgresql://gaitid@host/gaitid``. The
            password or token is that of the environment variable GAITID_ENGINE_TOKEN.
        search: ``exact`` looks at all rows; ``hnsw`` at a graph, and may miss some.
        consistency: Of Milvus. ``strong`` waits for all that anybody wrote before, ``session`` for all
            that this process wrote, which is the same while it alone writes; PostgreSQL is always strong.
        timeout_s: How long one request may take, seconds.
        tls_ca: PEM file of the authority of the certificate of Milvus; None = those of the system.
        insecure: Allow an engine on another host without TLS.
        unsealed: Allow an engine although templates are sealed here: it holds them unsealed.
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
                    f"{key} is {getattr(self, key)!r}", f"one of {', '.join(allowed)}", "correct it"
                )
        if not 0 < self.timeout_s < float("inf"):
            raise ConfigError(f"timeout_s is {self.timeout_s}", "above 0", "correct it")

    def check_tls(self, host: str, *, encrypted: bool) -> None:
        """Raise `ConfigError` when vectors would travel to another host in the open."""
        if not (encrypted or self.insecure or is_loopback(host)):
            raise ConfigError(
                f"the engine at {host} is another host, without TLS",
                "TLS: https, or sslmode=verify-full",
                "use it, or set insecure = true",
            )


class Table(Protocol):
    """The rows of one gallery in an engine; any number of threads may use it.

    All methods raise `EngineUnreachable` when the engine does not answer in time, and `EngineError`
    when it refuses. After `put` and `delete` all later calls see what they did.
    """

    most: int
    """Rows that `nearest` gives at most."""

    def put(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Write rows: `ids` (M,), not negative, and `vectors` (M, D); what has such an id is replaced."""
        ...

    def delete(self, ids: NDArray[np.int64]) -> None:
        """Delete the rows of `ids` (M,); those that are not there are no matter."""
        ...

    def ids(self, among: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Ids of all rows, or of those `among` these, ascending, as of now."""
        ...

    def rows(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Those of the rows of `ids` that are there, in any order."""
        ...

    def nearest(
        self, vectors: NDArray[np.float32], count: int
    ) -> Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """For each of `vectors` (N, D) the rows of the `count` largest inner products, in any order."""
        ...


class Engine(Protocol):
    """A connection to an engine; made by ``Engine(settings, token)``."""

    def table(self, name: str, dimension: int) -> Table:
        """The table of that name, made when there is none."""
        ...

    def drop(self, name: str) -> None:
        """Delete a table with its rows; none of that name is no matter."""
        ...

    def names(self, prefix: str) -> list[str]:
        """Names of the tables that begin so."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...


def connect(name: str, settings: EngineSettings) -> Engine:
    """Connect to the engine of that name in `registry.ENGINES`.

    Raises:
        ConfigError: The address is none.
        EngineUnreachable: Nobody answers there.
        MissingDependency: Its client package is not installed.
    """
    engine: Engine = registry.resolve("engines", name)(settings, os.environ.get(TOKEN, ""))
    return engine


_Scored = tuple[NDArray[np.int64], NDArray[np.float64]]


class EngineIndex:
    """The index of one gallery in an engine; see `index.Index`.

    It knows its ids (8 bytes a row in this process), so that a repeated or unknown one is an error
    without a request. All else is asked of the engine.
    """

    def __init__(self, dimension: int, table: Table) -> None:
        self.dimension = dimension
        self._table = table
        self._ids = table.ids()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """See `Index.add`; many rows are written in blocks, each on its own."""
        self._check(vectors)
        if len(ids) != len(vectors):
            raise InputError(f"{len(ids)} ids, {len(vectors)} vectors", "equal counts", "pass one id each")
        ordered = np.sort(ids)
        if _among(self._ids, ids).any() or (ordered[1:] == ordered[:-1]).any():
            raise InputError("an id is repeated or present already", "new, distinct ids", "remove it first")
        for part in blocks(len(ids), self.dimension):
            self._table.put(ids[part], np.ascontiguousarray(vectors[part]))
        self._ids = np.insert(self._ids, np.searchsorted(self._ids, ordered), ordered)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """See `Index.remove`; the engine is asked whether they are gone.

        Raises:
            EngineError: It still holds one.
        """
        self._require(ids)
        if not len(ids):
            return
        self._ids = np.delete(self._ids, np.searchsorted(self._ids, ids))  # before they are not found
        self._table.delete(ids)
        left = len(self._table.ids(ids))
        if left:
            raise EngineError(f"the engine holds {left} rows", "none of those deleted", "look at its log")

    def ids(self, among: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """See `Index.ids`."""
        return self._ids if among is None else self._table.ids(among)

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Index.vectors`.

        Raises:
            EngineError: The engine has lost one.
        """
        self._require(ids)
        wanted, back = np.unique(ids, return_inverse=True)
        if not len(wanted):
            return np.empty((0, self.dimension), np.float32)
        found, rows = self._table.rows(wanted)
        order = np.argsort(found)
        if not np.array_equal(found[order], wanted):
            raise EngineError(
                f"the engine has {len(found)} of {len(wanted)} rows", "all", "restart, and it is repaired"
            )
        return rows[order][back]

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """See `Index.search`; as exact as the engine's own, and an approximate one may find fewer."""
        self._check(vectors)
        known = self._ids
        k = min(k, len(known))
        if k == 0 or not len(vectors):
            return np.empty((len(vectors), k), np.int64), np.empty((len(vectors), k))
        near = self._near(known, np.ascontiguousarray(vectors), k)
        k = min(k, *(len(ids) for ids, _ in near))
        found = [best(*scored, k) for scored in near]
        return np.array([ids for ids, _ in found], np.int64), np.array([scores for _, scores in found])

    def _near(self, known: NDArray[np.int64], vectors: NDArray[np.float32], k: int) -> list[_Scored]:
        """Ids and exact scores that surely hold the best k of each probe; see `faiss_index._shortlist`."""
        fetch = k + _SPARE
        while fetch <= self._table.most:
            near = []
            for probe, (ids, rows) in zip(vectors, self._table.nearest(vectors, fetch), strict=True):
                scores, is_known = exact_scores(rows, probe), _among(known, ids)
                near.append((ids[is_known], scores[is_known]))
                if len(ids) == fetch and not _is_clear(near[-1][1], scores.min(), k):
                    break
            else:
                return near
            fetch = self._table.most if fetch < self._table.most < 4 * fetch else 4 * fetch
        return [self._best_of_all(known, probe, k) for probe in vectors]

    def _best_of_all(self, known: NDArray[np.int64], probe: NDArray[np.float32], k: int) -> _Scored:
        """Reads all rows: slow, for when more are wanted than one search of the engine gives."""
        ids, scores = np.empty(0, np.int64), np.empty(0)
        for part in blocks(len(known), self.dimension):
            found, rows = self._table.rows(known[part])
            ids = np.concatenate((ids, found))
            scores = np.concatenate((scores, exact_scores(rows, probe)))
            ids, scores = best(ids, scores, min(k, len(ids)))
        return ids, scores

    def _check(self, vectors: NDArray[np.float32]) -> None:
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension or vectors.dtype != np.float32:
            raise InputError(
                f"vectors are {vectors.shape} {vectors.dtype.name}",
                f"(any, {self.dimension}) float32",
                "use embeddings of the index's dimension",
            )

    def _require(self, ids: NDArray[np.int64]) -> None:
        if not _among(self._ids, ids).all():
            raise InputError("an id is not in the index", "ids that were added", "reload the index")


def blocks(count: int, dimension: int) -> Iterator[slice]:
    """Slices of 0..count, of as many vectors each as one request should carry."""
    size = max(1, _BLOCK_BYTES // (4 * dimension))
    for start in range(0, count, size):
        yield slice(start, start + size)


def _among(known: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each of `ids` is one of `known`, which ascend."""
    at = np.searchsorted(known, ids)
    found = at < len(known)
    found[found] = known[at[found]] == ids[found]
    return found


def _is_clear(scores: NDArray[np.float64], lowest: float, k: int) -> bool:
    """Whether no row that was not fetched can be among the best k, however the engine rounds."""
    if len(scores) < k:
        return False
    return bool(np.partition(scores, len(scores) - k)[len(scores) - k] - lowest > 2 * SHORTLIST_TOLERANCE)
