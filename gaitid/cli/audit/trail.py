"""An audit trail behind a matcher or in an exported file, and the signed head of either."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gaitid.errors import AuditBroken, InputError
from gaitid.matcher import Matcher
from gaitid.records import AuditEntry, AuditHead

TIMEOUT_S = 600.0
"""Deadline of a server that verifies its trail; enough for about 100 million entries."""


class LiveTrail:
    """The trail behind a matcher, which verifies it."""

    def __init__(self, matcher: Matcher) -> None:
        self.head = matcher.verify_audit()
        self._matcher = matcher

    def hash_at(self, number: int) -> bytes:
        """Hash of an entry; empty when there is none of that number."""
        return b"".join(entry.hash for entry in self._matcher.list_audit(number - 1, count=1))


class ExportedTrail:
    """The trail in an exported file, verified from its first entry."""

    def __init__(self, path: Path) -> None:
        from gaitid.gallery.store.audit import broken, check_chain

        self.head, self._path = read_head(path), path
        if check_chain(_read_entries(path)) != (self.head.number, self.head.hash):
            raise broken(f"The entries of {path} do not lead to its head")

    def hash_at(self, number: int) -> bytes:
        """Hash of an entry; empty when there is none of that number."""
        return next((entry.hash for entry in _read_entries(self._path) if entry.number == number), b"")


def check_anchor(trail: LiveTrail | ExportedTrail, path: Path) -> None:
    """Check that an earlier head is part of the trail.

    Raises:
        AuditBroken: It is not.
        InputError: The file is no head, or another key signed it.
    """
    anchor = read_head(path)
    check_head(anchor, trail.head.public_key.hex())
    if anchor.number and trail.hash_at(anchor.number) != anchor.hash:
        raise AuditBroken(
            f"Entry {anchor.number} of the trail is not the one in {path}",
            "the same trail with later entries",
            "Ask who operates the site why the trail was replaced",
        )


def check_head(head: AuditHead, public_key: str | None) -> None:
    """Check the signature of a head and, if a key is given, who signed it."""
    from gaitid.gallery.care.identity import check

    check(head)
    key = head.public_key.hex()
    if public_key is not None and public_key.lower() != key:
        raise InputError(
            f"The trail is signed by {key}",
            f"a signature by {public_key}",
            "Ask the site for its public key",
        )


def entries(matcher: Matcher, after: int, gallery: str = "", subject: str = "") -> Iterator[AuditEntry]:
    """All entries after a number, page by page."""
    while page := matcher.list_audit(after, gallery=gallery, subject=subject):
        yield from page
        after = page[-1].number


def entry_line(entry: AuditEntry) -> str:
    """The line of an entry in an export."""
    return json.dumps(asdict(entry) | {"hash": entry.hash.hex()}) + "\n"


def head_line(head: AuditHead) -> str:
    """The line of a head in an export."""
    fields: dict[str, Any] = {
        name: value.hex() if isinstance(value, bytes) else value for name, value in asdict(head).items()
    }
    return json.dumps({"head": fields}) + "\n"


def read_head(path: Path) -> AuditHead:
    """The head of an export, which is its last line.

    Raises:
        InputError: The file cannot be read, or has no head.
    """
    try:
        fields: dict[str, Any] = {}
        with path.open() as file:
            for line in file:
                fields = json.loads(line).get("head", {})
        binary = {name: bytes.fromhex(fields[name]) for name in ("hash", "public_key", "signature")}
        head = AuditHead(**{**fields, **binary})
        head.statement()  # raises when a field has the wrong type
        return head
    except (OSError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise _no_export(path, error) from error


def _read_entries(path: Path) -> Iterator[AuditEntry]:
    try:
        with path.open() as file:
            for line in file:
                fields = json.loads(line)
                if "head" not in fields:
                    yield AuditEntry(**{**fields, "hash": bytes.fromhex(fields["hash"])})
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise _no_export(path, error) from error


def _no_export(path: Path, error: Exception) -> InputError:
    return InputError(
        f"File {path} is not an audit trail ({error})",
        "a file that 'gaitid audit export' wrote",
        "Pass the unchanged file",
    )
