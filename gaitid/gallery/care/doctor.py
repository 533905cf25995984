"""Examine a data directory that no process has open, without writing to it, and repair what can be rebuilt.

The rows of the tables are the truth: they are never repaired, only restored from a backup. What can be
repaired are the indexes of SQLite, which are rebuilt from the rows, and files that a crash left behind.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gaitid.errors import StoreError
from gaitid.gallery.care.backup import RESTORING
from gaitid.gallery.store import examination
from gaitid.gallery.store.database import DATABASE, IDENTITY, LOCK
from gaitid.gallery.store.examination import Examination, reindex
from gaitid.gallery.store.schema import FAILURES, take_lock, typed

if TYPE_CHECKING:  # cryptography is imported only by those who use keys
    from gaitid.gallery.store.keys import KeyRing

Check = tuple[str, Callable[[], str]]
"""Name of a check, and a function that returns what was checked, or raises a `GaitIdError`."""

_LEFT = re.compile(rf"{re.escape(IDENTITY)}\.\d+\.\d+|.*{re.escape(RESTORING)}")


@contextmanager
def examining(
    directory: Path, keys: KeyRing | None = None, mark: Path | None = None
) -> Iterator[list[Check]]:
    """Yield the checks of a data directory, to be called within the context.

    Args:
        directory: The data directory; it is locked, and not written.
        keys: Its keys, when it is encrypted.
        mark: Its mark file; None = the mark is not checked.

    Raises:
        StoreLocked: A server has it open.
        StoreError: It is not a data directory, or cannot be read.
    """
    path = directory / DATABASE
    with _locked(directory), examination.examining(path, keys) as found:
        yield [(name, partial(_run, check, path)) for name, check in _checks(found, directory, mark)]


def repair(directory: Path) -> list[str]:
    """Rebuild what follows from the rows; return what was done.

    Raises:
        StoreCorrupt: The rows are damaged; nothing was changed in the database.
        StoreLocked: A server has the directory open.
    """
    with _locked(directory):
        done = [f"removed {path.name}" for path in _left(directory)]
        for path in _left(directory):
            path.unlink()
        if reindex(directory / DATABASE):
            done.append("rebuilt the indexes of the database")
    return done


def require_galleries(directory: Path) -> None:
    """Raise `StoreError` unless a directory has galleries; opening it as a store would create them."""
    if not (directory / DATABASE).is_file():
        raise StoreError(
            f"Directory {directory} has no {DATABASE}",
            "a data directory of gaitid",
            "Pass the directory in which the server keeps its galleries",
        )


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    require_galleries(directory)
    lock = take_lock(directory / LOCK)
    try:
        yield
    finally:
        os.close(lock)


def _run(check: Callable[[], str], path: Path) -> str:
    try:
        return check()
    except FAILURES as error:
        raise typed(error, path) from error


def _checks(found: Examination, directory: Path, mark: Path | None) -> Iterator[Check]:
    yield "database", found.database
    if found.is_current:
        yield "galleries", found.galleries
        yield "subjects", found.subjects
        yield "templates", found.templates
        yield "camera profiles", found.profiles
        yield "audit trail", found.audit
        if mark is not None:
            yield "mark", partial(found.mark, mark)
    if (directory / IDENTITY).exists():
        yield "signing key", partial(_check_identity, directory / IDENTITY)
    yield "left-over files", partial(_check_left, directory)


def _check_identity(path: Path) -> str:
    from gaitid.gallery.care.identity import load  # needs cryptography

    return f"public key {load(path).public_key().public_bytes_raw().hex()}: it must be the published one"


def _check_left(directory: Path) -> str:
    left = [path.name for path in _left(directory)]
    if left:
        raise StoreError(f"A crash left {', '.join(left)}", "no such files", "Run the doctor with --repair")
    return "none"


def _left(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if _LEFT.fullmatch(path.name))
