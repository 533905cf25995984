"""Rows are named after the columns of their query, and only the store knows SQL."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

import pytest

from gaitid.gallery.store import query

PACKAGE = Path(query.__file__).resolve().parents[2]


class Pair(NamedTuple):
    one: int
    two: str


@pytest.fixture
def db():
    made = sqlite3.connect(":memory:")
    made.execute("CREATE TABLE pairs (one, two)")
    made.executemany("INSERT INTO pairs VALUES (?, ?)", [(1, "a"), (2, "b")])
    yield made
    made.close()


def test_rows_have_the_names_of_the_columns(db):
    assert query.fetch(db, Pair, "SELECT one, two FROM pairs WHERE one > ?", 1) == [Pair(2, "b")]
    assert query.first(db, Pair, "SELECT one, two FROM pairs ORDER BY one") == Pair(1, "a")
    assert query.first(db, Pair, "SELECT one, two FROM pairs WHERE one = 9") is None


@pytest.mark.parametrize("columns", ["two, one", "one", "one, two, one AS three", "one, two AS too"])
def test_a_query_with_other_columns_is_a_mistake(db, columns):
    with pytest.raises(TypeError, match="Pair has fields"):
        query.fetch(db, Pair, f"SELECT {columns} FROM pairs")  # noqa: S608


def test_single_columns(db):
    assert query.column(db, "SELECT two FROM pairs ORDER BY one") == ["a", "b"]
    assert query.value(db, "SELECT count(*) FROM pairs") == 2
    assert query.exists(db, "SELECT 1 FROM pairs WHERE one = ?", 1)
    assert not query.exists(db, "SELECT 1 FROM pairs WHERE one = ?", 3)


def test_only_the_store_uses_sqlite():
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "import sqlite3" in path.read_text()
    }
    others = {user for user in users if not user.startswith("gallery/store/")}
    assert others <= {"cli/doctor.py"}  # probes whether a folder's file system supports WAL
