"""The database file: its owner, layout and migrations, and typed errors for its failures."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gaitid.errors import StoreCorrupt, StoreError, StoreLocked, StoreReadOnly
from gaitid.gallery.store import checksums, query

DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Error numbers of a file system that the process may not write."""
FAILURES = (OSError, sqlite3.Error, UnicodeDecodeError)
"""Errors of the file system and of SQLite; the last when an error message includes a damaged text."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
RESERVE = "gaitid.reserve"
"""File that is given up when the disk is full, so that the directory can be opened to search."""
_RESERVE_BYTES = 256 * 1024

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
    (
        "ALTER TABLE galleries ADD COLUMN checksum INTEGER NOT NULL DEFAULT 4611686018427387904",
        "ALTER TABLE subjects ADD COLUMN checksum INTEGER NOT NULL DEFAULT 4611686018427387904",
        "ALTER TABLE templates ADD COLUMN checksum INTEGER NOT NULL DEFAULT 4611686018427387904",
        "ALTER TABLE calibrations ADD COLUMN checksum INTEGER NOT NULL DEFAULT 4611686018427387904",
        "ALTER TABLE state ADD COLUMN marked INTEGER NOT NULL DEFAULT 0",  # changes last written to a mark
        "ALTER TABLE state ADD COLUMN checksum INTEGER NOT NULL DEFAULT 4611686018427387904",
        "UPDATE state SET marked = changes",
    ),
    (
        """CREATE TABLE callers (
            id INTEGER PRIMARY KEY,
            actor TEXT NOT NULL,
            purpose TEXT NOT NULL,
            UNIQUE (actor, purpose)
        ) STRICT""",
        "INSERT INTO callers (actor, purpose) VALUES ('local', ''), ('anonymous', ''), ('gaitid', '')",
        """CREATE TABLE audit (
            number INTEGER PRIMARY KEY,
            at REAL NOT NULL,
            caller INTEGER NOT NULL,
            action TEXT NOT NULL,
            gallery TEXT NOT NULL,
            subject BLOB NOT NULL,
            outcome TEXT NOT NULL,
            revision INTEGER NOT NULL,
            count INTEGER NOT NULL,
            detail TEXT NOT NULL,
            reference BLOB,
            hash BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX audit_by_reference ON audit (reference) WHERE reference IS NOT NULL",
        *(
            f"CREATE TRIGGER no_{act}_of_{table} BEFORE {act} ON {table}"
            " BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
            for table in ("audit", "callers")
            for act in ("UPDATE", "DELETE")
        ),
        "ALTER TABLE subjects ADD COLUMN pseudonym BLOB",
        "UPDATE subjects SET pseudonym = randomblob(16)",
    ),
    (
        # 0: the vector itself; above: under that projection of its gallery
        "ALTER TABLE templates ADD COLUMN generation INTEGER NOT NULL DEFAULT 0",
        """CREATE TABLE projections (
            gallery INTEGER NOT NULL REFERENCES galleries (id) ON DELETE CASCADE,
            generation INTEGER NOT NULL,
            key_name TEXT NOT NULL,
            data_key BLOB NOT NULL,
            checksum INTEGER NOT NULL DEFAULT 4611686018427387904,
            PRIMARY KEY (gallery, generation)
        ) STRICT""",
        """CREATE TABLE cohorts (
            gallery INTEGER PRIMARY KEY REFERENCES galleries (id) ON DELETE CASCADE,
            contract TEXT NOT NULL,
            vectors BLOB NOT NULL,
            generation INTEGER NOT NULL,
            normalisation TEXT NOT NULL,
            law TEXT NOT NULL,
            key_name TEXT,
            data_key BLOB,
            checksum INTEGER NOT NULL DEFAULT 4611686018427387904
        ) STRICT""",
    ),
    (
        "ALTER TABLE galleries ADD COLUMN parts INTEGER NOT NULL DEFAULT 1",
        # 0: galleries of older versions compare as they did until somebody switches profiles on
        "ALTER TABLE galleries ADD COLUMN profiles INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE templates ADD COLUMN direction TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE cohorts ADD COLUMN sites TEXT NOT NULL DEFAULT '[]'",
        """CREATE TABLE profiles (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            gallery INTEGER NOT NULL REFERENCES galleries (id) ON DELETE CASCADE,
            camera TEXT NOT NULL,
            direction TEXT NOT NULL,
            version INTEGER NOT NULL,
            people REAL NOT NULL,
            walks INTEGER NOT NULL,
            weight REAL NOT NULL,
            updated_at REAL NOT NULL,
            stale INTEGER NOT NULL,
            vectors BLOB NOT NULL,
            key_name TEXT,
            data_key BLOB,
            checksum INTEGER NOT NULL DEFAULT 4611686018427387904,
            UNIQUE (gallery, camera, direction)
        ) STRICT""",
        """CREATE TABLE shares (
            id INTEGER PRIMARY KEY,
            profile INTEGER NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
            subject INTEGER NOT NULL REFERENCES subjects (id) ON DELETE CASCADE,
            vector BLOB NOT NULL,
            walks INTEGER NOT NULL,
            seen_at REAL NOT NULL,
            checksum INTEGER NOT NULL DEFAULT 4611686018427387904,
            UNIQUE (profile, subject)
        ) STRICT""",
        "CREATE INDEX shares_by_subject ON shares (subject)",
    ),
    (
        """CREATE TABLE answers (
            number INTEGER PRIMARY KEY,
            name BLOB NOT NULL UNIQUE,
            at REAL NOT NULL,
            digest BLOB NOT NULL,
            answer BLOB NOT NULL,
            checksum INTEGER NOT NULL DEFAULT 4611686018427387904
        ) STRICT""",
    ),
)
SCHEMA = len(_MIGRATIONS)
"""Version of the database layout, stored in ``PRAGMA user_version``."""


