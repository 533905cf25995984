"""The store of all galleries: one SQLite database in a data directory of its own.

    <directory>/gaitid.db      galleries, subjects, templates, audit trail (WAL, synchronous=FULL)
    <directory>/gaitid.lock    held by the one process that has the directory open; notes that it held data
    <directory>/gaitid.reserve given up to open the directory on a full disk
    <directory>/gaitid.identity    signs receipts, see `gallery.care.identity`

The database is the truth; indexes follow it and can be rebuilt from it. A change is acknowledged after its
commit has reached the disk, and changes that arrive while a commit is under way share the next one (group
commit). A deletion overwrites what it frees (`secure_delete`) and empties the write-ahead log before it is
acknowledged. No file of the directory then holds the deleted bytes; what the disk underneath keeps of
overwritten blocks is out of reach.

Every change is recorded in the audit trail (`gallery.store.audit`) by the same transaction. Searches are
recorded within the time given when the store is opened.

With a `keys.KeyRing` all vectors are encrypted, and all data keys are wrapped by the key in use. An opening
first brings up to date what is plain or under an older key. Names stay readable.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from gaitid.errors import MissingDependency, StoreError
from gaitid.gallery.store import failpoints
from gaitid.gallery.store.answers import Answers
from gaitid.gallery.store.audit import Note
from gaitid.gallery.store.cameras import CameraStore
from gaitid.gallery.store.connection import Connection
from gaitid.gallery.store.erasure import Erasure
from gaitid.gallery.store.galleries import Galleries
from gaitid.gallery.store.schema import check_kept, remember, take_lock, typed
from gaitid.gallery.store.subjects import Subjects
from gaitid.gallery.store.trail import Trail
from gaitid.records import AuditAction

if TYPE_CHECKING:  # cryptography is imported only by those who use keys
    from gaitid.gallery.store.keys import KeyRing

T = TypeVar("T")

DATABASE, LOCK, IDENTITY = "gaitid.db", "gaitid.lock", "gaitid.identity"

_PAGES, _PAUSE_S = 256, 0.001
"""Pages (of 4 KiB) copied while changes wait, and how long the copy then waits for them, seconds."""


class _NameRow(NamedTuple):
    name: bytes


class Store:
    """The database of a data directory; one process owns it, and any number of its threads may use it.

    Args:
        directory: Data directory; made when it does not exist.
        keys: Encrypt the templates; None = they are not encrypted.
        mark: File that reveals a database that was rolled back; best on another disk. None = no mark.
        audit_within_s: Searches are recorded at most this long after they were answered, seconds; 0 = before.

    Attributes:
        directory: The data directory.
        galleries: Its galleries.
        subjects: Their subjects.
        cameras: Their camera profiles.
        trail: The audit trail.
        answers: Answers of recent changes.

    Raises:
        KeyMissing: Templates are encrypted, and their key is not among `keys`.
        StoreRolledBack: The database is older than its mark.
        AuditBroken: The audit trail is not the one that the mark has seen.
        StoreLocked: Another process, or another store of this process, has it open.
        StoreReadOnly: It cannot be created or written.
        StoreCorrupt: The database is damaged, of a newer gaitid, or of another program.
        StoreError: It cannot be used for another reason, such as a full disk.
    """

    def __init__(
        self,
        directory: str | Path,
        keys: KeyRing | None = None,
        *,
        mark: Path | None = None,
        audit_within_s: float = 1.0,
    ) -> None:
        if sqlite3.sqlite_version_info < (3, 37):
            raise MissingDependency(
                f"SQLite is {sqlite3.sqlite_version}", "version 3.37 or newer", "Use a newer Python build"
            )
        self.directory = Path(directory)
        self._lock_file = take_lock(self.directory / LOCK)
        try:
            check_kept(self.directory / DATABASE, self._lock_file)
            self._connection = Connection(self.directory / DATABASE, keys, mark)
            try:
                remember(self._lock_file)
                self._db, self._commits = self._connection.db, self._connection.commits
                self.galleries = Galleries(self._connection)
                self.subjects = Subjects(self._connection)
                self.cameras = CameraStore(self._connection)
                self.answers = Answers(self._connection)
                self.trail = Trail(self._connection, audit_within_s)
                self._erasure = Erasure(self.directory, self._connection)
                self._seal_rest()
            except BaseException:
                self._connection.close()
                raise
        except BaseException:
            os.close(self._lock_file)
            raise

    def close(self) -> None:
        """Record the searches that wait and release the directory; a second call does nothing.

        Raises:
            StoreError: Searches could not be recorded; the directory is released.
        """
        try:
            self.trail.close()
        finally:
            with self._commits.mutex:
                if self._commits.close():
                    self._connection.close()
                    os.close(self._lock_file)

    @property
    def name(self) -> str:
        """Identifier that no other store has except copies of this one; 32 hexadecimal digits."""
        with self._commits.mutex:
            (state,) = self._commits.read(_NameRow, "SELECT name FROM state")
        return state.name.hex()

    def accepts_changes(self) -> bool:
        """Whether changes are committed; if the last one was not, another one is tried now."""
        if self._commits.refusal is not None and not self._commits.closed:
            with suppress(StoreError):
                self._commits.run(lambda: None)
        return self._commits.refusal is None

    def check_open(self) -> None:
        """Raise `StoreError` after `close`."""
        self._commits.check_open()

    def settle(self) -> None:
        """Wait until the indexes have followed all changes that are committed now."""
        with self._commits.mutex:
            return

    def copy(self, path: Path) -> None:
        """Copy the database to a new file, as it is when the copy ends.

        Changes go on meanwhile, and erasures reach the part that is already copied.

        Raises:
            StoreError: The copy cannot be written, or the store was closed meanwhile.
        """

        def pause(*_: int) -> None:
            failpoints.reached("within backup copy")
            self._commits.mutex.release()
            time.sleep(_PAUSE_S)
            self._commits.mutex.acquire()
            self.check_open()

        try:
            target = sqlite3.connect(path)
            try:
                with self._commits.mutex:
                    self.check_open()
                    self._db.backup(target, pages=_PAGES, progress=pause)
                target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log
            finally:
                target.close()
        except sqlite3.Error as error:
            raise typed(error, path) from error

    def scan(self, traces: tuple[bytes, ...]) -> int:
        """Search all files for traces of erased data; return the number of bytes read.

        A trace does not count if it is part of another text, name or template that is still stored, such as
        the same subject enrolled again. SQLite overwrites what it frees, but leaves copies of rows in pages
        that it has rearranged (3 erasures of 1,000 found one). Then the whole database is rewritten, which
        takes memory for all of it while other changes wait.

        Raises:
            StoreError: A trace is left.
        """
        return self._erasure.scan(traces)

    def empty_log(self) -> None:
        """Empty the write-ahead log, as every erasure does.

        Raises:
            StoreError: It could not be emptied.
        """
        self._erasure.empty_log()

    def rotate_keys(self) -> int:
        """Read the keys again and wrap all data keys by the one in use; return how many were out of date.

        Searches and other changes go on meanwhile. If interrupted, the next call or opening finishes it.

        Raises:
            KeyMissing: The store was opened without keys, or an older key is missing.
            ConfigError: The keys cannot be read.
            InputError: See `Trail.introduce`.
        """

        def begin() -> None:
            self._connection.audit.introduce()
            self._connection.sealing.reload()

        self._commits.run(begin)
        return self._update_keys(always=True)

    def _seal_rest(self) -> None:
        """Bring all keys up to date at an opening; on a full disk that waits for the next one."""
        try:
            self._update_keys(always=False)
        except StoreError as error:
            if type(error) is not StoreError:  # a key is missing, or rows are damaged
                raise

    def _update_keys(self, *, always: bool) -> int:
        """Bring all keys up to date; record it if something changed, or `always`."""
        sealing, count, last = self._connection.sealing, 0, 0
        while done := self._commits.run(partial(self._introduced, partial(sealing.update_some, last))):
            count, last = count + len(done), done[-1]
            failpoints.reached("between rotation commits")
        rest = self._commits.run(partial(self._introduced, sealing.update_rest))
        if count or rest or always:
            has_changed = bool(count or rest)
            self._commits.run(partial(self._note_rotation, count, has_changed=has_changed))
        return count

    def _introduced(self, update: Callable[[], T]) -> T:
        done = update()
        if done:  # at an opening, too
            self._connection.audit.introduce()
        return done

    def _note_rotation(self, count: int, *, has_changed: bool) -> None:
        self._connection.audit.append(Note(AuditAction.ROTATE_KEYS, count=count))
        if has_changed:  # log and free pages still hold what was plain, and what older keys wrapped
            self._commits.require_empty_log()
