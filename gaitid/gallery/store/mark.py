"""The high-water mark: a file apart from the database that says how far the database had come.

A database that was replaced by an older copy of itself (a snapshot rolled back, a backup restored
over it) is sound, but has lost changes and holds subjects that were erased. The mark tells; and it
knows the last entry of the audit trail, so that nothing can be cut off there. It is one
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
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gaitid.errors import StoreCorrupt, StoreError, StoreRolledBack
from gaitid.gallery.store.audit import START, Head, broken

_LOG = logging.getLogger(__name__)


class Seen(NamedTuple):
    """How far a database has come: its changes, and the head of its audit trail."""

    changes: int
    head: Head


class Mark:
    """The mark of an open database.

    Args:
        path: Its file; made when it does not exist.
        name: Id of the database.
        secret: Secret of the database.
        seen: What the database has seen; written at once.

    Raises:
        StoreError: It cannot be written.
    """

    def __init__(self, path: Path, name: bytes, secret: bytes, seen: Seen) -> None:
        self._path, self._name, self._secret = path, name, secret
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{path} cannot be used ({error})", "a writable file", "correct it") from error
        try:
            self._write(seen)
        except OSError as error:
            self.close()
            raise StoreError(
                f"{path} cannot be written ({error})", "a writable file", "correct it"
            ) from error

    def move(self, seen: Seen) -> None:
        """Say that so much is committed; a failure is logged, for it is committed."""
        try:
            self._write(seen)
        except OSError as error:
            _LOG.error("the high-water mark stays behind at a failed write: %s", error)

    def close(self) -> None:
        """Release the file."""
        os.close(self._descriptor)

    def _write(self, seen: Seen) -> None:
        line = _line(self._name, self._secret, seen)
        os.pwrite(self._descriptor, line, 0)  # of one length: nothing stays behind it


def check(path: Path, name: bytes, secret: bytes, told: int, hash_at: Callable[[int], bytes]) -> Seen | None:
    """Compare a database with its mark; gives what this has seen, None = there is no mark.

    Args:
        path: File of the mark.
        name: Id of the database.
        secret: Secret of the database.
        told: Changes that the database had seen when it last told a mark.
        hash_at: Gives the hash of an entry of the audit trail; empty = there is none.

    Raises:
        StoreRolledBack: The mark has seen more.
        AuditBroken: The mark has seen another entry.
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
    if marked.changes > told:
        raise StoreRolledBack(
            f"the database has seen {told} changes, its mark {path} {marked.changes}",
            "a database that has seen them all",
            "it is an older copy: restore the newest one, or delete the mark to accept the loss",
        )
    if hash_at(marked.head.number) != marked.head.hash:
        raise broken(f"entry {marked.head.number} is not the one that the mark {path} has seen")
    return marked


def _read(path: Path, text: bytes, name: bytes, secret: bytes) -> Seen:
    words = text.split()
    try:
        head = START if len(words) < 8 else Head(int(words[5]), bytes.fromhex(words[6].decode()))
        seen = Seen(int(words[4]), head)
    except (ValueError, IndexError):
        seen = Seen(-1, START)
    if seen.changes < 0 or not hmac.compare_digest(text, _line(name, secret, seen, words[2])):
        raise StoreCorrupt(
            f"{path} is no mark of this database",
            "its own, unchanged",
            "give the right file; delete it only if you know that the database is the newest",
        )
    return seen


def _line(name: bytes, secret: bytes, seen: Seen, version: bytes = b"2") -> bytes:
    said = b"gaitid mark %s %s %020d" % (version, name.hex().encode(), seen.changes)
    if version != b"1":  # written before there was an audit trail, and shorter
        said += b" %020d %s" % (seen.head.number, seen.head.hash.hex().encode())
    return said + b" " + hmac.new(secret, said, hashlib.sha256).hexdigest().encode() + b"\n"
