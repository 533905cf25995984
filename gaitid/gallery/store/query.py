"""Rows of a query as named tuples, so that no caller depends on the order of the columns."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import partial
from typing import Any, TypeVar

R = TypeVar("R", bound=tuple[Any, ...])
"""A subclass of `NamedTuple`."""


def each(db: sqlite3.Connection, kind: type[R], statement: str, *values: Any) -> Iterator[R]:
    """Yield the rows of a query one by one; its columns have the names of the fields of `kind`.

    Raises:
        TypeError: The columns of the query are not the fields of `kind`.
    """
    cursor = db.execute(statement, values)
    named: Any = kind  # a type variable cannot be bound to NamedTuple
    columns = tuple(name for name, *_ in cursor.description)
    if columns != named._fields:
        raise TypeError(f"{kind.__name__} has fields {named._fields}, the query {columns}")
    return map(partial(tuple.__new__, named), cursor)  # `_make` counts the columns of each row again


def fetch(db: sqlite3.Connection, kind: type[R], statement: str, *values: Any) -> list[R]:
    """Return all rows of a query; see `each`."""
    return list(each(db, kind, statement, *values))


def first(db: sqlite3.Connection, kind: type[R], statement: str, *values: Any) -> R | None:
    """Return the first row of a query, or None; see `each`."""
    return next(each(db, kind, statement, *values), None)


def column(db: sqlite3.Connection, statement: str, *values: Any) -> list[Any]:
    """Return the values of a query with a single column."""
    return [value for (value,) in db.execute(statement, values)]


def value(db: sqlite3.Connection, statement: str, *values: Any) -> Any:
    """Return the first value of a query with a single column."""
    found, *_ = column(db, statement, *values)
    return found


def exists(db: sqlite3.Connection, statement: str, *values: Any) -> bool:
    """Return whether a query has a row."""
    return db.execute(statement, values).fetchone() is not None
