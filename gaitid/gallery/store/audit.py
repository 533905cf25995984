"""The audit trail of a data directory: who did what to which gallery when, and what for.

An entry's hash covers the entry and the hash before it, so that nothing can be changed, taken out or
put elsewhere without breaking all that follows. What was cut off at the end is told by whoever knows
a later head: the mark (`gallery.mark`), or a signed `AuditHead` that was kept elsewhere.

A subject appears by a pseudonym: 16 random bytes of its row. They are erased with the row, and the
entries then speak of nobody. Entries have no vector, no score, and no subject's id.

A change is recorded within its own transaction. A search is answered first and recorded with the next
transaction, which comes soon (`Flusher`); searches that wait are lost if the process is killed, and
only they.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

from gaitid.caller import Caller, current
from gaitid.errors import AuditBroken, GaitIdError, InputError
from gaitid.gallery.store.traces import SHORTEST_NAME
from gaitid.records import AuditAction, AuditEntry

_LOG = logging.getLogger(__name__)

MOST_WAITING = 1000
"""Searches that may wait to be recorded; the next one waits until they are."""
_KNOWN = 10_000
"""Callers remembered; more are looked up again."""
_ENTRIES = (
    "SELECT number, at, actor, purpose, action, gallery, subject, outcome, revision, count, detail,"
    " reference, hash FROM audit JOIN callers ON callers.id = audit.caller WHERE "
)


class Head(NamedTuple):
    """Number and hash of the last entry of a trail."""

    number: int
    hash: bytes


START = Head(0, bytes(32))
"""Of a trail without entries."""


@dataclass(frozen=True, slots=True)
class Note:
    """What an entry is to say; see `AuditEntry`."""

    action: AuditAction
    gallery: str = ""
    subject: bytes = b""
    outcome: str = "done"
    revision: int = 0
    count: int = 0
    detail: str = ""
    reference: str = ""


class Audit:
    """The trail within an open database.

    Only `queue` and `waiting` may be called at any time; for all else the caller holds the database.

    Args:
        db: The database.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._waiting: deque[tuple[Note, Caller, float]] = deque()
        self._taken: list[tuple[Note, Caller, float]] = []
        self._callers: dict[Caller, int] = {}
        self._fresh: list[Caller] = []  # in `_callers` since the transaction began
        row = db.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
        self.head = self._committed = START if row is None else Head(*row)

    def queue(self, note: Note, caller: Caller) -> int:
        """Have a note written by the next transaction; gives how many wait."""
        self._waiting.append((note, caller, time.time()))
        return self.waiting()

    def waiting(self) -> int:
        """How many notes wait, or are in a transaction that has not ended."""
        return len(self._waiting) + len(self._taken)

    # -- within a transaction ----------------------------------------------------------------------

    def begin(self) -> None:
        """Write what waits."""
        self._fresh = []
        self._taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        for note, caller, at in self._taken:
            self._write(note, caller, at)

    def append(self, note: Note) -> None:
        """Write an entry of the present caller.

        Raises:
            InputError: See `admit`.
        """
        self.admit(current())
        self._write(note, current(), time.time())

    def introduce(self) -> None:
        """Put the present caller on record, before an act whose entry comes when it is done.

        Raises:
            InputError: See `admit`.
        """
        self.admit(current())
        self._caller(current())

    def undo(self, head: Head) -> None:
        """Go back to an earlier head: the database has."""
        self.head = head
        for caller in self._fresh:
            self._callers.pop(caller, None)

    def end(self, *, committed: bool) -> None:
        """Take note of the end of the transaction."""
        if committed:
            self._committed = self.head
        else:
            self.undo(self._committed)
            self._waiting.extendleft(reversed(self._taken))
        self._taken = []

    def _write(self, note: Note, caller: Caller, at: float) -> None:
        entry = AuditEntry(
            self.head.number + 1,
            at,
            caller.actor,
            caller.purpose,
            note.action.value,
            note.gallery,
            note.subject.hex(),
            note.outcome,
            note.revision,
            note.count,
            note.detail,
            note.reference,
        )
        head = Head(entry.number, link(self.head.hash, entry))
        self._db.execute(
            "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                entry.number,
                at,
                self._caller(caller),
                entry.action,
                note.gallery,
                note.subject,
                note.outcome,
                note.revision,
                note.count,
                note.detail,
                bytes.fromhex(note.reference) or None,
                head.hash,
            ),
        )
        self.head = head

    def _caller(self, caller: Caller) -> int:
        if not self._is_on_record(caller):
            row = self._db.execute(
                "INSERT INTO callers (actor, purpose) VALUES (?, ?) RETURNING id", astuple(caller)
            ).fetchone()
            self._keep(caller, row[0])
            self._fresh.append(caller)
        return self._callers[caller]

    def _is_on_record(self, caller: Caller) -> bool:
        if caller in self._callers:
            return True
        row = self._db.execute(
            "SELECT id FROM callers WHERE actor = ? AND purpose = ?", astuple(caller)
        ).fetchone()
        if row is not None:
            self._keep(caller, row[0])
        return row is not None

    def _keep(self, caller: Caller, key: int) -> None:
        if len(self._callers) >= _KNOWN:
            self._callers.clear()
        self._callers[caller] = key

    # -- no names ----------------------------------------------------------------------------------

    def knows(self, caller: Caller) -> bool:
        """True when it is certain that this caller is on record."""
        return caller in self._callers

    def admit(self, caller: Caller) -> None:
        """Return if a caller is on record, or may be.

        Raises:
            InputError: Actor or purpose contain the id of a subject, which they would outlast.
        """
        if not self._is_on_record(caller):
            self.admit_words(caller.actor, "actor")
            self.admit_words(caller.purpose, "purpose")

    def admit_words(self, text: str, what: str) -> None:
        """Return if a text may be kept for ever.

        Raises:
            InputError: It contains the id of a subject.
        """
        statement = "SELECT 1 FROM subjects WHERE length(name) >= ? AND instr(?, name) LIMIT 1"
        if self._db.execute(statement, (SHORTEST_NAME, text)).fetchone():
            raise _kept(f"{what} {text!r} contains the id of a subject")

    def admit_subject(self, name: str) -> None:
        """Return if a subject's id is no part of what is kept for ever.

        Raises:
            InputError: An actor or purpose on record, or the name of a gallery, contains it.
        """
        statement = (
            "SELECT 1 FROM callers WHERE instr(actor, ?1) OR instr(purpose, ?1)"
            " UNION ALL SELECT 1 FROM galleries WHERE instr(name, ?1)"
        )
        if len(name) >= SHORTEST_NAME and self._db.execute(statement, (name,)).fetchone():
            raise _kept(f"subject id {name!r} is part of an actor, a purpose or a gallery's name")

    # -- reading -----------------------------------------------------------------------------------

    def hash_at(self, number: int) -> bytes:
        """The hash of an entry; zeros for number 0, empty when there is no such entry."""
        row = self._db.execute("SELECT hash FROM audit WHERE number = ?", (number,)).fetchone()
        return START.hash if not number else b"" if row is None else bytes(row[0])

    def search(self, gallery: str, reference: str) -> AuditEntry | None:
        """The search of that reference in a gallery."""
        row = self._db.execute(
            _ENTRIES + "reference = ? AND gallery = ? AND action IN (?, ?)",
            (bytes.fromhex(reference), gallery, AuditAction.IDENTIFY.value, AuditAction.VERIFY.value),
        ).fetchone()
        return None if row is None else _entry(row)

    def page(self, after: int, count: int, gallery: str = "", subject: bytes = b"") -> list[AuditEntry]:
        """Up to `count` entries after a number; of one gallery and one pseudonym, if given."""
        chosen = " AND gallery = ?" * bool(gallery) + " AND subject = ?" * bool(subject)
        values = [value for value in (gallery, subject) if value]
        rows = self._db.execute(
            f"{_ENTRIES} number > ?{chosen} ORDER BY number LIMIT ?",
            (after, *values, count),
        )
        return [_entry(row) for row in rows]


