"""``gaitid subject receipt``: verify a receipt of an erasure."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gaitid.errors import InputError
from gaitid.records import ErasureReceipt


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid subject receipt``."""
    parser.add_argument("file", type=Path, metavar="FILE", help="receipt of 'gaitid subject erase'")
    parser.add_argument("--public-key", metavar="HEX", help="public key that the site has published")


def run(options: argparse.Namespace) -> int:
    """Verify the signature and, if it is given, the signer."""
    from gaitid.gallery.care.identity import check

    receipt = _read(options.file)
    check(receipt)
    key = receipt.public_key.hex()
    if options.public_key is None:
        print(f"genuine, if the site has published the public key {key}")
    elif options.public_key.lower() != key:
        raise InputError(
            f"The receipt is signed by {key}",
            f"a signature by {options.public_key}",
            "Ask the site for its public key",
        )
    else:
        print("genuine")
    return 0


def _read(path: Path) -> ErasureReceipt:
    try:
        fields = json.loads(path.read_text())
        binary = {name: bytes.fromhex(fields[name]) for name in ("public_key", "signature")}
        receipt = ErasureReceipt(**{**fields, **binary})
        receipt.statement()  # raises when a field has the wrong type
        return receipt
    except (OSError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise InputError(
            f"File {path} is not a receipt ({error})",
            "a file that 'gaitid subject erase' wrote",
            "Pass the unchanged file",
        ) from error
