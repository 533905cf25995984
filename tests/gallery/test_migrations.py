"""A data directory of each released version opens, loses nothing, and does all that a new one does."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from gaitid.gallery.gallery import Gallery
from gaitid.gallery.index.exact import ExactIndex
from gaitid.gallery.store.database import DATABASE, Store
from gaitid.gallery.store.rows import EnrolmentSample
from gaitid.gallery.store.schema import SCHEMA
from gaitid.records import Fusion, OperatingPoint, Origin

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
VERSIONS = range(1, SCHEMA)


def layout(path: Path) -> list[tuple[str, ...]]:
    with sqlite3.connect(path) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [
            (table, *map(str, row[1:]))
            for table in sorted(tables)
            for row in db.execute(f"PRAGMA table_xinfo({table})")
        ]
        indexes = db.execute("SELECT name FROM sqlite_master WHERE type = 'index' ORDER BY name").fetchall()
    db.close()
    return columns + indexes


@pytest.fixture(params=VERSIONS)
def old(tmp_path, request):
    db = sqlite3.connect(tmp_path / DATABASE)
    db.executescript((FIXTURES / f"store-{request.param}.sql").read_text())
    db.close()
    return tmp_path


def test_every_older_version_has_a_fixture():
    assert len(VERSIONS) == len(list(FIXTURES.glob("store-*.sql"))) > 0


def test_nothing_is_lost(old):
    store = Store(old)
    (row,) = store.galleries.all()
    assert (row.key, row.name, row.encoder, row.contract, row.dimension) == (3, "home", "gei", "c0ffee", 2)
    assert (row.fusion, row.created_at) == (Fusion.MAX, 1795388466.25)
    contents = store.galleries.contents(row)
    assert (contents.ids.tolist(), contents.subjects) == ([1, 2, 5], ["ann", "bob", "ann"])
    assert contents.vectors.tolist() == [[1, 0], [0, 1], [-1, 0]]
    assert contents.revision == 7
    assert contents.policy.operating_point == OperatingPoint(0.5, 0.125)
    assert contents.policy.calibration is None
    store.close()


def test_it_works_as_a_new_one(old):
    store = Store(old)
    gallery = Gallery(store, store.galleries.all()[0], ExactIndex)
    change = gallery.add_templates("bob", [EnrolmentSample(np.array([0, 1], np.float32), None, Origin())])
    assert (change.ids.tolist(), change.revision) == ([6], 8)
    gallery.set_operating_point(OperatingPoint(0.25, margin=0.5))
    gallery.delete_subject("ann")
    store.close()
    store = Store(old)
    contents = store.galleries.contents(store.galleries.all()[0])
    assert (contents.ids.tolist(), contents.revision) == ([2, 6], 10)
    assert contents.policy.operating_point == OperatingPoint(0.25, margin=0.5)
    store.close()


def test_its_layout_is_that_of_a_new_one(old, tmp_path_factory):
    Store(old).close()
    new = tmp_path_factory.mktemp("new")
    Store(new).close()
    assert layout(old / DATABASE) == layout(new / DATABASE)
