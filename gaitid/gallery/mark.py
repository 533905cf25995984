"""The high-water mark: a file apart from the database that says how far the database had come.

A database that was replaced by an older copy of itself (a snapshot rolled back, a backup restored
over it) is sound, but has lost changes and holds subjects that were erased. The mark tells. It is one
line, authenticated (HMAC-SHA256) by a secret of the database, so whoever cannot read the database
cannot forge it. It is written after each commit and not forced to the disk: a power cut may leave it
some changes behind, never ahead, so it does not cry wolf.
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
        changes: Changes that the database has seen.

    Raises:
        StoreRolledBack: The mark has seen more.
        StoreCorrupt: It is damaged, or of another database.
        StoreError: It cannot be read or written.
    """

    def __init__(self, path: Path, name: bytes, secret: bytes, changes: int) -> None:
        self._path, self._name, self._secret = path, name, secret
        try:
            text = path.read_bytes() if path.exists() else b""
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{path} cannot be used ({error})", "a writable file", "correct it") from error
        try:
            if text:
                self._compare(text, changes)
            self._write(changes)
        except OSError as error:
            self.close()
            raise StoreError(
                f"{path} cannot be written ({error})", "a writable file", "correct it"
            ) from error
        except BaseException:
            self.close()
            raise

    def move(self, changes: int) -> None:
        """Say that so many changes are committed; a failure is logged, for they are committed."""
        try:
            self._write(changes)
        except OSError as error:
            _LOG.error("the high-water mark stays behind at a failed write: %s", error)

    def close(self) -> None:
        """Release the file."""
        os.close(self._descriptor)

    def _compare(self, text: bytes, changes: int) -> None:
        marked = self._read(text)
        if marked > changes:
            raise StoreRolledBack(
                f"the database has seen {changes} changes, its mark {self._path} {marked}",
                "a database that has seen them all",
                "it is an older copy: restore the newest one, or delete the mark to accept the loss",
            )

    def _read(self, text: bytes) -> int:
        try:
            changes = int(text.split()[-2])
        except (ValueError, IndexError):
            changes = -1
        if changes < 0 or not hmac.compare_digest(text, self._line(changes)):
            raise StoreCorrupt(
                f"{self._path} is no mark of this database",
                "its own, unchanged",
                "give the right file; delete it only if you know that the database is the newest",
            )
        return changes

    def _write(self, changes: int) -> None:
        os.pwrite(self._descriptor, self._line(changes), 0)  # of one length: nothing stays behind it

    def _line(self, changes: int) -> bytes:
        said = b"gaitid mark 1 %s %020d" % (self._name.hex().encode(), changes)
        return said + b" " + hmac.new(self._secret, said, hashlib.sha256).hexdigest().encode() + b"\n"
