"""Group commit: whoever finds a commit under way shares the next one.

A change is a function that writes to the database. It is acknowledged after its commit has reached the disk.
Changes that arrive while a commit is under way wait for its end and share one transaction; one that is
refused by its own check, or fails by a mistake of its own, does not harm the others.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

from gaitid.errors import StoreError
from gaitid.gallery.store import failpoints
from gaitid.gallery.store.audit import Audit
from gaitid.gallery.store.mark import Mark, Seen
from gaitid.gallery.store.schema import typed

T = TypeVar("T")

_COUNT = "UPDATE state SET changes = changes + 1 RETURNING changes"
_COUNT_MARKED = "UPDATE state SET changes = changes + 1, marked = changes + 1 RETURNING changes"


def ignore(_: object) -> None:
    """Nothing follows."""


@dataclass(slots=True, eq=False)
class _Task(Generic[T]):
    change: Callable[[], T]
    then: Callable[[T], None]
    erases: bool
    context: Context = field(default_factory=copy_context)  # the audit trail asks who called
    result: list[T] = field(default_factory=list)
    error: BaseException | None = None
    done: bool = False


class Commits:
    """The one that writes to a database; any number of threads may ask it to.

    Args:
        db: The open database.
        path: Its file.
        audit: The trail; what waits to be recorded goes along with every transaction.
        mark: Moved after each commit. None = no mark.

    Attributes:
        mutex: Held by whoever uses the database; within a change it is.
        closed: True after `close`.
    """

    def __init__(self, db: sqlite3.Connection, path: Path, audit: Audit, mark: Mark | None) -> None:
        self._db, self._path, self._audit, self._mark = db, path, audit, mark
        self.mutex = Lock()
        self._waiting: deque[_Task[Any]] = deque()
        self.closed = False

    def close(self) -> bool:
        """Refuse what comes after; true the first time. The caller holds the mutex."""
        first, self.closed = not self.closed, True
        return first

    def check_open(self) -> None:
        """Raise `StoreError` after `close`."""
        if self.closed:
            raise StoreError(f"the store at {self._path.parent} is closed", "an open one", "open it again")

    def read(self, statement: str, *values: Any) -> list[Any]:
        """All rows; the caller holds the mutex.

        Raises:
            StoreError: They cannot be read.
        """
        self.check_open()
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise typed(error, self._path) from error

    def run(self, change: Callable[[], T], then: Callable[[T], None] = ignore, *, erases: bool = False) -> T:
        """Commit a change, alone or with the others that wait; gives its result.

        Args:
            change: Writes; an error takes back what it wrote and is raised here, one of SQLite's from all.
            then: Called with the result after the commit and before any later change; must not raise.
            erases: Also empty the write-ahead log, before this returns.

        Raises:
            StoreError: It is not committed; or it is, and the log could not be emptied.
        """
        task = _Task(change, then, erases)
        self._waiting.append(task)
        with self.mutex:
            if not task.done:
                self._commit_waiting()
        if task.error is not None:
            raise task.error
        return task.result[0]

    def _commit_waiting(self) -> None:
        tasks = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            self._transact(tasks)
            failpoints.reached("before index apply")
            for task in tasks:
                if task.error is None:
                    task.then(task.result[0])
            failpoints.reached("after index apply")
            self._empty_log([task for task in tasks if task.erases and task.error is None])
        except BaseException as error:
            for task in tasks:
                task.error = task.error or typed(error, self._path)
            if not isinstance(error, Exception):
                raise
        finally:
            for task in tasks:
                task.done = True

    def _transact(self, tasks: list[_Task[Any]]) -> None:
        self.check_open()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._audit.begin()
            for task in tasks:
                self._attempt(task)
            (changes,) = self._db.execute(_COUNT if self._mark is None else _COUNT_MARKED).fetchone()
            failpoints.reached("before commit")
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk has rolled back already
                self._db.execute("ROLLBACK")
            self._audit.end(committed=False)
            raise
        self._audit.end(committed=True)
        failpoints.reached("after commit")
        if self._mark is not None:
            self._mark.move(Seen(changes, self._audit.head))
            failpoints.reached("after mark")

    def _attempt(self, task: _Task[Any]) -> None:
        """Run one task of a transaction; one that fails by itself does not harm the others."""
        self._db.execute("SAVEPOINT task")
        head = self._audit.head
        try:
            task.result.append(task.context.run(task.change))
        except sqlite3.Error:  # of the database, so of all
            raise
        except Exception as error:
            task.error = error
            self._db.execute("ROLLBACK TO task")
            self._audit.undo(head)
        self._db.execute("RELEASE task")

    def _empty_log(self, erasures: list[_Task[Any]]) -> None:
        """Finish committed erasures; on failure only they are told, for they alone ask for it."""
        if not erasures:
            return
        failpoints.reached("before log emptied")
        try:
            busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            cause = "another program reads the database" if busy else ""
        except sqlite3.Error as error:
            cause = str(error)
        failpoints.reached("after log emptied")
        for task in erasures:
            if cause:
                task.error = StoreError(
                    f"deleted, but traces remain in the write-ahead log ({cause})",
                    "an empty log",
                    "remove the cause; the next deletion or start empties it",
                )
