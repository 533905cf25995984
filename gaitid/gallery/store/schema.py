"""The database file: who owns it, its layout, how it is brought up to date, its failures as typed errors."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from pathlib import Path

from gaitid.errors import StoreCorrupt, StoreError, StoreLocked, StoreReadOnly
from gaitid.gallery.store import checksums

DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Error numbers of a file system that may not be written."""
FAILURES = (OSError, sqlite3.Error, UnicodeDecodeError)
"""What the file system and SQLite raise; the last when a damaged text is part of an error's message."""
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
    (
        "ALTER TABLE galleries ADD COLUMN checksum INTEGER NOT NULL DEFAULT 4611686018427387904",
        "ALTER TABLE subjects ADD COLUMN checksum INTEGER NOT NULL DEFAULT 4611686018427387904",
        "ALTER TABLE templates ADD COLUMN checksum INTEGER NOT NULL DEFAULT 4611686018427387904",
        "ALTER TABLE calibrations ADD COLUMN checksum INTEGER NOT NULL DEFAULT 4611686018427387904",
        "ALTER TABLE state ADD COLUMN marked INTEGER NOT NULL DEFAULT 0",  # changes last told to a mark
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
        check_health(db, path)
        mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(f"{path} has journal mode {mode}", "WAL", "use a local file system")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA temp_store = MEMORY")  # no template in the system's temporary directory
        _migrate(db)
        checksums.install(db)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # a deletion cut short is finished here
        return db
    except BaseException as error:
        if db is not None:
            db.close()
        if isinstance(error, FAILURES):
            raise typed(error, path) from error
        raise


def check_health(db: sqlite3.Connection, path: Path) -> int:
    """Check pages, layout and rows of a database of any version (4 CPU s a million templates).

    Returns:
        Its schema version; 0 = it is empty.

    Raises:
        StoreCorrupt: It is damaged, of a newer gaitid, or of another program.
    """
    found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise corrupt(path, found)
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA:
        raise StoreCorrupt(
            f"{path} has schema version {version}", f"{SCHEMA} or older", "open it with a newer gaitid"
        )
    if version == 0 and db.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise corrupt(path, "it belongs to another program")
    if _layout(db) != _layout_of(version):
        raise corrupt(path, f"its tables are not those of schema version {version}")
    if row := checksums.damaged(db) or _stray(db):
        raise corrupt(path, row)
    return version


def _stray(db: sqlite3.Connection) -> str:
    found = db.execute("PRAGMA foreign_key_check").fetchone()
    return f"row {found[1]} of {found[0]} belongs to nothing" if found else ""


def _layout(db: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Tables with their columns, indexes and references; not their text, which SQLite may write anew."""
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
    db.execute("BEGIN IMMEDIATE")  # also finds out here that the database cannot be written
    version = db.execute("PRAGMA user_version").fetchone()[0]
    _run_migrations(db, version, SCHEMA)
    if version < SCHEMA:
        checksums.renew(db)
    db.execute(f"PRAGMA user_version = {SCHEMA}")
    db.execute("COMMIT")


def _run_migrations(db: sqlite3.Connection, start: int, end: int) -> None:
    for statements in _MIGRATIONS[start:end]:
        for statement in statements:
            db.execute(statement)


def force(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def typed(error: BaseException, path: Path) -> BaseException:
    """The gaitid error of a failure of SQLite or of the file system; others stay what they are."""
    if not isinstance(error, FAILURES):
        return error
    text = str(error)
    if "readonly" in text or (isinstance(error, OSError) and error.errno in DENIED):
        return StoreReadOnly(
            f"{path} cannot be written ({text})", "a writable file", "correct its permissions"
        )
    if isinstance(error, UnicodeDecodeError) or "malformed" in text or "not a database" in text:
        return corrupt(path, text)
    return StoreError(f"{path}: {text}", "nothing was changed", "free disk space or repair the disk")


def corrupt(path: Path, what: str) -> StoreCorrupt:
    """The error for a damaged database."""
    return StoreCorrupt(f"{path} is damaged ({what})", "a sound gaitid database", "restore a backup")