def take_lock(path: Path) -> int:
    """Take ownership of the directory of a lock file by an exclusive `flock`, which ends with the process.

    Directory and file are made when they do not exist.

    Raises:
        StoreLocked: Another process owns the directory.
        StoreReadOnly: It cannot be created or written.
        StoreError: The disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # private: it holds biometric data
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        kind = StoreError if error.errno in _FULL else StoreReadOnly
        raise kind(
            f"Directory {path.parent} cannot be written ({error.strerror})",
            "a directory that this user can create and write",
            "Choose another directory, free disk space or correct its permissions",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreLocked(
            f"Directory {path.parent} is in use",
            "a directory that no other process has open",
            "Stop the other server, or choose another directory",
        ) from error
    return lock


_HELD = b"this directory has held galleries\n"


def check_kept(path: Path, lock: int) -> None:
    """Check that the database is still there, if the directory has ever held one.

    Args:
        path: The database file.
        lock: Descriptor of the lock file, in which `remember` noted that there was one.

    Raises:
        StoreCorrupt: It is missing or empty.
    """
    is_there = path.exists() and path.stat().st_size > 0
    if not is_there and os.pread(lock, len(_HELD), 0) == _HELD:
        raise lost(path)


def remember(lock: int) -> None:
    """Note in the lock file that its directory holds a database."""
    if os.pread(lock, len(_HELD), 0) != _HELD:
        os.pwrite(lock, _HELD, 0)
        os.fsync(lock)


def lost(path: Path) -> StoreCorrupt:
    """Error for a directory that has lost its database."""
    state = "is empty" if path.exists() else "is missing"
    return StoreCorrupt(
        f"Database {path} {state}, and its directory has held galleries",
        "the database that was there",
        "Restore a backup into a new directory",
    )


def open_database(path: Path) -> sqlite3.Connection:
    """Open or create the database, checked and migrated to the current layout.

    On a full disk a current database opens, too: a small file beside it is given up for what SQLite needs.

    Raises:
        StoreReadOnly: It cannot be written.
        StoreCorrupt: It is damaged, of a newer gaitid, or of another program.
        StoreError: It cannot be used for another reason.
    """
    reserve = path.with_name(RESERVE)
    try:
        db = _open(path)
    except StoreError as error:
        if type(error) is not StoreError or not reserve.exists():
            raise
        reserve.unlink()
        db = _open(path)
    _lay_up(reserve)
    return db


def _open(path: Path) -> sqlite3.Connection:
    db = None
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        check_health(db, path)
        mode = query.value(db, "PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise StoreError(
                f"Database {path} has journal mode {mode}",
                "journal mode wal",
                "Put the data directory on a local file system",
            )
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA temp_store = MEMORY")  # no template in the system's temporary directory
        _migrate(db)
        checksums.install(db)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # finishes a deletion that was interrupted
        return db
    except BaseException as error:
        if db is not None:
            db.close()
        if isinstance(error, FAILURES):
            raise typed(error, path) from error
        raise


def has_room(directory: Path) -> bool:
    """Whether the disk has room for more than a change or two."""
    try:
        disk = os.statvfs(directory)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize >= _RESERVE_BYTES


def _lay_up(reserve: Path) -> None:
    """Make the reserve, unless the disk is full or it is there."""
    with suppress(OSError):
        if not reserve.exists():
            partial = reserve.with_suffix(".partial")
            try:
                with partial.open("wb") as file:
                    file.write(os.urandom(_RESERVE_BYTES))  # file systems may not store zeros
                    file.flush()
                    os.fsync(file.fileno())
                partial.rename(reserve)
            finally:
                partial.unlink(missing_ok=True)


def check_health(db: sqlite3.Connection, path: Path) -> int:
    """Check pages, layout and rows of a database of any version (4 CPU s per million templates).

    Returns:
        Its schema version; 0 = the database is empty.

    Raises:
        StoreCorrupt: It is damaged, of a newer gaitid, or of another program.
    """
    found = query.value(db, "PRAGMA integrity_check(1)")
    if found != "ok":
        raise corrupt(path, found)
    version = int(query.value(db, "PRAGMA user_version"))
    if version > SCHEMA:
        raise StoreCorrupt(
            f"Database {path} has schema version {version}",
            f"version {SCHEMA} or older",
            "Open it with a newer gaitid",
        )
    if version == 0 and query.exists(db, "SELECT 1 FROM sqlite_master"):
        raise corrupt(path, "it belongs to another program")
    if _layout(db) != _layout_of(version):
        raise corrupt(path, f"its tables do not match schema version {version}")
    if row := checksums.damaged(db) or _stray(db):
        raise corrupt(path, row)
    return version


class _StrayRow(NamedTuple):
    table: str
    rowid: int
    parent: str
    fkid: int


def _stray(db: sqlite3.Connection) -> str:
    found = query.first(db, _StrayRow, "PRAGMA foreign_key_check")
    return f"row {found.rowid} of {found.table} refers to a missing row" if found else ""


def _layout(db: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Return tables with columns, indexes and references; not their SQL text, which SQLite may rewrite."""
    found: list[tuple[object, ...]] = []
    for (table,) in db.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' ORDER BY name"):
        for what in ("table_xinfo", "index_list", "foreign_key_list"):
            rows = db.execute(f"SELECT * FROM pragma_{what}(?)", (table,))  # noqa: S608
            found.extend((table, what, *row) for row in rows)
    return found