class Flusher:
    """Calls `flush` in a thread of its own, at the latest `within_s` after each `wake`.

    Args:
        flush: Records the searches that wait; what it raises is logged, and it is called again.
        within_s: Seconds.
    """

    def __init__(self, flush: Callable[[], None], within_s: float) -> None:
        self._flush, self._pause_s = flush, within_s / 2  # the other half is for the commit
        self._due, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="gaitid-audit", daemon=True)
        self._starting = threading.Lock()

    def wake(self) -> None:
        """Something waits."""
        if self._due.is_set():
            return
        self._due.set()
        with self._starting:
            if not self._thread.ident and not self._closed.is_set():
                self._thread.start()

    def close(self) -> None:
        """End the thread, without a last flush."""
        with self._starting:
            self._closed.set()
            self._due.set()
        if self._thread.ident:
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._due.wait()
            if self._closed.wait(self._pause_s):
                return
            self._due.clear()
            try:
                self._flush()
            except GaitIdError as error:
                _LOG.error("searches wait to be recorded: %s", error.code)
                self._due.set()


def link(previous: bytes, entry: AuditEntry) -> bytes:
    """The hash of an entry that follows the entry with the hash `previous`."""
    return hashlib.sha256(previous + entry.statement()).digest()


def check_chain(entries: Iterable[AuditEntry], begin: Head = START) -> Head:
    """Follow a trail from the entry after `begin` on; gives its last number and hash.

    Raises:
        AuditBroken: An entry was changed, taken out or put elsewhere.
    """
    head = begin
    for entry in entries:
        if entry.number != head.number + 1 or entry.hash != link(head.hash, entry):
            raise broken(f"entry {entry.number} does not follow entry {head.number} as it was")
        head = Head(entry.number, entry.hash)
    return head


def broken(got: str) -> AuditBroken:
    """The error for a trail that is not what it was."""
    return AuditBroken(
        got, "the audit trail as it was recorded", "somebody changed it: compare with a backup"
    )


def _kept(got: str) -> InputError:
    return InputError(
        got, "ids that can be erased: the audit trail keeps such words for ever", "choose another"
    )


def _entry(row: tuple[Any, ...]) -> AuditEntry:
    number, at, actor, purpose, action, gallery, subject, outcome, revision, count, *end = row
    detail, reference, digest = end
    return AuditEntry(
        number,
        at,
        actor,
        purpose,
        action,
        gallery,
        subject.hex(),
        outcome,
        revision,
        count,
        detail,
        (reference or b"").hex(),
        digest,
    )
