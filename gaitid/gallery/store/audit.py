"""The audit trail of a data directory: who did what to which gallery, when, and for what purpose.

The hash of an entry covers the entry and the previous hash, so no entry can be changed, removed or moved
without breaking the chain after it. Entries cut off at the end are detected by comparison with a later head:
the mark (`gallery.store.mark`), or a signed `AuditHead` that is stored elsewhere.

A subject appears under a pseudonym: 16 random bytes of its row. They are erased with the row, and its entries
then refer to nobody. Entries contain no vector, no score and no subject name.

A change is recorded within its own transaction. A search is answered first and recorded with the next
transaction, which follows soon (`Flusher`). If the process is killed, only searches that wait are lost.
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
from typing import NamedTuple

from gaitid.caller import Caller, current
from gaitid.errors import AuditBroken, GaitIdError, InputError
from gaitid.gallery.store import query
from gaitid.gallery.store.traces import SHORTEST_NAME
from gaitid.records import AuditAction, AuditEntry

_LOG = logging.getLogger(__name__)

MOST_WAITING = 1000
"""Searches that may wait to be recorded; the next one is answered after they are."""
MOST_UNWRITTEN = 100_000
"""The same while the disk refuses changes, about 500 bytes each; then searches are refused."""
_KNOWN = 10_000
"""Callers kept in memory; others are looked up again."""
_ENTRIES = (
    "SELECT number, at, actor, purpose, action, gallery, subject, outcome, revision, count AS amount, detail,"
    " reference, hash FROM audit JOIN callers ON callers.id = audit.caller WHERE "
)


class Head(NamedTuple):
    """Number and hash of the last entry of a trail."""

    number: int
    hash: bytes


START = Head(0, bytes(32))
"""Head of an empty trail."""


class _EntryRow(NamedTuple):
    number: int
    at: float
    actor: str
    purpose: str
    action: str
    gallery: str
    subject: bytes
    outcome: str
    revision: int
    amount: int
    detail: str
    reference: bytes | None
    hash: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """The content of a new entry; see `AuditEntry`."""

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

    Only `queue` and `waiting` may be called at any time; for all other methods the caller holds the database.

    Args:
        db: The database.

    Attributes:
        head: The last entry, including those of the transaction under way.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._waiting: deque[tuple[Note, Caller, float]] = deque()
        self._taken: list[tuple[Note, Caller, float]] = []
        self._callers: dict[Caller, int] = {}
        self._fresh: list[Caller] = []  # in `_callers` since the transaction began
        last = query.first(db, Head, "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")
        self.head = self._committed = last or START

    def queue(self, note: Note, caller: Caller) -> int:
        """Queue a note for the next transaction; return how many wait."""
        self._waiting.append((note, caller, time.time()))
        return self.waiting()

    def waiting(self) -> int:
        """Return how many notes wait, or are in a transaction that has not ended."""
        return len(self._waiting) + len(self._taken)

    # -- within a transaction ----------------------------------------------------------------------

    def begin(self) -> None:
        """Write the notes that wait."""
        self._fresh = []
        self._taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        for note, caller, at in self._taken:
            self._write(note, caller, at)

    def append(self, note: Note) -> None:
        """Write an entry of the current caller.

        Raises:
            InputError: See `admit`.
        """
        self.admit(current())
        self._write(note, current(), time.time())

    def introduce(self) -> None:
        """Record the current caller before an action whose own entry is written when it is done.

        Raises:
            InputError: See `admit`.
        """
        self.admit(current())
        self._caller(current())

    def undo(self, head: Head) -> None:
        """Go back to an earlier head, as the database has."""
        self.head = head
        for caller in self._fresh:
            self._callers.pop(caller, None)

    def end(self, *, committed: bool) -> None:
        """End the transaction."""
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
        if not self._is_recorded(caller):
            statement = "INSERT INTO callers (actor, purpose) VALUES (?, ?) RETURNING id"
            self._remember(caller, query.value(self._db, statement, *astuple(caller)))
            self._fresh.append(caller)
        return self._callers[caller]

    def _is_recorded(self, caller: Caller) -> bool:
        if caller in self._callers:
            return True
        statement = "SELECT id FROM callers WHERE actor = ? AND purpose = ?"
        for key in query.column(self._db, statement, *astuple(caller)):
            self._remember(caller, key)
        return caller in self._callers

    def _remember(self, caller: Caller, key: int) -> None:
        if len(self._callers) >= _KNOWN:
            self._callers.clear()
        self._callers[caller] = key

    # -- no names of subjects ----------------------------------------------------------------------

    def knows(self, caller: Caller) -> bool:
        """Return whether this caller is certainly recorded."""
        return caller in self._callers

    def admit(self, caller: Caller) -> None:
        """Return if a caller is recorded, or may be.

        Raises:
            InputError: Actor or purpose contain the name of a subject, which could then never be erased.
        """
        if not self._is_recorded(caller):
            self.admit_words(caller.actor, "Actor")
            self.admit_words(caller.purpose, "Purpose")

    def admit_words(self, text: str, what: str) -> None:
        """Return if a text may be stored forever.

        Args:
            text: The text.
            what: Kind of the text, which begins the error message.

        Raises:
            InputError: It contains the name of a subject.
        """
        statement = "SELECT 1 FROM subjects WHERE length(name) >= ? AND instr(?, name) LIMIT 1"
        if query.exists(self._db, statement, SHORTEST_NAME, text):
            raise _permanent(f"{what} {text!r} contains the name of a subject")

    def admit_subject(self, name: str) -> None:
        """Return if a subject's name is part of no text that is stored forever.

        Raises:
            InputError: A recorded actor or purpose, or the name of a gallery, contains it.
        """
        statement = (
            "SELECT 1 FROM callers WHERE instr(actor, ?1) OR instr(purpose, ?1)"
            " UNION ALL SELECT 1 FROM galleries WHERE instr(name, ?1)"
        )
        if len(name) >= SHORTEST_NAME and query.exists(self._db, statement, name):
            raise _permanent(f"Subject name {name!r} is part of an actor, a purpose or a gallery name")

    # -- reading -----------------------------------------------------------------------------------

    def hash_at(self, number: int) -> bytes:
        """Return the hash of an entry; zeros for number 0, empty when there is no such entry."""
        if not number:
            return START.hash
        return b"".join(query.column(self._db, "SELECT hash FROM audit WHERE number = ?", number))

    def search(self, gallery: str, reference: str) -> AuditEntry | None:
        """Return the search with this reference in a gallery."""
        row = query.first(
            self._db,
            _EntryRow,
            _ENTRIES + "reference = ? AND gallery = ? AND action IN (?, ?)",
            *(bytes.fromhex(reference), gallery, AuditAction.IDENTIFY.value, AuditAction.VERIFY.value),
        )
        return None if row is None else _entry(row)

    def page(self, after: int, count: int, gallery: str = "", subject: bytes = b"") -> list[AuditEntry]:
        """Return up to `count` entries after a number; of one gallery and one pseudonym, if given."""
        chosen = " AND gallery = ?" * bool(gallery) + " AND subject = ?" * bool(subject)
        values = [value for value in (gallery, subject) if value]
        statement = f"{_ENTRIES} number > ?{chosen} ORDER BY number LIMIT ?"
        rows = query.each(self._db, _EntryRow, statement, after, *values, count)
        return [_entry(row) for row in rows]


class Flusher:
    """Calls `flush` in a background thread, at most `within_s` after each `wake`.

    Args:
        flush: Records the searches that wait; an error is logged, and it is called again.
        within_s: Seconds.
    """

    def __init__(self, flush: Callable[[], None], within_s: float) -> None:
        self._flush, self._pause_s = flush, within_s / 2  # the other half is for the commit
        self._due, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="gaitid-audit", daemon=True)
        self._starting = threading.Lock()
        self._fails = False

    def wake(self) -> None:
        """Report that a search waits."""
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
            if self._closed.is_set():  # `close` may have set `_due` just before it was cleared
                return
            try:
                self._flush()
                self._fails = False
            except GaitIdError as error:
                if not self._fails:  # once, not at every attempt
                    _LOG.error("searches wait to be recorded: %s", error.code)
                self._fails = True
                self._due.set()


def link(previous: bytes, entry: AuditEntry) -> bytes:
    """Return the hash of an entry that follows the entry with the hash `previous`."""
    return hashlib.sha256(previous + entry.statement()).digest()


def check_chain(entries: Iterable[AuditEntry], begin: Head = START) -> Head:
    """Check the hash chain of a trail from the entry after `begin` on; return its end.

    Raises:
        AuditBroken: An entry was changed, removed or moved.
    """
    head = begin
    for entry in entries:
        if entry.number != head.number + 1 or entry.hash != link(head.hash, entry):
            raise broken(f"Entry {entry.number} does not follow entry {head.number} as recorded")
        head = Head(entry.number, entry.hash)
    return head


def broken(got: str) -> AuditBroken:
    """Error for a trail that is not what was recorded; `got` is a sentence without a full stop."""
    return AuditBroken(
        got, "the audit trail as it was recorded", "Compare it with a backup to find what was changed"
    )


def _permanent(got: str) -> InputError:
    return InputError(
        got,
        "no name of a subject in words that the audit trail stores forever",
        "Pass other words, or another name",
    )


def _entry(row: _EntryRow) -> AuditEntry:
    return AuditEntry(
        row.number,
        row.at,
        row.actor,
        row.purpose,
        row.action,
        row.gallery,
        row.subject.hex(),
        row.outcome,
        row.revision,
        row.amount,
        row.detail,
        (row.reference or b"").hex(),
        row.hash,
    )
