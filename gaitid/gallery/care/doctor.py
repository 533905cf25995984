"""Looks through a data directory that nobody has open, writes nothing, and repairs what can be made anew.

The truth is the rows of the tables: they are never repaired, only restored from a backup. What can be
made anew are the indexes of SQLite, which follow from the rows, and files that a crash left behind.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gaitid.errors import GaitIdError, StoreCorrupt, StoreError
from gaitid.gallery.care.backup import RESTORING
from gaitid.gallery.scoring.calibration import ScoreCalibration
from gaitid.gallery.store import mark as marks
from gaitid.gallery.store.audit import Audit, broken, check_chain
from gaitid.gallery.store.database import DATABASE, IDENTITY, LOCK
from gaitid.gallery.store.rows import quality_of, terms_of
from gaitid.gallery.store.schema import FAILURES, SCHEMA, check_health, corrupt, take_lock, typed
from gaitid.gallery.store.sealing import Sealing
from gaitid.records import Fusion, Normalisation, OperatingPoint, check_name

if TYPE_CHECKING:  # cryptography is imported by those who use keys
    from gaitid.gallery.store.keys import KeyRing

Check = tuple[str, Callable[[], str]]
"""The name of a check, and what does it: says what was found right, or raises a `GaitIdError`."""

_LEFT = re.compile(rf"{re.escape(IDENTITY)}\.\d+\.\d+|.*{re.escape(RESTORING)}")
_NORM_TOLERANCE = 1e-5
_AT_ONCE = 1000


@contextmanager
def examining(
    directory: Path, keys: KeyRing | None = None, mark: Path | None = None
) -> Iterator[list[Check]]:
    """The checks of a data directory, to be called within the context.

    Args:
        directory: The data directory; it is held, and not written.
        keys: Its keys, when it is sealed.
        mark: Its mark file; None = that is not checked.

    Raises:
        StoreLocked: A server has it open.
        StoreError: It is no data directory, or cannot be read.
    """
    path = directory / DATABASE
    with _held(directory):
        log = directory / f"{DATABASE}-wal"
        how = "mode=ro" if log.exists() else "mode=ro&immutable=1"  # a log cannot be made read-only
        try:
            db = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)
        except sqlite3.Error as error:
            raise typed(error, path) from error
        try:
            yield [(name, _caught(check, path)) for name, check in _checks(db, directory, keys, mark)]
        finally:
            db.close()


def repair(directory: Path) -> list[str]:
    """Make anew what follows from the truth; says what was done.

    Raises:
        StoreCorrupt: The truth itself is damaged; nothing was changed in the database.
        StoreLocked: A server has it open.
    """
    with _held(directory):
        done = [f"removed {path.name}" for path in _left(directory)]
        for path in _left(directory):
            path.unlink()
        if _reindex(directory / DATABASE):
            done.append("made the indexes of the database anew")
    return done


@contextmanager
def _held(directory: Path) -> Iterator[None]:
    if not (directory / DATABASE).is_file():
        raise StoreError(f"{directory} has no {DATABASE}", "a data directory of gaitid", "check the path")
    lock = take_lock(directory / LOCK)
    try:
        yield
    finally:
        os.close(lock)


def _caught(check: Callable[[], str], path: Path) -> Callable[[], str]:
    def caught() -> str:
        try:
            return check()
        except FAILURES as error:
            raise typed(error, path) from error

    return caught


def _checks(
    db: sqlite3.Connection, directory: Path, keys: KeyRing | None, mark: Path | None
) -> Iterator[Check]:
    path = directory / DATABASE
    yield "database", lambda: _check_database(db, path)
    version = _version(db)
    if version == SCHEMA:
        yield "galleries", lambda: _check_galleries(db, path)
        yield "subjects", lambda: _check_subjects(db, path)
        yield "templates", lambda: _check_templates(db, path, keys)
        yield "audit trail", lambda: _check_audit(db)
    if version == SCHEMA and mark is not None:
        yield "mark", lambda: _check_mark(db, mark)
    if (directory / IDENTITY).exists():
        yield "signing key", lambda: _check_identity(directory / IDENTITY)
    yield "left-over files", lambda: _check_left(directory)


def _version(db: sqlite3.Connection) -> int:
    try:
        return int(db.execute("PRAGMA user_version").fetchone()[0])
    except FAILURES:  # no database at all, as its own check says
        return 0


def _check_database(db: sqlite3.Connection, path: Path) -> str:
    version = check_health(db, path)
    later = "" if version == SCHEMA else f"; the next start brings it to {SCHEMA}, then check again"
    return f"schema version {version}; pages, indexes, layout, row checksums and references are right{later}"


def _check_galleries(db: sqlite3.Connection, path: Path) -> str:
    rows = db.execute(
        "SELECT g.name, dimension, fusion, revision, threshold, review_band, target_fmr, target_fpir, margin,"
        " max_matches, law FROM galleries g LEFT JOIN calibrations c"
        " ON c.gallery = g.id AND c.contract = g.contract"
    ).fetchall()
    for name, dimension, fusion, revision, *operating_point, calibration in rows:
        with _sound(path, f"gallery {name}"):
            check_name(name, "gallery")
            Fusion(fusion)
            OperatingPoint(*operating_point)
            if calibration is not None:
                ScoreCalibration.loads(calibration)
            if revision < 0 or dimension < 1:
                raise ValueError(f"revision {revision}, dimension {dimension}")
    changes = db.execute("SELECT changes FROM state").fetchone()[0]
    _check_cohorts(db, path)
    calibrated = sum(row[-1] is not None for row in rows)
    return f"{len(rows)}, {calibrated} of them calibrated; {changes} changes in all"


def _check_cohorts(db: sqlite3.Connection, path: Path) -> None:
    for gallery, normalisation, calibration in db.execute("SELECT gallery, normalisation, law FROM cohorts"):
        with _sound(path, f"the cohort of gallery {gallery}"):
            Normalisation(**json.loads(normalisation)["info"])
            ScoreCalibration.loads(calibration)


def _check_subjects(db: sqlite3.Connection, path: Path) -> str:
    count = 0
    for key, name, *terms in db.execute(
        "SELECT id, name, legal_basis, purpose, reference, expires_at, legal_hold FROM subjects"
    ):
        with _sound(path, f"subject {key}"):
            check_name(name, "subject")
            terms_of(terms)
        count += 1
    found = db.execute(
        "SELECT id FROM subjects WHERE (key_name IS NULL) <> (data_key IS NULL)"
        " OR id NOT IN (SELECT subject FROM templates) LIMIT 1"
    ).fetchone()
    if found:
        raise corrupt(path, f"subject {found[0]} lacks its templates or half of its key")
    return f"{count}, with their terms"


def _check_templates(db: sqlite3.Connection, path: Path, keys: KeyRing | None) -> str:
    sealing, count, is_sealed = Sealing(db, keys), 0, 0
    galleries = db.execute("SELECT id, contract, dimension FROM galleries").fetchall()
    for gallery, contract, dimension in galleries:
        rows = db.execute(
            "SELECT t.vector, s.key_name, s.data_key, s.id, t.id, t.quality FROM templates t"
            " JOIN subjects s ON s.id = t.subject WHERE s.gallery = ? ORDER BY s.id",
            (gallery,),
        )
        while some := rows.fetchmany(_AT_ONCE):
            plain = sealing.unsealed(gallery, contract, [row[:4] for row in some])
            for row, vector in zip(some, plain, strict=True):
                with _sound(path, f"template {row[4]}"):
                    _check_vector(vector, dimension)
                    if row[5] is not None:
                        quality_of(row[5])
            count, is_sealed = count + len(some), is_sealed + sum(row[1] is not None for row in some)
    lost = db.execute(
        "SELECT t.id FROM templates t JOIN subjects s ON s.id = t.subject LEFT JOIN projections p"
        " ON p.gallery = s.gallery AND p.generation = t.generation"
        " WHERE t.generation > 0 AND p.gallery IS NULL LIMIT 1"
    ).fetchone()
    if lost:
        raise corrupt(path, f"template {lost[0]} is under a projection that is gone")
    return f"{count}, {is_sealed} of them sealed; length and norm are right"


def _check_vector(plain: bytes, dimension: int) -> None:
    vector = np.frombuffer(plain, "<f4")
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    if len(vector) != dimension or not abs(norm - 1) <= _NORM_TOLERANCE:
        raise ValueError(f"{len(vector)} numbers of norm {norm:.6f}")


def _check_audit(db: sqlite3.Connection) -> str:
    trail = Audit(db)
    end = check_chain(
        entry for after in range(0, trail.head.number, _AT_ONCE) for entry in trail.page(after, _AT_ONCE)
    )
    if end != trail.head:
        raise broken(f"the trail ends with entry {end.number}, not {trail.head.number}")
    return f"{end.number} entries, unbroken"


def _check_mark(db: sqlite3.Connection, path: Path) -> str:
    name, secret, changes, told = db.execute("SELECT name, secret, changes, marked FROM state").fetchone()
    marked = marks.check(path, name, secret, told, Audit(db).hash_at)
    if marked is None:
        return f"there is none at {path} yet"
    return f"it has seen {marked.changes} changes, the database {changes}"


def _check_identity(path: Path) -> str:
    from gaitid.gallery.care.identity import load  # needs cryptography

    return f"public key {load(path).public_key().public_bytes_raw().hex()}: it must be the published one"


def _check_left(directory: Path) -> str:
    left = [path.name for path in _left(directory)]
    if left:
        raise StoreError(f"a crash left {', '.join(left)}", "no such files", "run it with --repair")
    return "none"


def _left(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if _LEFT.fullmatch(path.name))


@contextmanager
def _sound(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (GaitIdError, ValueError, TypeError, LookupError) as error:
        if isinstance(error, StoreCorrupt):
            raise
        raise corrupt(path, f"{what}: {error}") from error


def _reindex(path: Path) -> bool:
    """Fill the indexes of a database again from its tables, if that makes it whole."""
    try:
        db = sqlite3.connect(path, isolation_level=None)
        try:
            if db.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok":
                return False
            db.execute("PRAGMA secure_delete = ON")
            db.execute("BEGIN IMMEDIATE")
            db.execute("REINDEX")
            check_health(db, path)
            db.execute("COMMIT")
            return True
        finally:
            db.close()  # without the commit nothing has changed
    except FAILURES as error:
        raise typed(error, path) from error
