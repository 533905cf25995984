"""The database file: who owns it, its layout, how it is brought up to date, its failures as typed errors."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from pathlib import Path

from gaitid.errors import StoreCorrupt, StoreError, StoreLocked, StoreReadOnly

DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Error numbers of a file system that may not be written."""
_FULL = (errno.ENOSPC, errno.EDQUOT)

# The n-th entry brings a database from schema version n to n + 1; entries are never changed.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE galleries (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            encoder TEXT NOT NULL,
            contract TEXT NOT NULL,
            dimension INTEGER NOT NULL,
            threshold REAL NOT NULL,
            review_band REAL NOT NULL,
            revision INTEGER NOT NULL,
            created_at REAL NOT NULL
        ) STRICT""",
        """CREATE TABLE subjects (
            id INTEGER PRIMARY KEY,
            gallery INTEGER NOT NULL REFERENCES galleries (id) ON DELETE CASCADE,
            name TEXT NOT NULL,
            enrolled_at REAL NOT NULL,
            UNIQUE (gallery, name)
        ) STRICT""",
        """CREATE TABLE templates (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            subject INTEGER NOT NULL REFERENCES subjects (id) ON DELETE CASCADE,
            vector BLOB NOT NULL,
            quality TEXT,
            camera TEXT NOT NULL,
            track INTEGER NOT NULL,
            enrolled_at REAL NOT NULL
        ) STRICT""",
        "CREATE INDEX templates_by_subject ON templates (subject)",
    ),
    (
        "ALTER TABLE galleries ADD COLUMN fusion TEXT NOT NULL DEFAULT 'max'",
        "ALTER TABLE galleries ADD COLUMN target_fmr REAL",
        "ALTER TABLE galleries ADD COLUMN target_fpir REAL",
        "ALTER TABLE galleries ADD COLUMN margin REAL NOT NULL DEFAULT 0",
        "ALTER TABLE galleries ADD COLUMN max_matches INTEGER NOT NULL DEFAULT 0",
        """CREATE TABLE calibrations (
            gallery INTEGER PRIMARY KEY REFERENCES galleries (id) ON DELETE CASCADE,
            contract TEXT NOT NULL,
            law TEXT NOT NULL
        ) STRICT""",
    ),
    (
        "ALTER TABLE subjects ADD COLUMN key_name TEXT",  # NULL: its templates are not sealed
        "ALTER TABLE subjects ADD COLUMN data_key BLOB",
    ),
    (
        "ALTER TABLE subjects ADD COLUMN legal_basis TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE subjects ADD COLUMN purpose TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE subjects ADD COLUMN reference TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE subjects ADD COLUMN expires_at REAL",
        "ALTER TABLE subjects ADD COLUMN legal_hold INTEGER NOT NULL DEFAULT 0",
    ),
    (
        "CREATE TABLE state (name BLOB NOT NULL, secret BLOB NOT NULL, changes INTEGER NOT NULL) STRICT",
        "INSERT INTO state VALUES (randomblob(16), randomblob(32), 0)",
    ),
)
SCHEMA = len(_MIGRATIONS)
"""Version of the database layout, kept in ``PRAGMA user_version``."""


def take_lock(path: Path) -> int:
    """Own the directory of a lock file, which is made: an exclusive `flock`, which ends with the process.

    Raises:
        StoreLocked: Another process owns it.
        StoreReadOnly: It cannot be made or written.
        StoreError: The disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # others have no business here
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        kind = StoreError if error.errno in _FULL else StoreReadOnly
        raise kind(
            f"{path.parent} cannot be written ({error.strerror})",
            "a directory that this user can make and write",
            "choose another, free disk space or correct its permissions",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreLocked(
            f"{path.parent} is in use", "one owner", "stop the other server or choose another directory"
        ) from error
    return lock


def open_database(path: Path) -> sqlite3.Connection:
    """Open or make the database, checked and of the present layout.

    Raises:
        StoreReadOnly: It cannot be written.
        StoreCorrupt: It is damaged, of a newer gaitid, or of another program.
        StoreError: It cannot be used for another reason.
    """
    db = None
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        _check_health(db, path)
        mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(f"{path} has journal mode {mode}", "WAL", "use a local file system")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA temp_store = MEMORY")  # no template in the system's temporary directory
        _migrate(db)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # a deletion cut short is finished here
        return db
    except BaseException as error:
        if db is not None:
            db.close()
        if isinstance(error, OSError | sqlite3.Error):
            raise typed(error, path) from error
        raise


def _check_health(db: sqlite3.Connection, path: Path) -> None:
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise corrupt(path, found)
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA:
        raise StoreCorrupt(
            f"{path} has schema version {version}", f"{SCHEMA} or older", "open it with a newer gaitid"
        )
    if version == 0 and db.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise corrupt(path, "it belongs to another program")


def _migrate(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")  # also finds out here that the database cannot be written
    version = db.execute("PRAGMA user_version").fetchone()[0]
    for statements in _MIGRATIONS[version:]:
        for statement in statements:
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA}")
    db.execute("COMMIT")


def typed(error: BaseException, path: Path) -> BaseException:
    """The gaitid error of a failure of SQLite or of the file system; others stay what they are."""
    if not isinstance(error, OSError | sqlite3.Error):
        return error
    text = str(error)
    if "readonly" in text or (isinstance(error, OSError) and error.errno in DENIED):
        return StoreReadOnly(
            f"{path} cannot be written ({text})", "a writable file", "correct its permissions"
        )
    if "malformed" in text or "not a database" in text:
        return corrupt(path, text)
    return StoreError(f"{path}: {text}", "nothing was changed", "free disk space or repair the disk")


def corrupt(path: Path, what: str) -> StoreCorrupt:
    """The error for a damaged database."""
    return StoreCorrupt(f"{path} is damaged ({what})", "a sound gaitid database", "restore a backup")
