"""The high-water mark: a file outside the database that stores how many changes the database has seen.

A database that was replaced by an older copy (a snapshot rolled back, a backup restored over it)
passes every check, but has lost changes and holds subjects that were erased. The mark detects this. It also
stores the last entry of the audit trail, so that entries cannot be cut off at the end. It is one line,
authenticated (HMAC-SHA256) with a secret of the database, so forging it takes access to the database.

The mark is written after each commit and not forced to the disk: after a power cut it may be some changes
behind, but never ahead, so it raises no false alarm. The database stores its number of changes at the last
write of a mark, so changes made without the mark do not make up for those that were rolled back.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gaitid.errors import StoreCorrupt, StoreError, StoreRolledBack
from gaitid.gallery.store.audit import START, Head, broken

_LOG = logging.getLogger(__name__)


class Seen(NamedTuple):
    """State of a database: number of changes, and head of its audit trail."""

    changes: int
    head: Head


class Mark:
    """The mark of an open database.

    Args:
        path: Its file; made when it does not exist.
        name: Identifier of the database.
        secret: Secret of the database.
        seen: State of the database; written at once.

    Raises:
        StoreError: It cannot be written.
    """

    def __init__(self, path: Path, name: bytes, secret: bytes, seen: Seen) -> None:
        self._path, self._name, self._secret = path, name, secret
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            self._write(seen)
        except OSError as error:
            self.close()
            raise _unusable(path, error) from error

    def move(self, seen: Seen) -> None:
        """Write the state after a commit; a failure is logged only, since the commit stands."""
        try:
            self._write(seen)
        except OSError as error:
            _LOG.error("the high-water mark could not be written and stays behind: %s", error)

    def close(self) -> None:
        """Release the file."""
        os.close(self._descriptor)

    def _write(self, seen: Seen) -> None:
        line = _line(self._name, self._secret, seen)
        os.pwrite(self._descriptor, line, 0)  # of constant length: overwrites the last line completely


def check(
    path: Path, name: bytes, secret: bytes, marked: int, hash_at: Callable[[int], bytes]
) -> Seen | None:
    """Compare a database with its mark; return the state in the mark, None = there is no mark.

    Args:
        path: File of the mark.
        name: Identifier of the database.
        secret: Secret of the database.
        marked: Number of changes of the database when it last wrote a mark.
        hash_at: Returns the hash of an entry of the audit trail; empty = no such entry.

    Raises:
        StoreRolledBack: The mark has seen more changes.
        AuditBroken: The mark has seen another entry.
        StoreCorrupt: The mark is damaged, or of another database.
        StoreError: The mark cannot be read.
    """
    try:
        text = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise StoreError(
            f"Mark {path} cannot be read ({error})", "a readable file", "Correct its permissions or the path"
        ) from error
    if not text:
        return None
    seen = _read(path, text, name, secret)
    if seen.changes > marked:
        raise StoreRolledBack(
            f"The database has seen {marked} changes, its mark {path} {seen.changes}: it is an older copy",
            "a database that has seen all changes of its mark",
            "Restore the newest copy, or delete the mark to accept the loss",
        )
    if hash_at(seen.head.number) != seen.head.hash:
        raise broken(f"Entry {seen.head.number} is not the one that mark {path} has seen")
    return seen


def _unusable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"Mark {path} cannot be written ({error})", "a writable file", "Correct its permissions or the path"
    )


def _read(path: Path, text: bytes, name: bytes, secret: bytes) -> Seen:
    words = text.split()
    try:
        head = START if len(words) < 8 else Head(int(words[5]), bytes.fromhex(words[6].decode()))
        seen = Seen(int(words[4]), head)
    except (ValueError, IndexError):
        seen = Seen(-1, START)
    if seen.changes < 0 or not hmac.compare_digest(text, _line(name, secret, seen, words[2])):
        raise StoreCorrupt(
            f"File {path} is not a mark of this database",
            "the mark that this database wrote, unchanged",
            "Pass the right file; delete it only if you know that the database is the newest copy",
        )
    return seen


def _line(name: bytes, secret: bytes, seen: Seen, version: bytes = b"2") -> bytes:
    line = b"gaitid mark %s %s %020d" % (version, name.hex().encode(), seen.changes)
    if version != b"1":  # version 1 is from before the audit trail, and shorter
        line += b" %020d %s" % (seen.head.number, seen.head.hash.hex().encode())
    return line + b" " + hmac.new(secret, line, hashlib.sha256).hexdigest().encode() + b"\n"
