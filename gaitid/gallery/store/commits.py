"""Group commit: changes that arrive while a commit is under way share the next one.

A change is a function that writes to the database. It is acknowledged after its commit has reached the disk.
Changes that arrive while a commit is under way wait for its end and share one transaction. A change that is
refused by its own check, or fails with an error of its own, does not affect the others.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Generic, NamedTuple, TypeVar

from gaitid.errors import StoreError
from gaitid.gallery.store import failpoints, query
from gaitid.gallery.store.audit import Audit
from gaitid.gallery.store.mark import Mark, Seen
from gaitid.gallery.store.query import R
from gaitid.gallery.store.schema import has_room, typed

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

_COUNT = "UPDATE state SET changes = changes + 1 RETURNING changes"
_COUNT_MARKED = "UPDATE state SET changes = changes + 1, marked = changes + 1 RETURNING changes"


def ignore(_: object) -> None:
    """Do nothing after a commit."""


class _Checkpoint(NamedTuple):
    busy: int
    log: int
    checkpointed: int


@dataclass(slots=True, eq=False)
class _Task(Generic[T]):
    change: Callable[[], T]
    then: Callable[[T], None]
    context: Context = field(default_factory=copy_context)  # the audit trail asks who called
    result: list[T] = field(default_factory=list)
    error: BaseException | None = None
    erases: bool = False
    done: bool = False

    def follow(self) -> None:
        for result in self.result:
            self.then(result)


class Commits:
    """The only writer of a database; any number of threads may submit changes.

    Args:
        db: The open database.
        path: Its file.
        audit: The trail; entries that wait to be recorded go along with every transaction.
        mark: Moved after each commit. None = no mark.

    Attributes:
        mutex: Held by any user of the database; within a change it is held.
        closed: True after `close`.
        refusal: Why changes are refused, such as a full disk; None = they are not.
    """

    def __init__(self, db: sqlite3.Connection, path: Path, audit: Audit, mark: Mark | None) -> None:
        self._db, self._path, self._audit, self._mark = db, path, audit, mark
        self.mutex = Lock()
        self._waiting: deque[_Task[Any]] = deque()
        self._current: _Task[Any] | None = None
        self.closed = False
        self.refusal: StoreError | None = None

    def close(self) -> bool:
        """Refuse all later changes; return True the first time. The caller holds the mutex."""
        first, self.closed = not self.closed, True
        return first

    def check_open(self) -> None:
        """Raise `StoreError` after `close`."""
        if self.closed:
            raise StoreError(
                f"The store at {self._path.parent} is closed",
                "an open store",
                "Open the data directory again",
            )

    def read(self, kind: type[R], statement: str, *values: Any) -> list[R]:
        """Return all rows of a query; the caller holds the mutex.

        Raises:
            StoreError: They cannot be read.
        """
        self.check_open()
        try:
            return query.fetch(self._db, kind, statement, *values)
        except sqlite3.Error as error:
            raise typed(error, self._path) from error

    def execute(self, statement: str) -> None:
        """Run a statement outside any transaction, such as VACUUM; the caller holds the mutex.

        Raises:
            StoreError: It failed.
        """
        self.check_open()
        try:
            self._db.execute(statement)
        except sqlite3.Error as error:
            raise typed(error, self._path) from error

    def run(self, change: Callable[[], T], then: Callable[[T], None] = ignore) -> T:
        """Commit a change, alone or together with the others that wait; return its result.

        Args:
            change: Writes. Its own error undoes what it wrote and is raised here; an SQLite error fails
                all changes of the transaction.
            then: Called with the result after the commit and before any later change; must not raise.

        Raises:
            StoreError: The change is not committed; or it is, and the log could not be emptied.
        """
        task = _Task(change, then)
        self._waiting.append(task)
        with self.mutex:
            if not task.done:
                self._commit_waiting()
        if task.error is not None:
            raise task.error
        (result,) = task.result
        return result

    def require_empty_log(self) -> None:
        """Empty the write-ahead log before the change under way is acknowledged; called within it."""
        if self._current is None:
            raise RuntimeError("no change is under way")
        self._current.erases = True

    def _commit_waiting(self) -> None:
        tasks = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            self._transact(tasks)
            failpoints.reached("before index apply")
            for task in tasks:
                if task.error is None:
                    task.follow()
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
            changes = query.value(self._db, _COUNT if self._mark is None else _COUNT_MARKED)
            failpoints.reached("before commit")
            self._db.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):  # a full disk has rolled back already
                self._db.execute("ROLLBACK")
            self._audit.end(committed=False)
            self._report(typed(error, self._path))
            raise
        self._audit.end(committed=True)
        self._report(None)
        failpoints.reached("after commit")
        if self._mark is not None:
            self._mark.move(Seen(changes, self._audit.head))
            failpoints.reached("after mark")

    def _report(self, refusal: BaseException | None) -> None:
        """Keep why changes are refused, and log it once."""
        if isinstance(refusal, StoreError) and self.refusal is None:
            _LOG.error("changes are refused until this is mended: %s", refusal)
            self.refusal = refusal
        elif refusal is None and self.refusal is not None and has_room(self._path.parent):
            _LOG.info("changes are accepted again")
            self.refusal = None

    def _attempt(self, task: _Task[Any]) -> None:
        """Run one change within the transaction; an error of its own does not affect the others."""
        self._db.execute("SAVEPOINT task")
        head = self._audit.head
        self._current = task
        try:
            task.result.append(task.context.run(task.change))
        except sqlite3.Error:  # of the database, so it fails every change
            raise
        except Exception as error:
            task.error = error
            self._db.execute("ROLLBACK TO task")
            self._audit.undo(head)
        finally:
            self._current = None
        self._db.execute("RELEASE task")

    def _empty_log(self, erasures: list[_Task[Any]]) -> None:
        """Finish committed erasures; a failure is raised from them only, since no other change needs it."""
        if not erasures:
            return
        failpoints.reached("before log emptied")
        try:
            checkpoint = query.first(self._db, _Checkpoint, "PRAGMA wal_checkpoint(TRUNCATE)")
            cause = "another program reads the database" if checkpoint and checkpoint.busy else ""
        except sqlite3.Error as error:
            cause = str(error)
        failpoints.reached("after log emptied")
        for task in erasures:
            if cause:
                task.error = StoreError(
                    f"The deletion is committed, but traces remain in the write-ahead log ({cause})",
                    "an empty log",
                    "Remove the cause; the next deletion or start empties the log",
                )