def _layout_of(version: int) -> list[tuple[object, ...]]:
    db = sqlite3.connect(":memory:")
    try:
        _run_migrations(db, 0, version)
        return _layout(db)
    finally:
        db.close()


def _migrate(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")  # fails here if the database cannot be written
    version = query.value(db, "PRAGMA user_version")
    if version == SCHEMA:  # nothing to write, which a full disk would refuse
        db.execute("ROLLBACK")
        return
    _run_migrations(db, version, SCHEMA)
    checksums.renew(db)
    db.execute(f"PRAGMA user_version = {SCHEMA}")
    db.execute("COMMIT")


def _run_migrations(db: sqlite3.Connection, start: int, end: int) -> None:
    for statements in _MIGRATIONS[start:end]:
        for statement in statements:
            db.execute(statement)


def force(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def typed(error: BaseException, path: Path) -> BaseException:
    """Return the gaitid error for a failure of SQLite or the file system; other errors stay as they are."""
    if not isinstance(error, FAILURES):
        return error
    text = str(error)
    if "readonly" in text or (isinstance(error, OSError) and error.errno in DENIED):
        return StoreReadOnly(
            f"File {path} cannot be written ({text})", "a writable file", "Correct its permissions"
        )
    if isinstance(error, UnicodeDecodeError) or "malformed" in text or "not a database" in text:
        return corrupt(path, text)
    return StoreError(
        f"Database {path} cannot be used ({text}), and nothing was changed",
        "a disk that works and has free space",
        "Free disk space or repair the disk",
    )


def corrupt(path: Path, what: str) -> StoreCorrupt:
    """Error for a damaged database."""
    return StoreCorrupt(
        f"Database {path} is damaged ({what})", "an undamaged gaitid database", "Restore a backup"
    )
