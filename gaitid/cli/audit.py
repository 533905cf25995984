"""``gaitid audit list | verify | export``: the record of who did what to which gallery, and what for."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from gaitid.cli import inputs
from gaitid.errors import AuditBroken, InputError
from gaitid.matcher import Matcher
from gaitid.records import AuditEntry, AuditHead

_TIMEOUT_S = 600.0
"""How long a server may take to follow its trail: some 100 million entries."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid audit``."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="list|verify|export")
    shown = acts.add_parser("list", help="print entries, oldest first")
    inputs.add_matcher_flags(shown)
    shown.add_argument("--after", type=int, default=0, metavar="NUMBER", help="only entries after this one")
    shown.add_argument("--subject", default="", help="only of this subject of --gallery")
    shown.set_defaults(gallery="")
    verified = acts.add_parser("verify", help="check that nothing was changed, taken out or cut off")
    verified.add_argument("file", type=Path, nargs="?", help="an export; else --data or --server")
    inputs.add_matcher_flags(verified, required=False)
    verified.add_argument("--public-key", metavar="HEX", help="the one that the site has published")
    verified.add_argument(
        "--anchor", type=Path, metavar="FILE", help="an earlier export or head, which must be part of it"
    )
    verified.add_argument("--out", type=Path, metavar="FILE", help="keep the signed head, to be an anchor")
    exported = acts.add_parser("export", help="write all entries and the signed head as JSON lines")
    inputs.add_matcher_flags(exported)
    exported.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to be made")


def run(options: argparse.Namespace) -> int:
    """Run one of the acts."""
    if options.act == "verify" and (options.file is not None) == bool(options.data or options.server):
        raise InputError("a file and galleries, or neither", "one", "name a FILE, --data or --server")
    if options.act == "verify" and options.file is not None:
        return _report(_Export(options.file), options)
    matcher = inputs.open_matcher(options, timeout_s=_TIMEOUT_S)
    try:
        return {"list": _list, "verify": _verify, "export": _export}[options.act](matcher, options)
    finally:
        matcher.close()


def _list(matcher: Matcher, options: argparse.Namespace) -> int:
    for entry in _entries(matcher, options.after, options.gallery, options.subject):
        time = datetime.fromtimestamp(entry.at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        words = (entry.gallery, entry.subject[:8], entry.outcome, entry.detail, entry.reference)
        print(
            f"{entry.number:8d} {time} {entry.actor:16} {entry.action:19} {' '.join(filter(None, words))}"
            f" ({entry.count}){' for ' * bool(entry.purpose)}{entry.purpose}"
        )
    return 0


def _verify(matcher: Matcher, options: argparse.Namespace) -> int:
    return _report(_Live(matcher), options)


def _export(matcher: Matcher, options: argparse.Namespace) -> int:
    head = matcher.verify_audit()
    try:
        with options.out.open("x") as file:
            for entry in _entries(matcher, 0):
                if entry.number <= head.number:
                    file.write(json.dumps(asdict(entry) | {"hash": entry.hash.hex()}) + "\n")
            file.write(_head_line(head))
    except OSError as error:
        raise InputError(
            f"{options.out} cannot be written ({error})", "a new file", "choose another"
        ) from error
    print(f"{head.number} entries in {options.out}")
    return 0


class _Live:
    """The trail behind a matcher."""

    def __init__(self, matcher: Matcher) -> None:
        self.head = matcher.verify_audit()
        self._matcher = matcher

    def hash_at(self, number: int) -> bytes:
        return b"".join(entry.hash for entry in self._matcher.list_audit(number - 1, count=1))


class _Export:
    """The trail in a file, followed from its first entry."""

    def __init__(self, path: Path) -> None:
        from gaitid.gallery.store.audit import broken, check_chain

        self.head, self._path = _head(path), path
        if check_chain(_exported(path)) != (self.head.number, self.head.hash):
            raise broken(f"the entries of {path} do not lead to its head")

    def hash_at(self, number: int) -> bytes:
        return next((entry.hash for entry in _exported(self._path) if entry.number == number), b"")


def _report(trail: _Live | _Export, options: argparse.Namespace) -> int:
    head = trail.head
    _check_head(head, options.public_key)
    if options.anchor is not None:
        anchor = _head(options.anchor)
        _check_head(anchor, head.public_key.hex())
        if anchor.number and trail.hash_at(anchor.number) != anchor.hash:
            raise AuditBroken(
                f"entry {anchor.number} is not the one of {options.anchor}",
                "the same trail, longer",
                "ask why",
            )
    if options.out is not None:
        try:
            options.out.write_text(_head_line(head))
        except OSError as error:
            raise InputError(
                f"{options.out} cannot be written ({error})", "a file", "choose another"
            ) from error
    print(f"{head.number} entries, unbroken; signed by {head.public_key.hex()}")
    return 0


def _check_head(head: AuditHead, public_key: str | None) -> None:
    from gaitid.gallery.care.identity import check

    check(head)
    key = head.public_key.hex()
    if public_key is not None and public_key.lower() != key:
        raise InputError(f"the trail is signed by {key}", f"by {public_key}", "ask the site")


def _entries(matcher: Matcher, after: int, gallery: str = "", subject: str = "") -> Iterator[AuditEntry]:
    while page := matcher.list_audit(after, gallery=gallery, subject=subject):
        yield from page
        after = page[-1].number


def _head_line(head: AuditHead) -> str:
    fields: dict[str, Any] = {
        name: value.hex() if isinstance(value, bytes) else value for name, value in asdict(head).items()
    }
    return json.dumps({"head": fields}) + "\n"


def _head(path: Path) -> AuditHead:
    try:
        fields: dict[str, Any] = {}
        with path.open() as file:
            for line in file:
                fields = json.loads(line).get("head", {})
        binary = {name: bytes.fromhex(fields[name]) for name in ("hash", "public_key", "signature")}
        head = AuditHead(**{**fields, **binary})
        head.statement()  # its fields have the right types
        return head
    except (OSError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise _no_export(path, error) from error


def _exported(path: Path) -> Iterator[AuditEntry]:
    try:
        with path.open() as file:
            for line in file:
                fields = json.loads(line)
                if "head" not in fields:
                    yield AuditEntry(**{**fields, "hash": bytes.fromhex(fields["hash"])})
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise _no_export(path, error) from error


def _no_export(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} is no audit trail ({error})", "one of 'gaitid audit export'", "check it")
