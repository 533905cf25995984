"""Galleries in Milvus: one collection each. The only file that imports pymilvus.

A server, a cluster and a milvus-lite file accept the same calls. Milvus applies a write after it has
acknowledged it; the consistency level sets what a read waits for. ``strong`` waits for all earlier writes,
which costs up to a few tenths of a second a read. ``session`` waits for the last write of this client,
which is the same while one process writes a collection. Ids are always read with ``strong``.

Source: Wang et al. 2021, "Milvus: A purpose-built vector data management system", SIGMOD.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from gaitid.errors import ConfigError, EngineError, EngineUnreachable
from gaitid.gallery.index.engine import TOKEN, EngineSettings

_INDEXES: dict[str, tuple[str, dict[str, int]]] = {
    "exact": ("FLAT", {}),
    "hnsw": ("HNSW", {"M": 16, "efConstruction": 200}),
}
_MOST = 16_384
"""Largest result of one search or query; Milvus's own limit."""
_AT_ONCE = 1_000
"""Ids in one request."""
_MIN_EF = 128
_BUILD_S = 3600.0
"""Seconds that loading a collection and building its graph may take."""
_UNREACHABLE = (
    *("UNAVAILABLE", "DEADLINE_EXCEEDED", "Fail connecting", "Retry timeout"),
    *("failed to connect", "not ready", "not healthy"),  # some of its services are still starting
)


class MilvusEngine:
    """A connection to Milvus; see `engine.Engine`."""

    def __init__(self, settings: EngineSettings, token: str) -> None:
        self._settings = settings
        with _typed(settings.address):
            self._client = MilvusClient(
                uri=_checked(settings),
                token=token,
                timeout=settings.timeout_s,
                **({"server_pem_path": str(settings.tls_ca)} if settings.tls_ca else {}),
            )

    def table(self, name: str, dimension: int) -> MilvusTable:
        """See `engine.Engine.table`; a collection built for another kind of search is indexed again."""
        kind, build = _INDEXES[self._settings.search]
        client = self._client
        parameters = client.prepare_index_params()
        parameters.add_index("vector", index_type=kind, metric_type="IP", params=build)
        with _typed(self._settings.address):
            if not client.has_collection(name, timeout=self._settings.timeout_s):
                schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
                schema.add_field("id", DataType.INT64, is_primary=True)
                schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
                client.create_collection(
                    name, schema=schema, index_params=parameters, consistency_level="Strong", timeout=_BUILD_S
                )
            else:
                found = client.describe_index(name, "vector", timeout=self._settings.timeout_s)
                if found is None or found["index_type"] != kind:  # None: its creator was killed
                    client.release_collection(name, timeout=_BUILD_S)
                    client.drop_index(name, "vector", timeout=self._settings.timeout_s)
                    client.create_index(name, parameters, timeout=_BUILD_S)
            client.load_collection(name, timeout=_BUILD_S)
        return MilvusTable(client, name, dimension, self._settings)

    def drop(self, name: str) -> None:
        """See `engine.Engine.drop`."""
        with _typed(self._settings.address):
            self._client.drop_collection(name, timeout=self._settings.timeout_s)
        if name in self.names(name):
            raise EngineError(
                f"Milvus still lists the dropped collection {name}", "no such collection", "Read Milvus's log"
            )

    def names(self, prefix: str) -> list[str]:
        """See `engine.Engine.names`."""
        with _typed(self._settings.address):
            found = self._client.list_collections(timeout=self._settings.timeout_s)
        return sorted(name for name in found if name.startswith(prefix))

    def close(self) -> None:
        """See `engine.Engine.close`."""
        self._client.close()


