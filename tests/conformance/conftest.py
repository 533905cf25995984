"""Indexes under test: of the registry, ours when compressed, and of each installed engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

import numpy as np
import pytest

from gaitid import registry
from gaitid.gallery.index.engine import Engine, EngineIndex, connect
from gaitid.gallery.index.faiss_index import FaissIndex
from gaitid.gallery.index.protocol import Index
from gaitid.gallery.index.ranking import best, exact_scores
from tests import engines

_MARKS = {"milvus-lite": pytest.mark.slow, "pgvector": pytest.mark.slow, "milvus-server": pytest.mark.long}
INDEXES = [
    *registry.names("indexes"),
    "segmented",
    *(pytest.param(name, marks=_MARKS[name]) for name in engines.NAMES),
]
_numbers = count(1)


class Segmented(FaissIndex):
    """The default index above its switch point, with candidates scored exactly, like a gallery."""

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension, self._recall, exact_up_to=20, tail=16)
        self._kept: dict[int, np.ndarray] = {}

    def _recall(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ids = np.unique(ids)
        rows = [self._kept[key] for key in ids.tolist()]
        return ids, np.array(rows, np.float32).reshape(len(ids), self.dimension)

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        before = self._kept
        self._kept = {**before, **dict(zip(ids.tolist(), vectors, strict=False))}  # found as soon as added
        try:
            super().add(ids, vectors)
        except BaseException:
            self._kept = before
            raise

    def search(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        near, _ = super().search(vectors, 8 * k + 64)
        k = min(k, near.shape[1])
        rows = [exact_scores(self._recall(ids)[1], probe) for ids, probe in zip(near, vectors, strict=True)]
        found = [best(np.unique(ids), scores, k) for ids, scores in zip(near, rows, strict=True)]
        ids = np.array([ids for ids, _ in found], np.int64).reshape(len(vectors), k)
        return ids, np.array([scores for _, scores in found]).reshape(len(vectors), k)


@pytest.fixture(scope="session")
def connected(tmp_path_factory) -> Iterator[Callable[[str], Engine]]:
    """Return a function that connects to an engine, starting it on first use."""
    with ExitStack() as stack:
        found: dict[str, Engine] = {}

        def get(name: str) -> Engine:
            if name not in found:
                server = stack.enter_context(engines.running(name, tmp_path_factory.mktemp(name)))
                found[name] = connect(engines.BACKENDS[name], server.settings)
                stack.callback(found[name].close)
            return found[name]

        yield get


@pytest.fixture
def maker(connected) -> Iterator[Callable[[str], Callable[[int], Index]]]:
    """Return the factory of an index by name; tables created in engines are dropped."""
    with ExitStack() as stack:

        def of(name: str) -> Callable[[int], Index]:
            if name == "segmented":
                return Segmented
            if name not in engines.NAMES:
                return registry.resolve("indexes", name)
            engine = connected(name)

            def make(dimension: int) -> Index:
                table = f"gaitid_conformance_{next(_numbers)}"
                stack.callback(engine.drop, table)
                return EngineIndex(dimension, engine.table(table, dimension))

            return make

        yield of
