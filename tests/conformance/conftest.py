"""Indexes to judge: those of the registry, and those of each engine that can be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from gaitid import registry
from gaitid.gallery.engine import Engine, EngineIndex, connect
from gaitid.gallery.index import Index
from tests import engines

_MARKS = {"milvus-lite": pytest.mark.slow, "pgvector": pytest.mark.slow, "milvus-server": pytest.mark.long}
INDEXES = [
    *registry.names("indexes"),
    *(pytest.param(name, marks=_MARKS[name]) for name in engines.NAMES),
]
_numbers = count(1)


@pytest.fixture(scope="session")
def connected(tmp_path_factory) -> Iterator[Callable[[str], Engine]]:
    """Gives a connection to an engine, which is started when first asked for."""
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
    """Gives the maker of an index by name; tables made in engines are dropped."""
    with ExitStack() as stack:

        def of(name: str) -> Callable[[int], Index]:
            if name not in engines.NAMES:
                return registry.resolve("indexes", name)
            engine = connected(name)

            def make(dimension: int) -> Index:
                table = f"gaitid_conformance_{next(_numbers)}"
                stack.callback(engine.drop, table)
                return EngineIndex(dimension, engine.table(table, dimension))

            return make

        yield of
