"""``gaitid terms | erase | export | receipt``: what a person may ask of those who hold her templates."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from gaitid.cli import inputs
from gaitid.errors import InputError
from gaitid.matcher import Matcher
from gaitid.records import ErasureReceipt, SubjectExport, Terms


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb that `parser` is for."""
    verb = parser.prog.split()[-1]
    if verb == "receipt":
        parser.add_argument("file", type=Path, help="receipt of 'gaitid erase'")
        parser.add_argument("--public-key", metavar="HEX", help="the one that the site has published")
        return
    inputs.add_matcher_flags(parser)
    parser.add_argument("subject", help="subject id")
    if verb == "terms":
        _add_term_flags(parser)
        return
    what = "receipt" if verb == "erase" else "folder for subject.json and templates.npz"
    parser.add_argument("--out", metavar="PATH", type=Path, required=True, help=f"{what}, to be made")


def run(options: argparse.Namespace) -> int:
    """Run one of the verbs."""
    if options.verb == "receipt":
        return _check(options)
    if options.verb != "terms":
        _require_new(options.out)
    matcher = inputs.open_matcher(options)
    try:
        return {"terms": _terms, "erase": _erase, "export-subject": _export}[options.verb](matcher, options)
    finally:
        matcher.close()


def _add_term_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--legal-basis", default="", help="for example consent")
    parser.add_argument("--purpose", default="", help="what the templates may be used for")
    parser.add_argument("--reference", default="", help="where the consent or order is filed")
    parser.add_argument("--expires", metavar="DATE", help="deleted of itself from YYYY-MM-DD (UTC) on")
    parser.add_argument("--hold", action="store_true", help="must be kept: can be neither deleted nor expire")


def _terms(matcher: Matcher, options: argparse.Namespace) -> int:
    terms = Terms(
        options.legal_basis,
        options.purpose,
        options.reference,
        None if options.expires is None else _day(options.expires),
        options.hold,
    )
    revision = matcher.set_terms(options.gallery, options.subject, terms)
    print(f"{options.subject}: terms recorded; revision {revision}")
    return 0


def _day(text: str) -> float:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc).timestamp()
    except ValueError as error:
        raise InputError(f"date {text!r}", "YYYY-MM-DD", "correct it") from error


def _erase(matcher: Matcher, options: argparse.Namespace) -> int:
    receipt = matcher.erase_subject(options.gallery, options.subject)
    fields = asdict(receipt) | {
        "public_key": receipt.public_key.hex(),
        "signature": receipt.signature.hex(),
    }
    text = json.dumps(fields, indent=1) + "\n"
    try:
        _write(options.out, text)
    except InputError:
        print(text)  # it cannot be had again
        raise
    print(
        f"{receipt.subject} erased from {receipt.gallery}: {receipt.templates} template(s);"
        f" no trace in {receipt.scanned_bytes} bytes; receipt in {options.out}"
    )
    return 0


def _export(matcher: Matcher, options: argparse.Namespace) -> int:
    export = matcher.export_subject(options.gallery, options.subject)
    try:
        options.out.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise _unwritable(options.out, error) from error
    _write(options.out / "subject.json", json.dumps(_described(export), indent=1) + "\n")
    vectors = np.stack([template.embedding.vector for template in export.templates])
    np.savez(options.out / "templates.npz", vectors=vectors)
    print(f"{export.subject}: {len(export.templates)} template(s) in {options.out}")
    return 0


def _described(export: SubjectExport) -> dict[str, Any]:
    """The export without vectors; row n of templates.npz is template n."""
    return {
        "gallery": export.gallery,
        "subject": export.subject,
        "enrolled_at": export.enrolled_at,
        "terms": asdict(export.terms),
        "contract": export.templates[0].embedding.contract,
        "templates": [
            {
                "id": template.id,
                "enrolled_at": template.enrolled_at,
                "camera": template.origin.camera,
                "track": template.origin.track,
                "quality": None if template.quality is None else asdict(template.quality),
            }
            for template in export.templates
        ],
    }


def _check(options: argparse.Namespace) -> int:
    try:
        fields = json.loads(options.file.read_text())
        receipt = _receipt(fields)
        receipt.statement()  # its fields have the right types
    except (OSError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise InputError(
            f"{options.file} is no receipt ({error})", "one of 'gaitid erase'", "check it"
        ) from error
    from gaitid.gallery.care.identity import check

    check(receipt)
    key = receipt.public_key.hex()
    if options.public_key is None:
        print(f"genuine, if the site has published the public key {key}")
    elif options.public_key.lower() != key:
        raise InputError(f"the receipt is signed by {key}", f"by {options.public_key}", "ask the site")
    else:
        print("genuine")
    return 0


def _receipt(fields: Mapping[str, Any]) -> ErasureReceipt:
    binary = {name: bytes.fromhex(fields[name]) for name in ("public_key", "signature")}
    return ErasureReceipt(**{**fields, **binary})


def _require_new(path: Path) -> None:
    """A receipt cannot be had twice, so find out before that it can be written."""
    if path.exists():
        raise InputError(f"{path} exists", "a new path", "choose another")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path.parent} is no folder", "an existing one", "make it first")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be written ({error})", "a writable place", "choose another")
