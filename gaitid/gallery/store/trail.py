"""The audit trail of a store: what is recorded with a change, and what is recorded soon after a search."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from gaitid.caller import current
from gaitid.errors import DecisionNotFound
from gaitid.gallery.store.audit import MOST_UNWRITTEN, MOST_WAITING, Flusher, Head, Note, broken, check_chain
from gaitid.gallery.store.connection import Connection
from gaitid.gallery.store.rows import GalleryRow
from gaitid.records import AuditAction, AuditEntry, Verdict

_PAGE = 10_000
"""Entries read at once while the trail is verified; changes go on in between."""


class Trail:
    """The audit trail of a database.

    Args:
        connection: The open database.
        within_s: Searches are recorded at most this long after they were answered, seconds; 0 = before.
    """

    def __init__(self, connection: Connection, within_s: float) -> None:
        self._connection = connection
        self._commits, self._audit = connection.commits, connection.audit
        self._flusher = Flusher(self.flush, within_s) if within_s > 0 else None

    def close(self) -> None:
        """Stop recording in the background, and record the searches that wait.

        Raises:
            StoreError: They could not be recorded.
        """
        if self._flusher is not None:
            self._flusher.close()
        if not self._commits.closed:
            self.flush()

    def introduce(self) -> None:
        """Record the caller before an action that is itself recorded when it is done.

        Raises:
            InputError: Actor or purpose contain the name of a subject; the action must not begin.
        """
        self._commits.run(self._audit.introduce)

    def append(self, note: Note) -> None:
        """Record, before this returns, an action that changes nothing in the database.

        Raises:
            InputError: See `introduce`.
        """
        self._commits.run(partial(self._audit.append, note))

    def record(self, note: Note) -> None:
        """Record a search, within the time given when the store was opened.

        Raises:
            InputError: Actor or purpose contain the name of a subject.
            StoreError: The store is closed, or earlier searches cannot be recorded.
        """
        self._commits.check_open()
        if self._flusher is None:
            self.append(note)
            return
        caller = current()
        if not self._audit.knows(caller):
            with self._commits.mutex:
                self._audit.admit(caller)
        waiting = self._audit.queue(note, caller)
        self._flusher.wake()
        if waiting >= (MOST_WAITING if self._commits.refusal is None else MOST_UNWRITTEN):
            self.flush()

    def review(self, gallery: GalleryRow, reference: str, verdict: Verdict) -> int:
        """Record a verdict about a search; return the number of the new entry.

        Raises:
            DecisionNotFound: The gallery's trail has no such search.
        """

        def change() -> int:
            search = self._audit.search(gallery.name, reference)
            if search is None:
                raise DecisionNotFound(
                    f"Gallery {gallery.name!r} has no decision {reference!r}",
                    "the audit_id of a recorded decision",
                    "Pass Decision.audit_id",
                )
            subject, revision = bytes.fromhex(search.subject), search.revision
            self._connection.note(
                AuditAction.REVIEW, gallery, revision, subject, outcome=verdict.value, reference=reference
            )
            return self._audit.head.number

        return self._commits.run(change)

    def entries(self, after: int, count: int, gallery: str = "", pseudonym: bytes = b"") -> list[AuditEntry]:
        """Return up to `count` entries after number `after`; of one gallery or pseudonym, if given."""
        self._commits.check_open()
        self.flush()
        with self._commits.mutex:
            return self._audit.page(after, count, gallery, pseudonym)

    def verify(self) -> Head:
        """Verify the hash chain of the whole trail; return its end.

        Raises:
            AuditBroken: It is not what was recorded.
        """
        self.flush()
        with self._commits.mutex:
            end = self._audit.head
        found = check_chain(self._pages(end.number))
        if found != end:
            raise broken(f"The trail ends with entry {found.number}, not {end.number}")
        return end

    def flush(self) -> None:
        """Record the searches that wait.

        Raises:
            StoreError: They cannot be recorded.
        """
        if self._audit.waiting():
            self._commits.run(lambda: None)

    def _pages(self, last: int) -> Iterator[AuditEntry]:
        for after in range(0, last, _PAGE):
            with self._commits.mutex:
                self._commits.check_open()
                page = self._audit.page(after, min(_PAGE, last - after))
            yield from page
