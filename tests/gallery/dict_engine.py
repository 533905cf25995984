"""An engine of dicts that can fail, lag or lie on request; its tables outlive its connections."""

from __future__ import annotations

import numpy as np

from gaitid.errors import EngineError, EngineUnreachable

TABLES: dict[str, dict[int, np.ndarray]] = {}
FAULTS: set[str] = set()


class DictEngine:
    def __init__(self, settings, token):
        _fail()

    def table(self, name, dimension):
        _fail()
        TABLES.setdefault(name, {})
        return DictTable(name, dimension)

    def drop(self, name):
        _fail()
        TABLES.pop(name, None)

    def names(self, prefix):
        _fail()
        return sorted(name for name in TABLES if name.startswith(prefix))

    def close(self):
        pass


class DictTable:
    most = 64

    def __init__(self, name, dimension):
        self.content, self.dimension = TABLES[name], dimension
        self.ghosts = {}

    def put(self, ids, vectors):
        _fail()
        for number, (key, vector) in enumerate(zip(ids.tolist(), vectors, strict=True)):
            if "half" in FAULTS and number:
                raise EngineUnreachable("cut", "", "")
            self.content[key] = vector.copy()

    def delete(self, ids):
        _fail()
        for key in ids.tolist():
            vector = self.content.get(key) if "keeps" in FAULTS else self.content.pop(key, None)
            if vector is not None and "lags" in FAULTS:
                self.ghosts[key] = vector

    def ids(self, among=None):
        _fail()
        held = np.array(sorted(self.content), np.int64)
        return held if among is None else np.intersect1d(held, among)

    def rows(self, ids):
        _fail()
        found = [key for key in reversed(ids.tolist()) if key in self.content]
        vectors = [self.content[key] for key in found]
        return np.array(found, np.int64), np.array(vectors, np.float32).reshape(-1, self.dimension)

    def nearest(self, vectors, count):
        _fail()
        held = {**self.content, **self.ghosts}
        ids = np.array(list(held), np.int64)
        rows = np.array(list(held.values()), np.float32).reshape(-1, self.dimension)
        order = np.argsort(-(rows @ vectors.T), axis=0)[:count].T  # float32 and any order of equals
        return [(ids[one], rows[one]) for one in order]


def _fail():
    if "down" in FAULTS:
        raise EngineUnreachable("nobody answers", "an answer", "start it")
    if "broken" in FAULTS:
        raise EngineError("it refuses", "no failure", "look at its log")
