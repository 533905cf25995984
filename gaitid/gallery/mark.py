"""The high-water mark: a file apart from the database that says how far the database had come.

A database that was replaced by an older copy of itself (a snapshot rolled back, a backup restored
over it) is sound, but has lost changes and holds subjects that were erased. The mark tells. It is one
line, authenticated (HMAC-SHA256) by a secret of the database, so whoever cannot read the database
cannot forge it. It is written after each commit and not forced to the disk: a power cut may leave it
some changes behind, never ahead, so it does not cry wolf. The database keeps how far it had come when
it last told a mark, so changes made without the mark do not make up for those that were rolled back.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
from pathlib import Path

from gaitid.errors import StoreCorrupt, StoreError, StoreRolledBack

_LOG = logging.getLogger(__name__)


class Mark:
    """The mark of an open database.

    Args:
        path: Its file; made when it does not exist.
        name: Id of the database.
        secret: Secret of the database.
        changes: Changes that the database has seen; written at once.

    Raises:
        StoreError: It cannot be written.
    """

    def __init__(self, path: Path, name: bytes, secret: bytes, changes: int) -> None:
        self._path, self._name, self._secret = path, name, secret
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{path} cannot be used ({error})", "a writable file", "correct it") from error
        try:
            self._write(changes)
        except OSError as error:
            self.close()
            raise StoreError(
                f"{path} cannot be written ({error})", "a writable file", "correct it"
            ) from error

    def move(self, changes: int) -> None:
        """Say that so many changes are committed; a failure is logged, for they are committed."""
        try:
            self._write(changes)
        except OSError as error:
            _LOG.error("the high-water mark stays behind at a failed write: %s", error)

    def close(self) -> None:
        """Release the file."""
        os.close(self._descriptor)

    def _write(self, changes: int) -> None:
        line = _line(self._name, self._secret, changes)
        os.pwrite(self._descriptor, line, 0)  # of one length: nothing stays behind it


def check(path: Path, name: bytes, secret: bytes, told: int) -> int | None:
    """Compare a database with its mark; gives the changes that this has seen, None = there is no mark.

    Args:
        path: File of the mark.
        name: Id of the database.
        secret: Secret of the database.
        told: Changes that the database had seen when it last told a mark.

    Raises:
        StoreRolledBack: The mark has seen more.
        StoreCorrupt: It is damaged, or of another database.
        StoreError: It cannot be read.
    """
    try:
        text = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise StoreError(f"{path} cannot be used ({error})", "a readable file", "correct it") from error
    if not text:
        return None
    marked = _read(path, text, name, secret)
    if marked > told:
        raise StoreRolledBack(
            f"the database has seen {told} changes, its mark {path} {marked}",
            "a database that has seen them all",
            "it is an older copy: restore the newest one, or delete the mark to accept the loss",
        )
    return marked


def _read(path: Path, text: bytes, name: bytes, secret: bytes) -> int:
    try:
        changes = int(text.split()[-2])
    except (ValueError, IndexError):
        changes = -1
    if changes < 0 or not hmac.compare_digest(text, _line(name, secret, changes)):
        raise StoreCorrupt(
            f"{path} is no mark of this database",
            "its own, unchanged",
            "give the right file; delete it only if you know that the database is the newest",
        )
    return changes


def _line(name: bytes, secret: bytes, changes: int) -> bytes:
    said = b"gaitid mark 1 %s %020d" % (name.hex().encode(), changes)
    return said + b" " + hmac.new(secret, said, hashlib.sha256).hexdigest().encode() + b"\n"