class MilvusTable:
    """One collection; see `engine.Table`."""

    most = _MOST

    def __init__(self, client: MilvusClient, name: str, dimension: int, settings: EngineSettings) -> None:
        self._client = client
        self._name = name
        self._dimension = dimension
        self._settings = settings

    def put(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """See `engine.Table.put`."""
        rows = [{"id": key, "vector": vector} for key, vector in zip(ids.tolist(), vectors, strict=True)]
        if rows:
            self._call(self._client.upsert, data=rows)

    def delete(self, ids: NDArray[np.int64]) -> None:
        """See `engine.Table.delete`."""
        for part in _parts(ids):
            self._call(self._client.delete, ids=part.tolist())

    def ids(self, among: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """See `engine.Table.ids`.

        Raises:
            EngineError: Milvus returns another number of rows than it counts.
        """
        if among is not None:
            return np.sort(_ids([row for part in _parts(among) for row in self._named(part, "id", "Strong")]))
        pages, last = [np.empty(0, np.int64)], -1
        while True:  # a query returns the lowest ids first
            page = _ids(self._query(f"id > {last}", "id", "Strong", limit=_MOST))
            if not len(page):
                break
            pages.append(page)
            last = int(page.max())
        found = np.unique(np.concatenate(pages))
        ((count,),) = (row.values() for row in self._query("", "count(*)", "Strong"))
        if count != len(found):
            raise EngineError(
                f"Milvus counts {count} rows", f"the {len(found)} that it returns", "Restart Milvus"
            )
        return found

    def rows(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See `engine.Table.rows`."""
        found = [row for part in _parts(ids) for row in self._named(part, "vector", "Session")]
        return _ids(found), self._vectors([row["vector"] for row in found])

    def nearest(
        self, vectors: NDArray[np.float32], count: int
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """See `engine.Table.nearest`."""
        hits = self._call(
            self._client.search,
            data=list(vectors),
            limit=count,
            search_params={"metric_type": "IP", "params": self._effort(count)},
            output_fields=["vector"],
            consistency_level=self._settings.consistency.capitalize(),
        )
        return [(_ids(found), self._vectors([hit["entity"]["vector"] for hit in found])) for found in hits]

    def _effort(self, count: int) -> dict[str, int]:
        return {"ef": max(_MIN_EF, count)} if self._settings.search == "hnsw" else {}

    def _named(self, ids: NDArray[np.int64], field: str, level: str) -> list[dict[str, Any]]:
        return self._query(f"id in {ids.tolist()}", field, level)

    def _query(self, filter: str, field: str, level: str, **limit: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call(
            self._client.query, filter=filter, output_fields=[field], consistency_level=level, **limit
        )
        return found

    def _call(self, method: Callable[..., Any], **arguments: Any) -> Any:
        with _typed(self._settings.address):
            return method(self._name, timeout=self._settings.timeout_s, **arguments)

    def _vectors(self, rows: list[Any]) -> NDArray[np.float32]:
        return np.array(rows, np.float32).reshape(-1, self._dimension)


def _checked(settings: EngineSettings) -> str:
    """Return the address if it is valid and allowed."""
    parts = urlsplit(settings.address)
    if parts.scheme in ("http", "https") and parts.hostname and not parts.password:
        settings.check_tls(parts.hostname, encrypted=parts.scheme == "https")
    elif parts.scheme or not settings.address.endswith(".db"):
        raise ConfigError(
            "Setting [engine] address contains a password"
            if parts.password
            else f"Setting [engine] address is {settings.address!r}",
            "https://host:19530, or a file name.db",
            f"Set address in [engine], and the token in the environment variable {TOKEN}",
        )
    elif not Path(settings.address).absolute().parent.is_dir():
        raise ConfigError(
            f"The directory of {settings.address} does not exist",
            "a file in an existing directory",
            "Create the directory",
        )
    return settings.address


def _parts(ids: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]


def _ids(rows: list[dict[str, Any]]) -> NDArray[np.int64]:
    return np.array([row["id"] for row in rows], np.int64)


@contextmanager
def _typed(address: str) -> Iterator[None]:
    try:
        yield
    except MilvusException as error:
        text = f"{error.code} {error.message}"
        if any(sign in text for sign in _UNREACHABLE):
            raise EngineUnreachable(
                f"Milvus at {address} does not answer",
                "an answer in time",
                "Start Milvus, or raise timeout_s",
            ) from error
        raise EngineError(
            f"Milvus at {address} failed with {text}", "no failure", "Read Milvus's log"
        ) from error
